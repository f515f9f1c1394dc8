"""Btrfs, read only: subvolumes, folders, files and attributes, as the kernel shows them; its log is not replayed."""

from __future__ import annotations

import stat as st
import struct
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import IO, cast

from guestfix.backends.filesystems.btrfsdata import BtrfsFile
from guestfix.backends.filesystems.btrfstree import Volume
from guestfix.backends.filesystems.node import EntryNode, Xattrs, guarded, not_replayed
from guestfix.backends.volumes.block import COPY, Block, DiskError, told
from guestfix.base.bounds import FOLDER_NAMES
from guestfix.base.errors import NotFound, Unreadable
from guestfix.base.guest import Space, Stat, kind_of
from guestfix.base.record import frozen

MAX_SUBVOLUMES, MAX_NESTING = 4096, 256
_MAX_LINK = 4096
_INODE, _INODE_REF, _XATTR, _DIR_ITEM, _DIR_INDEX, _EXTENT = 1, 12, 24, 84, 96, 108
_ROOT, _ROOT_BACKREF, _ROOT_REF = 132, 144, 156
_ROOT_FOLDER, _TOP, _FIRST, _LAST = 6, 5, 256, (1 << 64) - 256
_READ_ONLY = 1


@frozen
class Subvolume:
    """A subvolume: ``path`` from the top, whether it is read only, and whether it was made as a snapshot."""

    id: int
    path: str
    readonly: bool
    snapshot: bool


@frozen
class Root:
    """A subvolume's own tree: its number, and address and level of its root."""

    id: int
    at: tuple[int, int]
    readonly: bool
    snapshot: bool


class BtrfsTree:
    """A Btrfs filesystem over all of its devices. DiskError where it can't be used."""

    case_insensitive = False

    def __init__(self, blocks: Sequence[Block]) -> None:
        with guarded("the Btrfs filesystem"):
            self.volume = Volume(blocks)
            self.default = self._default()
        self.warnings = not_replayed("log tree", bool(self.volume.sb.log), "what was last fsynced is missing")

    def _default(self) -> int:
        """Return the default subvolume's number: the entry "default" of the root tree's own folder, else the top."""
        low, high = (_ROOT_FOLDER, _DIR_ITEM, 0), (_ROOT_FOLDER, _DIR_ITEM, 1 << 64)
        for _, raw in self.volume.items(self.volume.sb.root, low, high):
            for number, _, name, _ in _named(raw):
                if name == "default":
                    return number
        return _TOP

    def tree(self, number: int) -> Root:
        """Return a subvolume's tree. NotFound where there is none."""
        found = self.volume.item(self.volume.sb.root, number, _ROOT)
        if found is None:
            raise NotFound("no such Btrfs subvolume", where=f"subvolid:{number}")
        return _root_of(number, found[1])

    @cached_property
    def subvolumes(self) -> tuple[Subvolume, ...]:
        """All subvolumes, the top first; none that is being deleted."""
        with guarded("the Btrfs subvolumes"):
            root, found = self.volume.sb.root, [self.tree(_TOP)]
            for (number, kind, _), raw in self.volume.items(root, (_FIRST, _ROOT, 0), (_LAST, _ROOT, 1 << 64)):
                if kind == _ROOT and number != found[-1].id and self.volume.item(root, number, _ROOT_BACKREF):
                    found.append(_root_of(number, raw))
                    if len(found) >= MAX_SUBVOLUMES:
                        break
            return tuple(
                Subvolume(one.id, "" if one.id == _TOP else self._path(one.id), one.readonly, one.snapshot)
                for one in found
            )

    def _path(self, number: int) -> str:
        """Return a subvolume's path from the top, by the back references in the root tree."""
        parts: list[str] = []
        while number != _TOP:
            found = self.volume.item(self.volume.sb.root, number, _ROOT_BACKREF)
            if found is None or len(found[1]) < 18:
                raise DiskError(told("a Btrfs subvolume is in no other", COPY))
            (folder,) = struct.unpack_from("<Q", found[1])
            parts.append(_text(found[1][18:]))
            number = found[0][2]
            tree = self.tree(number)
            while folder != _FIRST:
                above = self.volume.item(tree.at, folder, _INODE_REF)
                if above is None or len(above[1]) < 10:
                    raise DiskError(told("a Btrfs folder is in no other", COPY))
                (length,) = struct.unpack_from("<H", above[1], 8)
                parts.append(_text(above[1][10 : 10 + length]))
                folder = above[0][2]
                if len(parts) > MAX_NESTING:
                    raise DiskError("a Btrfs subvolume is nested in itself")
            if len(parts) > MAX_NESTING:
                raise DiskError("a Btrfs subvolume is nested in itself")
        return "/".join(reversed(parts))

    def root(self, subvolume: str = "") -> BtrfsNode:
        """Return the root of the default subvolume, or of the one named by path or by ``subvolid:N``."""
        number = self.default if not subvolume else self._find(subvolume)
        with guarded("the Btrfs subvolume"):
            return BtrfsNode(self, self.tree(number), _FIRST)

    def _find(self, name: str) -> int:
        if name.startswith("subvolid:"):
            digits = name.removeprefix("subvolid:")
            number = int(digits) if digits.isdecimal() and len(digits) < 20 else -1
            number = _TOP if number == 0 else number
            if any(one.id == number for one in self.subvolumes):
                return number
        wanted = name.strip("/")
        for one in self.subvolumes:
            if one.path == wanted:
                return one.id
        raise NotFound("no such Btrfs subvolume", where=name)

    def space(self) -> Space | None:
        """Return the superblock's totals; what Btrfs can really use of them isn't known without its trees."""
        sb = self.volume.sb
        return Space("", max(0, sb.total - sb.used), sb.total)


Entry = tuple[int, int]
"""Number of an inode in the same tree, or of a subvolume; and which (the type of the item that it names)."""


class BtrfsNode(EntryNode[Entry]):
    """One inode. See Node."""

    most_names = FOLDER_NAMES

    def __init__(self, tree: BtrfsTree, root: Root, number: int) -> None:
        self.tree, self.root, self.number = tree, root, number

    @cached_property
    def raw(self) -> bytes:
        """The inode as it is on the disk."""
        with guarded(f"inode {self.number}"):
            found = self.tree.volume.item(self.root.at, self.number, _INODE)
            if found is None or len(found[1]) < 160:
                raise DiskError(told(f"there is no inode {self.number}", COPY))
            return found[1]

    @property
    def _mode(self) -> int:
        return int.from_bytes(self.raw[52:56], "little")

    @property
    def _size(self) -> int:
        size = int.from_bytes(self.raw[16:24], "little")
        if size >> 63:
            raise DiskError(told("an inode's size can't be", COPY))
        return size

    def stat(self) -> Stat:
        """See Node."""
        with guarded("a Btrfs inode"):
            links, uid, gid, mode = struct.unpack_from("<IIII", self.raw, 40)
            return Stat(
                kind_of(mode), self._size, st.S_IMODE(mode), uid, gid, self._time(136), self._time(112), links
            )  # fmt: skip

    def _time(self, at: int) -> int:
        seconds, rest = struct.unpack_from("<qI", self.raw, at)
        return int(seconds * 1_000_000_000 + rest)

    def _items(self, kind: int) -> Iterator[tuple[tuple[int, int, int], bytes]]:
        return self.tree.volume.items(self.root.at, (self.number, kind, 0), (self.number, kind, 1 << 64))

    def read_entries(self) -> Iterator[tuple[str, Entry]]:
        """See EntryNode."""
        if st.S_ISDIR(self._mode):
            for _, raw in self._items(_DIR_INDEX):
                for number, kind, name, _ in _named(raw):
                    yield name, (number, kind)

    def node(self, entry: Entry) -> BtrfsNode:
        """See EntryNode. What a snapshot has in the place of a subvolume below it is an empty folder."""
        number, kind = entry
        if kind == _INODE:
            return BtrfsNode(self.tree, self.root, number)
        if kind != _ROOT:
            raise DiskError(told("a Btrfs folder names what is no inode", COPY))
        if self.tree.volume.item(self.tree.volume.sb.root, self.root.id, _ROOT_REF, number) is None:
            return _Nothing(self.tree, self.root, self.number)
        return BtrfsNode(self.tree, self.tree.tree(number), _FIRST)

    def _data(self) -> BtrfsFile:
        return BtrfsFile(self.tree.volume, self._items(_EXTENT), self._size)

    def link(self) -> str:
        """See Node."""
        with guarded("a symbolic link"):
            if not st.S_ISLNK(self._mode) or self._size > _MAX_LINK:
                raise Unreadable("a symbolic link that long can't be")
            return _text(self._data().read())

    def open(self) -> IO[bytes]:
        """See Node."""
        if self.stat().kind != "file":
            raise Unreadable("not a regular file")
        with guarded("the file's extents"):
            return cast("IO[bytes]", self._data())

    def xattrs(self) -> Xattrs:
        """See Node."""
        with guarded("the extended attributes"):
            return tuple(sorted((name, value) for _, raw in self._items(_XATTR) for _, _, name, value in _named(raw)))


class _Nothing(BtrfsNode):
    """The empty folder in a snapshot where a subvolume was that the snapshot does not have."""

    def read_entries(self) -> Iterator[tuple[str, Entry]]:
        """See EntryNode."""
        return iter(())

    def stat(self) -> Stat:
        """See Node."""
        own = super().stat()
        return Stat("dir", 0, 0o755, own.uid, own.gid, own.mtime_ns, own.atime_ns, 1)

    def xattrs(self) -> Xattrs:
        """See Node."""
        return ()


def _root_of(number: int, raw: bytes) -> Root:
    if len(raw) < 239:
        raise DiskError(told("a Btrfs subvolume's root is cut off", COPY))
    address, flags = int.from_bytes(raw[176:184], "little"), int.from_bytes(raw[208:216], "little")
    return Root(number, (address, raw[238]), bool(flags & _READ_ONLY), any(raw[263:279]))


def _named(raw: bytes) -> Iterator[tuple[int, int, str, bytes]]:
    """Yield what a folder's or an attribute's item holds: number and type that it names, name, value."""
    while raw:
        if len(raw) < 30:
            raise DiskError(told("a Btrfs folder's entry is cut off", COPY))
        number, kind = struct.unpack_from("<QB", raw)
        size, length = struct.unpack_from("<HH", raw, 25)
        end = 30 + length + size
        if end > len(raw) or not length:
            raise DiskError(told("a Btrfs folder's entry is damaged", COPY))
        yield number, kind, _text(raw[30 : 30 + length]), raw[30 + length : end]
        raw = raw[end:]


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
