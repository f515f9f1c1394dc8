"""VMDK: a text descriptor with extents, hosted sparse (also streamOptimized), COWD, flat.

After VMware's "Virtual Disk Format 5.0" technical note.
"""

from __future__ import annotations

import os
import struct

from guestfix.backends.disks.formats import (
    MAX_TABLE,
    ZERO,
    Chunked,
    OpenDisk,
    Piece,
    Source,
    disk,
    holds,
    open_backing,
    table,
    told_at,
)
from guestfix.backends.disks.hostfiles import file_node
from guestfix.backends.volumes.block import Block, DiskError, Pieces, Window, read_at, read_exact
from guestfix.base.bounds import IMAGE_EXTENTS
from guestfix.base.inflate import ERRORS, inflater
from guestfix.base.patterns import regex
from guestfix.base.record import frozen, replace

_EXTENT = regex(r'RW[ \t]+(\d{1,15})[ \t]+([A-Z]+)[ \t]+"([^"]+)"(?:[ \t]+(\d{1,15}))?[ \t]*')
_FIELD = regex(r'[ \t]*([\w.]+)[ \t]*=[ \t]*"?([^"]*)"?[ \t]*')
MAX_EXTENTS = IMAGE_EXTENTS
MAX_TEXT = 1 << 20
MAX_EMBEDDED = 20 * 512
"""Bytes of a descriptor inside a sparse extent that QEMU looks at (DESC_SIZE in block/vmdk.c)."""

FIRST_LINE = "# Disk DescriptorFile"
_ONCE = ("parentCID", "parentFileNameHint", "createType")
_PLAIN = {"CID": "CID=", "parentCID": "parentCID=", "createType": 'createType="'}
_PLAIN |= {"parentFileNameHint": 'parentFileNameHint="'}
"""Fields that QEMU finds only where they are written exactly so."""

_TYPES = ("monolithicFlat", "vmfs", "vmfsSparse", "seSparse", "twoGbMaxExtentSparse", "twoGbMaxExtentFlat")
_AGREE = "readers don't agree about it; rewrite the descriptor: vmkfstools -i, or qemu-img convert"


@frozen
class Descriptor:
    """The text part of a VMDK: ``fields`` by name, extents as (sectors, type, file, first sector)."""

    fields: dict[str, str]
    extents: tuple[tuple[int, str, str, int], ...]

    def cids(self) -> tuple[str, str]:
        """Return the content's id and that of the parent's content, ``ffffffff`` where there is none."""
        return self.fields.get("CID", "").lower(), self.fields.get("parentCID", "").lower() or "ffffffff"


def parse_descriptor(raw: bytes) -> Descriptor:
    """Read a descriptor as every reader does. DiskError where QEMU would read it otherwise, with the line.

    QEMU scans with sscanf and strstr (block/vmdk.c): an extent after a blank line counts twice, an indented one counts,
    one that is not RW doesn't, and of a field the first mention counts, be it in a comment.
    """
    data, _, rest = raw.partition(b"\0")
    text = os.fsdecode(data).replace("\r\n", "\n")
    if rest.strip(b"\0\r\n ") or any(ord(char) < 32 and char not in "\t\n" for char in text):
        raise DiskError("the VMDK descriptor holds control characters, or continues after its end", remedy=_AGREE)
    for name in _ONCE:
        if text.lower().count(name.lower()) > 1:
            raise _twice(name)
    if "CID=" in text and text.find("CID=") == text.find("parentCID=") + len("parent"):
        raise DiskError("the VMDK descriptor has parentCID before CID, which QEMU takes for the CID", remedy=_AGREE)
    fields: dict[str, str] = {}
    extents: list[tuple[int, str, str, int]] = []
    before = ""
    for number, line in enumerate(text.split("\n"), 1):
        words = line.split(maxsplit=1)
        if words and words[0] in ("RW", "RDONLY", "NOACCESS"):
            extents.append(_extent_line(line, number, before))
        elif words and not words[0].startswith("#"):
            match = _FIELD.fullmatch(line)
            if match is None:
                raise DiskError(f"line {number} of the VMDK descriptor is neither a field nor an extent", remedy=_AGREE)
            if match[1] in fields:
                raise _twice(match[1])
            if match[1] in _PLAIN and not line.lstrip().startswith(_PLAIN[match[1]]):
                raise DiskError(f"line {number} of the VMDK descriptor should begin {_PLAIN[match[1]]}", remedy=_AGREE)
            fields[match[1]] = match[2].strip()
        before = line
    if len(extents) > MAX_EXTENTS:
        raise DiskError(f"the VMDK descriptor names more than {MAX_EXTENTS} extents")
    return Descriptor(fields, tuple(extents))


def _twice(name: str) -> DiskError:
    return DiskError(f"the VMDK descriptor has {name} twice", remedy=_AGREE)


def _extent_line(line: str, number: int, before: str) -> tuple[int, str, str, int]:
    match = _EXTENT.fullmatch(line)
    at = f"line {number} of the VMDK descriptor"
    if match is None:
        raise DiskError(f"{at} is no extent that every reader takes for one: {line.strip()[:80]}", remedy=_AGREE)
    if number > 1 and not before.strip():
        raise DiskError(f"{at} is an extent after a blank line, which QEMU counts twice", remedy=_AGREE)
    sectors, kind, name, first = int(match[1]), match[2], match[3], match[4]
    if not sectors or (first is None) != (kind != "FLAT"):
        raise DiskError(f"{at} gives an extent of type {kind} the wrong numbers", remedy=_AGREE)
    return sectors, kind, name, int(first or 0)


def open_vmdk(source: Source, block: Block) -> OpenDisk:
    """Open a VMDK: one sparse file, or a descriptor with all of its extents."""
    head = read_at(block, 0, 4)
    return open_sparse(source, block) if head in (b"KDMV", b"COWD") else open_text(source, block)


def open_text(source: Source, block: Block) -> OpenDisk:
    """Open a descriptor file and all of its extents.

    QEMU is given a descriptor of our own with the same extents, each by its descriptor's number.
    """
    raw = read_at(block, 0, MAX_TEXT)
    if not raw.startswith(FIRST_LINE.encode()) or block.size >= MAX_TEXT:
        raise DiskError("this is no VMDK: it begins neither as a sparse extent nor as a descriptor", remedy=_AGREE)
    descriptor = parse_descriptor(raw)
    kind = descriptor.fields.get("createType", "")
    if not descriptor.extents or kind not in _TYPES:
        raise DiskError(f"a VMDK descriptor of type {kind or 'none'}, or without extents, can't be read", remedy=_AGREE)
    if not {"CID", "parentCID"} <= descriptor.fields.keys():
        raise DiskError("the VMDK descriptor lacks its CID or parentCID, which QEMU asks for", remedy=_AGREE)
    parent = _parent(source, descriptor)
    parts: list[Block] = []
    lines, files = [], parent.files if parent else ()
    for sectors, extent, name, first in descriptor.extents:
        base = sum(part.size for part in parts)
        remedy = "copy all extent files beside it"
        file = source.host.inside(source.file, name, "extent", "an extent of the VMDK is missing: {}", remedy)
        own = Window(parent.block, base, sectors * 512, pad=True) if parent else None
        with told_at(file.path):
            parts.append(_extent(file.block, extent, sectors * 512, first * 512, own))
        lines.append(f'RW {sectors} {extent} "{file.place}"' + (f" {first}" if extent == "FLAT" else ""))
        files = (*files, file.real)
    node = file_node(source.file) | {"driver": "file", "filename": source.host.made(_own_text(descriptor, lines))}
    opened = disk(
        replace(source, node=node),
        "vmdk",
        parts[0] if len(parts) == 1 else Pieces([(part, 0, part.size) for part in parts], "an extent of the VMDK"),
        files,
        backing=parent.node if parent else None,
    )
    return replace(opened, fixed="the disk's data are in extent files, which you did not name")


def _own_text(descriptor: Descriptor, extents: list[str]) -> bytes:
    content, parent = descriptor.cids()
    rows = [FIRST_LINE, "version=1", f"CID={content or 'fffffffe'}", f"parentCID={parent}"]
    return "\n".join([*rows, f'createType="{descriptor.fields["createType"]}"', *extents, ""]).encode()


def _extent(block: Block, kind: str, size: int, first: int, parent: Block | None) -> Block:
    if kind in ("FLAT", "VMFS"):
        if block.size < first + size:
            what = f"the extent is truncated: it has {block.size} bytes, but {first + size} were promised"
            raise DiskError(what, remedy="copy it again")
        return Window(block, first, size)
    if kind in ("SPARSE", "VMFSSPARSE"):
        found = _sparse(block, parent)
        if found.size != size:
            what = f"the extent holds {found.size} bytes, but its descriptor says {size}"
            raise DiskError(what, remedy=_AGREE)
        return found
    raise DiskError(f"VMDK extents of type {kind} can't be read", remedy="clone it with vmkfstools -i or qemu-img")


def open_sparse(source: Source, block: Block) -> OpenDisk:
    """Open one self-contained sparse file: monolithicSparse, streamOptimized, or a bare COWD extent."""
    descriptor = _embedded(block)
    if len(descriptor.extents) > 1:
        raise DiskError("a sparse VMDK whose descriptor names several extents", remedy=_AGREE)
    parent = _parent(source, descriptor)
    if parent is None:
        return disk(source, "vmdk", _sparse(block, None), backing=None)
    return disk(source, "vmdk", _sparse(block, parent.block), parent.files, backing=parent.node)


def _embedded(block: Block) -> Descriptor:
    """Return the descriptor inside a sparse extent, one without fields where there is none."""
    if read_at(block, 0, 4) != b"KDMV":
        return Descriptor({}, ())
    at, length = struct.unpack("<QQ", read_exact(block, 28, 16, "the VMDK header"))
    raw = read_exact(block, at * 512, min(length * 512, MAX_TEXT), "the VMDK's descriptor") if at else b""
    if len(raw.rstrip(b"\0")) > MAX_EMBEDDED:
        raise DiskError(f"the VMDK's descriptor is longer than the {MAX_EMBEDDED} bytes that QEMU reads", remedy=_AGREE)
    return parse_descriptor(raw)


def _parent(source: Source, descriptor: Descriptor) -> OpenDisk | None:
    """Open the parent that a snapshot names, and check by its CID that it is the one it was taken from."""
    _, wanted = descriptor.cids()
    hint = descriptor.fields.get("parentFileNameHint", "")
    if wanted == "ffffffff":
        if hint:
            raise DiskError(f"the VMDK names a parent, {hint}, but not which content it had", remedy=_AGREE)
        return None
    missing, remedy = "the VMDK's parent is missing: {}", "copy it there, or remove the snapshot first"
    file = source.host.inside(source.file, hint, "parent", missing, remedy)
    below = open_backing(source, file, "vmdk")
    with told_at(file.path):
        raw = read_at(file.block, 0, MAX_TEXT)
        found, _ = (_embedded(file.block) if raw[:4] in (b"KDMV", b"COWD") else parse_descriptor(raw)).cids()
    if found and found != wanted:
        raise DiskError(
            f"the parent {file.path} has content id {found}, but this snapshot was taken of {wanted}",
            where=source.path,
            remedy="find the right parent; this one was changed or is another disk",
        )
    return below


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
    if struct.unpack_from("<H", head, 77)[0] != flags >> 16 & 1:
        raise DiskError("the VMDK header contradicts itself about its compression", remedy="copy or export it again")
    holds(block, struct.unpack_from("<Q", head, 64)[0] * 512)
    per_table, gd_at = struct.unpack_from("<I", head, 44)[0], struct.unpack_from("<Q", head, 56)[0]
    if not 0 < per_table <= 512 or not grain:
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
        return inflater(15).decompress(read_exact(block, at + skip, length, "a compressed grain"), size)
    except ERRORS as error:
        raise DiskError(f"a compressed grain is damaged: {error}") from error
