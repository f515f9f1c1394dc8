"""README's two commands: in either order, twice, on a bare Debian 12 and beside any other Python."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.build.bare import Bare

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
TRY, CHECK = "sh tests/try.sh", "sh tests/check.sh -q -n0 --basetemp=.venv/tmp tests/test_architecture.py"
"""What the README names, the second with a part of the tests."""
EXPECTED = {TRY: 0, CHECK: 0}
LINE = re.compile(r"as root[^:]*:\s+(apt-get install .*)")


def copy_of_the_project(place: Path) -> Path:
    """Copy what git knows, or would take in, as a clone has it."""
    place.mkdir(parents=True)
    listed = subprocess.run(
        ["git", "ls-files", "-coz", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True
    )
    there = b"\0".join(
        name for name in listed.stdout.split(b"\0") if name and os.path.lexists(ROOT / os.fsdecode(name))
    )
    packed = subprocess.run(["tar", "--null", "-T", "-", "-c"], cwd=ROOT, input=there, capture_output=True, check=True)
    subprocess.run(["tar", "-x", "-C", str(place)], input=packed.stdout, check=True)
    subprocess.run(["git", "init", "-q", str(place)], check=True)
    return place


class Tree(Bare):
    """A Debian tree with a copy of the project."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, "python3,git")
        assert not (root / "usr/bin/make").exists() and not (root / "etc/ssl/certs/ca-certificates.crt").exists()
        assert not list(root.glob("usr/lib/python3*/ensurepip/_bundled/*.whl")) + list(
            root.glob("usr/share/python-wheels")
        )
        copy_of_the_project(root / "src")

    def expect(self, command: str, user: str = "root") -> subprocess.CompletedProcess[str]:
        done = self.run(command, user)
        assert done.returncode == EXPECTED[command], (
            f"{command}: {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        )
        return done


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    if os.geteuid() != 0:
        pytest.skip("a chroot needs root")
    try:
        subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no mount namespace to be had here: {error}")
    return Tree(tmp_path / "tree")


@pytest.mark.parametrize("order", [(TRY, CHECK), (CHECK, TRY)], ids=["try-first", "check-first"])
def test_as_root_on_a_bare_debian(order: tuple[str, str], tree: Tree) -> None:
    for command in (*order, *order):
        done = tree.expect(command)
        if command == TRY:
            assert "Nothing was written. To do it: guestfix apply" in done.stdout, done.stdout
        else:
            assert " passed" in done.stdout, done.stdout
    assert (tree.root / "usr/bin/make").exists()
    again = tree.run("make --no-print-directory lint")
    assert again.returncode == 0 and "All checks passed" in again.stdout, again.stderr


def test_as_an_ordinary_user_on_a_bare_debian(tree: Tree) -> None:
    assert tree.run("useradd -m tester && chown -R tester: /src").returncode == 0
    lines = set()
    for command in (TRY, CHECK, TRY, CHECK):
        done = tree.run(command, "tester")
        assert done.returncode == 69 and not (tree.root / "src/.venv").exists(), done.stderr
        assert "no Python here is 3.11 or newer and can make an environment" in done.stderr
        lines.add(LINE.findall(done.stderr)[-1])
    (line,) = lines
    assert line.endswith(" python3-venv ca-certificates") and "\n" not in line
    brought = tree.run(f"apt-get update -q && {line}")
    assert brought.returncode == 0, brought.stderr
    for command in (TRY, CHECK, CHECK, TRY):
        done = tree.expect(command, "tester")
        if command == CHECK:
            assert "some tests skip; to have them all, as root" in done.stderr
            assert "the tests that need them were skipped: make " in done.stderr


PYTHONS = sorted({found for name in ("python3", "/usr/bin/python3.11") if (found := shutil.which(name))})


@pytest.mark.parametrize("python", PYTHONS)
def test_beside_any_python(python: str, tmp_path: Path) -> None:
    """A Python of this host comes first in PATH, and made .venv; then, in the other order, half of it is lost."""
    place = copy_of_the_project(tmp_path / "src")
    own = {name: value for name, value in os.environ.items() if name not in ("VENV", "PYTHON", "VIRTUAL_ENV")}
    env = own | {"PATH": f"{Path(python).parent}:{os.environ['PATH']}"}

    def run(command: str) -> None:
        done = subprocess.run(["sh", "-c", command], cwd=place, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == EXPECTED.get(command, 0), f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"

    run(f"{python} -m venv .venv")
    for command in (TRY, CHECK, TRY, CHECK):
        run(command)
    shutil.rmtree(next((place / ".venv").glob("lib/python3*/site-packages/pip")))
    for command in (CHECK, TRY, CHECK, TRY):
        run(command)
