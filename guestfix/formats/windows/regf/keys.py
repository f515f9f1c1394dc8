"""Keys for reading: names, subkeys, values, class names, security."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from guestfix.formats.windows.regf import lists
from guestfix.formats.windows.regf.names import load_name, upcase, wide_length
from guestfix.formats.windows.regf.store import NONE, U16, BadHive, Store
from guestfix.formats.windows.regf.values import Value

NK = struct.Struct("<2sHQ15IHH")
"""The fixed 76 bytes of a key node."""
SMALLEST_VALUE = 24
"""Bytes that the cell of a value has at least."""
FLAG_ROOT, FLAG_NO_DELETE, FLAG_LINK, FLAG_COMPRESSED, FLAG_PREDEFINED = 0x04, 0x08, 0x10, 0x20, 0x40

# positions of fields in a key node, from the start of its cell's content
PARENT, SUBKEYS, SUBKEY_LIST, VALUES, VALUE_LIST, SECURITY, CLASS = 16, 20, 28, 36, 40, 44, 48
MAX_SUBKEY_NAME, MAX_SUBKEY_CLASS, MAX_VALUE_NAME, MAX_VALUE_DATA, NAME_LENGTH, CLASS_LENGTH = 52, 56, 60, 64, 72, 74


class Key:
    """One key. It reads the hive when asked, so it shows what the hive holds now; a deleted key raises BadHive.

    ``offset`` is its cell; two Keys of one hive are the same key where their offsets are equal.
    """

    __slots__ = ("offset", "store")

    def __init__(self, store: Store, offset: int) -> None:
        self.store, self.offset = store, offset
        store.record(offset, b"nk", 76)

    def __repr__(self) -> str:
        return f"Key({self.name!r})"

    @property
    def at(self) -> int:
        """Return the position of the key node in the file."""
        return self.store.record(self.offset, b"nk", 76)[0]

    def field(self, place: int) -> int:
        """Return a 32-bit field of the key node."""
        return self.store.u32(self.at + place)

    @property
    def name(self) -> str:
        """Return the key's name as stored."""
        return lists.key_name(self.store, self.offset)

    @property
    def flags(self) -> int:
        """Return the key node's flags (FLAG_...)."""
        return self.field(0) >> 16

    @property
    def timestamp(self) -> int:
        """Return when the key was last written: 100 ns since 1601-01-01 UTC (FILETIME)."""
        found: int = struct.unpack_from("<Q", self.store.data, self.at + 4)[0]
        return found

    @property
    def class_name(self) -> str:
        """Return the key's class name, which most keys don't have ("")."""
        cell, length = self.field(CLASS), self.field(NAME_LENGTH) >> 16
        if cell == NONE or not length:
            return ""
        start, end = self.store.cell(cell)
        if length > end - start:
            raise BadHive(f"damaged hive: the class name at byte {start:#x} is longer than its cell")
        return load_name(self.store.data[start : start + length], compressed=False)

    @property
    def security(self) -> bytes:
        """Return the security descriptor (self-relative), or b"" where the key has none. Raises BadHive."""
        cell = self.field(SECURITY)
        if cell == NONE:
            return b""
        start, end = self.store.record(cell, b"sk", 20)
        length = self.store.u32(start + 16)
        if length > end - start - 20:
            raise BadHive(f"damaged hive: the security descriptor at byte {start:#x} is longer than its cell")
        return bytes(self.store.data[start + 20 : start + 20 + length])

    # subkeys

    def subkey_offsets(self) -> Iterator[int]:
        """Yield the offsets of the subkeys, in the order of their list."""
        if self.field(SUBKEYS):
            yield from lists.key_offsets(self.store, self.field(SUBKEY_LIST))

    def subkeys(self) -> Iterator[Key]:
        """Yield the subkeys in the hive's order, which is that of their names in capitals."""
        return (Key(self.store, offset) for offset in self.subkey_offsets())

    def subkey(self, name: str) -> Key | None:
        """Return the subkey with this name, case ignored, or None."""
        if not self.field(SUBKEYS):
            return None
        offset = lists.find(self.store, self.field(SUBKEY_LIST), name)
        return None if offset is None else Key(self.store, offset)

    def find(self, path: str) -> Key | None:
        """Return the key below this one at a path with backslashes, case ignored, or None; "" is the key itself."""
        found: Key | None = self
        for name in split_path(path):
            found = found and found.subkey(name)
        return found

    # values

    def value_offsets(self) -> tuple[int, ...]:
        """Return the offsets of the values, in the order in which they were created."""
        node = NK.unpack_from(self.store.data, self.at)
        count, cell = node[9], node[10]
        if not count or node[1] & FLAG_PREDEFINED:
            return ()
        if count * SMALLEST_VALUE > self.store.size:
            raise BadHive(f"damaged hive: key {self.name!r} has more values than there is room for")
        return tuple(self.store.offsets(cell, count))

    def values(self) -> Iterator[Value]:
        """Yield the values in the order in which they were created."""
        return (Value(self.store, offset) for offset in self.value_offsets())

    def value(self, name: str) -> Value | None:
        """Return the value with this name, case ignored, or None. "" is the default value."""
        wanted, store, wide = upcase(name), self.store, wide_length(name)
        narrow, ascii_name = wide // 2, name.encode("ascii", "replace").upper() if name.isascii() else None
        for offset in self.value_offsets():
            at = store.cell(offset)[0]
            length = U16.unpack_from(store.data, at + 2)[0]
            if length != wide and (
                length != narrow or ascii_name not in (None, store.data[at + 20 : at + 20 + length].upper())
            ):
                continue  # most others differ in length; for ASCII the bytes decide
            value = Value(store, offset)
            if upcase(value.name) == wanted:
                return value
        return None


def split_path(path: str) -> list[str]:
    """Return the names in a key path; one backslash before or after the path is passed over."""
    inner = path.strip("\\")
    return inner.split("\\") if inner else []
