r"""A Windows guest's registry for reading: values by path, with what stands for evidence.

Paths are those inside a hive (``Select``, ``ControlSet001\Services``). A damaged part of a hive reads as
if it were not there; :attr:`Registry.damage` then says what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import TypeVar

from guestfix.base.facts import Evidence
from guestfix.formats.windows.regf import BadHive, Hive, Key

T = TypeVar("T")

MAX_NAMES = 20_000
"""Subkeys or values of one key that are looked at."""


class Registry:
    """One hive of a guest. ``name`` is what the live registry calls it, ``path`` the file in the guest."""

    def __init__(self, hive: Hive, name: str, path: str) -> None:
        self.hive = hive
        self.name = name
        self.path = path
        self.damage = ""

    def key(self, path: str) -> Key | None:
        """Return a key, or None where it doesn't exist or can't be read."""
        try:
            return self.hive.key(path)
        except BadHive as error:
            self.damage = self.damage or error.what
            return None

    def has(self, path: str) -> bool:
        """Tell whether the key is there."""
        return self.key(path) is not None

    def get(self, path: str, name: str) -> object:
        """Return a value decoded (int, str, list of str, bytes), or None."""
        try:
            return self.hive.get(path, name)
        except BadHive as error:
            self.damage = self.damage or error.what
            return None

    def number(self, path: str, name: str) -> int | None:
        """Return a numeric value, also one that is stored as decimal text; None where there is none."""
        found = self.get(path, name)
        if isinstance(found, str) and found.strip().isdecimal():
            return int(found.strip()[:18])
        return found if isinstance(found, int) else None

    def text(self, path: str, name: str) -> str:
        """Return a string value without NULs, or an empty text."""
        found = self.get(path, name)
        return found.strip() if isinstance(found, str) else ""

    def texts(self, path: str, name: str) -> list[str]:
        """Return a list value, or a string value as a list of one; empty where there is none."""
        found = self.get(path, name)
        if isinstance(found, str):
            return [found] if found else []
        return [one for one in found if one] if isinstance(found, list) else []

    def names(self, path: str) -> list[str]:
        """Return the names of a key's subkeys, in the hive's order."""
        key = self.key(path)
        return self._collect(lambda: (one.name for one in key.subkeys())) if key is not None else []

    def value_names(self, path: str) -> list[str]:
        """Return the names of a key's values, in the hive's order."""
        key = self.key(path)
        return self._collect(lambda: (one.name for one in key.values())) if key is not None else []

    def keys(self, path: str) -> list[Key]:
        """Return a key's subkeys, in the hive's order."""
        key = self.key(path)
        return self._collect(key.subkeys) if key is not None else []

    def subkey(self, key: Key, name: str) -> Key | None:
        """Return a key's subkey, or None where it doesn't exist or can't be read."""
        try:
            return key.subkey(name)
        except BadHive as error:
            self.damage = self.damage or error.what
            return None

    def name_of(self, key: Key) -> str:
        """Return a key's name, or an empty text where it can't be read."""
        return "".join(self._collect(lambda: iter([key.name])))

    def holds(self, key: Key, name: str) -> bool:
        """Tell whether a key has a value of this name, without decoding any."""
        try:
            return key.value(name) is not None
        except BadHive as error:
            self.damage = self.damage or error.what
            return False

    def content(self, key: Key) -> dict[str, object]:
        """Return all values of a key decoded, by name in lower case: one pass where many are wanted."""
        return dict(self._collect(lambda: ((one.name.lower(), one.decoded) for one in key.values())))

    def _collect(self, items: Callable[[], Iterator[T]]) -> list[T]:
        """Return what can be read of the items, at most MAX_NAMES."""
        found: list[T] = []
        try:
            for item in islice(items(), MAX_NAMES):
                found.append(item)
        except BadHive as error:
            self.damage = self.damage or error.what
        return found

    def evidence(self, path: str, name: str = "") -> Evidence:
        r"""Return where something was seen: the hive's file, and ``SYSTEM\Select: Current = 1`` as text."""
        place = f"{self.name}\\{path}"
        if not name:
            return Evidence(self.path, 0, place)
        return Evidence(self.path, 0, f"{place}: {name} = {_shown(self.get(path, name))}")


def _shown(value: object) -> str:
    if isinstance(value, bytes):
        return value[:16].hex() + ("..." if len(value) > 16 else "")
    if isinstance(value, list):
        return ", ".join(value[:8])
    return "(none)" if value is None else str(value)[:200]
