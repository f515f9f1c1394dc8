"""A full check of a hive's structure, written apart from the code under test: only struct and the format."""

from __future__ import annotations

import itertools
import struct
from dataclasses import dataclass, field

NONE = 0xFFFFFFFF


@dataclass
class Check:
    """``problems`` must be empty in a sound hive. ``leaked`` counts cells in use that nothing refers to."""

    data: bytes
    problems: list[str] = field(default_factory=list)
    used: dict[int, int] = field(default_factory=dict)
    refs: dict[int, str] = field(default_factory=dict)
    security: dict[int, int] = field(default_factory=dict)
    split_free: int = 0
    keys: int = 0
    values: int = 0

    @property
    def leaked(self) -> int:
        return len(self.used) - len(self.refs)

    def u32(self, at: int) -> int:
        return struct.unpack_from("<I", self.data, at)[0]

    def u16(self, at: int) -> int:
        return struct.unpack_from("<H", self.data, at)[0]

    def bad(self, text: str) -> None:
        self.problems.append(text)

    def take(self, offset: int, what: str) -> int:
        """Note a reference to a cell; return its content's position."""
        if offset not in self.used:
            self.bad(f"{what}: {offset:#x} is no cell in use")
        elif offset in self.refs and what != "sk":
            self.bad(f"{what}: {offset:#x} is also a {self.refs[offset]}")
        self.refs[offset] = what
        return 4096 + offset + 4

    def room(self, offset: int) -> int:
        return self.used.get(offset, 4) - 4


def check(data: bytes) -> Check:
    found = Check(bytes(data))
    base(found)
    bins(found)
    if not found.problems:
        key(found, found.u32(36), None)
        ring(found)
    return found


def base(c: Check) -> None:
    total = 0
    for (word,) in struct.iter_unpack("<I", c.data[:508]):
        total ^= word
    if {0: 1, NONE: NONE - 1}.get(total, total) != c.u32(508):
        c.bad("checksum")
    if c.u32(4) != c.u32(8):
        c.bad("sequence numbers differ")
    if len(c.data) < 4096 + c.u32(40):
        c.bad("file shorter than the bins")


def bins(c: Check) -> None:
    at, end = 4096, 4096 + c.u32(40)
    while at < end:
        if c.data[at : at + 4] != b"hbin" or c.u32(at + 4) != at - 4096 or c.u32(at + 8) % 4096:
            return c.bad(f"bin at {at:#x}")
        stop, cell, was_free = at + c.u32(at + 8), at + 32, False
        while cell < stop:
            size = struct.unpack_from("<i", c.data, cell)[0]
            if not size or size % 8 or cell + abs(size) > stop:
                return c.bad(f"cell at {cell:#x} has size {size}")
            if size < 0:
                c.used[cell - 4096] = -size
            c.split_free += was_free and size > 0
            was_free = size > 0
            cell += abs(size)
        at = stop
    return None


def name_of(c: Check, at: int, length: int, compressed: int) -> str:
    raw = c.data[at : at + length]
    return raw.decode("latin-1") if compressed else raw.decode("utf-16-le", "surrogatepass")


def upper(name: str) -> str:
    return "".join(one.upper() if len(one.upper()) == 1 else one for one in name)


def units(name: str) -> list[int]:
    raw = upper(name).encode("utf-16-le", "surrogatepass")
    return [raw[at] + raw[at + 1] * 256 for at in range(0, len(raw), 2)]


def wide(name: str) -> int:
    return len(name.encode("utf-16-le", "surrogatepass"))


def key(c: Check, offset: int, parent: int | None) -> str:
    c.keys += 1
    at = c.take(offset, "nk")
    if c.data[at : at + 2] != b"nk":
        c.bad(f"no nk at {offset:#x}")
        return ""
    if parent is not None and c.u32(at + 16) != parent:
        c.bad(f"nk {offset:#x} has a wrong parent")
    name = name_of(c, at + 76, c.u16(at + 72), c.u16(at + 2) & 0x20)
    if c.u32(at + 44) != NONE:
        c.security[c.u32(at + 44)] = c.security.get(c.u32(at + 44), 0) + 1
    if c.u32(at + 48) != NONE and c.u16(at + 74):
        c.take(c.u32(at + 48), "class")
    subkeys(c, offset, at)
    key_values(c, at, name)
    return name


def subkeys(c: Check, offset: int, at: int) -> None:
    count, head = c.u32(at + 20), c.u32(at + 28)
    if not count:
        if head != NONE:
            c.bad(f"nk {offset:#x} has a list but no subkeys")
        return
    place = c.take(head, "list")
    leaves = [head]
    if c.data[place : place + 2] == b"ri":
        leaves = [c.u32(place + 4 + 4 * one) for one in range(c.u16(place + 2))]
        for leaf in leaves:
            c.take(leaf, "leaf")
    names: list[list[int]] = []
    for leaf in leaves:
        names += leaf_names(c, offset, leaf, c.u16(at + 52))
    if len(names) != count:
        c.bad(f"nk {offset:#x} says {count} subkeys and has {len(names)}")
    if any(one >= other for one, other in itertools.pairwise(names)):
        c.bad(f"the subkeys of nk {offset:#x} are not in order")


def leaf_names(c: Check, parent: int, leaf: int, longest: int) -> list[list[int]]:
    place = 4096 + leaf + 4
    kind, count = c.data[place : place + 2], c.u16(place + 2)
    width = {b"li": 4, b"lf": 8, b"lh": 8}.get(kind)
    if width is None or 4 + count * width > c.room(leaf) or not count or count > 1012:
        c.bad(f"leaf {leaf:#x}: {kind!r} with {count} entries")
        return []
    found = []
    for one in range(count):
        at = place + 4 + one * width
        name = key(c, c.u32(at), parent)
        found.append(units(name))
        total = 0
        for unit in found[-1]:
            total = (total * 37 + unit) % 2**32
        if kind == b"lh" and c.u32(at + 4) != total:
            c.bad(f"leaf {leaf:#x}: wrong hash of {name!r}")
        if kind == b"lf" and name.isascii() and c.data[at + 4 : at + 8] != name.encode()[:4].ljust(4, b"\0"):
            c.bad(f"leaf {leaf:#x}: wrong hint of {name!r}")
        if wide(name) > longest:
            c.bad(f"the longest subkey of {parent:#x} is longer than it says")
    return found


def key_values(c: Check, at: int, key_name: str) -> None:
    count, cell = c.u32(at + 36), c.u32(at + 40)
    if not count:
        return None
    place = c.take(cell, "values")
    if count * 4 > c.room(cell):
        return c.bad(f"value list of {key_name!r} too short")
    seen = set()
    for one in range(count):
        c.values += 1
        offset = c.u32(place + one * 4)
        vk = c.take(offset, "vk")
        if c.data[vk : vk + 2] != b"vk":
            c.bad(f"no vk at {offset:#x}")
            continue
        name = name_of(c, vk + 20, c.u16(vk + 2), c.u16(vk + 16) & 1)
        if upper(name) in seen:
            c.bad(f"{key_name!r} has value {name!r} twice")
        seen.add(upper(name))
        value_data(c, vk, name)
        if wide(name) > c.u32(at + 60) or c.u32(vk + 4) & 0x7FFFFFFF > c.u32(at + 64):
            c.bad(f"value {name!r} of {key_name!r} is larger than the key says")
    return None


def value_data(c: Check, vk: int, name: str) -> None:
    size, cell, minor = c.u32(vk + 4), c.u32(vk + 8), c.u32(24)
    if size & 0x80000000:
        if size & 0x7FFFFFFF > 4:
            c.bad(f"inline data of {name!r} too long")
    elif size > 16344 and minor > 3:
        place = c.take(cell, "db")
        count, listed = c.u16(place + 2), c.u32(place + 4)
        if c.data[place : place + 2] != b"db" or count != -(-size // 16344):
            return c.bad(f"big data of {name!r}: {count} segments for {size} bytes")
        segments = c.take(listed, "segments")
        for one in range(count):
            segment = c.u32(segments + one * 4)
            c.take(segment, "segment")
            if min(16344, size - one * 16344) > c.room(segment):
                c.bad(f"segment {one} of {name!r} too short")
    elif size:
        c.take(cell, "data")
        if size > c.room(cell):
            c.bad(f"data of {name!r} longer than its cell")
    return None


def ring(c: Check) -> None:
    for offset, count in c.security.items():
        at = c.take(offset, "sk")
        if c.data[at : at + 2] != b"sk":
            c.bad(f"no sk at {offset:#x}")
            continue
        if c.u32(at + 12) != count:
            c.bad(f"sk {offset:#x} counts {c.u32(at + 12)}, used by {count}")
        for place, back in ((4, 8), (8, 4)):
            other = c.u32(at + place)
            if other not in c.used or c.u32(4096 + other + 4 + back) != offset:
                c.bad(f"sk {offset:#x} is not linked both ways")
