"""NTFS, read only: dissect.ntfs reads the MFT; links, names and state are presented as ntfs-3g does."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import IO, Any, cast

from guestfix.backends.filesystems.node import EntryNode, Xattrs, guarded
from guestfix.backends.volumes.block import Block, Window
from guestfix.backends.volumes.probe import probe
from guestfix.base.bounds import FOLDER_NAMES
from guestfix.base.errors import Packed, Unreadable
from guestfix.base.guest import Kind, Space, Stat

MAX_NAMES = FOLDER_NAMES
_STANDARD, _NAME, _REPARSE, _VOLUME_BITMAP = 0x10, 0x30, 0xC0, 6
_SYMLINK, _JUNCTION = 0xA000000C, 0xA0000003
_DOS_ONLY = 2
HIBERNATED = "the Windows on it is hibernated or was shut down with Fast Startup; ntfs drivers refuse to write to it"
DIRTY = "the NTFS volume is marked dirty: Windows was not shut down cleanly"


class NtfsTree:
    """An NTFS filesystem on a block device. DiskError where it can't be used."""

    case_insensitive = True

    def __init__(self, block: Block) -> None:
        from dissect.ntfs.ntfs import NTFS

        with guarded("the NTFS filesystem"):
            self.fs: Any = NTFS(Window(block, 0, block.size))
        self.block = block
        self.warnings: tuple[str, ...] = self._state()

    def _state(self) -> tuple[str, ...]:
        found = probe(self.block)
        said = [DIRTY] if found is not None and found.unclean else []
        node = next((self.root().child(name) for name in self.root().names() if name.lower() == "hiberfil.sys"), None)
        if node is not None and node.stat().kind == "file" and node.open().read(4).lower() == b"hibr":
            said.append(HIBERNATED)
        return tuple(said)

    def root(self, subvolume: str = "") -> NtfsNode:
        """Return the root directory."""
        with guarded("the NTFS root directory"):
            return NtfsNode(self, self.fs.mft.get(5))

    def space(self) -> Space | None:
        """Count the free clusters in the volume's bitmap."""
        with guarded("the NTFS volume bitmap"):
            raw = self.fs.mft.get(_VOLUME_BITMAP).open().read(64 << 20)
            boot = self.fs.boot_sector
            total = int(boot.NumberSectors) * self.fs.sector_size
            clusters = total // self.fs.cluster_size
            used = int.from_bytes(raw, "little") & (1 << clusters) - 1
            return Space("", (clusters - used.bit_count()) * self.fs.cluster_size, total)


class NtfsNode(EntryNode[Any]):
    """One MFT record. See Node. Owner and mode are those of ntfs-3g without a user mapping: root, 0777."""

    most_names = MAX_NAMES

    def __init__(self, tree: NtfsTree, record: Any) -> None:
        self.tree, self.record = tree, record

    @cached_property
    def _reparse(self) -> int:
        attributes = self.record.attributes
        return int(attributes[_REPARSE].tag) if _REPARSE in attributes else 0

    def stat(self) -> Stat:
        """See Node."""
        with guarded("an MFT record"):
            kind: Kind = "dir" if self.record.is_dir() else "file"
            size = 0 if kind == "dir" or not self.record.has_stream() else int(self.record.size())
            if self._reparse in (_SYMLINK, _JUNCTION):
                kind, size = "symlink", len(self.link().encode("utf-8", "surrogateescape"))
            info = self.record.attributes[_STANDARD]
            times = int(info.last_modification_time_ns), int(info.last_access_time_ns)
            links = sum(int(name.flags) != _DOS_ONLY for name in self.record.attributes[_NAME])
            return Stat(kind, size, 0o777, 0, 0, *times, max(1, links))

    def link(self) -> str:
        """Return the target of a junction or symbolic link in this guest's form: ``/Users`` for Users on C:."""
        with guarded("a reparse point"):
            if self._reparse not in (_SYMLINK, _JUNCTION):
                raise Unreadable("not a symbolic link")
            text = str(self.record.attributes[_REPARSE].substitute_name).rstrip("\0")
            text = text.removeprefix("\\??\\").replace("\\", "/")
            return text[2:] or "/" if text[1:2] == ":" else text

    def open(self) -> IO[bytes]:
        """See Node. Files packed by Windows itself (CompactOS, deduplication) are Unreadable."""
        with guarded("a file on NTFS"):
            if self.record.is_dir():
                raise Unreadable("not a regular file")
            if self._reparse:
                raise Packed(f"the file is kept behind a reparse point ({self._reparse:#x}) that isn't understood")
            return cast("IO[bytes]", self.record.open())

    def read_entries(self) -> Iterator[tuple[str, Any]]:
        """See EntryNode. The filesystem's own files and names that only DOS sees are left out."""
        for entry in self.record.iterdir() if self.record.is_dir() else ():
            name = entry.attribute
            segment = int(entry.header.FileReference.SegmentNumberLowPart)
            if name is not None and int(name.flags) != _DOS_ONLY and segment >= 24:
                yield str(name.file_name), entry

    def node(self, entry: Any) -> NtfsNode:
        """See EntryNode."""
        return NtfsNode(self.tree, entry.dereference())

    def xattrs(self) -> Xattrs:
        """See Node; none, as ntfs-3g with streams_interface=none."""
        return ()
