"""The packages of docs/packaging, each built, installed where nothing else is, and used for the main job."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from guestfix import __version__
from tests.build import debian
from tests.build.bare import Bare
from tests.build.examples import FSTAB
from tests.build.images import debian as small_debian
from tests.build.images import have
from tests.build.uml_guests import ext4_image

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "docs/packaging/build.sh"


def build(what: str, place: Path, **env: str) -> Path:
    """Build a package; skip where a program for it is missing."""
    done = subprocess.run(["sh", BUILD, what, place], env={**os.environ, **env}, capture_output=True, text=True)
    if done.returncode == 69:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    (made,) = place.iterdir()
    return made


def guests(tree: Bare) -> None:
    """Put a guest in a folder and one in a disk image into the tree."""
    work = tree.root / "src"
    work.mkdir(exist_ok=True)
    small_debian(work / "guest", FSTAB, extra=False)
    (work / "image").mkdir()
    ext4_image(work / "guest", work / "image").rename(work / "disk.qcow2")


def main_job(tree: Bare) -> None:
    """Report, apply, status and revert in the tree: of a guest in a folder, and a report of an image."""
    for command in (
        "report guest --target aws-nitro --format json > plan.json",
        "apply --plan plan.json guest",
        "status guest",
        "revert guest",
        "report disk.qcow2 --target kvm-virtio",
        "report guest --format html > report.html",
        "explain boot/default-entry",
    ):
        done = tree.run(f"guestfix {command}")
        assert done.returncode == 0, (command, done.stdout[-2000:], done.stderr[-2000:])
    plan = json.loads((tree.root / "src/plan.json").read_text())
    assert plan["versions"]["guestfix"] == __version__ and plan["changes"]
    assert (tree.root / "src/guest/etc/fstab").read_text() == FSTAB


@pytest.fixture
def bare(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("a tree to install into needs root")
    if not have("mke2fs", "sfdisk", "qemu-img"):
        pytest.skip("mke2fs, sfdisk or qemu-img is not installed")
    tree = Bare(tmp_path / "tree", "python3,git")
    yield tree
    shutil.rmtree(tree.root, ignore_errors=True)


def test_the_debian_package_on_a_bare_debian(bare: Bare, tmp_path: Path) -> None:
    package = build("deb", tmp_path / "packages")
    assert package.name == f"guestfix_{__version__}_all.deb"
    guests(bare)
    shutil.copy(package, bare.root / "src")
    done = bare.run(f"apt-get update -qq && apt-get install -qq -y --no-install-recommends ./{package.name}")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert bare.run("guestfix --version").stdout == f"guestfix {__version__}\n"
    main_job(bare)
    shipped = bare.run("dpkg -L guestfix").stdout.split()
    assert {"/usr/share/man/man1/guestfix.1.gz", "/usr/share/zsh/vendor-completions/_guestfix"} <= set(shipped)
    assert bare.run("apt-get purge -qq -y guestfix").returncode == 0
    assert not list(bare.root.glob("usr/lib/python3/dist-packages/guestfix*"))


def test_the_rpm_package(bare: Bare, tmp_path: Path) -> None:
    """The tree is a Debian: rpm itself unpacks and registers it there, and what it requires comes from Debian."""
    package = build("rpm", tmp_path / "packages")
    guests(bare)
    needs = "python3-lark python3-pyparsing python3-yaml python3-zstandard python3-lz4 python3-jinja2 python3-rich"
    done = bare.run(f"apt-get update -qq && apt-get install -qq -y --no-install-recommends {needs}")
    assert done.returncode == 0, done.stderr[-2000:]
    command = ["rpm", "--root", bare.root, "--nodeps", "--install", package]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    main_job(bare)
    asked = subprocess.run(["rpm", "-qp", "--requires", package], capture_output=True, text=True).stdout
    assert "python3dist(lark) >= 1.1.5" in asked and "zlib" not in asked
    listed = subprocess.run(["rpm", "-qpl", package], capture_output=True, text=True).stdout.split()
    assert "/usr/share/man/man1/guestfix.1.gz" in listed and not [one for one in listed if "direct_url" in one]


def test_the_container_image(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("debootstrap needs root")
    script = BUILD.read_text()
    needs = ",".join(line.partition('"')[2].rstrip('"') for line in script.splitlines() if line.startswith("needs="))
    root = debian.debootstrap(include=needs.replace("$needs,", ""))
    image = build("image", tmp_path / "packages", ROOT=str(root))
    with tarfile.open(image) as archive:
        assert {"index.json", "oci-layout"} <= {one.removeprefix("./") for one in archive.getnames()}
    guest = small_debian(tmp_path / "guests" / "guest", FSTAB, extra=False)
    driver = ["--storage-driver", "vfs", "--root", tmp_path / "storage", "--runroot", tmp_path / "run"]
    name = subprocess.run(
        ["buildah", *driver, "from", "--quiet", f"oci-archive:{image}"], capture_output=True, text=True, check=True
    ).stdout.strip()
    try:
        inside = ["buildah", *driver, "run", "--isolation", "chroot", "--volume", f"{guest.parent}:/guests", name, "--"]
        done = subprocess.run([*inside, "guestfix", "--version"], capture_output=True, text=True)
        assert done.stdout == f"guestfix {__version__}\n", done.stderr
        done = subprocess.run([*inside, "guestfix", "apply", "guest"], capture_output=True, text=True)
        assert done.returncode == 0 and "/etc/fstab" in done.stdout, done.stdout + done.stderr
        done = subprocess.run([*inside, "guestfix", "revert", "guest"], capture_output=True, text=True)
        assert done.returncode == 0 and (guest / "etc/fstab").read_text() == FSTAB, done.stderr
        done = subprocess.run([*inside, "guestfix", "backends"], capture_output=True, text=True)
        assert "uml " in done.stdout
    finally:
        subprocess.run(["buildah", *driver, "rm", name], capture_output=True)
