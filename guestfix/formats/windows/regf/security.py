"""Security cells (sk): each holds one descriptor, is counted, and is linked in a ring with the others."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from guestfix.formats.windows.regf.store import NONE, BadHive, Store

TYPE_CHECKING = False  # typing takes a tenth of the time of a small edit
if TYPE_CHECKING:
    from guestfix.formats.windows.regf.hive import Hive

FLINK, BLINK, COUNT, LENGTH = 4, 8, 12, 16


def share(hive: Hive, cell: int) -> None:
    """Count one more key that uses this cell."""
    if cell != NONE:
        start, _ = hive.store.record(cell, b"sk", 20)
        hive.allocator.check(cell)
        hive.store.put32(start + COUNT, hive.store.u32(start + COUNT) + 1)


def release(hive: Hive, cell: int) -> None:
    """Count one key less; the last one takes the cell out of the ring and frees it."""
    if cell == NONE:
        return
    start, _ = hive.store.record(cell, b"sk", 20)
    count = hive.store.u32(start + COUNT)
    if count > 1:
        hive.allocator.check(cell)
        hive.store.put32(start + COUNT, count - 1)
        return
    following, before = hive.store.u32(start + FLINK), hive.store.u32(start + BLINK)
    if following != cell:
        _link(hive, before, following)
    hive.allocator.free(cell)


def _link(hive: Hive, before: int, following: int) -> None:
    """Make two cells neighbours in the ring."""
    for cell, place, other in ((before, FLINK, following), (following, BLINK, before)):
        start, _ = hive.store.record(cell, b"sk", 20)
        hive.allocator.check(cell)
        hive.store.put32(start + place, other)


def ring(store: Store, first: int) -> Iterator[int]:
    """Yield the cells of the ring from ``first`` on. Raises BadHive where it doesn't close."""
    cell = first
    for _ in range(store.size // 24):
        yield cell
        start, _ = store.record(cell, b"sk", 20)
        cell = store.u32(start + FLINK)
        if cell == first:
            return
    raise BadHive("damaged hive: the ring of security cells doesn't close")


def find_or_add(hive: Hive, descriptor: bytes, near: int) -> int:
    """Return a security cell with this descriptor, counted for one more key; ``near`` is one of the ring."""
    for cell in ring(hive.store, near) if near != NONE else ():
        start, end = hive.store.record(cell, b"sk", 20)
        length = hive.store.u32(start + LENGTH)
        fits = length == len(descriptor) <= end - start - 20
        if fits and hive.store.data[start + 20 : start + 20 + length] == descriptor:
            share(hive, cell)
            return cell
    return _add(hive, descriptor, near)


def _add(hive: Hive, descriptor: bytes, near: int) -> int:
    record = struct.pack("<2sHIIII", b"sk", 0, 0, 0, 1, len(descriptor)) + descriptor
    fresh = hive.allocator.alloc(record, hive.root.offset)
    if near == NONE:
        _link(hive, fresh, fresh)
        return fresh
    following = hive.store.u32(hive.store.record(near, b"sk", 20)[0] + FLINK)
    _link(hive, near, fresh)
    _link(hive, fresh, following)
    return fresh
