"""XFS, read only, after "XFS Algorithms & Data Structures" (3rd edition) and the kernel's Documentation.

Versions 4 and 5, with everything that mkfs.xfs can ask for but a realtime device. The log is not replayed. Names of
a filesystem that ignores case (mkfs.xfs -n version=ci) are looked up as they are written.
"""

from __future__ import annotations

import stat as st
import struct
from collections.abc import Iterator
from functools import cached_property
from typing import IO, cast

from guestfix.backends.filesystems.node import (
    MAX_DIR,
    MAX_RUNS,
    EntryNode,
    Memo,
    Run,
    RunFile,
    Xattrs,
    guarded,
    not_replayed,
)
from guestfix.backends.filesystems.xfsattributes import leaf_attributes, named, short_attributes
from guestfix.backends.volumes.block import Block, DiskError, read_exact
from guestfix.backends.volumes.xfslog import is_dirty
from guestfix.base.errors import TooLarge, Unreadable
from guestfix.base.guest import Space, Stat, kind_of
from guestfix.base.record import frozen

_LOCAL, _EXTENTS, _BTREE = 1, 2, 3
_NEEDS_REPAIR = 0x10
_INCOMPATIBLE = 0x1FF
"""ftype, sparse inodes, own metadata UUID, big times, needs repair, large extent counters, exchange-range, parent
pointers, metadata directory. What is newer (zoned) changes where data lies."""
_REALTIME, _BIG_TIMES, _LARGE_COUNTERS = 1, 8, 16
_MAX_LEVELS = 16
_MAX_LINK = 1024
_LINK_HEADER = 56
_EPOCH = 1 << 31


@frozen
class _Geometry:
    """Sizes in bytes; ``ag_log`` and ``inode_log`` are the widths of the parts of a block and an inode number."""

    block: int
    blocks: int
    ag_blocks: int
    ag_count: int
    ag_log: int
    inode: int
    inode_log: int
    dir_block: int
    v5: bool
    file_types: bool


def _geometry(sb: bytes) -> _Geometry:
    block, blocks = struct.unpack_from(">IQ", sb, 4)
    ag_blocks, ag_count = struct.unpack_from(">II", sb, 84)
    version, sector, inode, per_block = struct.unpack_from(">HHHH", sb, 100)
    block_log, _, inode_log, inode_bits, ag_log = sb[120:125]
    features, incompatible = struct.unpack_from(">I", sb, 200)[0], struct.unpack_from(">I", sb, 216)[0]
    v5 = version & 15 == 5
    if version & 15 not in (4, 5) or (not version & 0x2000 and not v5):
        raise DiskError("the XFS filesystem is older than version 4 with its second form of directories")
    if v5 and incompatible & ~_INCOMPATIBLE:
        unknown = incompatible & ~_INCOMPATIBLE
        raise DiskError(f"the XFS filesystem has features that can't be read here ({unknown:#x})")
    if v5 and incompatible & _NEEDS_REPAIR:
        raise DiskError("the XFS filesystem is marked as damaged; no kernel mounts it", remedy="run xfs_repair on it")
    sound = (
        9 <= block_log <= 16 and block == 1 << block_log and 8 <= inode_log <= 11 and inode == 1 << inode_log
        and per_block == 1 << inode_bits and inode_bits == block_log - inode_log and sb[192] + block_log <= 16
        and 512 <= sector <= 32768 and inode >= (512 if v5 else 256)
        and ag_count and ag_blocks and ag_log < 32 and ag_blocks <= 1 << ag_log
        and (ag_count - 1) * ag_blocks < blocks <= ag_count * ag_blocks
    )  # fmt: skip
    if not sound:
        raise DiskError("the XFS superblock is damaged")
    typed = bool(incompatible & 1) if v5 else bool(version & 0x8000 and features & 0x200)
    return _Geometry(block, blocks, ag_blocks, ag_count, ag_log, inode, inode_bits, block << sb[192], v5, typed)


class XfsTree:
    """An XFS filesystem on a block device. DiskError where it can't be used."""

    case_insensitive = False

    def __init__(self, block: Block) -> None:
        self.block = block
        sb = self._sb = read_exact(block, 0, 512, "the XFS superblock")
        if sb[:4] != b"XFSB":
            raise DiskError("no XFS filesystem: the magic number is missing")
        self.geometry = _geometry(sb)
        self.warnings = not_replayed("log", is_dirty(block, sb))
        self._inodes = Memo[int, bytes]()

    def place(self, number: int, count: int = 1) -> int:
        """Return the byte offset of a filesystem block; DiskError where it and those after it can't be."""
        geo = self.geometry
        group, within = number >> geo.ag_log, number & (1 << geo.ag_log) - 1
        if group >= geo.ag_count or within + count > geo.ag_blocks:
            raise DiskError(f"block {number} is outside the filesystem")
        return (group * geo.ag_blocks + within) * geo.block

    def inode(self, number: int) -> bytes:
        """Return an inode's bytes; those that were read lately are kept."""
        found = self._inodes.get(number)
        return found if found is not None else self._inodes.put(number, self._inode(number))

    def _inode(self, number: int) -> bytes:
        geo = self.geometry
        at = self.place(number >> geo.inode_log) + (number & (1 << geo.inode_log) - 1) * geo.inode
        raw = read_exact(self.block, at, geo.inode, "an inode")
        if raw[:2] != b"IN" or raw[4] not in ((3,) if geo.v5 else (1, 2)):
            raise DiskError(f"there is no inode {number}")
        if geo.v5 and int.from_bytes(raw[152:160], "big") != number:
            raise DiskError(f"inode {number} holds another one's number")
        return raw

    def root(self, subvolume: str = "") -> XfsNode:
        """Return the root directory."""
        return XfsNode(self, struct.unpack_from(">Q", self._sb, 56)[0])

    def space(self) -> Space | None:
        """Return the superblock's counts, exact after a clean unmount, less what XFS keeps back for itself.

        XFS makes inodes as it needs them, so their number says nothing.
        """
        geo, free, log = self.geometry, struct.unpack_from(">Q", self._sb, 144)[0], self._sb[96:100]
        internal = int.from_bytes(log, "big") if any(self._sb[48:56]) else 0
        kept = min(geo.blocks // 20, 8192) + 8 * geo.ag_count
        return Space("", max(0, free - kept) * geo.block, max(0, geo.blocks - internal) * geo.block)


class XfsNode(EntryNode[int]):
    """One inode. See Node."""

    def __init__(self, tree: XfsTree, number: int) -> None:
        self.tree, self.number = tree, number

    @cached_property
    def raw(self) -> bytes:
        """The inode as it is on the disk."""
        with guarded(f"inode {self.number}"):
            return self.tree.inode(self.number)

    @cached_property
    def _flags2(self) -> int:
        return int.from_bytes(self.raw[120:128], "big") if self.raw[4] == 3 else 0

    @property
    def _size(self) -> int:
        return int.from_bytes(self.raw[56:64], "big")

    @property
    def _mode(self) -> int:
        return int.from_bytes(self.raw[2:4], "big")

    def stat(self) -> Stat:
        """See Node."""
        raw, mode = self.raw, self._mode
        uid, gid, links = struct.unpack_from(">III", raw, 8)
        if raw[4] == 1:
            links = int.from_bytes(raw[6:8], "big")
        return Stat(kind_of(mode), self._size, st.S_IMODE(mode), uid, gid, self._time(40), self._time(32), links)

    def _time(self, at: int) -> int:
        """Return nanoseconds since 1970; a big time stamp counts them from the first second of the old kind."""
        if self._flags2 & _BIG_TIMES:
            return int.from_bytes(self.raw[at : at + 8], "big") - _EPOCH * 1_000_000_000
        seconds, rest = struct.unpack_from(">iI", self.raw, at)
        return int(seconds * 1_000_000_000 + rest)

    # data

    def _fork(self, attributes: bool = False) -> tuple[int, bytes, int]:
        """Return the format, bytes and number of extents of the data or the attribute fork."""
        raw, start = self.raw, 176 if self.raw[4] == 3 else 100
        split = start + raw[82] * 8 if raw[82] else len(raw)
        if split > len(raw):
            raise DiskError("an inode's attributes begin behind its end")
        large = self._flags2 & _LARGE_COUNTERS
        if attributes:
            return raw[83], raw[split:], int.from_bytes(raw[76:80] if large else raw[80:82], "big")
        return raw[5], raw[start:split], int.from_bytes(raw[24:32] if large else raw[76:80], "big")

    def _runs(self, fork: tuple[int, bytes, int]) -> list[Run]:
        kind, raw, count = fork
        if kind == _EXTENTS:
            if count * 16 > len(raw):
                raise DiskError("an inode has more extents than fit into it")
            return list(self._records(raw[: count * 16]))
        if kind != _BTREE:
            raise DiskError("an inode of a format that has no blocks")
        level, records = struct.unpack_from(">HH", raw)
        start = 4 + (len(raw) - 4) // 16 * 8
        if not 0 < level <= _MAX_LEVELS or start + records * 8 > len(raw):
            raise DiskError("an extent tree is damaged")
        found: list[Run] = []
        self._descend(raw[start : start + records * 8], level, found, set())
        return found

    def _descend(self, pointers: bytes, level: int, found: list[Run], seen: set[int]) -> None:
        """Collect the extents of the B+tree blocks below these pointers, which must be of one level less."""
        size, header = self.tree.geometry.block, 72 if self.tree.geometry.v5 else 24
        for (pointer,) in struct.iter_unpack(">Q", pointers):
            node = read_exact(self.tree.block, self.tree.place(pointer), size, "an extent tree")
            magic, own, count = struct.unpack_from(">4sHH", node)
            if magic not in (b"BMAP", b"BMA3") or own != level - 1 or header + 16 * count > size or pointer in seen:
                raise DiskError("an extent tree is damaged")
            seen.add(pointer)
            if own == 0:
                found.extend(self._records(node[header : header + 16 * count]))
            else:
                start = header + (size - header) // 16 * 8
                self._descend(node[start : start + 8 * count], own, found, seen)
            if len(found) > MAX_RUNS:
                raise TooLarge("the file has too many pieces")

    def _records(self, raw: bytes) -> Iterator[Run]:
        size = self.tree.geometry.block
        for high, low in struct.iter_unpack(">QQ", raw):
            start, count = (high & (1 << 63) - 1) >> 9, low & (1 << 21) - 1
            place = self.tree.place((high & 511) << 43 | low >> 21, count)
            yield start * size, count * size, None if high >> 63 else place

    def _data(self) -> RunFile:
        if int.from_bytes(self.raw[90:92], "big") & _REALTIME:
            raise Unreadable("its data is on the filesystem's realtime device, which is not looked for")
        if self._size >> 63:
            raise DiskError("an inode's size can't be")
        return RunFile(self.tree.block, self._runs(self._fork()), self._size)

    def open(self) -> IO[bytes]:
        """See Node."""
        if not st.S_ISREG(self._mode):
            raise Unreadable("not a regular file")
        with guarded("the file's block map"):
            return cast("IO[bytes]", self._data())

    def link(self) -> str:
        """See Node."""
        with guarded("a symbolic link"):
            fork, size = self._fork(), self._size
            if not st.S_ISLNK(self._mode) or size > _MAX_LINK:
                raise Unreadable("a symbolic link that long can't be")
            raw = fork[1] if fork[0] == _LOCAL else b"".join(self._link_pieces(fork, size))
            if len(raw) < size:
                raise DiskError("a symbolic link is cut off")
            return raw[:size].decode("utf-8", "surrogateescape")

    def _link_pieces(self, fork: tuple[int, bytes, int], size: int) -> Iterator[bytes]:
        """Yield a remote link's text; version 5 has a header before each extent's part of it."""
        skip = _LINK_HEADER if self.tree.geometry.v5 else 0
        for _, length, place in sorted(self._runs(fork), key=lambda run: run[0]):
            if place is None:
                raise DiskError("a symbolic link has no text")
            count = min(length, skip + size)
            piece = read_exact(self.tree.block, place, count, "a symbolic link")
            if skip and piece[:4] != b"XSLM":
                raise DiskError("a symbolic link's text is damaged")
            yield piece[skip:]

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
        data, step = self._data().read(), self.tree.geometry.dir_block
        for at in range(0, len(data), step):
            yield from self._dir_block(data[at : at + step])

    def node(self, entry: int) -> XfsNode:
        """See EntryNode."""
        return XfsNode(self.tree, entry)

    def _short_form(self, raw: bytes) -> Iterator[tuple[str, int]]:
        count, width = raw[0], 8 if raw[1] else 4
        at = 2 + width
        for _ in range(count):
            length = raw[at]
            name = raw[at + 3 : at + 3 + length]
            at += 3 + length + self.tree.geometry.file_types
            if not length or at + width > len(raw):
                raise DiskError("a directory entry is cut off")
            yield name.decode("utf-8", "surrogateescape"), int.from_bytes(raw[at : at + width], "big")
            at += width

    def _dir_block(self, raw: bytes) -> Iterator[tuple[str, int]]:
        v5, end = self.tree.geometry.v5, len(raw)
        alone, shared = (b"XDB3", b"XDD3") if v5 else (b"XD2B", b"XD2D")
        if raw[:4] == alone:
            end -= 8 + 8 * int.from_bytes(raw[-8:-4], "big")
        elif raw[:4] != shared:
            if raw.strip(b"\0"):
                raise DiskError("a directory's block is damaged")
            return  # a hole: nothing is left of what was in this block
        at = 64 if v5 else 16
        if end < at:
            raise DiskError("a directory's block is damaged")
        while at + 12 <= end:
            if raw[at : at + 2] == b"\xff\xff":
                length = int.from_bytes(raw[at + 2 : at + 4], "big")
                if length < 8:
                    raise DiskError("a directory entry has no length")
                at += length
                continue
            number, length = struct.unpack_from(">QB", raw, at)
            name, begin = raw[at + 9 : at + 9 + length], at
            at += (9 + length + self.tree.geometry.file_types + 2 + 7) & ~7
            if not length or at > end or int.from_bytes(raw[at - 2 : at], "big") != begin:
                raise DiskError("a directory entry is damaged")
            yield name.decode("utf-8", "surrogateescape"), number

    # extended attributes

    def xattrs(self) -> Xattrs:
        """See Node."""
        with guarded("the extended attributes"):
            if not self.raw[82]:
                return ()
            fork = self._fork(attributes=True)
            if fork[0] == _LOCAL:
                found = short_attributes(fork[1])
            elif fork[0] == _EXTENTS and not fork[2]:
                return ()
            else:
                runs, geo = self._runs(fork), self.tree.geometry
                size = min(max((start + length for start, length, _ in runs), default=0), MAX_DIR)
                found = leaf_attributes(RunFile(self.tree.block, runs, size), geo.block, geo.v5)
            return tuple(sorted(pair for one in found for pair in named(*one)))
