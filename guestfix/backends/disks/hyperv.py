"""VHD (Microsoft's Virtual Hard Disk Image Format Specification 1.0) and VHDX ([MS-VHDX])."""

from __future__ import annotations

import struct
import uuid
from functools import cache

from guestfix.backends.disks.formats import ZERO, Chunked, OpenDisk, Opener, Piece, Source, disk, holds, table
from guestfix.backends.volumes.block import Block, DiskError, Window, read_at, read_exact

_MERGE = "merge the chain first with Hyper-V's Merge-VHD"


def open_vhd(source: Source, block: Block) -> OpenDisk:
    """Open a fixed or dynamic VHD."""
    first, last = read_at(block, 0, 512), read_at(block, block.size - 512, 512)
    footer = last if last[:8] == _FOOTER else first  # a dynamic disk keeps a copy at its start
    if footer[:8] != _FOOTER:
        raise DiskError("the VHD has no footer: it was cut off", remedy="copy or export it again")
    data_at, size, kind = (
        struct.unpack_from(">Q", footer, 16)[0],
        struct.unpack_from(">Q", footer, 48)[0],
        struct.unpack_from(">I", footer, 60)[0],
    )
    _one_reading(first, last, size)
    if kind == 2:
        holds(block, size)
        return disk(source, "vpc", Window(block, 0, size))
    if kind != 3:
        raise DiskError("a differencing VHD can't be read by itself", remedy=_MERGE)
    return disk(source, "vpc", _dynamic(block, data_at, size))


_FOOTER = b"conectix"
_BY_SIZE = (b"win ", b"qem2", b"d2v ", b"CTXS", b"tap\0")
"""The programs in whose images QEMU takes the size, not the geometry, for the disk's size (block/vpc.c)."""


def _one_reading(first: bytes, last: bytes, size: int) -> None:
    """DiskError where QEMU would take another footer than the last one, or another size than is written there."""
    both = first[:8] == _FOOTER == last[:8]
    alone = last[:8] == _FOOTER != first[:8] and last[60:64] == b"\0\0\0\3"
    if alone or (both and first != last):
        what = "the VHD's first and last footer differ, and readers don't agree which one counts"
        raise DiskError(what, remedy="convert it with the program that made it, then give that")
    footer = last if last[:8] == _FOOTER else first
    if ~sum(footer[:64] + footer[68:]) & 0xFFFFFFFF != struct.unpack_from(">I", footer, 64)[0]:
        raise DiskError("the VHD's footer is damaged: its checksum is wrong", remedy="copy or export it again")
    cylinders, heads, sectors = struct.unpack_from(">HBB", footer, 56)
    counted = cylinders * heads * sectors
    if footer[28:32] not in _BY_SIZE and counted * 512 != size and counted != 65535 * 16 * 255:
        what = f"the VHD gives the disk {size} bytes and a geometry of {counted * 512}, and readers don't agree"
        raise DiskError(what, remedy="convert it with the program that made it, to VHDX or VMDK, then give that")


def _dynamic(block: Block, data_at: int, size: int) -> Chunked:
    head = read_exact(block, data_at, 1024, "the VHD's dynamic header")
    if head[:8] != b"cxsparse":
        raise DiskError("the VHD's dynamic header is damaged")
    table_at, count, chunk = struct.unpack_from(">Q4xII", head, 16)
    if not chunk or count * chunk < size:
        raise DiskError("the VHD's block table doesn't cover the disk")
    blocks = table(block, table_at, count, ">I")
    bitmap = -(-(chunk // 512) // 4096) * 512
    last = max((place for place in blocks if place != 0xFFFFFFFF), default=0)
    holds(block, last and last * 512 + bitmap + chunk)

    def find(index: int) -> Piece:
        place = blocks[index]
        return None if place == 0xFFFFFFFF else place * 512 + bitmap

    return Chunked(block, size, chunk, find)


_BAT = "2dc27766-f623-4200-9d64-115e9bfd4a08"
_METADATA = "8b7ca206-4790-4b9a-b8fe-575f050f886e"
_PARAMETERS = "caa16737-fa36-4d43-b3b6-33f0aa44e76b"
_DISK_SIZE = "2fa54224-cd1b-4876-b211-5dbed83bf4b8"
_SECTOR = "8141bf1d-a96f-4709-ba47-f233a8faab5f"


def open_vhdx(source: Source, block: Block) -> OpenDisk:
    """Open a fixed or dynamic VHDX whose log is empty."""
    heads = [read_exact(block, at, 4096, "a VHDX header") for at in (1 << 16, 2 << 16)]
    valid = [head for head in heads if head[:4] == b"head" and _sum_holds(head)]
    if not valid:
        raise DiskError("both VHDX headers are damaged")
    newest = max(valid, key=lambda head: int(struct.unpack_from("<Q", head, 8)[0]))
    if any(newest[48:64]):
        raise DiskError(
            "the VHDX was not closed cleanly: its log holds changes that are not on the disk yet",
            remedy="attach it once in Hyper-V, or run qemu-img check -r all on a copy",
        )
    regions = _regions(block)
    values = _metadata(block, regions.get(_METADATA, 0))
    if _BAT not in regions or not {_PARAMETERS, _DISK_SIZE, _SECTOR} <= values.keys():
        raise DiskError("the VHDX's region or metadata table is damaged")
    chunk, flags = struct.unpack_from("<II", values[_PARAMETERS].ljust(8, b"\0"))
    if flags & 2:
        raise DiskError("a differencing VHDX can't be read by itself", remedy=_MERGE)
    size = struct.unpack("<Q", values[_DISK_SIZE][:8])[0]
    sector = struct.unpack("<I", values[_SECTOR][:4])[0]
    return disk(source, "vhdx", _payload(block, regions[_BAT], size, chunk, sector))


def _regions(block: Block) -> dict[str, int]:
    """Return where the regions are, by the first table, which alone QEMU takes."""
    raw = read_at(block, 3 << 16, 1 << 16)
    if raw[:4] != b"regi" or not _sum_holds(raw):
        raise DiskError("the VHDX's region table is damaged", remedy="copy or export it again")
    count = min(struct.unpack_from("<I", raw, 8)[0], 2047)
    entries = [raw[16 + 32 * i : 48 + 32 * i] for i in range(count)]
    found = {str(uuid.UUID(bytes_le=e[:16])): int(struct.unpack_from("<Q", e, 16)[0]) for e in entries}
    if len(found) < count:
        raise DiskError("the VHDX's region table has a region twice", remedy="copy or export it again")
    return found


def _sum_holds(raw: bytes) -> bool:
    """Tell whether the CRC-32C in bytes 4 to 7 is that of the whole, with those bytes zero."""
    total = 0xFFFFFFFF
    table = _crc_table()
    for byte in raw[:4] + bytes(4) + raw[8:]:
        total = total >> 8 ^ table[(total ^ byte) & 0xFF]
    return bool(total ^ 0xFFFFFFFF == struct.unpack_from("<I", raw, 4)[0])


@cache
def _crc_table() -> tuple[int, ...]:
    rows = list(range(256))
    for _ in range(8):
        rows = [row >> 1 ^ (0x82F63B78 if row & 1 else 0) for row in rows]
    return tuple(rows)


def _metadata(block: Block, at: int) -> dict[str, bytes]:
    raw = read_at(block, at, 1 << 16)
    if raw[:8] != b"metadata":
        raise DiskError("the VHDX's metadata table is damaged")
    found = {}
    for i in range(min(struct.unpack_from("<H", raw, 10)[0], 2047)):
        entry = raw[32 + 32 * i : 64 + 32 * i]
        offset, length = struct.unpack_from("<II", entry, 16)
        found[str(uuid.UUID(bytes_le=entry[:16]))] = read_at(block, at + offset, min(length, 4096))
    return found


def _payload(block: Block, bat_at: int, size: int, chunk: int, sector: int) -> Chunked:
    if sector not in (512, 4096) or not 1 << 20 <= chunk <= 1 << 28:
        raise DiskError("the VHDX's block or sector size can't be")
    ratio = (1 << 23) * sector // chunk
    count = -(-size // chunk)
    entries = table(block, bat_at, count + (count - 1) // ratio, "<Q")
    last = max((entry for entry in entries if entry & 7 == 6), default=0)
    holds(block, last and ((last >> 20) << 20) + chunk)

    def find(index: int) -> Piece:
        entry = entries[index + index // ratio]
        state = entry & 7
        if state == 6:
            return (entry >> 20) << 20
        if state == 7:
            raise DiskError("a VHDX block that depends on a parent, which the image doesn't name")
        return ZERO

    return Chunked(block, size, chunk, find)


OPENERS: dict[str, Opener] = {"vpc": open_vhd, "vhdx": open_vhdx}
