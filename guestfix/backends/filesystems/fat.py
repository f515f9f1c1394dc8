"""FAT12, FAT16 and FAT32 with long names, read only, after Microsoft's fatgen103 and the kernel's vfat."""

from __future__ import annotations

import calendar
import struct
from collections.abc import Iterator
from functools import cached_property
from typing import IO, cast

from guestfix.backends.filesystems.node import MAX_DIR, EntryNode, RunFile, Xattrs, guarded
from guestfix.backends.volumes.block import Block, DiskError, read_at, read_exact
from guestfix.base.errors import Unreadable
from guestfix.base.guest import Space, Stat
from guestfix.base.record import frozen

MAX_FAT = 64 << 20


@frozen
class _Entry:
    cluster: int
    size: int
    folder: bool
    readonly: bool
    mtime: int
    atime: int


class FatTree:
    """A FAT filesystem on a block device. DiskError where its boot sector can't be used."""

    case_insensitive = True

    def __init__(self, block: Block) -> None:
        self.block = block
        boot = read_exact(block, 0, 512, "the FAT boot sector")
        self.sector, per_cluster, reserved, fats, entries, total = struct.unpack_from("<HBHBHH", boot, 11)
        size = struct.unpack_from("<H", boot, 22)[0] or struct.unpack_from("<I", boot, 36)[0]
        total = total or struct.unpack_from("<I", boot, 32)[0]
        if self.sector not in (512, 1024, 2048, 4096) or not per_cluster or not fats or not size:
            raise DiskError("the FAT boot sector is damaged")
        self.cluster = per_cluster * self.sector
        self.root_at, self.root_size = (reserved + fats * size) * self.sector, entries * 32
        self.data_at = self.root_at + -(-self.root_size // self.sector) * self.sector
        self.clusters = max(0, total * self.sector - self.data_at) // self.cluster
        self.bits = 12 if self.clusters < 4085 else 16 if self.clusters < 65525 else 32
        self.root_cluster = struct.unpack_from("<I", boot, 44)[0] if self.bits == 32 else 0
        self._fat_at, self._fat_size = reserved * self.sector, size * self.sector
        self.warnings: tuple[str, ...] = ()

    @cached_property
    def fat(self) -> bytes:
        """The first allocation table."""
        if self._fat_size > MAX_FAT * 8:
            raise DiskError("the FAT is larger than it can be")
        return read_exact(self.block, self._fat_at, self._fat_size, "the file allocation table")

    def chain(self, cluster: int) -> list[int]:
        """Return the clusters of a file. DiskError for a chain that leaves the disk or runs in a circle."""
        found: list[int] = []
        seen = bytearray(self.clusters + 2)
        while 2 <= cluster < self.clusters + 2:
            if seen[cluster]:
                raise DiskError("a FAT cluster chain runs in a circle")
            seen[cluster] = 1
            found.append(cluster)
            cluster = self._next(cluster)
        return found

    def _next(self, cluster: int) -> int:
        if self.bits == 32:
            return int(struct.unpack_from("<I", self.fat, cluster * 4)[0]) & 0x0FFFFFFF
        if self.bits == 16:
            return int(struct.unpack_from("<H", self.fat, cluster * 2)[0])
        word = struct.unpack_from("<H", self.fat, cluster + cluster // 2)[0]
        return int(word >> 4 if cluster & 1 else word & 0xFFF)

    def root(self, subvolume: str = "") -> FatNode:
        """Return the root directory."""
        return FatNode(self, _Entry(self.root_cluster, 0, True, False, 0, 0), is_root=True)

    def space(self) -> Space | None:
        """Count the free clusters."""
        with guarded("the file allocation table"):
            if self.bits == 12:
                free = sum(self._next(number) == 0 for number in range(2, self.clusters + 2))
            else:
                code, width, mask = ("I", 4, 0x0FFFFFFF) if self.bits == 32 else ("H", 2, 0xFFFF)
                words = struct.unpack_from(f"<{self.clusters}{code}", self.fat, 2 * width)
                free = sum(not word & mask for word in words)
        return Space("", free * self.cluster, self.clusters * self.cluster)


class FatNode(EntryNode[_Entry]):
    """A file or directory. See Node. Owner and mode are those of the kernel's vfat with umask 022."""

    def __init__(self, tree: FatTree, entry: _Entry, *, is_root: bool = False) -> None:
        self.tree, self.entry, self.is_root = tree, entry, is_root

    def stat(self) -> Stat:
        """See Node."""
        entry = self.entry
        mode = 0o555 if entry.readonly and not entry.folder else 0o755
        return Stat("dir" if entry.folder else "file", entry.size, mode, 0, 0, entry.mtime, entry.atime)

    def _data(self, size: int) -> IO[bytes]:
        tree = self.tree
        with guarded("a FAT cluster chain"):
            clusters = tree.chain(self.entry.cluster)
        runs: list[tuple[int, int, int | None]] = []
        for index, number in enumerate(clusters):
            at = tree.data_at + (number - 2) * tree.cluster
            last = runs[-1] if runs else None
            if last is not None and last[2] is not None and last[2] + last[1] == at:
                runs[-1] = (last[0], last[1] + tree.cluster, last[2])
            else:
                runs.append((index * tree.cluster, tree.cluster, at))
        length = len(clusters) * tree.cluster
        if size > length:
            raise DiskError("a FAT cluster chain is shorter than its file")
        return cast("IO[bytes]", RunFile(tree.block, runs, length if self.entry.folder else size))

    def open(self) -> IO[bytes]:
        """See Node."""
        if self.entry.folder:
            raise Unreadable("not a regular file")
        return self._data(self.entry.size)

    def read_entries(self) -> Iterator[tuple[str, _Entry]]:
        """See EntryNode."""
        if not self.entry.folder:
            return iter(())
        if self.is_root and self.tree.bits != 32:
            return _parse(read_at(self.tree.block, self.tree.root_at, self.tree.root_size))
        return _parse(self._data(0).read(MAX_DIR))

    def node(self, entry: _Entry) -> FatNode:
        """See EntryNode."""
        return FatNode(self.tree, entry)

    def link(self) -> str:
        """See Node; FAT has none."""
        raise Unreadable("FAT has no symbolic links")

    def xattrs(self) -> Xattrs:
        """See Node; FAT has none."""
        return ()


def _parse(raw: bytes) -> Iterator[tuple[str, _Entry]]:
    """Yield the entries of a directory; long names count only where their checksum fits the short name."""
    long: dict[int, bytes] = {}
    check = -1
    for at in range(0, len(raw) - 31, 32):
        entry = raw[at : at + 32]
        if entry[0] == 0:
            return
        if entry[0] == 0xE5:
            long = {}
        elif entry[11] & 0x3F == 0x0F:
            if entry[0] & 0x40:
                long, check = {}, entry[13]
            long[entry[0] & 0x3F] = entry[1:11] + entry[14:26] + entry[28:32]
        elif entry[11] & 8:
            long = {}
        else:
            name = _long_name(long) if long and check == _checksum(entry[:11]) else _short_name(entry)
            long = {}
            yield name, _entry(entry)


def _long_name(parts: dict[int, bytes]) -> str:
    text = b"".join(parts[key] for key in sorted(parts)).decode("utf-16-le", "replace")
    return text.partition("\0")[0].rstrip("\uffff")


def _short_name(entry: bytes) -> str:
    base = (b"\xe5" + entry[1:8] if entry[0] == 5 else entry[:8]).decode("cp437").rstrip()
    tail = entry[8:11].decode("cp437").rstrip()
    base = base.lower() if entry[12] & 8 else base
    tail = tail.lower() if entry[12] & 16 else tail
    return f"{base}.{tail}" if tail else base


def _checksum(name: bytes) -> int:
    total = 0
    for byte in name:
        total = ((total & 1) << 7) + (total >> 1) + byte & 0xFF
    return total


def _entry(raw: bytes) -> _Entry:
    high, low, size = struct.unpack_from("<H", raw, 20)[0], *struct.unpack_from("<HI", raw, 26)
    time, date, accessed = struct.unpack_from("<HH", raw, 22) + struct.unpack_from("<H", raw, 18)
    return _Entry(
        low | high << 16, size, bool(raw[11] & 0x10), bool(raw[11] & 1), _when(date, time), _when(accessed, 0)
    )


def _when(date: int, time: int) -> int:
    day = (1980 + (date >> 9), date >> 5 & 15 or 1, date & 31 or 1, time >> 11, time >> 5 & 63, (time & 31) * 2)
    return calendar.timegm(day) * 1_000_000_000
