"""What a BIOS would start on a disk, by its first sectors."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from guestfix.backends.volumes.block import FileBlock
from guestfix.backends.volumes.bootcode import boot_code
from guestfix.backends.volumes.partitions import read_table

CORE = b"loading" + bytes(505)
GRUB2 = bytes(0x5C) + struct.pack("<Q", 1) + bytes(200) + b"GRUB \0Geom\0Hard Disk\0"
GRUB2_FAR = GRUB2.replace(struct.pack("<Q", 1), struct.pack("<Q", 10**9))
LEGACY = bytes(0x44) + struct.pack("<I", 1) + bytes(200) + b"GRUB \0Geom\0Hard Disk\0"
MBR = b"\xfa\x31\xc0Missing operating system\r\n"


def disk(code: bytes, *, second: bytes = b"", active: bool = False, table: bool = True) -> bytes:
    entry = bytes([0x80 if active else 0, 0, 0, 0, 0x83, 0, 0, 0]) + struct.pack("<II", 64, 64) if table else bytes(16)
    return code.ljust(446, b"\0") + entry + bytes(48) + b"\x55\xaa" + second.ljust(512, b"\0") + bytes(64 * 1024)


DISKS = [
    (disk(b""), "none"),
    (disk(GRUB2, second=CORE), "grub"),
    (disk(GRUB2), "coreless"),
    (disk(GRUB2_FAR), "coreless"),
    (disk(LEGACY, second=b"stage1_5"), "grub"),
    (disk(LEGACY), "coreless"),
    (disk(MBR), "inactive"),
    (disk(MBR, active=True), "other"),
    (disk(b"\xfa\x31\xc0LILO"), "other"),
    (bytes(4096), ""),
]


@pytest.mark.parametrize(("data", "code"), DISKS)
def test_the_first_sector_and_what_it_leads_to(tmp_path: Path, data: bytes, code: str) -> None:
    (tmp_path / "disk").write_bytes(data)
    block = FileBlock(str(tmp_path / "disk"))
    assert boot_code(block, read_table(block)) == code
