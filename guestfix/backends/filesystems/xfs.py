"""XFS, read only: dissect.xfs finds inodes, what it leaves out is here.

That is unwritten extents (which read as zeros), directories with blocks larger than the filesystem's,
extended attributes, and bounds on all of them. After "XFS Algorithms & Data Structures".
"""

from __future__ import annotations

import stat as st
import struct
from collections.abc import Iterator
from functools import cached_property
from io import BytesIO
from typing import IO, Any, cast

from guestfix.backends.filesystems.node import (
    MAX_DIR,
    MAX_RUNS,
    EntryNode,
    Run,
    RunFile,
    Xattrs,
    acl_xattr,
    guarded,
    not_replayed,
)
from guestfix.backends.volumes.block import Block, DiskError, read_at, read_exact
from guestfix.backends.volumes.xfslog import is_dirty
from guestfix.base.errors import TooLarge, Unreadable
from guestfix.base.guest import Space, Stat, kind_of

_LOCAL, _EXTENTS, _BTREE = 1, 2, 3
_ROOT, _SECURE = 2, 4
_REMOTE_HEADER = 56


class XfsTree:
    """An XFS filesystem on a block device. DiskError where it can't be used."""

    case_insensitive = False

    def __init__(self, block: Block) -> None:
        from dissect.xfs.xfs import XFS

        self.block = block
        with guarded("the XFS superblock"):
            self.fs: Any = XFS(block)
            sb = self.fs.sb
            self.block_size, self.agblocks, self.agblklog = int(sb.sb_blocksize), int(sb.sb_agblocks), sb.sb_agblklog
            self.dir_block = self.block_size << sb.sb_dirblklog
            self.v5 = self.fs.version == 5
            self.ftype = bool(self.fs._has_ftype)
            self.counts = int(sb.sb_fdblocks), int(sb.sb_dblocks) - int(sb.sb_logblocks)
            self.root_inode = int(sb.sb_rootino)
        if self.dir_block > 65536:
            raise DiskError("the XFS directory block size can't be")
        self.warnings = not_replayed("log", is_dirty(block, read_at(block, 0, 512).ljust(512, b"\0")))

    def place(self, fsblock: int) -> int:
        """Return the byte offset of a filesystem block number."""
        group, within = fsblock >> self.agblklog, fsblock & (1 << self.agblklog) - 1
        return int(group * self.agblocks + within) * self.block_size

    def root(self, subvolume: str = "") -> XfsNode:
        """Return the root directory."""
        return XfsNode(self, self.root_inode)

    def space(self) -> Space | None:
        """Return the superblock's counts, exact after a clean unmount, less what XFS keeps back for itself.

        XFS makes inodes as it needs them, so their number says nothing.
        """
        free, total = self.counts
        kept = min(int(self.fs.sb.sb_dblocks) // 20, 8192) + 8 * int(self.fs.sb.sb_agcount)
        return Space("", max(0, free - kept) * self.block_size, total * self.block_size)


class XfsNode(EntryNode[int]):
    """One inode. See Node."""

    def __init__(self, tree: XfsTree, number: int) -> None:
        self.tree, self.number = tree, number

    @cached_property
    def _inode(self) -> Any:
        with guarded(f"inode {self.number}"):
            node = self.tree.fs.get_inode(self.number)
            _ = node.inode
            return node

    @property
    def _size(self) -> int:
        return int(self._inode.inode.di_size)

    @property
    def _mode(self) -> int:
        return int(self._inode.inode.di_mode)

    def stat(self) -> Stat:
        """See Node."""
        node = self._inode
        with guarded(f"inode {self.number}"):
            raw, mode = node.inode, self._mode
            times = _when(node.mtime_ns, node._has_bigtime()), _when(node.atime_ns, node._has_bigtime())
            return Stat(
                kind_of(mode), self._size, st.S_IMODE(mode), raw.di_uid, raw.di_gid, *times, int(raw.di_nlink) or 1
            )

    # data

    def _fork(self, attributes: bool = False) -> tuple[int, bytes, int]:
        """Return the format, bytes and number of extents of the data or the attribute fork."""
        node, raw = self._inode, self._inode.inode
        start = 176 if raw.di_version == 3 else 100
        buffer = node._buf.getvalue()
        split = start + raw.di_forkoff * 8 if raw.di_forkoff else len(buffer)
        if attributes:
            return int(raw.di_aformat), buffer[split:], int(node.attr_extents)
        return int(raw.di_format), buffer[start:split], int(node.data_extents)

    def _runs(self, fork: tuple[int, bytes, int]) -> Iterator[Run]:
        kind, raw, count = fork
        if kind == _EXTENTS:
            yield from self._records(raw[: count * 16])
        elif kind == _BTREE:
            level, records = struct.unpack_from(">HH", raw)
            start = 4 + (len(raw) - 4) // 16 * 8
            yield from self._children(raw[start : start + records * 8], level, [MAX_RUNS])
        else:
            raise DiskError("an inode of a format that has no blocks")

    def _children(self, pointers: bytes, level: int, budget: list[int]) -> Iterator[Run]:
        """Walk the B+tree blocks below these pointers, which must be of one level less."""
        size, header = self.tree.block_size, 72 if self.tree.v5 else 24
        for (pointer,) in struct.iter_unpack(">Q", pointers[: len(pointers) // 8 * 8]):
            node = read_exact(self.tree.block, self.tree.place(pointer), size, "an extent tree")
            magic, own, count = struct.unpack_from(">4sHH", node)
            budget[0] -= count + 1
            if magic not in (b"BMAP", b"BMA3") or own != level - 1 or budget[0] < 0:
                raise DiskError("an extent tree is damaged")
            if own == 0:
                yield from self._records(node[header : header + 16 * count])
            else:
                start = header + (size - header) // 16 * 8
                yield from self._children(node[start : start + 8 * count], own, budget)

    def _records(self, raw: bytes) -> Iterator[Run]:
        size = self.tree.block_size
        for high, low in struct.iter_unpack(">QQ", raw[: len(raw) // 16 * 16]):
            start, count = (high & (1 << 63) - 1) >> 9, low & (1 << 21) - 1
            place = self.tree.place((high & 511) << 43 | low >> 21)
            yield start * size, count * size, None if high >> 63 else place

    def _data(self) -> IO[bytes]:
        with guarded("the file's block map"):
            fork = self._fork()
            if fork[0] == _LOCAL:
                return BytesIO(fork[1][: self._size])
            return cast("IO[bytes]", RunFile(self.tree.block, list(self._runs(fork)), self._size))

    def open(self) -> IO[bytes]:
        """See Node."""
        if not st.S_ISREG(self._mode):
            raise Unreadable("not a regular file")
        return self._data()

    def link(self) -> str:
        """See Node."""
        with guarded("a symbolic link"):
            fork, size = self._fork(), self._size
            if fork[0] == _LOCAL:
                return fork[1][:size].decode("utf-8", "surrogateescape")
            if size > 4096:
                raise Unreadable("a symbolic link that long can't be")
            parts, skip = [], _REMOTE_HEADER if self.tree.v5 else 0
            for _, length, place in sorted(self._runs(fork)):
                raw = read_exact(self.tree.block, place or 0, length, "a symbolic link")
                step = self.tree.block_size if skip else length
                parts += [raw[at + skip : at + step] for at in range(0, length, step)]
            return b"".join(parts)[:size].decode("utf-8", "surrogateescape")

    # directories

    def read_entries(self) -> Iterator[tuple[str, int]]:
        """See EntryNode."""
        if not st.S_ISDIR(self._mode):
            return
        fork = self._fork()
        if fork[0] == _LOCAL:
            yield from self._short_form(fork[1])
            return
        if self._size > MAX_DIR:
            raise TooLarge(f"the directory has more than {MAX_DIR} bytes")
        data, step = self._data().read(), self.tree.dir_block
        for at in range(0, len(data), step):
            yield from self._dir_block(data[at : at + step])

    def node(self, entry: int) -> XfsNode:
        """See EntryNode."""
        return XfsNode(self.tree, entry)

    def _short_form(self, raw: bytes) -> Iterator[tuple[str, int]]:
        count, wide = raw[0], raw[1]
        width = 8 if wide else 4
        at = 2 + width
        for _ in range(count or wide):
            length = raw[at]
            name = raw[at + 3 : at + 3 + length]
            at += 3 + length + (1 if self.tree.ftype else 0)
            yield name.decode("utf-8", "surrogateescape"), int.from_bytes(raw[at : at + width], "big")
            at += width

    def _dir_block(self, raw: bytes) -> Iterator[tuple[str, int]]:
        magic = raw[:4]
        if magic not in (b"XD2B", b"XD2D", b"XDB3", b"XDD3"):
            return
        end = len(raw)
        if magic in (b"XD2B", b"XDB3"):
            end -= 8 + 8 * struct.unpack_from(">I", raw, len(raw) - 8)[0]
        at = 64 if magic in (b"XDB3", b"XDD3") else 16
        while at + 12 <= end:
            if raw[at : at + 2] == b"\xff\xff":
                length = struct.unpack_from(">H", raw, at + 2)[0]
                if length < 8:
                    raise DiskError("a directory entry has no length")
                at += length
                continue
            number, length = struct.unpack_from(">QB", raw, at)
            yield raw[at + 9 : at + 9 + length].decode("utf-8", "surrogateescape"), number
            at += (9 + length + (1 if self.tree.ftype else 0) + 2 + 7) & ~7

    # extended attributes

    def xattrs(self) -> Xattrs:
        """See Node."""
        with guarded("the extended attributes"):
            if not self._inode.inode.di_forkoff:
                return ()
            fork = self._fork(attributes=True)
            found = _short_attributes(fork[1]) if fork[0] == _LOCAL else self._leaves(fork)
            return tuple(sorted(_named(flags, name, value) for flags, name, value in found if not flags & ~6))

    def _leaves(self, fork: tuple[int, bytes, int]) -> Iterator[tuple[int, bytes, bytes]]:
        size = self.tree.block_size
        runs = list(self._runs(fork))
        data = RunFile(self.tree.block, runs, min(max((a + n for a, n, _ in runs), default=0), MAX_DIR))
        for at in range(0, data.size, size):
            data.seek(at)
            leaf = data.read(size)
            if leaf[8:10] in (b"\xfb\xee", b"\x3b\xee"):
                yield from self._leaf(leaf, data, leaf[8:10] == b"\x3b\xee")

    def _leaf(self, leaf: bytes, data: RunFile, v5: bool) -> Iterator[tuple[int, bytes, bytes]]:
        count = struct.unpack_from(">H", leaf, 56 if v5 else 12)[0]
        start = 80 if v5 else 32
        for at in range(start, min(start + 8 * count, len(leaf) - 7), 8):
            index, flags = struct.unpack_from(">4xHB", leaf, at)
            if flags & 1:
                size, length = struct.unpack_from(">HB", leaf, index)
                name = leaf[index + 3 : index + 3 + length]
                yield flags & ~1, name, leaf[index + 3 + length : index + 3 + length + size]
            else:
                block, size, length = struct.unpack_from(">IIB", leaf, index)
                yield flags, leaf[index + 9 : index + 9 + length], self._remote(data, block, size, v5)

    def _remote(self, data: RunFile, block: int, size: int, v5: bool) -> bytes:
        step, skip, value = self.tree.block_size, _REMOTE_HEADER if v5 else 0, b""
        if size > 65536:
            raise DiskError("an extended attribute that large can't be")
        at = block * step
        while len(value) < size:
            data.seek(at)
            piece = data.read(step)[skip:]
            if not piece:
                raise DiskError("an extended attribute is cut off")
            value, at = value + piece, at + step
        return value[:size]


def _short_attributes(raw: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    count, at = raw[2], 4
    for _ in range(count):
        length, size, flags = raw[at : at + 3]
        yield flags, raw[at + 3 : at + 3 + length], raw[at + 3 + length : at + 3 + length + size]
        at += 3 + length + size


def _named(flags: int, raw: bytes, value: bytes) -> tuple[str, bytes]:
    name = raw.decode("utf-8", "surrogateescape")
    if flags & _ROOT and name in ("SGI_ACL_FILE", "SGI_ACL_DEFAULT"):
        which = "access" if name.endswith("FILE") else "default"
        count = min(struct.unpack_from(">I", value)[0], len(value) // 12)
        entries = [struct.unpack_from(">IIH", value, 4 + 12 * i) for i in range(count)]
        kept = [(tag, perm, who if tag in (2, 8) else 0xFFFFFFFF) for tag, who, perm in entries]
        return f"system.posix_acl_{which}", acl_xattr(kept)
    return ("trusted." if flags & _ROOT else "security." if flags & _SECURE else "user.") + name, value


def _when(stamp: int, big: bool) -> int:
    """Old inodes keep signed 32-bit seconds, which dissect reads as unsigned."""
    seconds = stamp // 1_000_000_000
    return stamp - (1 << 32) * 1_000_000_000 if not big and seconds >= 1 << 31 else stamp
