"""NTFS, read only; links, names and state are presented as ntfs-3g does.

After the NTFS documentation of the Linux-NTFS project and [MS-FSCC]. The journal is not replayed. Files that Windows
encrypted, or packed behind a reparse point (CompactOS, deduplication), are told and not read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import cached_property
from typing import IO, cast

from guestfix.backends.filesystems.node import (
    MAX_DIR,
    EntryNode,
    Memo,
    RunFile,
    Xattrs,
    guarded,
)
from guestfix.backends.filesystems.ntfspacked import PackedFile
from guestfix.backends.filesystems.ntfsrecord import (
    ATTRIBUTE_LIST,
    COMPRESSED,
    DATA,
    ENCRYPTED,
    INDEX_ALLOCATION,
    INDEX_ROOT,
    NAME,
    REPARSE,
    STANDARD,
    Attribute,
    Record,
    geometry,
    joined,
    record_of,
    repaired,
    text_of,
)
from guestfix.backends.volumes.block import COPY, Block, DiskError, SeekableBlock, read_at, read_exact, told
from guestfix.backends.volumes.probe import probe
from guestfix.base.bounds import FOLDER_NAMES
from guestfix.base.errors import Packed, TooLarge, Unreadable
from guestfix.base.guest import Kind, Space, Stat

_MFT, _ROOT, _BITMAP, _FIRST_USER = 0, 5, 6, 24
_SYMLINK, _JUNCTION = 0xA000000C, 0xA0000003
_DOS_ONLY = 2
_FOLDER_INDEX = "$I30"
_SUBNODE, _LAST = 1, 2
_MAX_LIST, _MAX_UNIT = 1 << 18, 1 << 20
_REFERENCE = 0xFFFFFFFFFFFF
_SINCE_1601 = 116_444_736_000_000_000
HIBERNATED = "the Windows on it is hibernated or was shut down with Fast Startup; ntfs drivers refuse to write to it"
DIRTY = "the NTFS volume is marked dirty: Windows was not shut down cleanly"

Attributes = dict[tuple[int, str], list[Attribute]]


class NtfsTree:
    """An NTFS filesystem on a block device. DiskError where it can't be used."""

    case_insensitive = True

    def __init__(self, block: Block) -> None:
        self.block = block
        self.geometry = geometry(read_exact(block, 0, 512, "the NTFS boot sector"))
        self._records = Memo[int, Record]()
        geo = self.geometry
        with guarded("the NTFS master file table"):
            raw = read_exact(block, geo.mft * geo.cluster, geo.record, "the NTFS master file table")
            first = [one for one in record_of(raw, _MFT).attributes if (one.kind, one.name) == (DATA, "")]
            self._mft: SeekableBlock = self.stream(joined([one for one in first if one.lowest == 0]))
            self._mft = self.stream(joined(self.attributes(self.record(_MFT))[DATA, ""]))
        self.warnings: tuple[str, ...] = self._state()

    def _state(self) -> tuple[str, ...]:
        found = probe(self.block)
        said = [DIRTY] if found is not None and found.unclean else []
        node = next((self.root().child(name) for name in self.root().names() if name.lower() == "hiberfil.sys"), None)
        if node is not None and node.stat().kind == "file" and node.open().read(4).lower() == b"hibr":
            said.append(HIBERNATED)
        return tuple(said)

    def record(self, reference: int) -> Record:
        """Return a file record by its number, or by a reference that also has its sequence number."""
        number, sequence = reference & _REFERENCE, reference >> 48
        found = self._records.get(number)
        if found is None:
            size = self.geometry.record
            raw = read_at(self._mft, number * size, size)
            if len(raw) < size:
                raise DiskError(told(f"there is no file record {number}", COPY))
            found = self._records.put(number, record_of(raw, number))
        if sequence and found.sequence != sequence:
            raise DiskError(told(f"file record {number} is another file's by now", COPY))
        return found

    def attributes(self, record: Record) -> Attributes:
        """Return a file's attributes by kind and name, those of its further records too."""
        found = list(record.attributes)
        for one in record.attributes:
            if one.kind == ATTRIBUTE_LIST:
                found += self._further(record, one)
        table: Attributes = {}
        for one in found:
            table.setdefault((one.kind, one.name), []).append(one)
        return table

    def _further(self, record: Record, listed: Attribute) -> Iterator[Attribute]:
        if listed.size > _MAX_LIST:
            raise TooLarge("a file's list of attributes is too long")
        raw = listed.value if listed.value is not None else self.stream(listed).read()
        at, seen = 0, {record.number}
        while at + 26 <= len(raw):
            (length,) = struct.unpack_from("<H", raw, at + 4)
            (reference,) = struct.unpack_from("<Q", raw, at + 16)
            if length < 26:
                raise DiskError(told("a file's list of attributes is damaged", COPY))
            if reference & _REFERENCE not in seen:
                seen.add(reference & _REFERENCE)
                further = self.record(reference)
                if further.base != record.number:
                    raise DiskError(told("a file's list of attributes names a record of another file", COPY))
                yield from further.attributes
            at += length

    def stream(self, one: Attribute) -> SeekableBlock:
        """Return an attribute's bytes as a file. Unreadable where it is encrypted."""
        cluster = self.geometry.cluster
        if one.flags & ENCRYPTED:
            raise Unreadable("Windows encrypted this file (EFS), and its key is a user's")
        if one.value is not None:
            return _Held(one.value)
        runs = [
            (start * cluster, count * cluster, None if place is None else place * cluster)
            for start, count, place in one.pieces
        ]
        if one.flags & COMPRESSED and one.unit:
            if one.unit * cluster > _MAX_UNIT:
                raise DiskError(told("a packed file's unit can't be", COPY))
            whole = RunFile(self.block, runs, (runs[-1][0] + runs[-1][1]) if runs else 0)
            return PackedFile(whole, one.unit * cluster, one.size, one.initialized)
        known = [(start, min(length, one.initialized - start), place) for start, length, place in runs]
        return RunFile(self.block, [run for run in known if run[1] > 0], one.size)

    def root(self, subvolume: str = "") -> NtfsNode:
        """Return the root directory."""
        return NtfsNode(self, _ROOT)

    def space(self) -> Space | None:
        """Count the free clusters in the volume's bitmap."""
        with guarded("the NTFS volume bitmap"):
            raw = self.stream(joined(self.attributes(self.record(_BITMAP))[DATA, ""])).read(64 << 20)
            geo = self.geometry
            clusters = geo.sectors // geo.cluster
            used = int.from_bytes(raw, "little") & (1 << clusters) - 1
            return Space("", (clusters - used.bit_count()) * geo.cluster, geo.sectors)


class _Held(SeekableBlock):
    """Bytes that an attribute holds itself."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.data, self.size = data, len(data)

    def _next(self, count: int) -> bytes:
        return self.data[self._at : self._at + count]


class NtfsNode(EntryNode[int]):
    """One file record. See Node. Owner and mode are those of ntfs-3g without a user mapping: root, 0777."""

    most_names = FOLDER_NAMES

    def __init__(self, tree: NtfsTree, reference: int) -> None:
        self.tree, self.reference = tree, reference

    @cached_property
    def record(self) -> Record:
        """Its first file record."""
        return self.tree.record(self.reference)

    @cached_property
    def attributes(self) -> Attributes:
        """All of its attributes."""
        return self.tree.attributes(self.record)

    def _value(self, kind: int, least: int = 0) -> bytes:
        """Return an attribute that is kept within its record; empty where there is none."""
        value = next((one.value for one in self.attributes.get((kind, ""), ()) if one.value is not None), b"")
        if value and len(value) < least:
            raise DiskError(told("an attribute is cut off", COPY))
        return value

    @cached_property
    def _reparse(self) -> int:
        if (REPARSE, "") not in self.attributes:
            return 0
        return int.from_bytes(self.tree.stream(joined(self.attributes[REPARSE, ""])).read(4), "little")

    def stat(self) -> Stat:
        """See Node."""
        with guarded("a file record"):
            kind: Kind = "dir" if self.record.folder else "file"
            data = self.attributes.get((DATA, ""))
            size = joined(data).size if kind == "file" and data else 0
            if self._reparse in (_SYMLINK, _JUNCTION):
                kind, size = "symlink", len(self.link().encode("utf-8", "surrogateescape"))
            _, modified, _, seen = struct.unpack_from("<QQQQ", self._value(STANDARD, 32).ljust(32, b"\0"))
            names = [one.value for one in self.attributes.get((NAME, ""), ()) if one.value is not None]
            links = sum(len(one) > 65 and one[65] != _DOS_ONLY for one in names)
            return Stat(kind, size, 0o777, 0, 0, _time(modified), _time(seen), max(1, links))

    def link(self) -> str:
        """Return the target of a junction or symbolic link in this guest's form: ``/Users`` for Users on C:."""
        with guarded("a reparse point"):
            if self._reparse not in (_SYMLINK, _JUNCTION):
                raise Unreadable("not a symbolic link")
            raw = self.tree.stream(joined(self.attributes[REPARSE, ""])).read(1 << 16)
            at, length = struct.unpack_from("<HH", raw, 8)
            begin = (20 if self._reparse == _SYMLINK else 16) + at
            if begin + length > len(raw):
                raise DiskError(told("a link's text is cut off", COPY))
            text = text_of(raw[begin : begin + length]).rstrip("\0")
            text = text.removeprefix("\\??\\").replace("\\", "/")
            return text[2:] or "/" if text[1:2] == ":" else text

    def open(self) -> IO[bytes]:
        """See Node. Files packed by Windows itself (CompactOS, deduplication) are Unreadable."""
        with guarded("a file on NTFS"):
            if self.record.folder:
                raise Unreadable("not a regular file")
            if self._reparse:
                raise Packed(f"the file is kept behind a reparse point ({self._reparse:#x}) that isn't understood")
            data = self.attributes.get((DATA, ""))
            return cast("IO[bytes]", self.tree.stream(joined(data)) if data else _Held(b""))

    def read_entries(self) -> Iterator[tuple[str, int]]:
        """See EntryNode. The filesystem's own files and names that only DOS sees are left out."""
        if not self.record.folder:
            return
        for raw in self._index():
            reference, _, length = struct.unpack_from("<QHH", raw)
            if length < 66 or len(raw) < 16 + 66 + 2 * raw[16 + 64]:
                raise DiskError(told("a directory entry is damaged", COPY))
            if raw[16 + 65] != _DOS_ONLY and reference & _REFERENCE >= _FIRST_USER:
                yield text_of(raw[82 : 82 + 2 * raw[80]]), reference

    def node(self, entry: int) -> NtfsNode:
        """See EntryNode."""
        return NtfsNode(self.tree, entry)

    def xattrs(self) -> Xattrs:
        """See Node; none, as ntfs-3g with streams_interface=none."""
        return ()

    def _index(self) -> Iterator[bytes]:
        """Yield every entry of the directory's B+tree, from its root and from the blocks below."""
        root = joined(self.attributes[INDEX_ROOT, _FOLDER_INDEX]).value
        if root is None or len(root) < 32:
            raise DiskError(told("a directory's index is damaged", COPY))
        (size,) = struct.unpack_from("<I", root, 8)
        below = self.attributes.get((INDEX_ALLOCATION, _FOLDER_INDEX))
        blocks = self.tree.stream(joined(below)) if below else _Held(b"")
        unit = self.tree.geometry.cluster if size >= self.tree.geometry.cluster else 512
        todo, seen, total = [root[16:]], set[int](), 0
        while todo:
            for raw, further in _entries(todo.pop()):
                if raw:
                    yield raw
                if further is not None:
                    total += size
                    if further in seen or not 512 <= size <= 1 << 16:
                        raise DiskError(told("a directory's index is damaged", COPY))
                    if total > MAX_DIR:
                        raise TooLarge(f"the directory has more than {MAX_DIR} bytes")
                    seen.add(further)
                    block = repaired(read_at(blocks, further * unit, size), b"INDX", "a directory's block")
                    todo.append(block[24:])


def _entries(node: bytes) -> Iterator[tuple[bytes, int | None]]:
    """Yield a node's entries (empty for the last, which has no name), each with the block below it."""
    at, end = struct.unpack_from("<II", node)
    while at + 16 <= min(end, len(node)):
        length, _, flags = struct.unpack_from("<HHH", node, at + 8)
        if length < 16 or at + length > len(node):
            break
        raw = node[at : at + length]
        further = int.from_bytes(raw[-8:], "little") if flags & _SUBNODE and length >= 24 else None
        yield (b"" if flags & _LAST else raw), further
        if flags & _LAST:
            return
        at += length
    raise DiskError(told("a directory's index is damaged", COPY))


def _time(since_1601: int) -> int:
    """Return nanoseconds since 1970 of a FILETIME."""
    return (since_1601 - _SINCE_1601) * 100
