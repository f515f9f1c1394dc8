"""NTFS' own layout: the boot sector, file records with their fix-ups, attributes and their pieces on the disk.

After the NTFS documentation of the Linux-NTFS project and the kernel's fs/ntfs/layout.h.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from guestfix.backends.filesystems.node import MAX_RUNS
from guestfix.backends.volumes.block import COPY, DiskError, told
from guestfix.base.errors import TooLarge
from guestfix.base.record import frozen

STANDARD, ATTRIBUTE_LIST, NAME, DATA, INDEX_ROOT, INDEX_ALLOCATION, REPARSE = 0x10, 0x20, 0x30, 0x80, 0x90, 0xA0, 0xC0
COMPRESSED, ENCRYPTED = 0x00FF, 0x4000
_END, _STRIDE = 0xFFFFFFFF, 512
_IN_USE, DIRECTORY = 1, 2


@frozen
class Geometry:
    """Sizes in bytes; ``mft`` is the cluster at which the master file table begins."""

    sectors: int
    cluster: int
    record: int
    mft: int


def geometry(boot: bytes) -> Geometry:
    """Return what the boot sector says; DiskError where this is no NTFS, or one that can't be."""
    if boot[3:11] != b"NTFS    " or len(boot) < 512:
        raise DiskError("no NTFS filesystem: its name is missing in the boot sector")
    sector, per_cluster = struct.unpack_from("<HB", boot, 11)
    total, mft = struct.unpack_from("<QQ", boot, 0x28)
    cluster = sector << (256 - per_cluster) if per_cluster > 0x80 else sector * per_cluster
    (size,) = struct.unpack_from("<b", boot, 0x40)
    record = 1 << -size if -16 <= size < 0 else size * cluster
    sound = (
        sector in (256, 512, 1024, 2048, 4096) and total and _is_size(cluster, 256, 1 << 21)
        and _is_size(record, _STRIDE, 1 << 16)
    )  # fmt: skip
    if not sound:
        raise DiskError(told("the NTFS boot sector is damaged", COPY))
    return Geometry(total * sector, cluster, record, mft)


def _is_size(value: int, least: int, most: int) -> bool:
    return least <= value <= most and value & (value - 1) == 0


def repaired(raw: bytes, magic: bytes, what: str) -> bytes:
    """Return a record with the ends of its sectors put back; DiskError where it is none, or was written by half."""
    at, count = struct.unpack_from("<HH", raw, 4) if len(raw) >= 8 else (0, 0)
    if raw[:4] != magic or (count - 1) * _STRIDE != len(raw) or at + 2 * count > len(raw):
        raise DiskError(told(f"{what} is damaged", COPY))
    made, number = bytearray(raw), raw[at : at + 2]
    for index in range(1, count):
        end = index * _STRIDE
        if raw[end - 2 : end] != number:
            raise DiskError(told(f"{what} was written by half", COPY))
        made[end - 2 : end] = raw[at + 2 * index : at + 2 * index + 2]
    return bytes(made)


@frozen
class Record:
    """A file record. ``base`` is the number of the record that it belongs to, 0 for one that stands alone."""

    number: int
    sequence: int
    base: int
    folder: bool
    attributes: tuple[Attribute, ...]


Piece = tuple[int, int, int | None]
"""First cluster within the attribute, how many, where they are on the volume (None: zeros); in clusters."""


@frozen
class Attribute:
    """One attribute, or the part of one that a record has. ``value`` is None where it lies in clusters.

    ``size``, ``initialized`` (bytes; what follows is zero) and ``unit`` (clusters of a packed unit) are told by the
    part that has the first cluster.
    """

    kind: int
    name: str
    flags: int
    value: bytes | None
    lowest: int = 0
    pieces: tuple[Piece, ...] = ()
    size: int = 0
    initialized: int = 0
    unit: int = 0


def record_of(raw: bytes, number: int) -> Record:
    """Return a file record with its attributes; DiskError where it is damaged or not in use."""
    body = repaired(raw, b"FILE", f"file record {number}")
    sequence, _, first, flags, used = struct.unpack_from("<HHHHI", body, 16)
    (base,) = struct.unpack_from("<Q", body, 32)
    if not flags & _IN_USE:
        raise DiskError(f"file record {number} is not in use")
    found = tuple(_attributes(body[: min(used, len(body))], first))
    return Record(number, sequence, base & 0xFFFFFFFFFFFF, bool(flags & DIRECTORY), found)


def _attributes(body: bytes, at: int) -> Iterator[Attribute]:
    while at + 4 <= len(body):
        (kind,) = struct.unpack_from("<I", body, at)
        if kind == _END:
            return
        if at + 24 > len(body):
            break
        length, apart, name_length, name_at, flags = struct.unpack_from("<IBBHH", body, at + 4)
        if length < 24 or at + length > len(body):
            break
        one = body[at : at + length]
        name = text_of(one[name_at : name_at + 2 * name_length])
        yield _apart(one, kind, name, flags) if apart else _within(one, kind, name, flags)
        at += length
    raise DiskError(told("a file record's attributes are damaged", COPY))


def _within(one: bytes, kind: int, name: str, flags: int) -> Attribute:
    size, at = struct.unpack_from("<IH", one, 16)
    if at + size > len(one):
        raise DiskError(told("an attribute is cut off", COPY))
    return Attribute(kind, name, flags, one[at : at + size], size=size, initialized=size)


def _apart(one: bytes, kind: int, name: str, flags: int) -> Attribute:
    lowest, _, at, unit = struct.unpack_from("<QQHB", one, 16)
    size, initialized = struct.unpack_from("<QQ", one, 48) if lowest == 0 else (0, 0)
    if size >> 63 or lowest >> 48 or unit > 16:
        raise DiskError(told("an attribute's size can't be", COPY))
    pieces = tuple(_pieces(one[at:], lowest))
    return Attribute(kind, name, flags, None, lowest, pieces, size, min(initialized, size), 1 << unit if unit else 0)


def _pieces(raw: bytes, cluster: int) -> Iterator[Piece]:
    """Yield the runs of a mapping: a byte of two widths, a count, and a signed step from the last place."""
    at = place = 0
    while at < len(raw) and raw[at]:
        wide, step = raw[at] & 15, raw[at] >> 4
        end = at + 1 + wide + step
        if not 1 <= wide <= 8 or step > 8 or end > len(raw):
            raise DiskError(told("the places of a file's data are damaged", COPY))
        count = int.from_bytes(raw[at + 1 : at + 1 + wide], "little")
        place += int.from_bytes(raw[at + 1 + wide : end], "little", signed=True)
        if not count or count >> 48 or place < 0 or place >> 48:
            raise DiskError(told("the places of a file's data can't be", COPY))
        yield cluster, count, place if step else None
        cluster += count
        at = end


def joined(parts: list[Attribute]) -> Attribute:
    """Return one attribute of the parts that several records have of it; DiskError where they don't fit together."""
    if len(parts) == 1 and parts[0].lowest == 0:
        return parts[0]
    parts = sorted(parts, key=lambda part: part.lowest)
    first, pieces, cluster = parts[0], list[Piece](), 0
    for part in parts:
        if part.value is not None or part.lowest != cluster:
            raise DiskError(told("the parts of a file's data don't fit together", COPY))
        pieces += part.pieces
        cluster = pieces[-1][0] + pieces[-1][1] if pieces else cluster
        if len(pieces) > MAX_RUNS:
            raise TooLarge("the file has too many pieces")
    size, known = first.size, first.initialized
    return Attribute(first.kind, first.name, first.flags, None, 0, tuple(pieces), size, known, first.unit)


def text_of(raw: bytes) -> str:
    """Return a name; half a surrogate pair is kept as the bytes that it is in UTF-8, as ntfs-3g shows it."""
    text = raw.decode("utf-16-le", "surrogatepass")
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape")
    return text
