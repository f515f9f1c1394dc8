"""What a BIOS would start on a disk: the code in its first sector, and what that goes on with.

Sources: GRUB's boot.S (``kernel_sector`` at 0x5c), GRUB Legacy's stage1.S (``stage2_sector`` at 0x44), Syslinux's mbr.S
(the active partition).
"""

from __future__ import annotations

import struct

from guestfix.backends.volumes.block import Block, read_at
from guestfix.backends.volumes.partitions import Table

CODE = 440
"""Bytes of the first sector that are code; the disk's signature and the partitions follow."""

_GENERIC = (b"Missing operating system", b"Invalid partition table", b"Error loading operating system")


def boot_code(block: Block, table: Table) -> str:
    """Return what a BIOS finds.

    ``none``: no code. ``grub``: GRUB's first stage, with sectors that it leads to. ``coreless``: these are empty or
    beyond the disk. ``inactive``: code that goes on with the active partition, and there is none. ``other``: anything
    else. Empty where the disk has no partition table, so that the sector is a filesystem's own.
    """
    if table.kind not in ("mbr", "gpt"):
        return ""
    first = read_at(block, 0, 512)
    if not first[:CODE].strip(b"\0"):
        return "none"
    if b"GRUB \0" in first[:CODE]:
        places = (struct.unpack_from("<Q", first, 0x5C)[0], struct.unpack_from("<I", first, 0x44)[0])
        return "grub" if any(_holds(block, sector) for sector in places) else "coreless"
    generic = any(text in first[:CODE] for text in _GENERIC)
    if generic and table.kind == "mbr" and not any(part.active for part in table.partitions):
        return "inactive"
    return "other"


def _holds(block: Block, sector: int) -> bool:
    """Tell whether a sector behind the first one lies on the disk and is not empty."""
    at = sector * 512
    return 0 < at <= block.size - 512 and bool(read_at(block, at, 512).strip(b"\0"))
