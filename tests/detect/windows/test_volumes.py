"""A Windows that was not shut down, on a real NTFS disk: hibernated, started fast, or with its dirty flag set."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

import pytest

from guestfix.cli import run
from tests.build.images import PartSpec, disk, have
from tests.build.windows_images import ntfs, windows


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    """Let no sentence be wrapped."""
    monkeypatch.setenv("COLUMNS", "1000")


TOOLS = ("linux.uml", "mkntfs", "ntfs-3g", "sfdisk")
pytestmark = pytest.mark.skipif(not have(*TOOLS), reason=f"needs {', '.join(TOOLS)}")


def guest(folder: Path, hiberfil: bytes) -> Path:
    tree = windows(folder)
    if hiberfil:
        (tree / "hiberfil.sys").write_bytes(hiberfil.ljust(8192, b"\0"))
    return disk(folder / "disk.raw", [PartSpec(ntfs(folder / "part", tree), "7", bootable=True)], "mbr")


def set_dirty(image: Path, start: int = 1 << 20) -> None:
    """Set the dirty flag in $Volume, the fourth record of the MFT and of its mirror."""
    data = bytearray(image.read_bytes())
    sector, per_cluster = struct.unpack_from("<HB", data, start + 11)
    cluster, size = sector * per_cluster, data[start + 64]
    record = 1 << (256 - size) if size > 127 else size * cluster
    for copy in struct.unpack_from("<QQ", data, start + 48):  # the MFT and its mirror
        at = start + copy * cluster + 3 * record
        at += struct.unpack_from("<H", data, at + 20)[0]
        while struct.unpack_from("<I", data, at)[0] != 0x70:
            at += struct.unpack_from("<I", data, at + 4)[0]
        data[at + struct.unpack_from("<H", data, at + 20)[0] + 10] |= 1
    image.write_bytes(data)


@pytest.mark.parametrize("head", [b"hibr", b"HIBR"])
def test_a_hibernated_windows_is_read_and_not_written_to(
    head: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    image = guest(tmp_path, head)
    before = hashlib.sha256(image.read_bytes()).digest()
    for words in (["report", str(image)], ["report", f"uml:{image}"], ["apply", str(image)]):
        assert run(words) == 2
        said = capfd.readouterr()
        assert "GF-DISK-HIBERNATED: Windows is hibernated or was shut down by fast startup" in said.out
        assert "edit /Windows/System32/config/SYSTEM" in said.out
        if words[0] == "apply":
            assert "/hiberfil.sys" in said.err and "shut it down with 'shutdown /s /t 0'" in said.err
    assert run(["apply", str(image), "--accept", "GF-DISK-HIBERNATED"]) == 3
    said = capfd.readouterr()
    assert "guestfix: /ProgramData: writing failed: Read-only file system; everything is as it was" in said.err
    assert hashlib.sha256(image.read_bytes()).digest() == before
    assert not image.with_name("disk.guestfix.qcow2").exists()


def test_a_hiberfil_that_holds_nothing_is_no_hibernation(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    image = guest(tmp_path, b"WAKE")
    assert run(["apply", str(image)]) == 0
    assert "GF-DISK-HIBERNATED" not in capfd.readouterr().out


def test_a_dirty_volume_is_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    image = guest(tmp_path, b"")
    set_dirty(image)
    for words, status in ((["report", str(image)], 0), (["report", f"uml:{image}"], 0), (["apply", str(image)], 0)):
        assert run(words) == status
        said = capfd.readouterr()
        assert "GF-DISK-UNCLEAN-FILESYSTEM: /dev/sda1: Windows did not shut down cleanly" in said.out
        assert "chkdsk C: /f" in said.out
    assert "Checked /dev/sda1 (ntfs): ntfsfix -n: clean" in said.out
