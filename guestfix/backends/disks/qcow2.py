"""qcow2, after QEMU's docs/interop/qcow2.txt."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator

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
    open_inside,
    table,
)
from guestfix.backends.disks.hostfiles import file_node
from guestfix.backends.volumes.block import Block, DiskError, Window, read_at, read_exact
from guestfix.base.bounds import CLUSTER_WINDOW
from guestfix.base.inflate import ERRORS, inflater
from guestfix.base.record import frozen, replace


@frozen
class _Qcow2:
    bits: int
    refcounts: tuple[int, int, int]
    size: int
    l1_at: int
    l1_count: int
    backing_at: int
    backing_length: int
    features: int
    zstd: bool
    header_length: int


def _qcow2_header(block: Block) -> _Qcow2:
    head = read_at(block, 0, 112).ljust(112, b"\0")
    if head[:4] != b"QFI\xfb":
        raise DiskError("this is no qcow2 image: its magic number is missing", remedy=_WHICH)
    version, backing_at, backing_length, bits, size, crypt, l1_count, l1_at = struct.unpack_from(">IQIIQIIQ", head, 4)
    features, length = struct.unpack_from(">Q", head, 72)[0], struct.unpack_from(">I", head, 100)[0]
    if version not in (2, 3):
        raise DiskError(f"qcow version {version} can't be read", remedy="convert it with qemu-img convert")
    if version == 2:
        features, length = 0, 72
    if not 9 <= bits <= 21:
        raise DiskError(f"the qcow2 header gives clusters of 2^{bits} bytes, which can't be")
    if crypt:
        raise DiskError("the qcow2 image is encrypted", remedy="decrypt it with qemu-img convert and its secret")
    if features & 2:
        raise DiskError("the qcow2 image is marked corrupt", remedy="run qemu-img check -r all on a copy of it")
    if features & ~0x1D:
        raise DiskError(f"unknown qcow2 features {features:#x}", remedy="convert it with qemu-img convert")
    if (l1_at | struct.unpack_from(">Q", head, 48)[0]) % (1 << bits):
        raise DiskError("a table of the qcow2 image does not begin where a cluster does", remedy=_CHECK)
    counts = (*struct.unpack_from(">QI", head, 48), struct.unpack_from(">I", head, 96)[0] if version > 2 else 4)
    if not (72 if version == 2 else 104) <= length <= 1 << bits or length % 8 or size % 512:
        raise DiskError("the qcow2 header's length, or the disk's size in it, can't be", remedy=_CHECK)
    packing = head[104] if length > 104 else 0
    if packing > 1 or bool(features & 8) != bool(packing):
        raise DiskError("the qcow2 header contradicts itself about its compression", remedy=_CHECK)
    zstd = packing == 1
    return _Qcow2(bits, counts, size, l1_at, l1_count, backing_at, backing_length, features, zstd, length)


_WHICH = "say what it is: --image-type FILE=TYPE"
_CHECK = "run qemu-img check on it, or copy it again"
_BACKING_FORMAT, _DATA_FILE = 0xE2792ACA, 0x44415441


def _extensions(block: Block, header: _Qcow2) -> dict[int, bytes]:
    """Return the header's extensions. DiskError where QEMU would refuse one, or take another of two."""
    found: dict[int, bytes] = {}
    at, end = header.header_length, header.backing_at or 1 << header.bits
    while at + 8 <= end:
        kind, length = struct.unpack(">II", read_at(block, at, 8).ljust(8, b"\0"))
        if not kind:
            break
        if at + 8 + length > end or kind in found:
            raise DiskError("the qcow2 header has an extension twice, or one that is too long", remedy=_CHECK)
        found[kind] = read_at(block, at + 8, min(length, 4096))
        at += 8 + (length + 7 & ~7)
    return found


def open_qcow2(source: Source, block: Block) -> OpenDisk:
    """Open a qcow2 image (version 2 or 3) with its backing chain and external data file."""
    header = _qcow2_header(block)
    extensions = _extensions(block, header)
    if _last_used(block, header) >= block.size:
        holds(block, _end(block, header))
    data: Block = block
    files: tuple[str, ...] = ()
    children: dict[str, object] = {"backing": None}
    if header.features & 4:
        data, files, children["data-file"] = _data_file(source, extensions.get(_DATA_FILE, b""))
    parent: Block | None = None
    if header.backing_at:
        below = _backing(source, block, header, extensions.get(_BACKING_FORMAT, b""))
        children["backing"] = below.node
        parent, files = Window(below.block, 0, max(header.size, below.block.size), pad=True), (*below.files, *files)
    opened = disk(source, "qcow2", _qcow2_disk(block, data, header, parent), files, **children)
    fixed = "the disk's data are in another file, which you did not name" if data is not block else ""
    return replace(opened, fixed=fixed)


def _data_file(source: Source, raw: bytes) -> tuple[Block, tuple[str, ...], dict[str, object]]:
    """Open the external data file. QEMU looks for a relative name in the folder it is started in, so none is taken."""
    name = os.fsdecode(raw)
    if name and not name.startswith("/"):
        what = f"its data file is named {name}, which QEMU looks for in the folder where it is started"
        raise DiskError(what, where=source.path, remedy="write its whole name down: qemu-img amend -o data_file=FILE")
    file = source.host.inside(source.file, name, "data file")
    return file.block, (file.real,), file_node(file)


def _backing(source: Source, block: Block, header: _Qcow2, fmt: bytes) -> OpenDisk:
    if header.backing_length > min(1023, (1 << header.bits) - header.backing_at):
        raise DiskError("the name of the backing file is longer than a qcow2 image can have", remedy=_CHECK)
    name = os.fsdecode(read_exact(block, header.backing_at, header.backing_length, "the backing file's name"))
    if name.startswith("json:"):
        return open_inside(source, name)
    if name.startswith("file:/"):
        name = name.removeprefix("file:")
    return open_backing(source, source.host.inside(source.file, name, "backing file"), fmt.decode("ascii", "replace"))


def _last_used(block: Block, header: _Qcow2) -> int:
    """Return where the last cluster begins that is counted as used, from two reads."""
    at, clusters, order = header.refcounts
    cluster = 1 << header.bits
    if clusters * cluster > MAX_TABLE or order > 6:
        raise DiskError("the qcow2 header gives an impossible table of reference counts")
    counted = table(block, at, clusters * cluster // 8, ">Q")
    last = max((index for index, place in enumerate(counted) if place), default=0)
    used = len(read_at(block, counted[last] & ~511, cluster).rstrip(b"\0")) if counted else 0
    index = last * (cluster * 8 >> order) + (max(0, used - 1) * 8 >> order)
    return index << header.bits if used else 0


def _end(block: Block, header: _Qcow2) -> int:
    """Return where the cluster that lies last in the file begins, plus one: from all tables.

    Only this tells: a cluster may be counted that nothing uses, and that never got its place in the file.
    """
    last = -1
    wide = bool(header.features & 16)
    level1 = {word & 0x00FFFFFFFFFFFE00 for word in table(block, header.l1_at, header.l1_count, ">Q")}
    inside = not header.features & 4 and len(level1) << header.bits <= MAX_TABLE
    for at in level1 - {0}:
        last = max(last, at)
        if inside and at < block.size:
            entries = table(block, at, (1 << header.bits) // 8, ">Q")
            last = max(last, *(_place(entry, header) for entry in (entries[::2] if wide else entries)))
    return last + 1


def _place(word: int, header: _Qcow2) -> int:
    return word & ((1 << 62 - (header.bits - 8)) - 1 if word >> 62 & 1 else 0x00FFFFFFFFFFFE00)


def _qcow2_disk(block: Block, data: Block, header: _Qcow2, parent: Block | None) -> Chunked:
    cluster = 1 << header.bits
    wide = bool(header.features & 16)
    entries = cluster // (16 if wide else 8)
    if header.l1_count * entries * cluster < header.size:
        raise DiskError("the qcow2 table of level 1 doesn't cover the disk")
    level1 = table(block, header.l1_at, header.l1_count, ">Q") if header.l1_count else ()
    level2: dict[int, tuple[int, ...]] = {}
    sub = cluster // 32 if wide else cluster

    def entry(index: int) -> tuple[int, int]:
        first, second = divmod(index, entries)
        at = level1[first] & 0x00FFFFFFFFFFFE00
        if not at:
            return 0, 0
        if at not in level2:
            if len(level2) > 256:
                level2.clear()
            level2[at] = table(block, at, cluster // 8, ">Q")
        return (level2[at][2 * second], level2[at][2 * second + 1]) if wide else (level2[at][second], 0)

    def find(index: int) -> Piece:
        number, part = divmod(index * sub, cluster)
        word, bitmap = entry(number)
        if word >> 62 & 1:
            return _unpack(block, word, header)[part : part + sub]
        place = word & 0x00FFFFFFFFFFFE00
        if wide:
            bit = part // sub
            if bitmap >> 32 + bit & 1:
                return ZERO
            return place + part if bitmap >> bit & 1 else None
        if word & 1:
            return ZERO
        return place if place or (data is not block and word >> 63) else None

    return Chunked(data, header.size, sub, find, parent)


def allocated(opened: OpenDisk) -> Iterator[tuple[int, int]]:
    """Yield each piece of the disk that this qcow2 image has itself, zeros included: its offset and length."""
    header, found = _qcow2_header(opened.file.block), opened.block
    assert isinstance(found, Chunked)
    entries = (1 << header.bits) // (16 if header.features & 16 else 8)
    each = (entries << header.bits) // found.chunk
    for first, word in enumerate(table(opened.file.block, header.l1_at, header.l1_count, ">Q")):
        for index in range(first * each, (first + 1) * each) if word & 0x00FFFFFFFFFFFE00 else ():
            if index * found.chunk < found.size and found.find(index) is not None:
                yield index * found.chunk, found.chunk


def _unpack(block: Block, word: int, header: _Qcow2) -> bytes:
    shift = 62 - (header.bits - 8)
    at = word & (1 << shift) - 1
    length = ((word >> shift & (1 << header.bits - 8) - 1) + 1) * 512 - (at & 511)
    raw = read_at(block, at, length)
    if header.zstd:
        import zstandard

        try:
            engine = zstandard.ZstdDecompressor(max_window_size=CLUSTER_WINDOW)
            return engine.stream_reader(raw).read(1 << header.bits)
        except zstandard.ZstdError as error:
            raise DiskError(f"a compressed cluster is damaged: {error}") from error
    try:
        return inflater(-12).decompress(raw, 1 << header.bits)
    except ERRORS as error:
        raise DiskError(f"a compressed cluster is damaged: {error}") from error
