"""Subkey lists for writing: sorted, hashed, split where Windows splits them."""

from __future__ import annotations

import struct

from guestfix.formats.windows.regf import keys, lists
from guestfix.formats.windows.regf.keys import Key
from guestfix.formats.windows.regf.lists import WIDTH, Leaf
from guestfix.formats.windows.regf.names import name_hash, name_hint, sort_key
from guestfix.formats.windows.regf.store import NONE, U16, BadHive, Store

TYPE_CHECKING = False  # typing takes a tenth of the time of a small edit
if TYPE_CHECKING:
    from guestfix.formats.windows.regf.hive import Hive

LEAF_FULL = {b"li": 1013, b"lf": 507, b"lh": 507}
"""Entries that older Windows puts into one leaf (what fits into one bin of 4096 bytes)."""
LEAF_MAX = 1012
"""Entries that Windows 10 puts into one leaf; a leaf above LEAF_FULL is its work, and may grow this far."""


def list_cells(store: Store, head: int) -> list[int]:
    """Return every cell of a subkey list: the leaves, and the index root if there is one."""
    cells = lists.root_entries(store, head)
    return [head] if cells is None else [*cells, head]


def _entry(kind: bytes, name: str, offset: int) -> bytes:
    if kind == b"li":
        return struct.pack("<I", offset)
    return struct.pack("<II", offset, name_hash(name) if kind == b"lh" else name_hint(name))


def _new_kind(store: Store) -> bytes:
    """Return the kind of leaf that this version of hive has."""
    if store.minor < 3:
        return b"li"
    return b"lh" if store.minor > 4 else b"lf"


def _raw(store: Store, leaf: Leaf) -> bytes:
    return bytes(store.data[leaf.start : leaf.start + leaf.length * WIDTH[leaf.kind]])


def _write_leaf(hive: Hive, cell: int, kind: bytes, raw: bytes, near: int) -> int:
    """Store a leaf, in its old cell where it fits; return its cell."""
    from guestfix.formats.windows.regf.writer import rewrite, spare

    content = struct.pack("<2sH", kind, len(raw) // WIDTH[kind]) + raw
    return rewrite(hive, cell, content, near, spare(content))


def _place(store: Store, leaf: Leaf, wanted: bytes) -> int:
    """Return the index in a leaf before which a name with this sort key belongs."""
    offsets, low, high = lists.entries(store, leaf), 0, leaf.length
    while low < high:
        middle = (low + high) // 2
        if sort_key(lists.key_name(store, offsets[middle])) < wanted:
            low = middle + 1
        else:
            high = middle
    return low


def _checked_leaves(parent: Key) -> list[Leaf]:
    """Return the parent's leaves, which must hold as many keys as it says."""
    count = parent.field(keys.SUBKEYS)
    found = list(lists.leaves(parent.store, parent.field(keys.SUBKEY_LIST))) if count else []
    if sum(leaf.length for leaf in found) != count:
        raise BadHive(f"damaged hive: key {parent.name!r} has not as many subkeys as it says")
    return found


def insert(hive: Hive, parent: Key, name: str, offset: int) -> None:
    """Put the key node at offset into the parent's list, and count it."""
    store, found = hive.store, _checked_leaves(parent)
    count, wanted = parent.field(keys.SUBKEYS), sort_key(name)
    if not found:
        kind = _new_kind(store)
        head = _write_leaf(hive, NONE, kind, _entry(kind, name, offset), parent.offset)
    else:
        index = _leaf_for(store, found, wanted)
        head = _insert_into(hive, parent, found[index], wanted, _entry(found[index].kind, name, offset))
    store.put32(parent.at + keys.SUBKEY_LIST, head)
    store.put32(parent.at + keys.SUBKEYS, count + 1)


def _leaf_for(store: Store, found: list[Leaf], wanted: bytes) -> int:
    """Return the index of the leaf where a name belongs: the first whose last name is not before it."""
    low, high = 0, len(found) - 1
    while low < high:
        middle = (low + high) // 2
        offsets = lists.entries(store, found[middle])
        if offsets and sort_key(lists.key_name(store, offsets[-1])) < wanted:
            low = middle + 1
        else:
            high = middle
    return low


def _insert_into(hive: Hive, parent: Key, leaf: Leaf, wanted: bytes, entry: bytes) -> int:
    """Put an entry into a leaf, splitting it where it is full; return the head of the list.

    A fast leaf becomes an index leaf instead, as in Windows, which takes every leaf of an index root for an
    index leaf in hives of the versions that have fast leaves.
    """
    index = _place(hive.store, leaf, wanted)
    if index < leaf.length and sort_key(lists.key_name(hive.store, lists.entries(hive.store, leaf)[index])) == wanted:
        raise BadHive(f"damaged hive: key {parent.name!r} has that subkey already, under a wrong hash")
    at = index * WIDTH[leaf.kind]
    old = _raw(hive.store, leaf)
    raw = old[:at] + entry + old[at:]
    head = parent.field(keys.SUBKEY_LIST)
    kind, full = leaf.kind, leaf.length == LEAF_FULL[leaf.kind]
    if kind == b"lf" and leaf.length >= LEAF_FULL[kind]:
        kind, full = b"li", False
        raw = b"".join(raw[one : one + 4] for one in range(0, len(raw), WIDTH[b"lf"]))
    if not full and leaf.length < LEAF_MAX:
        return _replace_cells(hive, head, leaf.cell, [_write_leaf(hive, leaf.cell, kind, raw, parent.offset)])
    middle = len(raw) // 2 // WIDTH[kind] * WIDTH[kind]
    second = _write_leaf(hive, NONE, kind, raw[middle:], parent.offset)
    first = _write_leaf(hive, leaf.cell, kind, raw[:middle], parent.offset)
    return _replace_cells(hive, head, leaf.cell, [first, second])


def _replace_cells(hive: Hive, head: int, old: int, fresh: list[int]) -> int:
    """Make the list name the fresh leaves in place of the old one; return its head.

    The cell of ``old`` may have been freed by then. An index root is made for a second leaf; one that
    is left without leaves is freed, and NONE is returned.
    """
    from guestfix.formats.windows.regf.writer import rewrite

    if head == old:
        return fresh[0] if len(fresh) == 1 else rewrite(hive, NONE, _index_root(fresh), fresh[0]) if fresh else NONE
    cells = list(lists.root_entries(hive.store, head) or ())
    if fresh == [old]:
        return head
    at = cells.index(old)
    cells[at : at + 1] = fresh
    if not cells:
        hive.allocator.free(head)
        return NONE
    return rewrite(hive, head, _index_root(cells), head)


def _index_root(cells: list[int]) -> bytes:
    return struct.pack(f"<2sH{len(cells)}I", b"ri", len(cells), *cells)


def remove(hive: Hive, parent: Key, name: str, offset: int) -> None:
    """Take the key node at offset out of the parent's list, and count it no more."""
    store, count = hive.store, parent.field(keys.SUBKEYS)
    for leaf in _checked_leaves(parent):
        offsets = lists.entries(store, leaf)
        if offset in offsets:
            head = _remove_from(hive, parent.field(keys.SUBKEY_LIST), leaf, offsets.index(offset))
            store.put32(parent.at + keys.SUBKEY_LIST, head)
            store.put32(parent.at + keys.SUBKEYS, count - 1)
            if count == 1:
                store.put16(parent.at + keys.MAX_SUBKEY_NAME, 0)
                store.put32(parent.at + keys.MAX_SUBKEY_CLASS, 0)
            return
    raise BadHive(f"damaged hive: key {name!r} is not in its parent's list")


def _remove_from(hive: Hive, head: int, leaf: Leaf, index: int) -> int:
    """Take one entry out of a leaf in place; an empty leaf is freed. Return the head of the list."""
    width = WIDTH[leaf.kind]
    raw = _raw(hive.store, leaf)
    raw = raw[: index * width] + raw[(index + 1) * width :]
    if not raw:
        head = _replace_cells(hive, head, leaf.cell, [])
        hive.allocator.free(leaf.cell)
        return head
    hive.allocator.check(leaf.cell)
    hive.store.put(leaf.start, raw + bytes(width))
    U16.pack_into(hive.store.own(), leaf.start - 2, leaf.length - 1)
    return head
