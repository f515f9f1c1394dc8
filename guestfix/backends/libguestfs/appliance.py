"""Volumes and mounts inside the libguestfs appliance."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
from typing import Any

from guestfix.backends.disks.naming import letters
from guestfix.backends.filesystems.subvolume import name_of, option_for
from guestfix.backends.layout.model import DiskInfo, Layout, Mount, Part, Subvolume, View
from guestfix.backends.libguestfs.far import LABEL, DeviceBlock, GuestfsFar, quoted
from guestfix.backends.outcome import Check
from guestfix.backends.packages import install
from guestfix.backends.remote import RemoteGuest
from guestfix.backends.volumes.block import Block, DiskError, Window, told
from guestfix.backends.volumes.bootcode import boot_code
from guestfix.backends.volumes.md import read_member
from guestfix.backends.volumes.names import lvm_names, md_names
from guestfix.backends.volumes.partitions import read_table
from guestfix.backends.volumes.probe import ENCRYPTED, probe
from guestfix.base.errors import GuestError
from guestfix.base.guest import Disks
from guestfix.base.record import replace

_CHECKS = {"ext2": "e2fsck -fn", "ext3": "e2fsck -fn", "ext4": "e2fsck -fn", "xfs": "xfs_repair -n"}
_CHECKS |= {"btrfs": "btrfs check --readonly", "ntfs": "ntfsfix -n", "jfs": "jfs_fsck -n", "vfat": "fsck.vfat -n"}
_ROOT, _ADDED = "/guest", "/added"
_HELD = (
    "for n in 1 2 3 4 5 6 7 8 9; do {{ {command} {device} 2>&1; echo status=$?; exit; }} 3< {device}; "
    "udevadm settle; sleep 1; done"
)
"""Runs a command while the device is held open. udev reads a disk's partitions again after it was written to, and
they are gone for a moment; not while one is open."""


class Appliance:
    """The volumes that the appliance shows, and the mounting of them."""

    def __init__(self, handle: Any, blocks: Sequence[Block], folder: str) -> None:
        self.g, self.folder = handle, folder
        self.disks: list[DiskInfo] = []
        self.parts: list[Part] = []
        self.problems: list[str] = []
        self.devices: dict[int, str] = {}
        self._views: dict[tuple[int, str], str | None] = {}
        self._members: list[Block] = []
        self._replayed: set[int] = set()
        for index, block in enumerate(blocks):
            self._add_disk(index, block)
        self._add_arrays()
        snapshots = self._snapshots()
        for path in self.g.lvs():
            _, _, group, name = path.split("/", 3)
            self._add_device(path, lvm_names(group, name), path in snapshots)

    def _add_disk(self, index: int, block: Block) -> None:
        table, device = read_table(block), f"/dev/sd{letters(index)}"
        self.disks.append(DiskInfo(block.size, table.kind, table.id, boot_code(block, table)))
        self.problems += [told(f"disk {index + 1}: {text}", of=text) for text in table.problems]
        if not table.kind:
            self._add(device, Part(0, disk=index), block)
        for entry in table.partitions:
            part = Part(0, None, index, entry.number, (), 0, entry.partuuid, entry.label, entry.type, start=entry.start)
            part = replace(part, attributes=entry.attributes)
            window = Window(block, entry.start, min(entry.size, block.size - entry.start))
            self._add(f"{device}{entry.number}", part, window)

    def _add(self, device: str, part: Part, block: Block) -> None:
        try:
            found = probe(block)
        except (GuestError, RuntimeError, struct.error, ValueError):
            found = None
        if found is not None and found.type == "linux_raid_member":
            self._members.append(block)
        problem = f"the volume is encrypted ({found.type})" if found and found.type in ENCRYPTED else ""
        key = len(self.parts)
        self.devices[key] = device
        self.parts.append(replace(part, key=key, probe=found, size=block.size, problem=problem))

    def _add_arrays(self) -> None:
        by_uuid = {}
        for block in self._members:
            member = read_member(block)
            by_uuid[member.array.hex()] = member
        unnamed = 127
        for device in self.g.list_md_devices():
            uuid = str(self.g.md_detail(device).get("uuid", "")).replace(":", "")
            found = by_uuid.get(uuid) or next(iter(by_uuid.values()), None)
            names = md_names(found.name, found.number, unnamed, found.uuid) if found else (device,)
            unnamed -= 1 if f"/dev/md{unnamed}" in names else 0
            self._add_device(device, names)

    def _snapshots(self) -> set[str]:
        """Return the logical volumes that were made from others."""
        rows = str(self.g.debug("sh", ["lvm lvs --noheadings --separator / -o vg_name,lv_name,origin 2>/dev/null"]))
        words = [row.strip().split("/") for row in rows.splitlines()]
        return {f"/dev/{word[0]}/{word[1]}" for word in words if len(word) == 3 and word[2]}

    def _add_device(self, device: str, names: tuple[str, ...], snapshot: bool = False) -> None:
        self._add(device, Part(0, names=names, snapshot=snapshot), DeviceBlock(self.g, device))

    # mounting

    def mount(self, part: Part, subvolume: str, target: str, *, readonly: bool) -> None:
        """Mount a volume; DiskError where the appliance refuses."""
        if part.probe is not None and part.probe.type == "jfs" and part.probe.unclean:
            self._replay_jfs(part)
        options = "ro" if readonly else "noatime"
        if part.probe is not None and part.probe.type in ("ext2", "ext3", "ext4"):
            options += ",errors=remount-ro"  # the guest's superblock may say that its kernel is to panic
        if subvolume:
            options += f",{option_for(subvolume)}"
        if part.probe is not None and part.probe.type == "vfat":
            options += ",umask=022,utf8,quiet"
        if part.probe is not None and part.probe.type == "ntfs":
            options += ",streams_interface=none"
        try:
            try:
                self.g.mount_options(options, self.devices[part.key], target)
            except RuntimeError:
                self.g.debug("sh", ["udevadm settle; sleep 1"])  # its device may have been gone for a moment
                self.g.mount_options(options, self.devices[part.key], target)
        except RuntimeError as error:
            raise DiskError(f"can't be mounted: {str(error)[:300]}") from error

    def inside(self, part: Part) -> str:
        """Return the device as the appliance's own programs know it."""
        device = self.devices[part.key]
        return f"/dev/disk/guestfs/{LABEL}{device.removeprefix('/dev/sd')}" if part.disk >= 0 else device

    def _replay_jfs(self, part: Part) -> None:
        """Replay a journal as jfs_fsck(8) does before a mount, for the kernel itself never does."""
        if part.key not in self._replayed:
            self._replayed.add(part.key)
            said = str(self.g.debug("sh", [f"jfs_fsck -a {self.inside(part)} 2>&1; echo status=$?"]))
            if not re.search(r"status=[01]\s*$", said):
                remedy = f"{install('libguestfs-jfs')}, or repair it in a copy: jfs_fsck -f"
                raise DiskError(f"jfs_fsck can't replay the journal: {said.strip()[-200:]}", remedy=remedy)

    def view(self, part: Part, subvolume: str) -> View | None:
        """Return the files of one volume, or None where it can't be mounted."""
        key = (part.key, subvolume)
        if key not in self._views:
            target = f"/view{len(self._views)}"
            self._views[key] = target
            try:
                self.g.mkmountpoint(target)
                self.mount(part, subvolume, target, readonly=True)
            except (RuntimeError, DiskError) as error:
                text = f"{self.devices[part.key]}: {error}"
                self.problems.append(told(text, of=getattr(error, "what", "")))
                self._views[key] = None
        place = self._views[key]
        return RemoteGuest("", GuestfsFar(self.g, place), self.folder, Disks()) if place else None

    def subvolumes(self, part: Part) -> Sequence[Subvolume]:
        """Return a Btrfs filesystem's subvolumes."""
        if self.view(part, "subvolid:5") is None:
            return []
        place = self._views[(part.key, "subvolid:5")]
        default = int(self.g.btrfs_subvolume_get_default(place))
        rows = self.g.btrfs_subvolume_list(place)
        found = [Subvolume("subvolid:5", default=default == 5)]
        for row in rows:
            path = quoted(f"/sysroot{place}/{row['btrfssubvolume_path']}")
            said = str(self.g.debug("sh", [f"btrfs subvolume show {path}"]))
            snapshot = bool(re.search(r"Parent UUID:\s*[0-9a-f]{8}-", said))
            name = name_of(row["btrfssubvolume_path"], row["btrfssubvolume_id"])
            found.append(Subvolume(name, snapshot, row["btrfssubvolume_id"] == default))
        return found

    def mount_all(self, layout: Layout) -> GuestfsFar:
        """Replace the views by the guest's own mounts; return the files of the mounted guest.

        The root is mounted below a folder, so that what has no place in its tree can lie beside it.
        """
        self.g.umount_all()
        for place in self._views.values():
            if place is not None:
                self.g.rmmountpoint(place)
        self._views.clear()
        added: dict[str, str] = {}
        self.g.mkmountpoint(_ROOT)
        for one in layout.mounts:
            target = self._target(one, added)
            if target:
                self.mount(one.part, one.subvolume, target, readonly=False)
        return GuestfsFar(self.g, _ROOT, added)

    def _target(self, one: Mount, added: dict[str, str]) -> str:
        """Return where to mount, or nothing where the guest has no folder there."""
        if one.path == "/":
            return _ROOT
        if one.added:
            added[one.path] = f"{_ADDED}{len(added)}"
            self.g.mkmountpoint(added[one.path])
            return added[one.path]
        guest = RemoteGuest("", GuestfsFar(self.g, _ROOT), self.folder, Disks())
        found = guest.stat(one.path)
        if found is None or found.kind != "dir":
            self.problems.append(f"{one.path}: its mount point is no folder")
            return ""
        return _ROOT + guest.realpath(one.path)

    def checks(self, layout: Layout) -> Iterator[Check]:
        """Unmount all and check every filesystem, without repairing."""
        self.g.umount_all()
        for part in {one.part.key: one.part for one in layout.mounts}.values():
            kind = part.probe.type if part.probe else ""
            device, command = layout.names.primary(part.key), _CHECKS.get(kind, "")
            script = _HELD.format(command=command, device=self.inside(part))
            try:
                said = str(self.g.debug("sh", [script])) if command else ""
            except RuntimeError as error:
                said = str(error)
            match = re.search(r"status=(\d+)\s*$", said)
            code = int(match[1]) if match and match[1] not in ("126", "127") else None
            yield Check(device, kind, command, code, "\n".join(said.splitlines()[-12:-1]) or "no checker")
