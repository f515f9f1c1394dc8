"""Whether an XFS filesystem was unmounted, from its log (the kernel's fs/xfs/xfs_log_recover.c, xlog_find_tail)."""

from __future__ import annotations

import struct

from guestfix.backends.volumes.block import Block, read_at

MAGIC = b"\xfe\xed\xba\xbe"
WINDOW = 8 * 256 << 10
"""Bytes before the log's head that hold the newest record: eight buffers of the largest size."""

_UNMOUNT = 0x20


def is_dirty(block: Block, superblock: bytes) -> bool:
    """Tell whether the newest log record is something else than that of an unmount.

    False where the log is on another device, or no record can be found in it.
    """
    block_size = struct.unpack_from(">I", superblock, 4)[0]
    start = struct.unpack_from(">Q", superblock, 48)[0]
    ag_blocks, log_blocks = struct.unpack_from(">I", superblock, 84)[0], struct.unpack_from(">I", superblock, 96)[0]
    shift = superblock[124]
    if not start or shift > 31:
        return False
    at = ((start >> shift) * ag_blocks + (start & (1 << shift) - 1)) * block_size
    sectors = log_blocks * block_size // 512
    head = _head(block, at, sectors)
    return _last_is_open(_before(block, at, sectors, head))


def _cycle(block: Block, at: int, sector: int) -> int:
    raw = read_at(block, at + sector * 512, 8).ljust(8, b"\0")
    return int(struct.unpack(">I", raw[4:] if raw[:4] == MAGIC else raw[:4])[0])


def _head(block: Block, at: int, sectors: int) -> int:
    """Return the first sector that was not written in the newest turn; every sector starts with its turn's number."""
    newest, low, high = _cycle(block, at, 0), 0, sectors
    while low < high:
        middle = (low + high) // 2
        if _cycle(block, at, middle) == newest:
            low = middle + 1
        else:
            high = middle
    return low


def _before(block: Block, at: int, sectors: int, head: int) -> bytes:
    """Return the window that ends at the head; the log goes round."""
    length = min(WINDOW, sectors * 512)
    end = head * 512
    if end >= length:
        return read_at(block, at + end - length, length)
    return read_at(block, at + sectors * 512 - (length - end), length - end) + read_at(block, at, end)


def _last_is_open(raw: bytes) -> bool:
    newest, where, offset = (0, 0), -1, raw.find(MAGIC)
    while offset >= 0:
        if offset % 512 == 0:
            newest, where = max((newest, where), (struct.unpack_from(">II", raw, offset + 16), offset))
        offset = raw.find(MAGIC, offset + 4)
    if where < 0:
        return False
    size = struct.unpack_from(">I", raw.ljust(where + 324, b"\0"), where + 320)[0]
    first = where + max(1, min(8, size // 32768)) * 512
    return raw[first + 9 : first + 10] != bytes([_UNMOUNT])
