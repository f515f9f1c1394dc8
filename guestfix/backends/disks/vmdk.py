"""VMDK: a text descriptor with extents, hosted sparse (also streamOptimized), COWD, flat.

After VMware's "Virtual Disk Format 5.0" technical note.
"""

from __future__ import annotations

import os
import re
import struct
import zlib

from guestfix.backends.disks.formats import (
    MAX_TABLE,
    ZERO,
    Chunked,
    OpenDisk,
    Piece,
    disk,
    holds,
    open_chain,
    open_file,
    table,
)
from guestfix.backends.volumes.block import Block, DiskError, Window, read_at, read_exact
from guestfix.base.patterns import regex
from guestfix.base.record import frozen

_EXTENT = regex(r'^(?:RW|RDONLY|NOACCESS)\s+(\d+)\s+(\w+)(?:\s+"([^"]*)")?(?:\s+(\d+))?', re.M)
_FIELD = regex(r'^\s*([\w.]+)\s*=\s*"?([^"\n]*)"?\s*$', re.M)
MAX_EXTENTS = 4096


@frozen
class Descriptor:
    """The text part of a VMDK: ``fields`` by name, extents as (sectors, type, file, first sector)."""

    fields: dict[str, str]
    extents: tuple[tuple[int, str, str, int], ...]


def parse_descriptor(raw: bytes) -> Descriptor:
    """Read a descriptor; lines that aren't understood are skipped."""
    text = raw.partition(b"\0")[0].decode("utf-8", "replace").replace("\r\n", "\n")
    extents = tuple((int(m[1]), m[2].upper(), m[3] or "", int(m[4] or 0)) for m in _EXTENT.finditer(text))
    return Descriptor({m[1]: m[2].strip() for m in _FIELD.finditer(text)}, extents[: MAX_EXTENTS + 1])


class _Joined(Window):
    """Extents one after the other as one disk."""

    def __init__(self, parts: list[Block]) -> None:
        self.parts = parts
        super().__init__(parts[0], 0, sum(part.size for part in parts))

    def read(self, size: int | None = -1) -> bytes:
        """Return up to size bytes; all that remain where size is negative."""
        left = max(0, self.size - self._at)
        count = left if size is None or size < 0 else min(size, left)
        found, base = [], 0
        for part in self.parts:
            within = self._at - base
            if count and 0 <= within < part.size:
                data = read_at(part, within, min(count, part.size - within))
                data = data.ljust(min(count, part.size - within), b"\0")
                found.append(data)
                self._at += len(data)
                count -= len(data)
            base += part.size
        return b"".join(found)


class _Zeros(Window):
    def __init__(self, size: int) -> None:
        super().__init__(self, 0, size)

    def read(self, size: int | None = -1) -> bytes:
        """Return zeros."""
        left = max(0, self.size - self._at)
        count = left if size is None or size < 0 else min(size, left)
        self._at += count
        return bytes(count)


def open_text(path: str, block: Block, seen: tuple[str, ...]) -> OpenDisk:
    """Open a descriptor file and all of its extents."""
    descriptor = parse_descriptor(read_at(block, 0, 1 << 20))
    if not descriptor.extents or len(descriptor.extents) > MAX_EXTENTS:
        raise DiskError("the VMDK descriptor names no extents, or too many")
    parent, files = _parent(path, descriptor, seen)
    parts: list[Block] = []
    for sectors, kind, name, first in descriptor.extents:
        base = sum(part.size for part in parts)
        if kind == "ZERO":
            parts.append(_Zeros(sectors * 512))
            continue
        where = _extent_path(path, name)
        files = (*files, os.path.realpath(where))
        own = Window(parent, base, sectors * 512, pad=True) if parent else None
        parts.append(_extent(where, kind, sectors * 512, first * 512, own))
    return disk(path, "vmdk", parts[0] if len(parts) == 1 else _Joined(parts), tuple(dict.fromkeys(files)))


def _extent_path(path: str, name: str) -> str:
    where = os.path.join(os.path.dirname(os.path.abspath(path)), name)
    if not os.path.isfile(where):
        raise DiskError(
            f"an extent of the VMDK is missing: {where}", where=path, remedy="copy all extent files beside it"
        )
    return where


def _extent(path: str, kind: str, size: int, first: int, parent: Block | None) -> Block:
    block = open_file(path)
    if kind in ("FLAT", "VMFS"):
        if block.size < first + size:
            raise DiskError(
                f"the extent is truncated: it has {block.size} bytes, but {first + size} were promised",
                where=path,
                remedy="copy it again",
            )
        return Window(block, first, size)
    if kind in ("SPARSE", "VMFSSPARSE"):
        return _sparse(block, parent)
    raise DiskError(
        f"VMDK extents of type {kind} can't be read", where=path, remedy="clone the disk with vmkfstools -i or qemu-img"
    )


def open_sparse(path: str, block: Block, seen: tuple[str, ...]) -> OpenDisk:
    """Open one self-contained sparse file: monolithicSparse, streamOptimized, or a bare COWD extent."""
    raw = b""
    if read_at(block, 0, 4) == b"KDMV":
        at, length = struct.unpack("<QQ", read_exact(block, 28, 16, "the VMDK header"))
        raw = read_at(block, at * 512, min(length * 512, 1 << 20)) if at else b""
    parent, files = _parent(path, parse_descriptor(raw), seen)
    return disk(path, "vmdk", _sparse(block, parent), files)


def _parent(path: str, descriptor: Descriptor, seen: tuple[str, ...]) -> tuple[Block | None, tuple[str, ...]]:
    """Open the parent that a snapshot names, and check by its CID that it is the one it was taken from."""
    wanted = descriptor.fields.get("parentCID", "ffffffff").lower()
    if wanted in ("ffffffff", ""):
        return None, seen
    hint = descriptor.fields.get("parentFileNameHint", "")
    where = os.path.join(os.path.dirname(os.path.abspath(path)), hint)
    if not hint or not os.path.isfile(where):
        raise DiskError(
            f"the VMDK's parent is missing: {where}", where=path, remedy="copy it there, or remove the snapshot first"
        )
    below = open_chain(where, seen=seen)
    found = _own_cid(where)
    if found and found != wanted:
        raise DiskError(
            f"the parent {where} has content id {found}, but this snapshot was taken of {wanted}",
            where=path,
            remedy="find the right parent; this one was changed or is another disk",
        )
    return below.block, tuple(dict.fromkeys(below.files + seen))


def _own_cid(path: str) -> str:
    block = open_file(path)
    raw = read_at(block, 0, 1 << 16)
    if raw[:4] == b"KDMV":
        at, length = struct.unpack_from("<QQ", raw, 28)
        raw = read_at(block, at * 512, min(length * 512, 1 << 20))
    return parse_descriptor(raw).fields.get("CID", "").lower()


def _sparse(block: Block, parent: Block | None) -> Chunked:
    head = read_exact(block, 0, 512, "the VMDK extent's header")
    if head[:4] == b"COWD":
        capacity, grain, gd_at, gd_count = struct.unpack_from("<IIII", head, 12)
        return _grains(block, parent, (capacity, grain, gd_at, gd_count, 4096, 0))
    if head[:4] != b"KDMV":
        raise DiskError("an extent that should be a sparse VMDK is none: its magic number is missing")
    if struct.unpack_from("<Q", head, 56)[0] == 0xFFFFFFFFFFFFFFFF:  # streamOptimized: the directory is at the end
        head = read_at(block, block.size - 1024, 512)
        if head[:4] != b"KDMV":
            raise DiskError("the streamOptimized VMDK has no footer: it was cut off", remedy="copy or export it again")
    flags, capacity, grain = struct.unpack_from("<IQQ", head, 8)
    per_table, gd_at = struct.unpack_from("<I", head, 44)[0], struct.unpack_from("<Q", head, 56)[0]
    if not per_table or not grain:
        raise DiskError("the VMDK header is damaged: no grains")
    return _grains(block, parent, (capacity, grain, gd_at, -(-capacity // (per_table * grain)), per_table, flags))


def _grains(block: Block, parent: Block | None, shape: tuple[int, int, int, int, int, int]) -> Chunked:
    capacity, grain, gd_at, gd_count, per_table, flags = shape
    if not grain or per_table > 65536:
        raise DiskError("the VMDK header is damaged")
    directory = table(block, gd_at * 512, gd_count, "<I")
    holds(block, _end(block, directory, shape))
    tables: dict[int, tuple[int, ...]] = {}

    def find(index: int) -> Piece:
        first, second = divmod(index, per_table)
        at = directory[first]
        if not at:
            return None
        if at not in tables:
            if len(tables) > 512:
                tables.clear()
            tables[at] = table(block, at * 512, per_table, "<I")
        place = tables[at][second]
        if place < 2:
            return ZERO if place and flags & 4 else None
        return _inflate(block, place * 512, grain * 512, bool(flags & 1 << 17)) if flags & 1 << 16 else place * 512

    return Chunked(block, capacity * 512, grain * 512, find, parent)


def _end(block: Block, directory: tuple[int, ...], shape: tuple[int, int, int, int, int, int]) -> int:
    """Return where the data that lies last in an extent ends, or begins where it is compressed."""
    _, grain, _, _, per_table, flags = shape
    last = 0
    tables = set(directory) - {0}
    if len(tables) * per_table * 4 > MAX_TABLE:
        return 0
    for at in tables:
        last = max(last, *table(block, at * 512, per_table, "<I"))
    if last < 2:
        return 0
    if not flags & 1 << 16:
        return (last + grain) * 512
    skip = 12 if flags & 1 << 17 else 4
    head = read_at(block, last * 512 + skip - 4, 4)
    return last * 512 + skip + (struct.unpack("<I", head)[0] if len(head) == 4 else 1)


def _inflate(block: Block, at: int, size: int, marked: bool) -> bytes:
    skip = 12 if marked else 4
    length = struct.unpack("<I", read_exact(block, at + skip - 4, 4, "a compressed grain"))[0]
    if length > 2 * size + 1024:
        raise DiskError("a compressed grain is larger than it can be")
    try:
        return zlib.decompressobj().decompress(read_exact(block, at + skip, length, "a compressed grain"), size)
    except zlib.error as error:
        raise DiskError(f"a compressed grain is damaged: {error}") from error
