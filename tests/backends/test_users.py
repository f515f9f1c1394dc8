"""Disk images as an ordinary user, the way the README has it: report and apply through uml, no root anywhere."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from guestfix.backends.status import usable
from tests.build.images import MIB, PartSpec, convert, debian, disk, filesystem, have

pytestmark = [
    pytest.mark.skipif(not usable("uml"), reason="User-mode Linux is not installed"),
    pytest.mark.skipif(not have("mke2fs", "sfdisk", "qemu-img"), reason="e2fsprogs, fdisk or qemu-utils is missing"),
]

REPO = Path(__file__).resolve().parents[2]
NOBODY = 65534
WIDE = {"COLUMNS": "1000"}
NEEDED = ("lark", "pyparsing", "yaml", "zstandard", "lz4")


def as_user(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command as nobody where this is root, else as who runs the tests."""
    found = {name for name in map(os.path.dirname, map(_place, NEEDED)) if name}
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(REPO), *sorted(found)]), "HOME": "/nonexistent"} | WIDE
    who = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    return subprocess.run([*command], capture_output=True, text=True, cwd="/", env=env, check=False, **who)


def _place(name: str) -> str:
    from importlib.util import find_spec

    found = find_spec(name)
    place = os.path.dirname(found.origin) if found and found.origin else ""
    return os.path.dirname(place) if "." in name else place


@pytest.fixture(scope="module")
def python() -> str:
    """Find an interpreter that an ordinary user may run, with what guestfix needs."""
    said = ""
    for program in (sys.executable, "/usr/bin/python3"):
        try:
            done = as_user(program, "-c", f"import guestfix, {', '.join(NEEDED)}")
        except OSError as error:
            said = str(error)
            continue
        if done.returncode == 0:
            return program
        said = done.stderr.strip().rpartition("\n")[2]
    pytest.skip(f"no interpreter for an ordinary user here: {said}")


@pytest.fixture
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    base = Path("/tmp") / f"guestfix-user-test-{os.getpid()}"
    shutil.rmtree(base, ignore_errors=True)
    base.mkdir()
    work = tmp_path_factory.mktemp("user")
    root = debian(work / "root", "/dev/sda1 / ext4 defaults 0 1\n", extra=False)
    content = filesystem("ext4", work / "fs", 32 * MIB, root, uuid="11111111-2222-3333-4444-555555555555")
    made = convert(disk(work / "disk.raw", [PartSpec(content)]), "qcow2")
    place = Path(shutil.copy(made, base / "disk.qcow2"))
    if os.geteuid() == 0:
        for path in (base, place):
            os.chown(path, NOBODY, NOBODY)
    yield place
    shutil.rmtree(base, ignore_errors=True)


def test_report_apply_and_revert(python: str, image: Path) -> None:
    before = hashlib.sha256(image.read_bytes()).digest()

    def guestfix(*words: str, status: int = 0) -> str:
        done = as_user(python, "-m", "guestfix", *words)
        assert done.returncode == status, done.stdout[-1500:] + done.stderr[-1500:]
        return done.stdout + done.stderr

    rows = {row["name"]: row for row in json.loads(guestfix("backends", "--format", "json"))["backends"]}
    if not rows["uml"]["usable"]:
        pytest.skip(f"an ordinary user lacks {', '.join(rows['uml']['missing'])}: {rows['uml']['command']}")
    for backend in ("image", "uml"):
        assert "edit /etc/fstab" in guestfix("report", "--detailed-exitcode", f"{backend}:{image}", status=1)
    said = guestfix("apply", str(image))
    overlay = image.with_name("disk.guestfix.qcow2")
    assert f"overlay needs it: {overlay}" in said and "Checked /dev/sda1 (ext4): e2fsck -fn: clean" in said
    assert f"To undo it: delete what was written, or: guestfix revert {overlay} --in-place" in said
    assert hashlib.sha256(image.read_bytes()).digest() == before
    assert "  /etc/fstab\n" in guestfix("revert", str(overlay), "--in-place")
    image.chmod(0o444)
    said = guestfix("apply", str(image), "--in-place", status=2)
    assert f"{image}: no permission to change the image" in said and "--output FILE" in said
    image.chmod(0)
    for words in (["report", str(image)], ["apply", str(image)]):
        said = guestfix(*words, status=2)
        assert f"{image}: can't open the image: Permission denied" in said and "make it readable" in said
