"""What a block device holds, by its magic numbers: type, UUID and label as blkid(8) prints them."""

from __future__ import annotations

import struct
from collections.abc import Callable

from guestfix.backends.volumes.block import Block, read_at, uuid_text
from guestfix.backends.volumes.xfslog import is_dirty
from guestfix.base.record import frozen

ENCRYPTED = {
    "crypto_LUKS": "the volume is encrypted with LUKS; give its key with --key",
    "BitLocker": "the volume is encrypted with BitLocker; switch BitLocker off in Windows first",
}
"""Types of volumes that are encrypted, and what is said of one that is not opened."""


@frozen
class Probe:
    """``type`` is blkid's TYPE; ``size`` the bytes that the filesystem claims, 0 where it doesn't say."""

    type: str
    uuid: str | None = None
    label: str | None = None
    size: int = 0
    unclean: bool = False


def _uuid(raw: bytes) -> str | None:
    return uuid_text(raw) if len(raw) == 16 and any(raw) else None


def _text(raw: bytes) -> str | None:
    return raw.partition(b"\0")[0].decode("utf-8", "replace").rstrip() or None


def _crypt(block: Block, head: bytes) -> Probe | None:
    if head[:6] == b"LUKS\xba\xbe":
        label = _text(head[24:72]) if head[6:8] == b"\0\2" else None
        return Probe("crypto_LUKS", _text(head[168:208]), label)
    return Probe("BitLocker") if head[3:11] == b"-FVE-FS-" else None


def _lvm(block: Block, head: bytes) -> Probe | None:
    for at in range(0, 2048, 512):
        if head[at : at + 8] == b"LABELONE" and head[at + 24 : at + 32] == b"LVM2 001":
            offset = at + struct.unpack_from("<I", head, at + 20)[0]
            return Probe("LVM2_member", lvm_id(head[offset : offset + 32]))
    return None


def lvm_id(raw: bytes) -> str:
    """Return an LVM identifier of 32 characters with its hyphens."""
    text, parts, at = raw.decode("ascii", "replace"), [], 0
    for length in (6, 4, 4, 4, 4, 4, 6):
        parts.append(text[at : at + length])
        at += length
    return "-".join(parts)


def _md(block: Block, head: bytes) -> Probe | None:
    """Linux software RAID, superblock versions 1.0 to 1.2 and 0.90 (md(4))."""
    magic = b"\xfc\x4e\x2b\xa9"
    sectors = block.size // 512
    for at in (0, 4096, ((sectors - 16) & ~7) * 512):
        raw = read_at(block, at, 256)
        if raw[:4] == magic and raw[4:8] == b"\1\0\0\0":
            return Probe("linux_raid_member", _uuid(raw[16:32]), _text(raw[32:64]))
    raw = read_at(block, ((sectors & ~127) - 128) * 512, 64)
    if raw[:4] == magic and len(raw) == 64:
        words = struct.unpack_from("<I", raw, 20) + struct.unpack_from("<III", raw, 52)
        return Probe("linux_raid_member", _uuid(struct.pack(">4I", *words)))
    return None


def _ext(block: Block, head: bytes) -> Probe | None:
    sb = head[1024:2048]
    if sb[56:58] != b"\x53\xef":
        return None
    compat, incompat, ro_compat = struct.unpack_from("<III", sb, 92)
    if incompat & 8:
        return Probe("jbd", _uuid(sb[104:120]), _text(sb[120:136]))
    kind = "ext4"
    if not ro_compat & ~7 and not incompat & ~0x16:
        kind = "ext3" if compat & 4 else "ext2"
    blocks = struct.unpack_from("<I", sb, 4)[0] | (struct.unpack_from("<I", sb, 336)[0] << 32 if incompat & 0x80 else 0)
    size = blocks * (1024 << min(struct.unpack_from("<I", sb, 24)[0], 6))
    return Probe(kind, _uuid(sb[104:120]), _text(sb[120:136]), size, bool(incompat & 4))


def _xfs(block: Block, head: bytes) -> Probe | None:
    if head[:4] != b"XFSB":
        return None
    block_size, blocks = struct.unpack_from(">IQ", head, 4)
    return Probe("xfs", _uuid(head[32:48]), _text(head[108:120]), block_size * blocks, is_dirty(block, head))


def _btrfs(block: Block, head: bytes) -> Probe | None:
    sb = read_at(block, 65536, 4096)
    if sb[64:72] != b"_BHRfS_M":
        return None
    return Probe("btrfs", _uuid(sb[32:48]), _text(sb[299:555]), unclean=any(sb[96:104]))


def _jfs(block: Block, head: bytes) -> Probe | None:
    sb = read_at(block, 32768, 256)
    if sb[:4] != b"JFS1":
        return None
    return Probe("jfs", _uuid(sb[136:152]), _text(sb[152:168]), unclean=bool(struct.unpack_from("<I", sb, 40)[0]))


def _reiserfs(block: Block, head: bytes) -> Probe | None:
    sb = read_at(block, 65536, 204)
    return Probe("reiserfs", _uuid(sb[84:100]), _text(sb[100:116])) if sb[52:60] in (b"ReIsEr2F", b"ReIsEr3F") else None


_UFS = (65536, 8192, 0, 262144)
"""Where a superblock of UFS may be (FreeBSD's sys/ufs/ffs/fs.h, SBLOCKSEARCH)."""

_UFS1, _UFS2 = 0x00011954, 0x19540119


def _ufs(block: Block, head: bytes) -> Probe | None:
    for at in _UFS:
        sb = read_at(block, at, 1376)
        for order in ("<", ">") if len(sb) == 1376 else ():
            magic = struct.unpack_from(f"{order}I", sb, 1372)[0]
            if magic in (_UFS1, _UFS2):
                ident = struct.unpack_from(f"{order}2I", sb, 144)
                label = _text(sb[680:712]) if magic == _UFS2 else None
                return Probe("ufs", f"{ident[0]:08x}{ident[1]:08x}" if any(ident) else None, label)
    return None


_HIBERNATED = (b"S1SUSPEND\0", b"S2SUSPEND\0", b"ULSUSPEND\0", b"LINHIB0001")
"""What takes the place of swap's magic number while a memory image is in it (kernel/power/swap.c, uswsusp)."""


def _swap(block: Block, head: bytes) -> Probe | None:
    for page in (4096, 8192, 16384, 65536):
        magic = read_at(block, page - 10, 10)
        if magic in (b"SWAPSPACE2", b"SWAP-SPACE"):
            return Probe("swap", _uuid(head[1036:1052]), _text(head[1052:1068]))
        if magic in _HIBERNATED:
            return Probe("swsuspend", _uuid(head[1036:1052]), _text(head[1052:1068]))
    return None


def _ntfs(block: Block, head: bytes) -> Probe | None:
    if head[3:11] != b"NTFS    ":
        return None
    serial, sector = struct.unpack_from("<Q", head, 72)[0], struct.unpack_from("<H", head, 11)[0]
    size = struct.unpack_from("<Q", head, 40)[0] * sector
    flags, label = _ntfs_volume(block, head, sector)
    return Probe("ntfs", f"{serial:016X}", label, size, bool(flags & 1))


def _ntfs_volume(block: Block, head: bytes, sector: int) -> tuple[int, str | None]:
    """Return the flags and name that the $Volume record (number 3 of the MFT) holds."""
    cluster = head[13] * sector if head[13] <= 128 else sector << (256 - head[13])
    record = 1 << (256 - head[64]) if head[64] > 127 else head[64] * cluster
    if not 256 <= record <= 65536:
        return 0, None
    raw = read_at(block, struct.unpack_from("<Q", head, 48)[0] * cluster + 3 * record, record)
    flags, label, at = 0, None, struct.unpack_from("<H", raw, 20)[0] if len(raw) == record else record
    while at + 24 <= len(raw):
        kind, length = struct.unpack_from("<II", raw, at)
        size, start = struct.unpack_from("<IH", raw, at + 16)
        value = raw[at + start : at + start + size]
        if kind == 0x60:
            label = value.decode("utf-16-le", "replace") or None
        if kind == 0x70 and len(value) >= 12:
            flags = struct.unpack_from("<H", value, 10)[0]
        if kind == 0xFFFFFFFF or length < 24:
            break
        at += length
    return flags, label


def _vfat(block: Block, head: bytes) -> Probe | None:
    if head[510:512] != b"\x55\xaa" or head[0] not in (0xEB, 0xE9):
        return None
    wide = head[82:87] == b"FAT32"
    if not wide and head[54:57] != b"FAT":
        return None
    base = 67 if wide else 39
    serial = struct.unpack_from("<I", head, base)[0]
    label = _fat_label(block, head, wide) or head[base + 4 : base + 15].decode("cp437").rstrip()
    shown = None if label in ("NO NAME", "") else label
    return Probe("vfat", f"{serial >> 16:04X}-{serial & 0xFFFF:04X}", shown)


def _fat_label(block: Block, head: bytes, wide: bool) -> str:
    sector, per_cluster, reserved, fats, entries = struct.unpack_from("<HBHBH", head, 11)
    table = struct.unpack_from("<H", head, 22)[0] or struct.unpack_from("<I", head, 36)[0]
    start, size = (reserved + fats * table) * sector, entries * 32
    if wide:
        start += (struct.unpack_from("<I", head, 44)[0] - 2) * per_cluster * sector
        size = per_cluster * sector
    raw = read_at(block, start, min(size, 1 << 16))
    for at in range(0, len(raw) - 31, 32):
        if raw[at] == 0:
            break
        if raw[at + 11] & 0x18 == 0x08 and raw[at + 11] != 0x0F and raw[at] != 0xE5:
            return raw[at : at + 11].decode("cp437").rstrip()
    return ""


def _zfs(block: Block, head: bytes) -> Probe | None:
    """A member of a pool: its first label's list of names and values (ZFS On-Disk Specification, 1.3.3)."""
    raw = read_at(block, 16384, 8192)
    return Probe("zfs_member") if b"pool_guid" in raw and b"vdev_tree" in raw else None


def _other(block: Block, head: bytes) -> Probe | None:
    if head[:4] == b"hsqs":
        return Probe("squashfs")
    if head[3:11] == b"EXFAT   ":
        serial = struct.unpack_from("<I", head, 100)[0]
        return Probe("exfat", f"{serial >> 16:04X}-{serial & 0xFFFF:04X}")
    if head[1024:1028] == b"\x10\x20\xf5\xf2":
        return Probe("f2fs", _uuid(head[1132:1148]))
    if read_at(block, 32769, 5) == b"CD001":
        return Probe("iso9660", None, _text(read_at(block, 32808, 32)))
    return None


_PROBES: tuple[Callable[[Block, bytes], Probe | None], ...] = (
    _crypt, _lvm, _md, _ext, _xfs, _btrfs, _jfs, _reiserfs, _ufs, _swap, _ntfs, _vfat, _other, _zfs
)  # fmt: skip


def probe(block: Block) -> Probe | None:
    """Return what the block device holds, or None. RAID, LVM and encryption come before filesystems."""
    head = read_at(block, 0, 4096)
    if len(head) < 2048:
        return None
    head = head.ljust(4096, b"\0")
    for one in _PROBES:
        found = one(block, head)
        if found is not None:
            return found
    return None
