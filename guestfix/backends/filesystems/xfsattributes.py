"""Extended attributes of XFS: in the inode, or a B+tree in blocks of their own with values beside it."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from guestfix.backends.filesystems.node import RunFile, acl_xattr
from guestfix.backends.volumes.block import DiskError
from guestfix.base.errors import TooLarge

_LOCAL, _ROOT, _SECURE = 1, 2, 4
_HIDDEN = ~(_LOCAL | _ROOT | _SECURE)
"""Attributes that are half written (0x80) or that the filesystem keeps for itself (parent pointers, 8)."""

_LEAF, _NODE = (b"\xfb\xee", b"\x3b\xee"), (b"\xfe\xbe", b"\x3e\xbe")
"""Magic numbers of versions 4 and 5."""

_MAX_LEVELS = 5
_MAX_VALUE = 65536
_MAX_BYTES = 16 << 20
"""Of all names and values of one file; the kernel lists no more than 64 KB of names."""

_REMOTE_HEADER = 56

Attribute = tuple[int, bytes, bytes]
"""Flags, name without its namespace, value."""


def short_attributes(raw: bytes) -> Iterator[Attribute]:
    """Yield the attributes of an inode that holds them itself. DiskError, IndexError where they are damaged."""
    count, at = raw[2], 4
    for _ in range(count):
        length, size, flags = raw[at : at + 3]
        end = at + 3 + length + size
        if end > len(raw):
            raise DiskError("an extended attribute is cut off")
        yield flags, raw[at + 3 : at + 3 + length], raw[at + 3 + length : end]
        at = end


def leaf_attributes(data: RunFile, step: int, v5: bool) -> Iterator[Attribute]:
    """Yield the attributes of an attribute fork with blocks of step bytes. DiskError where it is damaged."""
    seen: set[int] = set()
    budget = _MAX_BYTES
    todo = [(0, -1)]
    while todo:
        number, level = todo.pop()
        if number in seen:
            raise DiskError("an attribute tree has a circle")
        seen.add(number)
        block = _block(data, number, step)
        if block[8:10] == _LEAF[v5] and level <= 0:
            for one in _leaf(block, data, v5):
                budget -= len(one[1]) + len(one[2]) + 8
                if budget < 0:
                    raise TooLarge(f"more than {_MAX_BYTES} bytes of extended attributes")
                yield one
        elif block[8:10] == _NODE[v5]:
            todo += _children(block, level, v5)
        else:
            raise DiskError("an attribute tree is damaged")


def _block(data: RunFile, number: int, step: int) -> bytes:
    data.seek(number * step)
    block = data.read(step)
    if len(block) < step:
        raise DiskError("an attribute tree is cut off")
    return block


def _children(block: bytes, level: int, v5: bool) -> list[tuple[int, int]]:
    """Return the blocks below a node with their level; that of the root, -1 here, is what it says."""
    at, start = (56, 64) if v5 else (12, 16)
    count, own = struct.unpack_from(">HH", block, at)
    if not 0 < own <= _MAX_LEVELS or level not in (-1, own) or start + 8 * count > len(block):
        raise DiskError("an attribute tree is damaged")
    return [(below, own - 1) for _, below in struct.iter_unpack(">II", block[start : start + 8 * count])]


def _leaf(leaf: bytes, data: RunFile, v5: bool) -> Iterator[Attribute]:
    at, start = (56, 80) if v5 else (12, 32)
    count = int.from_bytes(leaf[at : at + 2], "big")
    if start + 8 * count > len(leaf):
        raise DiskError("an attribute leaf is damaged")
    for _, index, flags, _ in struct.iter_unpack(">IHBB", leaf[start : start + 8 * count]):
        if flags & _HIDDEN:
            continue
        if flags & _LOCAL:
            size, length = struct.unpack_from(">HB", leaf, index)
            end = index + 3 + length + size
            name, value = leaf[index + 3 : index + 3 + length], leaf[index + 3 + length : end]
        else:
            block, size, length = struct.unpack_from(">IIB", leaf, index)
            end = index + 9 + length
            name, value = leaf[index + 9 : end], _remote(data, block, size, len(leaf), v5)
        if end > len(leaf):
            raise DiskError("an extended attribute is cut off")
        yield flags, name, value


def _remote(data: RunFile, block: int, size: int, step: int, v5: bool) -> bytes:
    """Return a value in blocks of its own, each of which has a header in version 5."""
    if size > _MAX_VALUE:
        raise DiskError("an extended attribute that large can't be")
    skip = _REMOTE_HEADER if v5 else 0
    count = -(-size // (step - skip))
    blocks = [_block(data, block + index, step) for index in range(count)]
    if v5 and any(one[:4] != b"XARM" for one in blocks):
        raise DiskError("an extended attribute's value is damaged")
    return b"".join(one[skip:] for one in blocks)[:size]


def named(flags: int, raw: bytes, value: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the names and values under which the kernel shows an attribute to root: none, one, or an ACL's two."""
    if flags & _HIDDEN:
        return
    name = raw.decode("utf-8", "surrogateescape")
    if flags & _ROOT and name in ("SGI_ACL_FILE", "SGI_ACL_DEFAULT"):
        which = "access" if name.endswith("FILE") else "default"
        yield f"system.posix_acl_{which}", _acl(value)
    yield ("trusted." if flags & _ROOT else "security." if flags & _SECURE else "user.") + name, value


def _acl(value: bytes) -> bytes:
    """Turn an ACL as XFS keeps it into the system call's form; only named users and groups have an id."""
    count = min(struct.unpack_from(">I", value)[0], len(value) // 12)
    entries = [struct.unpack_from(">IIH", value, 4 + 12 * index) for index in range(count)]
    return acl_xattr([(tag, perm, who if tag in (2, 8) else 0xFFFFFFFF) for tag, who, perm in entries])
