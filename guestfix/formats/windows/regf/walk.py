"""Walking whole hives, with bounds that no sound hive meets: what is malformed can't make a walk endless."""

from __future__ import annotations

from collections.abc import Iterator

from guestfix.formats.windows.regf.keys import SMALLEST_VALUE, Key
from guestfix.formats.windows.regf.store import BadHive, Store
from guestfix.formats.windows.regf.values import Value

MAX_DEPTH = 512
"""Levels of keys that Windows allows."""
MAX_PATH = 32767
"""Characters of a full key path that Windows allows."""


class Budget:
    """How many values and bytes of data a walk may meet: no more than have room in the hive."""

    def __init__(self, store: Store) -> None:
        self._values = store.size // SMALLEST_VALUE
        self._bytes = store.size + self._values * 4

    def spend(self, size: int) -> None:
        """Take note of one value with ``size`` bytes of data. Raises BadHive where it can't be."""
        self._values -= 1
        self._bytes -= size
        if self._values < 0 or self._bytes < 0:
            raise BadHive("damaged hive: its keys have more values than there is room for, so cells are used twice")

    def values(self, key: Key) -> Iterator[tuple[Value, bytes]]:
        """Yield the key's values with their data, in the order in which they were created."""
        for value in key.values():
            data = value.data
            self.spend(len(data))
            yield value, data


def walk(key: Key, path: str = "") -> Iterator[tuple[str, Key]]:
    """Yield key and every key below it with its path, parents first, in the hive's order.

    ``path`` is what the first key is called. Raises BadHive where a key turns up twice.
    """
    seen: set[int] = set()
    pending = [(path, key, 0)]
    while pending:
        place, one, depth = pending.pop()
        if one.offset in seen:
            raise BadHive(f"damaged hive: key {place[-200:]!r} is found twice, so its keys form no tree")
        if depth > MAX_DEPTH or len(place) > MAX_PATH:
            raise BadHive(f"damaged hive: key {place[-200:]!r} lies deeper than Windows allows")
        seen.add(one.offset)
        yield place, one
        children = [(child.name, child) for child in one.subkeys()]
        pending += [(f"{place}\\{name}" if place else name, child, depth + 1) for name, child in reversed(children)]
