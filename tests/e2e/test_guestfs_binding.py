"""The libguestfs backend through the guestfs Python binding, which only Debian's own interpreter has."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from guestfix.backends.contract import reference_tree
from tests.build.images import MIB, PartSpec, convert, disk, filesystem, have

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not have("mke2fs", "sfdisk", "qemu-img"), reason="e2fsprogs, fdisk or qemu-utils is missing"),
]

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import sys
from guestfix.backends import open_writable
from guestfix.backends.contract import reading_violations, writing_violations
from guestfix.backends.directory import DirectoryGuest
from guestfix.backends.libguestfs.far import new_handle
assert type(new_handle()).__module__ == "guestfs"
guest = open_writable("libguestfs:" + sys.argv[1])
print(reading_violations(guest, DirectoryGuest(sys.argv[2])))
print(writing_violations(guest))
print([(one.filesystem, one.clean) for one in guest.check()])
guest.close()
"""


@pytest.fixture(scope="module")
def python() -> tuple[str, dict[str, str]]:
    """Find an interpreter with the binding; what guestfix itself needs may come from this one's packages."""
    places = {os.path.dirname(found.origin) for name in ("lark", "yaml") if (found := find_spec(name)) and found.origin}
    paths = [str(ROOT), *sorted({os.path.dirname(place) for place in places})]
    for program in (sys.executable, "/usr/bin/python3"):
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
        done = subprocess.run([program, "-c", "import guestfs, lark, yaml, zstandard"], env=env, capture_output=True)
        if done.returncode == 0:
            return program, env
    pytest.skip("no interpreter here has the guestfs binding (python3-guestfs) and what guestfix needs")


def test_the_binding_keeps_the_contract(python: tuple[str, dict[str, str]], tmp_path: Path) -> None:
    program, env = python
    tree = tmp_path / "tree"
    reference_tree(tree)
    image = convert(
        disk(tmp_path / "disk.raw", [PartSpec(filesystem("ext4", tmp_path / "fs", 64 * MIB, tree))]), "qcow2"
    )
    command = [program, "-c", PROGRAM, image, tree]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["[]", "[]", "[('ext4', True)]"], done.stdout + done.stderr[-2000:]
