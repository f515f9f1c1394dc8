"""What pip installs: the package with its rules, without cases and test guests; and the sdist, which has all of it."""

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

from guestfix import __version__
from tests.build import manual

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_wheel_holds_the_rules_and_no_cases(tmp_path):
    pytest.importorskip("hatchling", reason="hatchling builds the wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    rules = {
        f"guestfix/{path.relative_to(ROOT)}" for path in (ROOT / "rules").rglob("*.yaml") if "cases" not in path.parts
    }
    assert len(rules) > 30 and rules <= names
    assert {"guestfix/pack/when.lark", "guestfix/py.typed", "guestfix/cli.py"} <= names
    data = {name.partition(".data/data/")[2] for name in names if ".data/data/" in name}
    assert data == {f"share/man/man1/{path.name}" for path in (ROOT / "docs/man").iterdir()} | {
        "share/bash-completion/completions/guestfix",
        "share/zsh/site-functions/_guestfix",
        "share/fish/vendor_completions.d/guestfix.fish",
    }
    unwanted = ("tests/", "testdata/")
    assert not [
        name
        for name in names
        if (name.startswith("guestfix/rules/") and "/cases/" in name) or name.startswith(unwanted)
    ]


def hatch(place: Path, kind: str, out: Path) -> Path:
    """Build an sdist or a wheel of the project in a folder."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(out)]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (made,) = out.iterdir()
    return made


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    pytest.importorskip("hatchling", reason="hatchling builds the sdist")
    return hatch(ROOT, "sdist", tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def unpacked(sdist, tmp_path_factory):
    """Return the project as somebody has it who unpacked the sdist, and in it guests.tar."""
    place = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        assert not [one.name for one in archive if not (one.isfile() or one.isdir())], "pip refuses links (PEP 721)"
        archive.extractall(place)
    project = place / f"guestfix-{__version__}"
    subprocess.run(["tar", "-xpf", "guests.tar"], cwd=project, check=True)
    return project


def tracked() -> set[str]:
    done = subprocess.run(["git", "ls-files", "-coz", "--exclude-standard"], cwd=ROOT, capture_output=True)
    if done.returncode:
        pytest.skip("git does not know this folder")
    return {one for one in done.stdout.decode().split("\0") if one and os.path.lexists(ROOT / one)}


def state(path: Path) -> object:
    return os.readlink(path) if path.is_symlink() else (path.read_bytes(), path.stat().st_mode & 0o111)


def test_the_sdist_has_every_file_of_the_project(unpacked):
    wanted = tracked()
    there = {str(path.relative_to(unpacked)) for path in unpacked.rglob("*") if path.is_symlink() or path.is_file()}
    assert wanted - there == set()
    assert {one for one in there - wanted if one.startswith(("guestfix/", "rules/", "docs/", "tests/"))} == set()
    assert there - wanted <= {"PKG-INFO", "guests.tar"} | {one for one in there if one.startswith("testdata/")}
    assert [one for one in wanted if state(ROOT / one) != state(unpacked / one)] == []


def test_the_same_files_make_the_same_guests_tar(sdist, unpacked, tmp_path):
    spec = importlib.util.spec_from_file_location("sdist", ROOT / "docs/packaging/sdist.py")
    hook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hook)
    packed = [hook.pack(place, tmp_path / f"{at}.tar").read_bytes() for at, place in enumerate((ROOT, unpacked))]
    with tarfile.open(sdist) as archive:
        packed.append(archive.extractfile(f"guestfix-{__version__}/guests.tar").read())
    assert packed[0] == packed[1] == packed[2]


def test_a_wheel_of_the_sdist_does_the_main_job_in_a_fresh_environment(unpacked, tmp_path):
    wheel = hatch(unpacked, "wheel", tmp_path / "wheel")
    venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
    (packages,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    # what guestfix needs comes from here, guestfix itself does not
    for one in Path(sysconfig.get_path("purelib")).iterdir():
        if "guestfix" not in one.name.lower() and one.name not in ("pip", "__pycache__"):
            (packages / one.name).symlink_to(one)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    guest = tmp_path / "guest"
    shutil.copytree(unpacked / "testdata/guests/rhel7-vmware/root", guest, symlinks=True)
    program = [str(tmp_path / "venv/bin/python"), "-I", "-m", "guestfix"]
    env = {"PATH": os.environ["PATH"], "XDG_CACHE_HOME": str(tmp_path / "cache"), "COLUMNS": "100"}

    def run(*words: str) -> str:
        done = subprocess.run([*program, *words], cwd=tmp_path, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert run("--version") == f"guestfix {__version__}\n"
    assert run("report", "guest", "--target", "aws-nitro")
    assert "To undo it" in run("apply", "guest", "--target", "aws-nitro")
    assert "as it was applied" in run("status", "guest")
    assert "/etc/fstab" in run("revert", "guest")


# what pyproject.toml says


def test_the_change_log_tells_the_day_of_this_version():
    assert manual.released(), f"CHANGELOG.md has no heading: ## {__version__} (YYYY-MM-DD)"


def test_the_metadata_is_complete():
    assert {"Homepage", "Documentation", "Source", "Issues", "Changelog"} <= set(PROJECT["urls"])
    versions = [f"Programming Language :: Python :: 3.{minor}" for minor in range(11, 15)]
    assert set(versions) <= set(PROJECT["classifiers"]) and PROJECT["requires-python"] == ">=3.11"
    assert PROJECT["license"] == "Apache-2.0" and len(PROJECT["keywords"]) > 5 and PROJECT["authors"]


DEBIAN = {
    "lark": "1.1.5", "pyparsing": "3.0.9", "PyYAML": "6.0", "zstandard": "0.20.0", "lz4": "4.0.2", "jinja2": "3.1.2",
    "MarkupSafe": "2.1.2", "rich": "13.3.1",
}  # fmt: skip
"""What Debian 12 has, the older of the systems whose packages guestfix uses (docs/packages.md)."""

NOWHERE = {"zlib-ng": "zlib", "cramjam": "lz4"}
"""What no distribution has, and what guestfix takes there."""

LZ4 = "4.0"


def test_debian_12_has_what_is_asked_for():
    floors = dict(one.partition(";")[0].split(">=") for one in PROJECT["dependencies"])
    assert set(floors) == {*DEBIAN, *NOWHERE} - set(NOWHERE.values())

    def number(text: str) -> list[int]:
        return [int(part) for part in text.strip().split(".")]

    floors |= {"lz4": LZ4}
    assert [name for name, version in DEBIAN.items() if number(floors[name]) > number(version)] == []


def test_the_packages_ask_for_what_pyproject_asks_for():
    spec = (ROOT / "docs/packaging/guestfix.spec").read_text()
    for one in PROJECT["dependencies"]:
        name, floor = one.partition(";")[0].split(">=")
        name, floor = (NOWHERE[name], LZ4) if name == "cramjam" else (name, floor)
        asked = f"python3dist({name.lower()}) >= {floor.removesuffix('.0')}"
        assert name == "zlib-ng" or asked in spec, asked
    script = (ROOT / "docs/packaging/build.sh").read_text()
    assert all(f"python3-{name.lower().removeprefix('py')}" in script for name in DEBIAN if name != "pyparsing")
