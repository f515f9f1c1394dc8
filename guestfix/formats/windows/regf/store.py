"""The lowest layer of a hive: the base block, the bins, and cells within bounds.

Offsets are those of the format: bytes from the start of the bins, which is byte 4096 of the file. What
is called a position counts from the start of the file. Nothing here keeps state about cells, so an edit
can never leave a reader with stale values.
"""

from __future__ import annotations

import mmap
import struct
import sys
from array import array
from bisect import bisect_right
from collections.abc import Sequence

from guestfix.base.errors import Unreadable

Buffer = bytes | bytearray | mmap.mmap

BASE = 4096
"""Size of the base block; bins start here."""
PAGE = 4096
"""Bins are a multiple of this size."""
NONE = 0xFFFFFFFF
"""An offset that points nowhere."""
MAX_DATA = 0x7FFFF000
"""Bytes of bins that a hive may have: bit 31 of an offset tells volatile cells apart."""

LOG_TYPES = (1, 2, 6)
"""File types of transaction logs: the old format's two, and the new one's."""

U16 = struct.Struct("<H")
U32 = struct.Struct("<I")
I32 = struct.Struct("<i")
_HEADER = struct.Struct("<4sIIQIIIIIII64s")
_BIN = struct.Struct("<4sII")
_WORDS = struct.Struct("<127I")


class BadHive(Unreadable):
    """The bytes are no hive, or a damaged one; the text says what is wrong and at which byte of the file."""


class Header:
    """What the base block says. ``sum_ok`` tells whether its checksum is right; without that, flags are 0."""

    sequence1: int
    sequence2: int
    timestamp: int
    major: int
    minor: int
    file_type: int
    root: int
    size: int

    def __init__(self, data: Buffer) -> None:
        fields = _HEADER.unpack_from(data, 0)
        self.sequence1, self.sequence2, self.timestamp = fields[1:4]
        self.major, self.minor, self.file_type, _, self.root, self.size, _, name = fields[4:]
        self.file_name: str = bytes(name).decode("utf-16-le", "replace").split("\0")[0]
        self.sum_ok: bool = U32.unpack_from(data, 508)[0] == checksum(data)
        self.flags: int = U32.unpack_from(data, 144)[0] if self.sum_ok else 0

    @property
    def dirty(self) -> bool:
        """Return whether the last write was not finished, so that the logs are needed."""
        return self.sequence1 != self.sequence2 or not self.sum_ok


def checksum(data: Buffer) -> int:
    """Return the XOR of the first 508 bytes as 32-bit words; 0 and -1 are never used (they become 1, -2)."""
    total = 0
    for word in _WORDS.unpack_from(data, 0):
        total ^= word
    return {0: 1, 0xFFFFFFFF: 0xFFFFFFFE}.get(total, total)


def read_header(data: Buffer) -> Header:
    """Return the base block's fields. Raises BadHive where there is no room for it or no signature."""
    if len(data) < 512 or data[:4] != b"regf":
        raise BadHive("not a registry hive: it does not start with 'regf'")
    return Header(data)


def walk_bins(data: Buffer, size: int) -> list[int]:
    """Return the offsets of all bins, which must fill ``size`` bytes without a gap. Raises BadHive."""
    starts, at, unpack = [], 0, _BIN.unpack_from
    while at < size:
        signature, own, length = unpack(data, BASE + at)
        if signature != b"hbin":
            raise BadHive(f"damaged hive: no bin at byte {BASE + at:#x}, where one must start")
        if own != at or length < PAGE or length % PAGE or at + length > size:
            raise BadHive(f"damaged hive: the bin at byte {BASE + at:#x} lies about its place or size")
        starts.append(at)
        at += length
    return starts


def words_of(part: memoryview) -> memoryview:
    """Return the bytes as signed little-endian numbers of 32 bits, in place where this machine is little-endian."""
    if sys.byteorder == "little":
        return part.cast("i")
    swapped = array("i", bytes(part))
    swapped.byteswap()
    return memoryview(swapped)


def map_bin(words: memoryview, starts: bytearray, first: int) -> int:
    """Mark the starts of a bin's cells in use; ``first`` is the bin's own place in ``starts``.

    Return the word after the last cell: not the end of the bin where its cells don't fill it.
    """
    at, last = 8, len(words)
    while at < last:
        size = words[at]
        if size & 7 or not size:
            return at
        if size < 0:
            starts[first + (at >> 1)] = 1
            at -= size >> 2
        else:
            at += size >> 2
    return at


class Store:
    """The bytes of a hive, read in place until the first write, which copies them once."""

    __slots__ = ("_owned", "_starts", "bins", "data", "end", "minor", "original")

    def __init__(self, data: Buffer, header: Header) -> None:
        if header.major != 1 or header.minor < 2:
            raise BadHive(f"hive version {header.major}.{header.minor} is not known")
        if header.file_type in LOG_TYPES and data[BASE : BASE + 4] != b"hbin":
            raise BadHive("a transaction log, not a hive", remedy="give the hive itself; its logs are found beside it")
        if header.size % PAGE or not header.size or header.size > MAX_DATA:
            raise BadHive(f"damaged hive: impossible size {header.size:#x} in the base block")
        if BASE + header.size > len(data):
            raise BadHive(f"truncated hive: {len(data)} bytes, and the base block says {BASE + header.size}")
        self.data = self.original = data
        self._owned = False
        self._starts: bytearray | None = None
        self.end = BASE + header.size
        self.minor = header.minor
        self.bins = walk_bins(data, header.size)

    @property
    def size(self) -> int:
        """Return the bytes that all bins have together."""
        return self.end - BASE

    def cell(self, offset: int) -> tuple[int, int]:
        """Return the positions where an allocated cell's content starts and ends. Raises BadHive."""
        at = BASE + offset
        if offset & 7 or offset < 32 or at + 8 > self.end:
            raise BadHive(f"damaged hive: an offset of {offset:#x} is outside the hive")
        size: int = -I32.unpack_from(self.data, at)[0]
        if size < 8 or size & 7 or at + size > self.end:
            fault = "is free, but in use" if size <= 0 else f"has an impossible size of {size}"
            raise BadHive(f"damaged hive: the cell at byte {at:#x} {fault}")
        if self._starts is not None and not self._starts[offset >> 3]:
            raise BadHive(f"damaged hive: byte {at:#x} is used as a cell, but lies inside another one")
        if at & -PAGE != at + size - 1 & -PAGE and not self._in_one_bin(offset, size):
            raise BadHive(f"damaged hive: the cell at byte {at:#x} reaches into another bin")
        return at + 4, at + size

    def _in_one_bin(self, offset: int, size: int) -> bool:
        index = bisect_right(self.bins, offset)
        return index == len(self.bins) or offset + size <= self.bins[index]

    def map_cells(self) -> None:
        """Note where cells start, for a walk of the whole hive: from then on each one that is used must be there.

        Where the cells of a bin don't fill it, those behind the fault count as absent. A write ends this.
        """
        starts = bytearray(self.size >> 3)
        with memoryview(self.data) as whole:
            for start, end in zip(self.bins, [*self.bins[1:], self.size], strict=True):
                with whole[BASE + start : BASE + end] as part, words_of(part) as words:
                    map_bin(words, starts, start >> 3)
        self._starts = starts

    def forget_cells(self) -> None:
        """End what :meth:`map_cells` began."""
        self._starts = None

    def record(self, offset: int, signature: bytes, length: int) -> tuple[int, int]:
        """Return the content's bounds of a cell that must hold a record of this kind and least length."""
        start, end = self.cell(offset)
        if self.data[start : start + 2] != signature or end - start < length:
            raise BadHive(f"damaged hive: no {signature.decode()} record at byte {start:#x}")
        return start, end

    def offsets(self, cell: int, count: int) -> Sequence[int]:
        """Return the first count offsets of a list cell. Raises BadHive where it has no room for them."""
        if not count:
            return ()
        start, end = self.cell(cell)
        if count * 4 > end - start:
            raise BadHive(f"damaged hive: the list at byte {start:#x} is too short for {count} entries")
        return struct.unpack_from(f"<{count}I", self.data, start)

    # writing

    def own(self) -> bytearray:
        """Return the bytes for changing; the first call copies them, the original stays as it was."""
        if not self._owned:
            self.data, self._owned = bytearray(self.data), True
        self._starts = None
        assert isinstance(self.data, bytearray)
        return self.data

    def put(self, position: int, raw: bytes) -> None:
        """Write raw at a position of the file, inside its present length."""
        data = self.own()
        data[position : position + len(raw)] = raw

    def put32(self, position: int, value: int) -> None:
        """Write a 32-bit number."""
        U32.pack_into(self.own(), position, value)

    def put16(self, position: int, value: int) -> None:
        """Write a 16-bit number."""
        U16.pack_into(self.own(), position, value)

    def u32(self, position: int) -> int:
        """Return the 32-bit number at a position."""
        found: int = U32.unpack_from(self.data, position)[0]
        return found
