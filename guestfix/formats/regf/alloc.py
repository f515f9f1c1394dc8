"""Space for cells: free ones are reused, split and joined, and bins are added when none fits.

Bins are looked into only as far as needed. Before a cell is freed, its bin's cells must be seen to fill
the bin exactly and to have a boundary there, so that a lying size can't take a neighbour's bytes along.
"""

from __future__ import annotations

import struct
from bisect import bisect_left, bisect_right, insort

from guestfix.errors import EditError
from guestfix.formats.regf.store import BASE, I32, MAX_DATA, PAGE, BadHive, Buffer, Store, words_of

_BIN_HEADER = 32


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
    """The free cells of a hive that were seen so far."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._free: list[tuple[int, int]] = []  # (size, offset), sorted
        self._seen: set[int] = set()
        self._small: list[int] = []  # bins of one page that were not looked into, and larger ones
        self._large: list[int] = []
        for index in range(len(store.bins)):
            start, end = self._bounds(index)
            (self._small if end - start == PAGE else self._large).append(index)

    def _bounds(self, index: int) -> tuple[int, int]:
        bins = self.store.bins
        return bins[index], bins[index + 1] if index + 1 < len(bins) else self.store.size

    def _cells(self, index: int) -> list[tuple[int, int]]:
        """Return offset and size of every cell in a bin; the size is negative where the cell is in use."""
        start, end = self._bounds(index)
        cells, at, data = [], start + _BIN_HEADER, self.store.data
        while at < end:
            size = I32.unpack_from(data, BASE + at)[0]
            if not size or size & 7 or at + abs(size) > end:
                raise BadHive(f"damaged hive: impossible cell size at byte {BASE + at:#x}")
            cells.append((at, size))
            at += abs(size)
        return cells

    def _look(self, index: int) -> None:
        """Take note of a bin's free cells."""
        if index not in self._seen:
            self._seen.add(index)
            start, end = self._bounds(index)
            for offset, size in _free_cells(self.store.data, BASE + start, BASE + end):
                insort(self._free, (size, offset))

    def _forget(self, size: int, offset: int) -> None:
        at = bisect_left(self._free, (size, offset))
        if at < len(self._free) and self._free[at] == (size, offset):
            del self._free[at]

    def _bin_of(self, offset: int) -> int:
        return bisect_right(self.store.bins, offset) - 1

    def _fitting(self, size: int, near: int) -> int:
        """Return a free cell of at least size, looking into further bins, from the last on, until one fits."""
        self._look(self._bin_of(near))
        while True:
            at = bisect_left(self._free, (size, 0))
            if at < len(self._free):
                return at
            unseen = self._small if self._small and size <= PAGE - _BIN_HEADER else self._large
            if unseen:
                self._look(unseen.pop())
            else:
                self._grow(size)

    def alloc(self, content: bytes, near: int) -> int:
        """Return the offset of a new cell that holds content; what it has beyond that is zero.

        ``near`` is the offset of a cell in whose bin free space is looked for first. Raises EditError
        where the hive can't grow any more.
        """
        size = (len(content) + 4 + 7) & ~7
        at = self._fitting(size, near)
        found, offset = self._free.pop(at)
        if found > size:
            self._mark(offset + size, found - size)
            insort(self._free, (found - size, offset + size))
        data = self.store.own()
        I32.pack_into(data, BASE + offset, -size)
        data[BASE + offset + 4 : BASE + offset + size] = content.ljust(size - 4, b"\0")
        return offset

    def _mark(self, offset: int, size: int) -> None:
        I32.pack_into(self.store.own(), BASE + offset, size)

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
        insort(self._free, (length - _BIN_HEADER, start + _BIN_HEADER))

    def free(self, offset: int) -> None:
        """Give a cell back. Its content is wiped, and it is joined with free neighbours in its bin."""
        index = self._bin_of(offset)
        self._look(index)
        cells = self._cells(index)
        at = bisect_left(cells, (offset, -MAX_DATA))
        if at == len(cells) or cells[at][0] != offset or cells[at][1] > 0:
            raise BadHive(f"damaged hive: byte {BASE + offset:#x} is not the start of a cell in use")
        start, size = offset, -cells[at][1]
        if at + 1 < len(cells) and cells[at + 1][1] > 0:
            self._join(cells[at + 1])
            size += cells[at + 1][1]
        if at and cells[at - 1][1] > 0:
            self._forget(cells[at - 1][1], cells[at - 1][0])
            start, size = cells[at - 1][0], size + cells[at - 1][1]
            I32.pack_into(self.store.own(), BASE + offset, 0)
        first = BASE + offset + (4 if start == offset else 0)
        self.store.put(first, bytes(BASE + offset - cells[at][1] - first))
        self._mark(start, size)
        insort(self._free, (size, start))

    def _join(self, following: tuple[int, int]) -> None:
        """Drop the free cell that follows one being freed."""
        offset, size = following
        self._forget(size, offset)
        self.store.put32(BASE + offset, 0)

    def check(self, offset: int) -> None:
        """Raise BadHive unless a cell in use starts at offset: what is written in place must be a cell."""
        cells = self._cells(self._bin_of(offset))
        at = bisect_left(cells, (offset, -MAX_DATA))
        if at == len(cells) or cells[at][0] != offset or cells[at][1] > 0:
            raise BadHive(f"damaged hive: byte {BASE + offset:#x} is not the start of a cell in use")
