"""Subkey lists for reading: index leaf (li), fast leaf (lf), hash leaf (lh), and the index root (ri) above them."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from guestfix.formats.windows.regf.names import load_name, name_hash, upcase
from guestfix.formats.windows.regf.store import NONE, U16, U32, BadHive, Store

WIDTH = {b"li": 4, b"lf": 8, b"lh": 8}
"""Bytes of one entry in each kind of leaf."""

_SMALLEST_KEY = 80
_NAME = struct.Struct("<2sH68xH")


class Leaf:
    """One leaf: its cell's offset, its kind, the position of its first entry, and its number of entries."""

    __slots__ = ("cell", "kind", "length", "start")

    def __init__(self, cell: int, kind: bytes, start: int, length: int) -> None:
        self.cell, self.kind, self.start, self.length = cell, kind, start, length


def read_leaf(store: Store, cell: int) -> Leaf:
    """Return the leaf in a cell. Raises BadHive where there is none or its count lies."""
    start, end = store.cell(cell)
    kind = bytes(store.data[start : start + 2])
    width = WIDTH.get(kind)
    if width is None:
        raise BadHive(f"damaged hive: no subkey list at byte {start:#x}")
    count = U16.unpack_from(store.data, start + 2)[0]
    if 4 + count * width > end - start:
        raise BadHive(f"damaged hive: the subkey list at byte {start:#x} is too short for {count} entries")
    return Leaf(cell, kind, start + 4, count)


def root_entries(store: Store, head: int) -> tuple[int, ...] | None:
    """Return the leaves that an index root at ``head`` names, or None where head is itself a leaf."""
    start, end = store.cell(head)
    if store.data[start : start + 2] != b"ri":
        return None
    count = U16.unpack_from(store.data, start + 2)[0]
    if 4 + count * 4 > end - start:
        raise BadHive(f"damaged hive: the index root at byte {start:#x} is too short for {count} entries")
    found = struct.unpack_from(f"<{count}I", store.data, start + 4)
    if len(set(found)) != count:
        raise BadHive(f"damaged hive: the index root at byte {start:#x} names one list twice")
    return found


def leaves(store: Store, head: int) -> Iterator[Leaf]:
    """Yield the leaves of a subkey list in order. ``head`` may be NONE: nothing is yielded."""
    if head == NONE:
        return
    cells = root_entries(store, head)
    total = 0
    for cell in (head,) if cells is None else cells:
        leaf = read_leaf(store, cell)
        total += leaf.length
        if total * _SMALLEST_KEY > store.size:
            raise BadHive(f"damaged hive: the subkey list at offset {head:#x} names more keys than there is room for")
        yield leaf


def entries(store: Store, leaf: Leaf) -> tuple[int, ...]:
    """Return the key offsets in a leaf."""
    step = WIDTH[leaf.kind] // 4
    return struct.unpack_from(f"<{leaf.length * step}I", store.data, leaf.start)[::step]


def key_offsets(store: Store, head: int) -> Iterator[int]:
    """Yield the offsets of all keys in a subkey list, in its order."""
    for leaf in leaves(store, head):
        yield from entries(store, leaf)


def key_name(store: Store, offset: int) -> str:
    """Return the name of the key node at an offset. Raises BadHive."""
    start, end = store.record(offset, b"nk", 76)
    _, flags, length = _NAME.unpack_from(store.data, start)
    if start + 76 + length > end:
        raise BadHive(f"damaged hive: the key at byte {start:#x} has a name longer than its cell")
    return load_name(store.data[start + 76 : start + 76 + length], bool(flags & 0x20))


def _hashed(store: Store, leaf: Leaf, wanted: bytes) -> Iterator[int]:
    """Yield the key offsets of the entries of a hash leaf that have this hash."""
    at, end = leaf.start, leaf.start + leaf.length * 8
    while (at := store.data.find(wanted, at, end)) >= 0:
        if (at - leaf.start) & 7 == 4:
            yield store.u32(at - 4)
        at += 1


def find(store: Store, head: int, name: str) -> int | None:
    """Return the offset of the subkey with this name, case ignored, or None.

    Hash leaves are searched by hash, as Windows does. Only for names outside ASCII all names are compared
    where that finds nothing, since other tools have hashed these wrongly.
    """
    wanted, found = upcase(name), list(leaves(store, head))
    hashed = U32.pack(name_hash(name))
    for leaf in found:
        if leaf.kind == b"lh":
            for offset in _hashed(store, leaf, hashed):
                if upcase(key_name(store, offset)) == wanted:
                    return offset
    for leaf in found:
        for offset in () if leaf.kind == b"lh" and name.isascii() else entries(store, leaf):
            if upcase(key_name(store, offset)) == wanted:
                return offset
    return None
