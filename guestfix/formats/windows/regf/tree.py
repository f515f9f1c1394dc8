"""Whether a hive may be written: its keys form a tree, and no two of them share a cell.

An edit frees and moves cells. Where a second key names one of them too, that key is lost with it, and a reader such as
hivex then refuses the whole hive. So one pass looks at every key before the first write. It reads as little as it can:
60,000 keys take a tenth of a second.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from guestfix.formats.windows.regf import lists
from guestfix.formats.windows.regf.keys import FLAG_PREDEFINED, SMALLEST_VALUE
from guestfix.formats.windows.regf.store import BASE, NONE, BadHive, Buffer, Store
from guestfix.formats.windows.regf.values import INLINE

_KEY = struct.Struct("<2xH16xI4xI4xII28xH")
"""Of a key node: flags, number of subkeys, their list, number of values, their list, length of the name."""
_VALUE = struct.Struct("<2xHII")
MAX_DEPTH = 512
"""Levels of keys that Windows allows."""


_KNOWN: dict[bytes, None] = {}
"""Digests of hives that were found sound, the last ones: a plan's rules open the same hive again and again."""
_MAX_KNOWN = 64


def require_tree(store: Store) -> None:
    """Do what :func:`check_tree` does, once for the same bytes."""
    digest = _digest(store.data)
    if digest not in _KNOWN:
        check_tree(store)
        remember(store.data)


def remember(data: Buffer) -> None:
    """Note that these bytes are a sound hive: one that was checked, or what an edit made of such a one."""
    _KNOWN[_digest(data)] = None
    if len(_KNOWN) > _MAX_KNOWN:
        del _KNOWN[next(iter(_KNOWN))]


def _digest(data: Buffer) -> bytes:
    from hashlib import sha256

    return sha256(data).digest()


def check_tree(store: Store) -> None:
    """Walk every key of the hive once. Raises BadHive where a cell of keys, lists or values is used a second time.

    Security descriptors are shared by design and not looked at. What a key says of its values' data counts too.
    """
    store.map_cells()
    try:
        _Pass(store).run()
    finally:
        store.forget_cells()


class _Pass:
    """One pass: which cells were met, one byte for each eight of the hive."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.met = bytearray(store.size >> 3)

    def take(self, cells: Iterable[int], what: str) -> None:
        """Note that cells are used. Raises BadHive where one is used already."""
        met = self.met
        for cell in cells:
            at = cell >> 3
            if at >= len(met) or met[at]:
                place = f"the {what} at byte {BASE + cell:#x}"
                raise BadHive(f"damaged hive: {place} is used twice, so its keys form no tree")
            met[at] = 1

    def run(self) -> None:
        """Look at every key, level by level."""
        store = self.store
        level = [store.u32(36)]
        self.take(level, "key")
        for _ in range(MAX_DEPTH + 1):
            if not level:
                return
            below: list[int] = []
            for offset in level:
                start, end = store.record(offset, b"nk", 76)
                flags, subkeys, head, count, values, length = _KEY.unpack_from(store.data, start)
                if start + 76 + length > end:
                    raise BadHive(f"damaged hive: the key at byte {start:#x} has a name longer than its cell")
                if subkeys:
                    below += self._subkeys(head)
                if count and not flags & FLAG_PREDEFINED:
                    self._values(values, count)
            level = below
        raise BadHive("damaged hive: its keys lie deeper than Windows allows")

    def _subkeys(self, head: int) -> list[int]:
        store = self.store
        cells = lists.root_entries(store, head) if head != NONE else ()
        found = [lists.read_leaf(store, cell) for cell in ((head,) if cells is None else cells)]
        self.take([*(cells or ()), *((head,) if head != NONE else ())], "subkey list")
        keys = [offset for leaf in found for offset in lists.entries(store, leaf)]
        self.take(keys, "key")
        return keys

    def _values(self, cell: int, count: int) -> None:
        store = self.store
        if count * SMALLEST_VALUE > store.size:
            raise BadHive("damaged hive: a key has more values than there is room for")
        values = store.offsets(cell, count)
        self.take((cell,), "value list")
        self.take(values, "value")
        data = []
        for offset in values:
            start, end = store.record(offset, b"vk", 20)
            length, size, place = _VALUE.unpack_from(store.data, start)
            if start + 20 + length > end:
                raise BadHive(f"damaged hive: no value at byte {start:#x}")
            if size and not size & INLINE:
                data.append(place)
        self.take(data, "data of a value")
