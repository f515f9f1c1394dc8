"""From image files to volumes: partition tables, RAID and LVM put together, filesystems opened on demand."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from guestfix.backends.disks.formats import OpenDisk
from guestfix.backends.filesystems.node import Tree
from guestfix.backends.layout.model import DiskInfo, Part, Subvolume
from guestfix.backends.volumes.block import BACKEND, COPY, Block, DiskError, Window, told
from guestfix.backends.volumes.bootcode import boot_code
from guestfix.backends.volumes.names import disk_names, luks_names, lvm_names, md_names
from guestfix.backends.volumes.partitions import read_table
from guestfix.backends.volumes.probe import ENCRYPTED, Probe, probe
from guestfix.base.errors import GuestError
from guestfix.base.record import replace

if TYPE_CHECKING:
    from guestfix.backends.volumes.crypt import Crypt
    from guestfix.backends.volumes.keys import Keys

_ELSEWHERE = {
    "jfs": told("JFS can't be read by the backend image; uml, qemu and libguestfs can", BACKEND),
    "reiserfs": told("ReiserFS can't be read by the backend image; uml and qemu can", BACKEND),
    "exfat": told("exFAT can't be read by the backend image; libguestfs can", BACKEND),
    "f2fs": told("F2FS can't be read by the backend image; libguestfs can", BACKEND),
    **ENCRYPTED,
}


_KEY = "see that the key is that of this volume: cryptsetup open --test-passphrase"
_DEPTH = 2
"""How often LVM and encryption may lie one on the other."""


class Volumes:
    """Everything on a guest's disks. Parts are numbered; ``problems`` are sentences about the disks.

    ``crypts`` has how each encrypted volume that was opened is encrypted, and its version of LUKS, by its UUID.
    """

    def __init__(self, disks: Sequence[OpenDisk], keys: Keys | None = None) -> None:
        self.disks: list[DiskInfo] = []
        self.parts: list[Part] = []
        self.blocks: dict[int, Block] = {}
        self.problems: list[str] = []
        self.degraded: list[tuple[str, int, int, bool]] = []
        self.crypts: dict[str, tuple[Crypt, int]] = {}
        self._trees: dict[int, Tree] = {}
        for index, disk in enumerate(disks):
            self._add_disk(index, disk)
        self._assembled: set[int] = set()
        self._add_arrays()
        for _ in range(_DEPTH if keys is not None else 1):
            if keys is not None:
                self._add_opened(keys)
            self._add_logical()
        if keys is not None:
            keys.check([every_name(part)[0] for part in self.parts if _is(part, "crypto_LUKS")])

    def _add_disk(self, index: int, disk: OpenDisk) -> None:
        table = read_table(disk.block)
        self.disks.append(DiskInfo(disk.block.size, table.kind, table.id, boot_code(disk.block, table)))
        self.problems += [told(f"{disk.path}: {problem}", of=problem) for problem in table.problems]
        if not table.kind:
            self._add(disk.block, Part(0, disk=index))
        for entry in table.partitions:
            size = min(entry.size, disk.block.size - entry.start)
            block = Window(disk.block, entry.start, size)
            part = Part(0, disk=index, number=entry.number, partuuid=entry.partuuid, partlabel=entry.label)
            self._add(block, replace(part, type=entry.type, start=entry.start, attributes=entry.attributes))

    def _add(self, block: Block | None, part: Part) -> None:
        key = len(self.parts)
        found: Probe | None = None
        problem = part.problem
        if block is not None:
            self.blocks[key] = block
            found = _probe(block)
            problem = problem or _unreadable(found, block.size)
        size = block.size if block is not None else part.size
        self.parts.append(replace(part, key=key, probe=found, size=size, problem=problem))

    def _members(self, kind: str) -> list[Block]:
        return [self.blocks[part.key] for part in self.parts if _is(part, kind)]

    def _add_arrays(self) -> None:
        members = self._members("linux_raid_member")
        if not members:
            return
        from guestfix.backends.volumes.md import arrays

        found, problems = arrays(members)
        self.problems += problems
        unnamed = 127
        for one in found:
            member = one.member
            names = md_names(member.name, member.number, unnamed, member.uuid)
            unnamed -= 1 if f"/dev/md{unnamed}" in names else 0
            self._add(one.block, Part(0, names=names, size=member.size, problem=one.problem, lost=one.lost))
            if one.missing:
                self.degraded.append((names[0], one.missing, member.disks, one.lost))

    def _add_logical(self) -> None:
        """Put the volume groups together whose physical volumes were not there before."""
        members = [part for part in self.parts if _is(part, "LVM2_member") and part.key not in self._assembled]
        if not members:
            return
        from guestfix.backends.volumes.lvm import logical_volumes

        self._assembled.update(part.key for part in members)
        found, problems = logical_volumes([self.blocks[part.key] for part in members])
        self.problems += problems
        for volume in found:
            names = lvm_names(volume.group, volume.name, volume.ids)
            part = Part(0, names=names, size=volume.size, problem=volume.problem, lost=volume.lost)
            self._add(volume.block, part)

    def _add_opened(self, keys: Keys) -> None:
        """Open the encrypted volumes that there are keys for, and that are not open."""
        from guestfix.backends.volumes.crypt import Opened
        from guestfix.backends.volumes.luks import read_header, unlock

        for part in [part for part in self.parts if _is(part, "crypto_LUKS") and part.key not in self._assembled]:
            uuid, names = (part.probe.uuid if part.probe else "") or "", every_name(part)
            secrets = keys.of(uuid, names)
            if not secrets:
                continue
            self._assembled.add(part.key)
            block = self.blocks[part.key]
            try:
                header = read_header(block)
                crypt = unlock(block, header, secrets, keys.opened.get(uuid, b""))
                if crypt is None:
                    raise DiskError(told("none of its key slots opens with the key that was given"), remedy=_KEY)
                opened = Opened(block, crypt)
            except DiskError as error:
                if keys.names(uuid, names):
                    raise DiskError(f"{names[0]}: {error.what}", remedy=error.remedy) from error
                self.parts[part.key] = replace(part, problem=told(error.what, of=error.what))
                continue
            self.crypts[uuid], keys.opened[uuid] = (crypt, header.version), crypt.key
            self.parts[part.key] = replace(part, problem="")
            self._add(opened, Part(0, names=luks_names(uuid, header.version), size=crypt.size, within=part.key))

    # filesystems

    def tree(self, part: Part) -> Tree:
        """Return the filesystem on a volume. DiskError where it is damaged or of a kind that can't be read."""
        if part.problem or part.probe is None or part.key not in self.blocks:
            raise DiskError(part.problem or "no filesystem is known on this volume")
        if part.key not in self._trees:
            opener = _OPENERS.get(part.probe.type)
            if opener is None:
                raise DiskError(f"{part.probe.type} can't be read by the backend image")
            self._trees[part.key] = opener(self, part)
        return self._trees[part.key]

    def same_filesystem(self, part: Part) -> list[Block]:
        """Return the devices of a filesystem that spans several, this one first."""
        uuid = part.probe.uuid if part.probe else None
        others = [p for p in self.parts if p.key != part.key and p.probe and p.probe.type == "btrfs"]
        return [self.blocks[part.key], *(self.blocks[p.key] for p in others if p.probe and p.probe.uuid == uuid)]

    def subvolumes(self, part: Part) -> Sequence[Subvolume]:
        """Return a Btrfs filesystem's subvolumes, none where it can't be opened."""
        from guestfix.backends.filesystems.btrfs import BtrfsTree

        try:
            tree = self.tree(part)
            if not isinstance(tree, BtrfsTree):
                return []
            return [
                Subvolume(one.path or "subvolid:5", one.snapshot, one.id == tree.default) for one in tree.subvolumes
            ]
        except GuestError as error:
            text = f"Btrfs {part.probe.uuid if part.probe else ''}: {error.what}"
            self.problems.append(told(text, of=error.what))
            return []


def _is(part: Part, kind: str) -> bool:
    return part.probe is not None and part.probe.type == kind


def every_name(part: Part) -> tuple[str, ...]:
    """Return the names by which the operator may call a volume before the guest's own are known."""
    if part.disk < 0:
        return part.names
    return tuple(disk_names(part.disk, part.number, family)[0] for family in ("sd", "vd", "xvd", "hd", "nvme"))


def _probe(block: Block) -> Probe | None:
    try:
        return probe(block)
    except (GuestError, struct.error, ValueError, OverflowError):
        return None


def _unreadable(found: Probe | None, size: int) -> str:
    if found is None:
        return ""
    if found.size > size + 65536:
        text = f"the {found.type} filesystem has {found.size} bytes, but its volume {size}: the image is truncated"
        return told(text, COPY)
    return _ELSEWHERE.get(found.type, "")


def _ext(volumes: Volumes, part: Part) -> Tree:
    from guestfix.backends.filesystems.ext import ExtTree

    return ExtTree(volumes.blocks[part.key])


def _xfs(volumes: Volumes, part: Part) -> Tree:
    from guestfix.backends.filesystems.xfs import XfsTree

    return XfsTree(volumes.blocks[part.key])


def _btrfs(volumes: Volumes, part: Part) -> Tree:
    from guestfix.backends.filesystems.btrfs import BtrfsTree

    return BtrfsTree(volumes.same_filesystem(part))


def _ntfs(volumes: Volumes, part: Part) -> Tree:
    from guestfix.backends.filesystems.ntfs import NtfsTree

    return NtfsTree(volumes.blocks[part.key])


def _fat(volumes: Volumes, part: Part) -> Tree:
    from guestfix.backends.filesystems.fat import FatTree

    return FatTree(volumes.blocks[part.key])


_OPENERS: dict[str, Callable[[Volumes, Part], Tree]] = {
    "ext2": _ext,
    "ext3": _ext,
    "ext4": _ext,
    "xfs": _xfs,
    "btrfs": _btrfs,
    "ntfs": _ntfs,
    "vfat": _fat,
}
