"""Values: their types, their data in one cell, inline or as big data, and what the data means."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from guestfix.base.errors import EditError
from guestfix.formats.windows.regf.names import load_name
from guestfix.formats.windows.regf.store import BadHive, Store

TYPE_CHECKING = False  # typing takes a tenth of the time of a small edit
if TYPE_CHECKING:
    pass

REG_NONE, REG_SZ, REG_EXPAND_SZ, REG_BINARY, REG_DWORD, REG_DWORD_BIG_ENDIAN = range(6)
REG_LINK, REG_MULTI_SZ, REG_RESOURCE_LIST, REG_FULL_RESOURCE_DESCRIPTOR = range(6, 10)
REG_RESOURCE_REQUIREMENTS_LIST, REG_QWORD = 10, 11
TYPE_NAMES = [
    "REG_NONE",
    "REG_SZ",
    "REG_EXPAND_SZ",
    "REG_BINARY",
    "REG_DWORD",
    "REG_DWORD_BIG_ENDIAN",
    "REG_LINK",
    "REG_MULTI_SZ",
    "REG_RESOURCE_LIST",
    "REG_FULL_RESOURCE_DESCRIPTOR",
    "REG_RESOURCE_REQUIREMENTS_LIST",
    "REG_QWORD",
]
TYPES = {name: number for number, name in enumerate(TYPE_NAMES)}
"""Type numbers by name: ``TYPES["REG_DWORD"]`` is 4."""
STRINGS = (REG_SZ, REG_EXPAND_SZ, REG_LINK)

SEGMENT = 16344
"""Bytes of data in one cell at most; more than this is stored as big data from hive version 1.4 on."""
INLINE = 0x80000000
"""Bit of a data size that says that the data is in the offset field itself."""
FLAG_TOMBSTONE = 2
"""Flag of a value that hides one of the same name in the layer below (differencing hives of containers)."""
VK = struct.Struct("<2sHIIIH")

Data = bytes | str | int | Sequence[str]
"""What set_value takes: raw bytes, or a text, number or list of texts for the types that have them."""


def type_name(number: int) -> str:
    """Return ``REG_SZ`` and the like, or ``REG_TYPE_0x...`` for a number without a name."""
    return TYPE_NAMES[number] if number < len(TYPE_NAMES) else f"REG_TYPE_{number:#x}"


def read_data(store: Store, size: int, offset: int, inline_at: int) -> bytes:
    """Return a value's data from what its record says of size and place. Raises BadHive."""
    if size & INLINE:
        size &= ~INLINE
        if size > 4:
            raise BadHive(f"damaged hive: {size} bytes of data at byte {inline_at:#x}, where four have room")
        return bytes(store.data[inline_at : inline_at + size])
    if not size:
        return b""
    start, end = store.cell(offset)
    if size <= end - start:
        return bytes(store.data[start : start + size])
    if store.data[start : start + 2] == b"db" and size > SEGMENT:
        return b"".join(_segments(store, start, end, size))
    raise BadHive(f"damaged hive: the data at byte {start:#x} is shorter than its value says ({size})")


def _segments(store: Store, start: int, end: int, size: int) -> list[bytes]:
    cells = big_data_cells(store, start, end)
    if -(-size // SEGMENT) > len(cells):
        raise BadHive(f"damaged hive: the big data at byte {start:#x} has too few segments for {size} bytes")
    parts = []
    for cell in cells[: -(-size // SEGMENT)]:
        length = min(size, SEGMENT)
        first, last = store.cell(cell)
        if length > last - first:
            raise BadHive(f"damaged hive: the big data segment at byte {first:#x} is too short")
        parts.append(bytes(store.data[first : first + length]))
        size -= length
    return parts


def big_data_cells(store: Store, start: int, end: int) -> Sequence[int]:
    """Return the segments' offsets of the big data record at these bounds. Raises BadHive."""
    if end - start < 8:
        raise BadHive(f"damaged hive: the big data record at byte {start:#x} is too short")
    _, count, cell = struct.unpack_from("<2sHI", store.data, start)
    cells = store.offsets(cell, count)
    if len(set(cells)) != count:
        raise BadHive(f"damaged hive: the big data at byte {start:#x} names one segment twice")
    return cells


class Value:
    """One value of a key. It reads the hive when asked, so it shows what the hive holds now.

    ``name`` is "" for the default value, ``type`` the number of its type.
    """

    __slots__ = ("_at", "_store", "name", "offset", "type")

    def __init__(self, store: Store, offset: int) -> None:
        start, end = store.cell(offset)
        if end - start < 20:
            raise BadHive(f"damaged hive: no value at byte {start:#x}")
        signature, length, _, _, kind, flags = VK.unpack_from(store.data, start)
        if signature != b"vk" or start + 20 + length > end:
            raise BadHive(f"damaged hive: no value at byte {start:#x}")
        self.offset, self.type = offset, kind
        self.name = load_name(store.data[start + 20 : start + 20 + length], bool(flags & 1))
        self._store, self._at = store, start

    def __repr__(self) -> str:
        return f"Value({self.name!r}, {type_name(self.type)})"

    @property
    def size(self) -> int:
        """Return the length of the data in bytes."""
        return self._store.u32(self._at + 4) & ~INLINE

    @property
    def data(self) -> bytes:
        """Return the data as stored. Raises BadHive."""
        size, offset = struct.unpack_from("<II", self._store.data, self._at + 4)
        return read_data(self._store, size, offset, self._at + 8)

    @property
    def decoded(self) -> object:
        """Return the data as str, int or list of str where its type and length allow, else as bytes."""
        return decode(self.type, self.data)

    @property
    def text(self) -> str:
        """Return the data as one text: a string as it is, a list by lines, a number, else hex digits."""
        found = self.decoded
        if isinstance(found, bytes):
            return found.hex()
        return "\n".join(found) if isinstance(found, list) else str(found)


def _wide(data: bytes) -> str:
    return data[: len(data) & ~1].decode("utf-16-le", "surrogatepass")


def decode(kind: int, data: bytes) -> str | int | list[str] | bytes:
    """Return what data of this type means: text up to its NUL, a number, a list; else the bytes.

    A list ends at its first empty text, as Windows reads it.
    """
    if kind in STRINGS:
        return _wide(data).split("\0", 1)[0]
    if kind == REG_MULTI_SZ:
        texts = _wide(data).split("\0")
        return texts[: texts.index("")] if "" in texts else texts
    if kind in (REG_DWORD, REG_DWORD_BIG_ENDIAN) and len(data) == 4:
        return int.from_bytes(data, "little" if kind == REG_DWORD else "big")
    if kind == REG_QWORD and len(data) == 8:
        return int.from_bytes(data, "little")
    return data


def encode(kind: int, data: Data) -> bytes:
    """Return the bytes to store for data of this type. Raises EditError where they don't go together."""
    if isinstance(data, bytes | bytearray):
        return bytes(data)
    if isinstance(data, str):
        if kind in STRINGS and "\0" not in data:
            return (data if kind == REG_LINK else data + "\0").encode("utf-16-le", "surrogatepass")
    elif isinstance(data, int):
        width = {REG_DWORD: 4, REG_DWORD_BIG_ENDIAN: 4, REG_QWORD: 8}.get(kind)
        if width and 0 <= data < 1 << 8 * width:
            return data.to_bytes(width, "big" if kind == REG_DWORD_BIG_ENDIAN else "little")
    elif kind == REG_MULTI_SZ and all(text and "\0" not in text for text in data):
        return "".join(text + "\0" for text in [*data, ""]).encode("utf-16-le", "surrogatepass")
    raise EditError(f"{data!r} can't be stored as {type_name(kind)}")
