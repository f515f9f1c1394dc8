"""Changes of keys and values. Callers use Hive's methods; this is how they are done.

Every change touches only the cells it must: data that fits stays in its cell, lists grow in place where
their cell has room, and the fields of the key node that count and measure follow.
"""

from __future__ import annotations

import struct

from guestfix.base.errors import EditError
from guestfix.formats.windows.regf import keys, security, subkeys, values
from guestfix.formats.windows.regf.keys import Key
from guestfix.formats.windows.regf.names import MAX_KEY_NAME, MAX_VALUE_NAME, store_name, wide_length
from guestfix.formats.windows.regf.store import NONE, PAGE, U16, Store
from guestfix.formats.windows.regf.values import INLINE, SEGMENT, VK, Value

TYPE_CHECKING = False  # typing takes a tenth of the time of a small edit
if TYPE_CHECKING:
    from guestfix.formats.windows.regf.hive import Hive

MAX_DEPTH = 512
"""Levels of keys that Windows allows."""
MAX_VALUE_SIZE = 65535 * SEGMENT
MAX_CELL_DATA = 1 << 20
"""Bytes of data that Windows allows in hives before version 1.4, which have no big data."""
LINK_VALUE = "symboliclinkvalue"
VIRTUAL_FLAGS, VIRTUAL_RECURSE = 0xF0000, 0x80000
"""Bits beside the longest subkey name that control virtualization, and the one that passes them on to new subkeys."""


def touch(hive: Hive, key: Key) -> None:
    """Mark the hive changed and give the key the hive's timestamp, where there is one."""
    hive.allocator.check(key.offset)
    hive.touched()
    if hive.timestamp is not None:
        hive.store.put(key.at + 4, struct.pack("<Q", hive.timestamp))


def _raise_to(key: Key, place: int, least: int) -> None:
    """Make a field of the key node that records a maximum at least this much."""
    if key.field(place) < least:
        key.store.put32(key.at + place, least)


# values


def set_value(hive: Hive, key: Key, name: str, kind: int, raw: bytes) -> bool:
    """Make key have the value; return whether that changed anything."""
    most = MAX_VALUE_SIZE if hive.store.minor > 3 else MAX_CELL_DATA
    if wide_length(name) > MAX_VALUE_NAME * 2 or len(raw) > most:
        raise EditError(f"the name or the data of value {name[:40]!r} is longer than Windows allows")
    value = key.value(name)
    if value is not None and value.type == kind and value.size == len(raw) and value.data == raw:
        return False
    if key.flags & keys.FLAG_LINK and name.lower() != LINK_VALUE:
        raise EditError(f"key {key.name!r} is a link to {link_target(key)}; change that key")
    touch(hive, key)
    if value is None:
        _add_value(hive, key, name, kind, raw)
    else:
        _replace_data(hive, value, kind, raw)
    _raise_to(key, keys.MAX_VALUE_NAME, wide_length(name))
    _raise_to(key, keys.MAX_VALUE_DATA, len(raw))
    return True


def _add_value(hive: Hive, key: Key, name: str, kind: int, raw: bytes) -> None:
    stored, compressed = store_name(name)
    size, place = _store_data(hive, raw, key.offset)
    record = VK.pack(b"vk", len(stored), size, place, kind, int(compressed)) + b"\0\0" + stored
    _append_value(hive, key, hive.allocator.alloc(record, key.offset))


def _append_value(hive: Hive, key: Key, cell: int) -> None:
    offsets = [*key.value_offsets(), cell]
    if key.flags & keys.FLAG_PREDEFINED:
        raise EditError(f"key {key.name!r} is a predefined handle and has no values of its own")
    old = key.field(keys.VALUE_LIST) if len(offsets) > 1 else NONE
    _write_value_list(hive, key, old, offsets)


def _write_value_list(hive: Hive, key: Key, old: int, offsets: list[int]) -> None:
    """Store the list of values, in its old cell where it fits."""
    raw = struct.pack(f"<{len(offsets)}I", *offsets)
    cell = rewrite(hive, old, raw, key.offset, spare(raw)) if offsets else NONE
    if not offsets:
        hive.allocator.free(old)
        hive.store.put(key.at + keys.MAX_VALUE_NAME, bytes(8))
    hive.store.put32(key.at + keys.VALUES, len(offsets))
    hive.store.put32(key.at + keys.VALUE_LIST, cell)


def spare(raw: bytes) -> int:
    """Return the bytes that a list's new cell gets beyond what it holds: an eighth, but no second page for them."""
    return min(len(raw) >> 3, -(len(raw) + 36) % PAGE)


def rewrite(hive: Hive, cell: int, raw: bytes, near: int, spare: int = 0) -> int:
    """Return the cell that holds raw now: the old one where there is room in it, else a new one with room to spare."""
    if cell == NONE:
        return hive.allocator.alloc(raw, near)
    start, end = hive.store.cell(cell)
    if len(raw) <= end - start:
        hive.allocator.check(cell)
        hive.store.put(start, raw.ljust(end - start, b"\0"))
        return cell
    fresh = hive.allocator.alloc(raw + bytes(spare), near)
    hive.allocator.free(cell)
    return fresh


def _store_data(hive: Hive, raw: bytes, near: int) -> tuple[int, int]:
    """Store data in new cells; return what a value's size and offset fields are to be."""
    if len(raw) <= 4:
        return len(raw) | INLINE, int.from_bytes(raw, "little")
    if len(raw) <= SEGMENT or hive.store.minor < 4:
        return len(raw), hive.allocator.alloc(raw, near)
    parts = [raw[at : at + SEGMENT] for at in range(0, len(raw), SEGMENT)]
    cells = [hive.allocator.alloc(part + bytes(4), near) for part in parts]
    listed = hive.allocator.alloc(struct.pack(f"<{len(cells)}I", *cells), near)
    return len(raw), hive.allocator.alloc(struct.pack("<2sHI", b"db", len(cells), listed), near)


def _data_cells(store: Store, size: int, place: int) -> list[int]:
    """Return the cells that hold a value's data, given its size and offset fields."""
    if size & INLINE or not size or place == NONE:
        return []
    start, end = store.cell(place)
    if size <= end - start or size <= SEGMENT or store.data[start : start + 2] != b"db":
        return [place]
    return [place, store.u32(start + 4), *values.big_data_cells(store, start, end)]


def _replace_data(hive: Hive, value: Value, kind: int, raw: bytes) -> None:
    store, at = hive.store, store_position(hive, value.offset)
    size, place = struct.unpack_from("<II", store.data, at + 4)
    cells = _data_cells(store, size, place)
    if len(cells) == 1 and len(raw) > 4 and (len(raw) <= SEGMENT or store.minor < 4):
        fresh = len(raw), rewrite(hive, place, raw, value.offset)
    else:
        fresh = _store_data(hive, raw, value.offset)
        for cell in cells:
            hive.allocator.free(cell)
    store.put(at + 4, struct.pack("<III", *fresh, kind))
    store.put16(at + 16, U16.unpack_from(store.data, at + 16)[0] & ~values.FLAG_TOMBSTONE)


def store_position(hive: Hive, offset: int) -> int:
    """Return the position of a cell's content, which is about to be written in place."""
    hive.allocator.check(offset)
    return hive.store.cell(offset)[0]


def _free_value(hive: Hive, offset: int) -> None:
    start, _ = hive.store.record(offset, b"vk", 20)
    size, place = struct.unpack_from("<II", hive.store.data, start + 4)
    for cell in [*_data_cells(hive.store, size, place), offset]:
        hive.allocator.free(cell)


def delete_value(hive: Hive, key: Key, name: str) -> bool:
    """Remove the value from key; return whether there was one."""
    value = key.value(name)
    if value is None:
        return False
    touch(hive, key)
    offsets = [offset for offset in key.value_offsets() if offset != value.offset]
    _write_value_list(hive, key, key.field(keys.VALUE_LIST), offsets)
    _free_value(hive, value.offset)
    return True


# keys


def make_key(hive: Hive, path: str) -> Key:
    """Return the key at path, creating what is missing."""
    key, names = hive.root, keys.split_path(path)
    for depth, name in enumerate(names):
        key = key.subkey(name) or _new_key(hive, key, name, depth + 1)
    return key


def link_target(key: Key) -> str:
    """Return where a key that is a link points to."""
    value = key.value(LINK_VALUE)
    return "another key" if value is None else repr(value.text)


def _new_key(hive: Hive, parent: Key, name: str, depth: int) -> Key:
    if not name or "\0" in name or wide_length(name) > MAX_KEY_NAME * 2 or depth >= MAX_DEPTH:
        raise EditError(f"no key can be named {name[:40]!r} at this depth")
    if parent.flags & keys.FLAG_LINK:
        raise EditError(f"key {parent.name!r} is a link to {link_target(parent)}; name that key")
    time, shared = parent.timestamp if hive.timestamp is None else hive.timestamp, parent.field(keys.SECURITY)
    virtual = parent.field(keys.MAX_SUBKEY_NAME) & VIRTUAL_FLAGS
    touch(hive, parent)
    stored, compressed = store_name(name)
    node = keys.NK.pack(
        *(b"nk", keys.FLAG_COMPRESSED if compressed else 0, time, 0, parent.offset),
        *(0, 0, NONE, NONE, 0, NONE, shared, NONE, virtual if virtual & VIRTUAL_RECURSE else 0),
        *(0, 0, 0, 0, len(stored), 0),
    )
    offset = hive.allocator.alloc(node + stored, parent.offset)
    security.share(hive, shared)
    subkeys.insert(hive, parent, name, offset)
    longest = parent.field(keys.MAX_SUBKEY_NAME)
    if longest & 0xFFFF < wide_length(name):
        hive.store.put16(parent.at + keys.MAX_SUBKEY_NAME, wide_length(name))
    return Key(hive.store, offset)


def set_class(hive: Hive, parent: Key | None, key: Key, class_name: str) -> None:
    """Give key a class name; its parent takes note of the length."""
    raw = class_name.encode("utf-16-le", "surrogatepass")
    if len(raw) > 0xFFFF:
        raise EditError("a class name has at most 32767 characters")
    if key.class_name == class_name:
        return
    touch(hive, key)
    cell = rewrite(hive, key.field(keys.CLASS), raw, key.offset)
    hive.store.put32(key.at + keys.CLASS, cell)
    hive.store.put16(key.at + keys.CLASS_LENGTH, len(raw))
    if parent is not None:
        hive.allocator.check(parent.offset)
        _raise_to(parent, keys.MAX_SUBKEY_CLASS, len(raw))


def set_security(hive: Hive, key: Key, descriptor: bytes) -> None:
    """Give key a security descriptor; keys with equal ones share a cell."""
    if key.security == descriptor:
        return
    touch(hive, key)
    old = key.field(keys.SECURITY)
    hive.store.put32(key.at + keys.SECURITY, security.find_or_add(hive, descriptor, old))
    security.release(hive, old)


def delete_key(hive: Hive, parent: Key | None, key: Key, recursive: bool) -> None:
    """Remove key from its parent, with its values, and with its subkeys where recursive is set."""
    if parent is None or key.offset == hive.root.offset or key.flags & keys.FLAG_ROOT:
        raise EditError("the root key can't be deleted")
    doomed = _subtree(key)
    if len(doomed) > 1 and not recursive:
        raise EditError(f"key {key.name!r} has subkeys, so it is not deleted")
    touch(hive, parent)
    subkeys.remove(hive, parent, key.name, key.offset)
    for one in reversed(doomed):
        _free_key(hive, one)


def _subtree(key: Key) -> list[Key]:
    """Return key and all keys below it, parents first. A key that turns up twice is an error."""
    found, seen = [key], {key.offset}
    for parent in found:
        for child in parent.subkeys():
            if child.offset in seen:
                raise EditError(f"damaged hive: key {child.name!r} is listed twice")
            seen.add(child.offset)
            found.append(child)
    return found


def _free_key(hive: Hive, key: Key) -> None:
    for offset in key.value_offsets():
        _free_value(hive, offset)
    if key.value_offsets():
        hive.allocator.free(key.field(keys.VALUE_LIST))
    if key.field(keys.SUBKEYS):
        for cell in subkeys.list_cells(hive.store, key.field(keys.SUBKEY_LIST)):
            hive.allocator.free(cell)
    if key.class_name:
        hive.allocator.free(key.field(keys.CLASS))
    shared = key.field(keys.SECURITY)
    hive.allocator.free(key.offset)
    security.release(hive, shared)
