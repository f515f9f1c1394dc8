"""ext2, ext3 and ext4, read only, after the kernel's Documentation/filesystems/ext4."""

from __future__ import annotations

import stat as st
import struct
from collections.abc import Iterator
from functools import cached_property
from io import BytesIO
from typing import IO, cast

from guestfix.backends.filesystems.node import (
    MAX_DIR,
    MAX_RUNS,
    EntryNode,
    Memo,
    Run,
    RunFile,
    Xattrs,
    acl_xattr,
    guarded,
    not_replayed,
)
from guestfix.backends.volumes.block import Block, DiskError, read_exact
from guestfix.base.errors import TooLarge, Unreadable
from guestfix.base.guest import Space, Stat, kind_of
from guestfix.base.record import frozen

_READABLE = 0x2 | 0x4 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x2000 | 0x4000 | 0x8000 | 0x10000 | 0x20000
_EXTENTS, _ENCRYPTED, _INLINE = 0x80000, 0x800, 0x10000000
_PREFIX = {1: "user.", 2: "system.posix_acl_access", 3: "system.posix_acl_default", 4: "trusted.", 6: "security."}
_PREFIX |= {7: "system.", 8: "system.richacl"}


@frozen
class _Geometry:
    block: int
    inodes: int
    blocks: int
    per_group: int
    inode_size: int
    desc_size: int
    wide: bool


class ExtTree:
    """An ext2/3/4 filesystem on a block device. DiskError where its superblock can't be used."""

    case_insensitive = False

    def __init__(self, block: Block) -> None:
        self.block = block
        sb = self._sb = read_exact(block, 1024, 1024, "the ext superblock")
        if sb[56:58] != b"\x53\xef":
            raise DiskError("no ext filesystem: the magic number is missing")
        self.incompat = struct.unpack_from("<I", sb, 96)[0]
        if self.incompat & ~_READABLE:
            raise DiskError(
                f"the ext filesystem has features that can't be read here ({self.incompat & ~_READABLE:#x})",
                remedy="use the backend uml or qemu",
            )
        self.geometry = self._read_geometry(sb)
        self.warnings = not_replayed("journal", bool(self.incompat & 4))
        self._inodes = Memo[int, bytes]()

    def _read_geometry(self, sb: bytes) -> _Geometry:
        inodes, blocks = struct.unpack_from("<II", sb, 0)
        wide = bool(self.incompat & 0x80)
        if wide:
            blocks |= struct.unpack_from("<I", sb, 336)[0] << 32
        shift = struct.unpack_from("<I", sb, 24)[0]
        per_group, revision = struct.unpack_from("<I", sb, 40)[0], struct.unpack_from("<I", sb, 76)[0]
        inode_size = struct.unpack_from("<H", sb, 88)[0] if revision else 128
        desc = struct.unpack_from("<H", sb, 254)[0] if wide else 32
        if shift > 6 or not per_group or not 128 <= inode_size <= 65536 or not 32 <= desc <= 1024 or not blocks:
            raise DiskError("the ext superblock is damaged")
        return _Geometry(1024 << shift, inodes, blocks, per_group, inode_size, desc, wide and desc >= 64)

    def root(self, subvolume: str = "") -> ExtNode:
        """Return the root directory."""
        return ExtNode(self, 2)

    def space(self) -> Space | None:
        """Return what statfs(2) would: the superblock's counts, less what ext4 keeps back (ext4_statfs)."""
        sb, size = self._sb, self.geometry.block
        low = struct.unpack_from("<III", sb, 8)
        high = struct.unpack_from("<II", sb, 340) if self.geometry.wide else (0, 0)
        reserved, free = low[0] | high[0] << 32, low[1] | high[1] << 32
        per_cluster = 1 << max(0, min(20, struct.unpack_from("<I", sb, 28)[0] - struct.unpack_from("<I", sb, 24)[0]))
        free *= per_cluster
        if self.incompat & 0x40:
            reserved += min(self.geometry.blocks // per_cluster // 50, 4096) * per_cluster
        overhead = struct.unpack_from("<I", sb, 584)[0] * per_cluster
        total = max(0, self.geometry.blocks - overhead)
        return Space("", max(0, free - reserved) * size, total * size, low[2])

    def inode(self, number: int) -> bytes:
        """Return an inode's bytes; those that were read lately are kept."""
        found = self._inodes.get(number)
        return found if found is not None else self._inodes.put(number, self._inode(number))

    def _inode(self, number: int) -> bytes:
        geo = self.geometry
        if not 1 <= number <= geo.inodes:
            raise DiskError(f"inode {number} is outside the filesystem")
        group, index = divmod(number - 1, geo.per_group)
        at = (1024 // geo.block + 1) * geo.block + group * geo.desc_size  # the block after the superblock's
        desc = read_exact(self.block, at, geo.desc_size, "a block group descriptor")
        table = struct.unpack_from("<I", desc, 8)[0]
        if geo.wide:
            table |= struct.unpack_from("<I", desc, 40)[0] << 32
        return read_exact(self.block, table * geo.block + index * geo.inode_size, geo.inode_size, "an inode")


class ExtNode(EntryNode[int]):
    """One inode. See Node."""

    def __init__(self, tree: ExtTree, number: int) -> None:
        self.tree, self.number = tree, number

    @cached_property
    def raw(self) -> bytes:
        """The inode as it is on the disk."""
        with guarded(f"inode {self.number}"):
            return self.tree.inode(self.number)

    @property
    def _flags(self) -> int:
        return int(struct.unpack_from("<I", self.raw, 32)[0])

    @property
    def _size(self) -> int:
        low, high = struct.unpack_from("<I", self.raw, 4)[0], struct.unpack_from("<I", self.raw, 108)[0]
        return int(low | high << 32)

    def stat(self) -> Stat:
        """See Node."""
        raw = self.raw
        mode, uid = struct.unpack_from("<HH", raw, 0)
        gid, links = struct.unpack_from("<HH", raw, 24)
        uid_high, gid_high = struct.unpack_from("<HH", raw, 120)
        times = self._time(16, 136), self._time(8, 140)
        owner = uid | uid_high << 16, gid | gid_high << 16
        return Stat(kind_of(mode), self._size, st.S_IMODE(mode), *owner, *times, links)

    def _time(self, at: int, extra_at: int) -> int:
        """Return nanoseconds since 1970; the extra word has two more bits of seconds and the nanoseconds."""
        raw = self.raw
        seconds, extra = struct.unpack_from("<i", raw, at)[0], 0
        if len(raw) >= extra_at + 4 and 128 + struct.unpack_from("<H", raw, 128)[0] >= extra_at + 4:
            extra = struct.unpack_from("<I", raw, extra_at)[0]
        return int((seconds + ((extra & 3) << 32)) * 1_000_000_000 + (extra >> 2))

    # data

    def open(self) -> IO[bytes]:
        """See Node."""
        if not st.S_ISREG(struct.unpack_from("<H", self.raw)[0]):
            raise Unreadable("not a regular file")
        return self._data()

    def _data(self) -> IO[bytes]:
        if self._flags & _ENCRYPTED:
            raise Unreadable("the file is encrypted (fscrypt)")
        with guarded("the file's block map"):
            if self._flags & _INLINE:
                return BytesIO((self.raw[40:100] + self._inline_rest())[: self._size])
            runs = list(self._extents(self.raw[40:100], 5) if self._flags & _EXTENTS else self._mapped())
            return cast("IO[bytes]", RunFile(self.tree.block, runs, self._size))

    def _extents(self, node: bytes, depth_limit: int) -> Iterator[Run]:
        magic, count, _, depth = struct.unpack_from("<HHHH", node)
        if magic != 0xF30A or depth > depth_limit or 12 + 12 * count > len(node):
            raise DiskError("an extent tree is damaged")
        size, found = self.tree.geometry.block, 0
        for at in range(12, 12 + 12 * count, 12):
            if depth == 0:
                logical, length, high, low = struct.unpack_from("<IHHI", node, at)
                unwritten = length > 32768
                length -= 32768 if unwritten else 0
                yield logical * size, length * size, None if unwritten else (low | high << 32) * size
                continue
            low, high = struct.unpack_from("<IH", node, at + 4)
            child = read_exact(self.tree.block, (low | high << 32) * size, size, "an extent block")
            for run in self._extents(child, depth - 1):
                found += 1
                if found > MAX_RUNS:
                    raise TooLarge("the file has too many pieces")
                yield run

    def _mapped(self) -> Iterator[Run]:
        """Walk the block map of ext2 and ext3: 12 direct blocks, then one, two and three levels of tables."""
        size, blocks = self.tree.geometry.block, struct.unpack("<15I", self.raw[40:100])
        per, budget = size // 4, [MAX_RUNS]
        last = -(-self._size // size)
        for logical, number in enumerate(blocks[:12]):
            if number and logical < last:
                yield logical * size, size, number * size
        logical = 12
        for level in (1, 2, 3):
            if logical < last:
                yield from self._table(blocks[11 + level], level, logical, last, budget)
            logical += per**level

    def _table(self, number: int, level: int, logical: int, last: int, budget: list[int]) -> Iterator[Run]:
        size = self.tree.geometry.block
        span = (size // 4) ** (level - 1)
        if not number:
            return
        words = struct.unpack(f"<{size // 4}I", read_exact(self.tree.block, number * size, size, "a block table"))
        for entry in words:
            if logical >= last:
                return
            budget[0] -= 1
            if budget[0] < 0:
                raise TooLarge("the file has too many pieces")
            if entry and level == 1:
                yield logical * size, size, entry * size
            elif entry:
                yield from self._table(entry, level - 1, logical, last, budget)
            logical += span

    def link(self) -> str:
        """See Node."""
        size = self._size
        if size > 65536:
            raise Unreadable("a symbolic link that long can't be")
        if size < 60 and not self._flags & (_EXTENTS | _INLINE):
            raw = self.raw[40 : 40 + size]
        else:
            raw = self._data().read(size)
        return raw.decode("utf-8", "surrogateescape")

    # directories

    def read_entries(self) -> Iterator[tuple[str, int]]:
        """See EntryNode."""
        if not st.S_ISDIR(struct.unpack_from("<H", self.raw)[0]):
            return
        if self._size > MAX_DIR:
            raise TooLarge(f"the directory has more than {MAX_DIR} bytes")
        if self._flags & _INLINE:
            blocks = [self.raw[44:100], self._inline_rest()]
        else:
            data, size = self._data().read(), self.tree.geometry.block
            blocks = [data[at : at + size] for at in range(0, len(data), size)]
        for block in blocks:
            yield from _dirents(block)

    def node(self, entry: int) -> ExtNode:
        """See EntryNode."""
        return ExtNode(self.tree, entry)

    # extended attributes

    def _inline_rest(self) -> bytes:
        return next((value for index, name, value in self._attributes() if (index, name) == (7, "data")), b"")

    def _attributes(self) -> Iterator[tuple[int, str, bytes]]:
        raw = self.raw
        if len(raw) > 132:
            start = 128 + struct.unpack_from("<H", raw, 128)[0]
            if raw[start : start + 4] == b"\0\0\2\xea":
                yield from self._attribute_list(raw[start + 4 :], 0)
        block = struct.unpack_from("<I", raw, 104)[0] | struct.unpack_from("<H", raw, 118)[0] << 32
        if block:
            size = self.tree.geometry.block
            data = read_exact(self.tree.block, block * size, size, "an attribute block")
            if data[:4] == b"\0\0\2\xea":
                yield from self._attribute_list(data, 32)

    def _attribute_list(self, data: bytes, at: int) -> Iterator[tuple[int, str, bytes]]:
        while at + 16 <= len(data) and data[at : at + 4] != b"\0\0\0\0":
            length, index, offset, inode, size = struct.unpack_from("<BBHII", data, at)
            name = data[at + 16 : at + 16 + length].decode("utf-8", "surrogateescape")
            if inode:
                value = ExtNode(self.tree, inode)._data().read(min(size, 1 << 20))
            else:
                value = data[offset : offset + size]
            yield index, name, value
            at += 16 + (length + 3 & ~3)

    def xattrs(self) -> Xattrs:
        """See Node."""
        with guarded("the extended attributes"):
            found = []
            for index, name, value in self._attributes():
                if (index, name) == (7, "data") or index not in _PREFIX:
                    continue
                found.append((_PREFIX[index] + name, _acl(value) if index in (2, 3) else value))
            return tuple(sorted(found))


def _dirents(block: bytes) -> Iterator[tuple[str, int]]:
    """Yield names and inodes of one directory block; a damaged entry ends the block."""
    at = 0
    while at + 8 <= len(block):
        inode, length, name_length = struct.unpack_from("<IHB", block, at)
        if length < 8:
            length = 65536 if length in (0, 0xFFFC) and len(block) == 65536 else 0
        if not length:
            raise DiskError("a directory entry has no length")
        if inode:
            yield block[at + 8 : at + 8 + name_length].decode("utf-8", "surrogateescape"), inode
        at += length


def _acl(raw: bytes) -> bytes:
    """Turn an ACL as ext4 keeps it (version 1, ids only where needed) into the system call's form."""
    entries, at = [], 4
    while at + 4 <= len(raw):
        tag, perm = struct.unpack_from("<HH", raw, at)
        who, at = 0xFFFFFFFF, at + 4
        if tag in (2, 8):
            who, at = struct.unpack_from("<I", raw.ljust(at + 4, b"\0"), at)[0], at + 4
        entries.append((tag, perm, who))
    return acl_xattr(entries)
