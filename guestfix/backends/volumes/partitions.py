"""Partition tables: MBR with extended partitions, and GPT (UEFI specification 2.10, chapter 5)."""

from __future__ import annotations

import itertools
import struct
import zlib

from guestfix.backends.volumes.block import COPY, Block, mixed, read_at, told, uuid_text
from guestfix.base.record import frozen, replace

MAX_LOGICAL = 128
MAX_GPT = 1024
_EXTENDED = (0x05, 0x0F, 0x85)
LDM_TYPES = ("42", "5808c8aa-7e8f-42e0-85d2-e1e90434cfb3", "af9b60a0-1431-4f62-bc68-3311714a69ad")
"""Partitions of a Windows dynamic disk (logical disk manager): the MBR type, and data and metadata on GPT."""

NO_AUTO = 1 << 63
"""An attribute of a GPT entry: nothing mounts it by its type."""

HOME_TYPE, SRV_TYPE = "933ac7e1-2eb4-4f13-b844-0e14e2aef915", "3b8f8425-20e0-4f3b-907f-1a25a76f98e8"
VAR_TYPE, XBOOTLDR_TYPE = "4d21b016-b534-45c2-a9fb-5c16e091fd2d", "bc13c2ff-59e6-4262-a352-b275fd6f7172"
DISCOVERED_ROOTS = (
    "4f68bce3-e8cd-4db1-96e7-fbcaf984b709", "44479540-f297-41b2-9af7-d131d5f0458a",
    "b921b045-1df0-41c3-af44-4c6f280d3fae",
)  # fmt: skip
"""Root filesystems (Discoverable Partitions Specification): x86-64, x86, arm64."""

ROOT_TYPES = (*DISCOVERED_ROOTS, "3884dd41-8582-4404-b9a8-e9b84f2df50e")
"""The last one is that of container hosts, whose initramfs makes it as large as the disk."""

PRIORITY_TYPES = ("5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6",)
"""Partitions with a /usr that take turns: their attributes have a priority, tries left, and whether one went well."""

USR_TYPES = (
    "8484680c-9521-48c6-9c11-b0720656f69e", "75250d76-8cc6-458e-bd66-bd47cc81a812",
    "b0e01050-ee5f-4390-949a-9101b17104e9", *PRIORITY_TYPES,
)  # fmt: skip
"""Partitions with a /usr, by processor as above."""

ESP_TYPES = ("c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "ef")
BOOT_TYPES = (*ESP_TYPES, XBOOTLDR_TYPE)


@frozen
class Partition:
    """One entry; ``start`` and ``size`` are in bytes, ``type`` is the GPT type GUID or the MBR type in hex.

    ``attributes`` are the 64 bits of a GPT entry.
    """

    number: int
    start: int
    size: int
    type: str
    partuuid: str
    label: str | None = None
    active: bool = False
    attributes: int = 0


@frozen
class Table:
    """A disk's partition table; kind is ``gpt``, ``mbr``, ``ldm`` (a Windows dynamic disk) or empty.

    ``problems`` are sentences for the user. ``id`` is the GUID of a GPT, or the signature in eight hex digits.
    """

    kind: str
    partitions: tuple[Partition, ...] = ()
    problems: tuple[str, ...] = ()
    id: str = ""


def read_table(block: Block) -> Table:
    """Return the partition table; an empty kind where there is none (a filesystem on the whole disk)."""
    first = read_at(block, 0, 512)
    if len(first) < 512 or first[510:512] != b"\x55\xaa":
        return _gpt(block, strict=True)
    entries = [first[446 + 16 * i : 462 + 16 * i] for i in range(4)]
    if any(entry[4] == 0xEE for entry in entries):
        return _gpt(block, strict=False)
    if _is_boot_sector(first, entries):
        return Table("")
    return _mbr(block, first, entries)


def _is_boot_sector(first: bytes, entries: list[bytes]) -> bool:
    """Tell a filesystem's own boot sector (FAT, NTFS), which ends in 55 AA too, from a partition table."""
    if first[3:11] == b"NTFS    " or first[54:59] in (b"FAT12", b"FAT16") or first[82:87] == b"FAT32":
        return not all(entry[0] in (0, 0x80) for entry in entries) or not any(_sectors(entry)[1] for entry in entries)
    return not all(entry[0] in (0, 0x80) for entry in entries)


def _sectors(entry: bytes) -> tuple[int, int]:
    start, count = struct.unpack_from("<II", entry, 8)
    return start, count


def _mbr(block: Block, first: bytes, entries: list[bytes]) -> Table:
    disk_id = f"{struct.unpack_from('<I', first, 440)[0]:08x}"
    found: list[Partition] = []
    problems: list[str] = []
    for index, entry in enumerate(entries):
        start, count = _sectors(entry)
        if not count or not entry[4]:
            continue
        if entry[4] in _EXTENDED:
            _logical(block, start, disk_id, found, problems)
        else:
            found.append(_mbr_entry(index + 1, start, count, entry, disk_id))
    found.sort(key=lambda part: part.number)
    return replace(_checked("mbr", found, problems, block), id=disk_id)


def _mbr_entry(number: int, start: int, count: int, entry: bytes, disk_id: str) -> Partition:
    return Partition(
        number, start * 512, count * 512, f"{entry[4]:02x}", f"{disk_id}-{number:02x}", active=entry[0] == 0x80
    )


def _logical(block: Block, base: int, disk_id: str, found: list[Partition], problems: list[str]) -> None:
    """Follow the chain of extended boot records; a broken link ends it and is told."""
    at, seen = base, set[int]()
    while at not in seen and len(seen) < MAX_LOGICAL:
        seen.add(at)
        sector = read_at(block, at * 512, 512)
        if len(sector) < 512 or sector[510:512] != b"\x55\xaa":
            problems.append(f"the extended boot record at sector {at} is damaged or lies beyond the end of the disk")
            return
        start, count = _sectors(sector[446:462])
        if count and sector[450]:
            number = 5 + sum(part.number >= 5 for part in found)
            found.append(_mbr_entry(number, at + start, count, sector[446:462], disk_id))
        following, size = _sectors(sector[462:478])
        if not size or not sector[466]:
            return
        at = base + following
    problems.append("the chain of extended boot records runs in a circle")


def _gpt(block: Block, *, strict: bool) -> Table:
    """Read a GPT from its first header, else from the backup at the end. ``strict``: there may be none."""
    problems: list[str] = []
    for sector in (512, 4096):
        for place in (sector, block.size - sector):
            found = _gpt_at(block, place, sector)
            if found is not None:
                partitions, backup, own = found
                if place != sector:
                    problems.append("the first GPT header is damaged; its backup at the end of the disk was used")
                elif backup >= block.size:
                    text = f"the backup of its GPT belongs at byte {backup}, but the disk has {block.size}"
                    problems.append(told(f"the image is truncated: {text}", COPY))
                return replace(_checked("gpt", partitions, problems, block), id=own)
    if strict:
        return Table("")
    return Table("gpt", (), ("the disk has a protective MBR, but neither GPT header can be read",))


def _gpt_at(block: Block, place: int, sector: int) -> tuple[list[Partition], int, str] | None:
    """Return the entries that the header at a place describes, where the other one should be, and the disk's GUID."""
    header = read_at(block, place, sector)
    if len(header) < 92 or header[:8] != b"EFI PART":
        return None
    length, checksum = struct.unpack_from("<II", header, 12)
    backup = struct.unpack_from("<Q", header, 32)[0] * sector
    entries_at, count, size, entries_sum = struct.unpack_from("<QIII", header, 72)
    if not 92 <= length <= sector or not 128 <= size <= 4096 or count > MAX_GPT:
        return None
    if zlib.crc32(header[:16] + b"\0\0\0\0" + header[20:length]) != checksum:
        return None
    table = read_at(block, entries_at * sector, count * size)
    if zlib.crc32(table) != entries_sum:
        return None
    own = uuid_text(mixed(header[56:72]))
    entries = (table[i * size : i * size + 128] for i in range(count))
    return [_gpt_entry(i + 1, entry, sector) for i, entry in enumerate(entries) if any(entry[:16])], backup, own


def _gpt_entry(number: int, entry: bytes, sector: int) -> Partition:
    first, last, attributes = struct.unpack_from("<QQQ", entry, 32)
    label = entry[56:128].decode("utf-16-le", "replace").partition("\0")[0]
    kind, own = (uuid_text(mixed(entry[at : at + 16])) for at in (0, 16))
    size = max(0, last - first + 1) * sector
    return Partition(number, first * sector, size, kind, own, label or None, attributes=attributes)


def _checked(kind: str, found: list[Partition], problems: list[str], block: Block) -> Table:
    """Drop what can't be on the disk, and say so: starts beyond the end, and overlaps."""
    kept: list[Partition] = []
    for part in found:
        if part.start >= block.size or not part.size:
            problems.append(f"partition {part.number} starts beyond the end of the disk ({block.size} bytes)")
            continue
        if part.start + part.size > block.size:
            problems.append(
                f"partition {part.number} ends at byte {part.start + part.size}, but the disk has {block.size}"
            )
        kept.append(part)
    spans = sorted((part.start, part.start + part.size, part.number) for part in kept)
    for (_, end, one), (start, _, other) in itertools.pairwise(spans):
        if start < end:
            problems.append(f"partitions {one} and {other} overlap")
    dynamic = any(part.type in LDM_TYPES for part in kept)
    return Table("ldm" if dynamic else kind, tuple(kept), tuple(problems))
