"""Space for cells: free ones are reused, split and joined, and bins are added when none fits.

Bins are looked into only as far as needed. Before a cell is freed or written in place, its bin's cells must
be seen to fill the bin exactly and to have a boundary there, so that a lying size can't take a neighbour's
bytes along. What was seen is kept, so that each further change costs the same whatever the size of the bin.
"""

from __future__ import annotations

import struct
from bisect import bisect_left, bisect_right, insort

from guestfix.base.errors import EditError
from guestfix.formats.windows.regf.store import BASE, I32, MAX_DATA, PAGE, BadHive, Buffer, Store, map_bin, words_of

_BIN_HEADER = 32
MOST_BINS = 800
"""Bins that are searched for room before the hive grows by one: more than 3 MB from the end of the hive on."""


def _free_cells(data: Buffer, start: int, end: int) -> list[tuple[int, int]]:
    """Return offset and size of the free cells of the bin between two positions. Raises BadHive.

    This is the one loop over every cell that a small edit of a full hive can't do without, so it is lean.
    """
    found = []
    with memoryview(data) as whole, whole[start:end] as part, words_of(part) as words:
        at, last = _BIN_HEADER >> 2, len(words)
        while at < last:
            size = words[at]
            if size < 0:
                at -= size >> 2
            elif size and not size & 7:
                found.append((start - BASE + at * 4, size))
                at += size >> 2
            else:
                break
    if at != last:
        raise BadHive(f"damaged hive: the cells of the bin at byte {start:#x} don't fill it")
    return found


class Allocator:
    """The free cells of a hive that were seen so far, and the starts of cells in use."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._free: list[tuple[int, int]] = []  # (size, offset), sorted
        self._sizes: dict[int, int] = {}  # of the free cells, by offset
        self._ends: dict[int, int] = {}  # their offsets, by where they end
        self._seen: set[int] = set()
        self._starts: dict[int, bytearray] = {}  # by bin: one byte for every eight of it, 1 where a cell in use starts
        self._small: list[int] = []  # bins of one page that were not looked into, and larger ones
        self._large: list[int] = []
        for index in range(len(store.bins)):
            start, end = self._bounds(index)
            (self._small if end - start == PAGE else self._large).append(index)

    def _bounds(self, index: int) -> tuple[int, int]:
        bins = self.store.bins
        return bins[index], bins[index + 1] if index + 1 < len(bins) else self.store.size

    def _look(self, index: int) -> None:
        """Take note of a bin's free cells."""
        if index not in self._seen:
            self._seen.add(index)
            start, end = self._bounds(index)
            for offset, size in _free_cells(self.store.data, BASE + start, BASE + end):
                self._note(offset, size)

    def _note(self, offset: int, size: int) -> None:
        """Take note of one free cell."""
        insort(self._free, (size, offset))
        self._sizes[offset], self._ends[offset + size] = size, offset

    def _forget(self, offset: int) -> int:
        """Drop a free cell that was noted; return its size."""
        size = self._sizes.pop(offset)
        del self._ends[offset + size]
        del self._free[bisect_left(self._free, (size, offset))]
        return size

    def _bin_of(self, offset: int) -> int:
        return bisect_right(self.store.bins, offset) - 1

    def _fitting(self, size: int, near: int) -> int:
        """Return a free cell of at least size, looking into further bins, from the last on, until one fits.

        After MOST_BINS of them the hive grows instead: a full one would be searched whole for a few bytes.
        """
        self._look(self._bin_of(near))
        while True:
            at = bisect_left(self._free, (size, 0))
            if at < len(self._free):
                return self._free[at][1]
            unseen = self._small if self._small and size <= PAGE - _BIN_HEADER else self._large
            if unseen and len(self._seen) < MOST_BINS:
                self._look(unseen.pop())
            else:
                self._grow(size)

    def alloc(self, content: bytes, near: int) -> int:
        """Return the offset of a new cell that holds content; what it has beyond that is zero.

        ``near`` is the offset of a cell in whose bin free space is looked for first. Raises EditError
        where the hive can't grow any more.
        """
        size = (len(content) + 4 + 7) & ~7
        offset = self._fitting(size, near)
        found = self._forget(offset)
        data = self.store.own()
        if found > size:
            I32.pack_into(data, BASE + offset + size, found - size)
            self._note(offset + size, found - size)
        I32.pack_into(data, BASE + offset, -size)
        data[BASE + offset + 4 : BASE + offset + size] = content.ljust(size - 4, b"\0")
        index = self._bin_of(offset)
        if index in self._starts:
            self._starts[index][offset - self.store.bins[index] >> 3] = 1
        return offset

    def _grow(self, size: int) -> None:
        """Add a bin at the end that has room for a cell of this size."""
        store = self.store
        length = -(-(size + _BIN_HEADER) // PAGE) * PAGE
        start = store.size
        if start + length > MAX_DATA:
            raise EditError("the hive is full: it can't grow beyond 2 GiB")
        data = store.own()
        raw = struct.pack("<4sII20x", b"hbin", start, length) + I32.pack(length - _BIN_HEADER)
        data[store.end : store.end + length] = raw.ljust(length, b"\0")
        store.bins.append(start)
        store.end += length
        store.put32(40, store.size)
        self._seen.add(len(store.bins) - 1)
        self._note(start + _BIN_HEADER, length - _BIN_HEADER)

    def free(self, offset: int) -> None:
        """Give a cell back. Its content is wiped, and it is joined with free neighbours in its bin."""
        self.check(offset)
        index = self._bin_of(offset)
        self._look(index)
        self._starts[index][offset - self.store.bins[index] >> 3] = 0
        size = -I32.unpack_from(self.store.data, BASE + offset)[0]
        start, end = offset, offset + size
        if end in self._sizes:
            size += self._forget(end)
        if offset in self._ends:
            start = self._ends[offset]
            size += self._forget(start)
        # what is left of the sizes of the joined cells is wiped too
        self.store.put(BASE + offset, bytes(min(end + 4, start + size) - offset))
        I32.pack_into(self.store.own(), BASE + start, size)
        self._note(start, size)

    def check(self, offset: int) -> None:
        """Raise BadHive unless a cell in use starts at offset: what is written in place must be a cell."""
        index = self._bin_of(offset)
        start, end = self._bounds(index)
        if index not in self._starts:
            self._starts[index] = self._map(start, end)
        if offset & 7 or not start <= offset < end or not self._starts[index][offset - start >> 3]:
            raise BadHive(f"damaged hive: byte {BASE + offset:#x} is not the start of a cell in use")

    def _map(self, start: int, end: int) -> bytearray:
        """Return where the cells in use of a bin start. Raises BadHive where its cells don't fill it."""
        starts = bytearray(end - start >> 3)
        with memoryview(self.store.data) as whole, whole[BASE + start : BASE + end] as part, words_of(part) as words:
            if map_bin(words, starts, 0) != len(words):
                raise BadHive(f"damaged hive: the cells of the bin at byte {BASE + start:#x} don't fill it")
        return starts
