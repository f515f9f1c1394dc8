"""Btrfs, read only: dissect.btrfs walks the trees; subvolumes, attributes and bounds are here."""

from __future__ import annotations

import stat as st
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import IO, Any, cast

from guestfix.backends.filesystems.node import EntryNode, Xattrs, guarded, not_replayed
from guestfix.backends.volumes.block import Block, DiskError, Window
from guestfix.base.bounds import FOLDER_NAMES
from guestfix.base.errors import NotFound, Unreadable
from guestfix.base.guest import Space, Stat, kind_of
from guestfix.base.record import frozen

MAX_NAMES = FOLDER_NAMES
MAX_SUBVOLUMES = 4096
_XATTR_ITEM, _TOP = 24, 5


@frozen
class Subvolume:
    """A subvolume: ``path`` from the top, whether it is read only, and whether it was made as a snapshot."""

    id: int
    path: str
    readonly: bool
    snapshot: bool


MAX_DEPTH, MAX_STEPS, MAX_NESTING = 8, 300_000, 256


def _bounded_btrfs() -> Any:
    """Return dissect's Btrfs class, whose walk through a tree ends in an error where the tree has a circle."""
    from dissect.btrfs import tree
    from dissect.btrfs.btrfs import Btrfs

    if getattr(tree.Cursor, "guestfix", False):
        return Btrfs

    class Cursor(tree.Cursor):  # type: ignore[misc]
        guestfix = True
        steps = 0

        def push(self, address: int, initial_index: int = 0) -> None:
            super().push(address, initial_index)
            above, header = self._path[-1][1], self._header
            level = int(above.level) - 1 if above is not None else int(header.level)
            if level > MAX_DEPTH or int(header.level) != level or int(header.bytenr) != address:
                raise DiskError("a Btrfs tree is damaged")
            if int(header.nritems) > len(self._node) // 25:
                raise DiskError("a Btrfs tree is damaged")

        def _read_key(self, index: int) -> Any:
            self.steps += 1
            if self.steps > MAX_STEPS:
                raise DiskError("a Btrfs tree has more items than it can have")
            return super()._read_key(index)

        def next_node(self) -> None:
            self.steps += 1
            if self.steps > MAX_STEPS:
                raise DiskError("a Btrfs tree has more items than it can have")
            super().next_node()

    tree.Cursor = Cursor
    return Btrfs


class BtrfsTree:
    """A Btrfs filesystem over all of its devices. DiskError where it can't be used."""

    case_insensitive = False

    def __init__(self, blocks: Sequence[Block]) -> None:
        bounded = _bounded_btrfs()
        with guarded("the Btrfs filesystem"):
            self.fs: Any = bounded([Window(block, 0, block.size) for block in blocks])
            self.sb = self.fs.sb
            if int(self.sb.num_devices) > len(blocks):
                raise DiskError(f"the Btrfs filesystem has {self.sb.num_devices} devices, {len(blocks)} are here")
            unclean = bool(self.sb.log_root)
            self.default = int(self.fs.default_subvolume.objectid)
        self.warnings = not_replayed("log tree", unclean, "what was last fsynced is missing")

    @cached_property
    def subvolumes(self) -> tuple[Subvolume, ...]:
        """All subvolumes, the top first."""
        with guarded("the Btrfs subvolumes"):
            found = []
            for one in self.fs.subvolumes():
                item = one.tree.root_item
                top = int(one.objectid) == _TOP
                parent = bytes(item.parent_uuid)
                found.append(
                    Subvolume(
                        int(one.objectid),
                        "" if top else self._path(int(one.objectid)),
                        bool(item.flags & 1),
                        any(parent),
                    )
                )
                if len(found) >= MAX_SUBVOLUMES:
                    break
            return tuple(found)

    def _path(self, number: int) -> str:
        """Return a subvolume's path from the top, by the back references in the root tree."""
        from dissect.btrfs.c_btrfs import c_btrfs

        parts: list[str] = []
        while number != _TOP:
            item, data = self.fs._root_tree.find(objectid=number, type=c_btrfs.BTRFS_ROOT_BACKREF_KEY)
            reference = c_btrfs.btrfs_root_ref(data)
            parts.append(reference.name.decode(errors="surrogateescape"))
            number = int(item.key.offset)
            tree, folder = self.fs.open_subvolume(number).tree, int(reference.dirid)
            while folder != c_btrfs.BTRFS_FIRST_FREE_OBJECTID:
                item, data = tree.find(folder, c_btrfs.BTRFS_INODE_REF_KEY)
                parts.append(c_btrfs.btrfs_inode_ref(data).name.decode(errors="surrogateescape"))
                folder = int(item.key.offset)
                if len(parts) > MAX_NESTING:
                    raise DiskError("a Btrfs subvolume is nested in itself")
            if len(parts) > MAX_NESTING:
                raise DiskError("a Btrfs subvolume is nested in itself")
        return "/".join(reversed(parts))

    def root(self, subvolume: str = "") -> BtrfsNode:
        """Return the root of the default subvolume, or of the one named by path or by ``subvolid:N``."""
        number = self.default if not subvolume else self._find(subvolume)
        with guarded("the Btrfs subvolume"):
            return BtrfsNode(self, self.fs.open_subvolume(number).root)

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
        return Space("", max(0, int(self.sb.total_bytes) - int(self.sb.bytes_used)), int(self.sb.total_bytes))


class BtrfsNode(EntryNode[Any]):
    """One inode. See Node."""

    most_names = MAX_NAMES

    def __init__(self, tree: BtrfsTree, inode: Any) -> None:
        self.tree, self.inode = tree, inode

    def stat(self) -> Stat:
        """See Node."""
        with guarded("a Btrfs inode"):
            raw = self.inode.inode
            mode = int(raw.mode)
            times = int(self.inode.mtime_ns), int(self.inode.atime_ns)
            return Stat(
                kind_of(mode), int(raw.size), st.S_IMODE(mode), int(raw.uid), int(raw.gid), *times, int(raw.nlink)
            )

    def read_entries(self) -> Iterable[tuple[str, Any]]:
        """See EntryNode."""
        return self.inode.iterdir() if st.S_ISDIR(int(self.inode.inode.mode)) else ()

    def node(self, entry: Any) -> BtrfsNode:
        """See EntryNode."""
        return BtrfsNode(self.tree, entry)

    def link(self) -> str:
        """See Node."""
        with guarded("a symbolic link"):
            return str(self.inode.link)

    def open(self) -> IO[bytes]:
        """See Node."""
        if self.stat().kind != "file":
            raise Unreadable("not a regular file")
        with guarded("the file's extents"):
            return cast("IO[bytes]", self.inode.open())

    def xattrs(self) -> Xattrs:
        """See Node."""
        with guarded("the extended attributes"):
            found = []
            cursor = self.inode.subvolume.tree.cursor()
            for _, data in cursor.iter(self.inode.inum, _XATTR_ITEM, 0, ignore_offset=True):
                raw = bytes(data)
                while len(raw) >= 30:
                    size, length = int.from_bytes(raw[25:27], "little"), int.from_bytes(raw[27:29], "little")
                    name = raw[30 : 30 + length].decode("utf-8", "surrogateescape")
                    found.append((name, raw[30 + length : 30 + length + size]))
                    raw = raw[30 + length + size :]
            return tuple(sorted(found))
