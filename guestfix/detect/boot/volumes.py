"""Which of the guest's filesystems a loader means by a tag or by numbers, as fstab and the disks' description tell.

A filesystem is named by where it is mounted, as GRUB would name a device: ``@/boot``.
"""

from __future__ import annotations

from collections.abc import Callable

from guestfix.base.catalog.facts.storage import (
    DISKS_COMPLETE,
    DISKS_DOUBTFUL,
    DISKS_FSTYPE_BY_SPEC,
    DISKS_KNOWN,
    DISKS_MOUNTS,
    DISKS_OLD_NAMES,
    DISKS_SPECS,
    DISKS_TAGGED,
    DISKS_UUID_BY_DEVICE,
    FSTAB_ENTRIES,
)
from guestfix.base.catalog.records.storage import Mount
from guestfix.base.errors import GuestError
from guestfix.base.facts import Facts
from guestfix.base.guest import Disk, GuestFS
from guestfix.base.record import frozen
from guestfix.formats.boot import grubsearch
from guestfix.formats.storage import devices
from guestfix.formats.storage.known import Known, known

PLACES = ("/", "/boot", "/boot/efi", "/efi")
_TAGS = {"fs-uuid": "UUID", "label": "LABEL", "part-label": "PARTLABEL", "part-uuid": "PARTUUID"}
_INNER = ("btrfs", "zfs", "bcachefs")
"""Filesystems whose paths have subvolumes before them."""


@frozen
class Volumes:
    """The filesystems that a loader may read, and what is known of the disks."""

    mounts: tuple[Mount, ...]
    disks: tuple[Disk, ...]
    names: Known
    types: dict[str, str]

    def device(self, search: grubsearch.Search, exists: Callable[[str], bool]) -> str | None:
        """Return what a search finds: ``@`` and a mount point, empty where that can't be told, None for nothing."""
        if search.kind == "file":
            place = next((one.mount for one in self.mounts if exists(_below(one.mount, search.value))), "")
            return f"@{place}" if place and self._plain(place) else ""
        if search.kind == "disk-uuid":
            read = bool(self.disks) and all(one.id for one in self.disks)
            return None if read and search.value.lower() not in {one.id for one in self.disks} else ""
        spec = f"{_TAGS[search.kind]}={search.value}"
        found = self._mounted(spec)
        if not found and self.names.is_gone(spec):
            return None
        return found

    def by_numbers(self, device: str) -> str | None:
        """Return the same of a device that is named by numbers, as the target counts its disks like the guest's."""
        place = grubsearch.numbered(device)
        if place is None or not self.disks:
            return ""
        disk, part = place
        if disk >= len(self.disks):
            return None
        found = [one for one in self.disks[disk].partitions if _number(one.device) == part]
        if not found:
            return None if part and self.disks[disk].partitions else ""
        return self._mounted(self.names.table.get(found[0].device, "")) or self._mounted(found[0].device)

    def by_name(self, name: str) -> str | None:
        """Return the same of a logical volume or an array, by the name that Linux has for it."""
        found = self._mounted(name)
        return None if not found and self.names.is_gone(name) else found

    def numbers_of(self, mount: str) -> tuple[int, int] | None:
        """Return (disk from 0, partition from 1, 0 for a whole disk) of what is mounted at a place; None if untold."""
        for index, disk in enumerate(self.disks):
            for volume in disk.partitions:
                if (
                    self._mounted(self.names.table.get(volume.device, "")) == f"@{mount}"
                    or self._mounted(volume.device) == f"@{mount}"
                ):
                    return index, _number(volume.device)
        return None

    def partuuid_of(self, mount: str) -> str:
        """Return the PARTUUID of the partition that is mounted at a place; empty where it is not known."""
        own = next((devices.normal(one.spec) for one in self.mounts if one.mount == mount), "")
        volumes = (part for disk in self.disks for part in disk.partitions)
        return next((part.partuuid or "" for part in volumes if own in (part.device, *part.aliases)), "")

    def uuid_of(self, mount: str) -> str:
        """Return the UUID of the filesystem that is mounted at a place; empty where it is not known."""
        for one in self.mounts:
            if one.mount == mount:
                spec = devices.tag(one.spec) or self.names.table.get(devices.normal(one.spec), "")
                return spec[5:] if spec.startswith("UUID=") else ""
        return ""

    def named(self, path: str) -> str:
        """Return the name of the filesystem that a file lies on; empty where its paths are not plain."""
        place = self.place_of(path)
        return f"@{place}" if place and self._plain(place) else ""

    def place_of(self, path: str) -> str:
        """Return the mount point below which a file lies."""
        fitting = [one.mount for one in self.mounts if path.startswith(_below(one.mount, "/"))]
        return max(fitting, key=len, default="")

    def _mounted(self, spec: str) -> str:
        wanted = spec.lower()
        for one in self.mounts:
            if not wanted or not self._plain(one.mount):
                continue
            own = devices.tag(one.spec) or devices.normal(one.spec)
            if wanted in (own.lower(), self.names.table.get(own, "").lower()):
                return f"@{one.mount}"
        return ""

    def _plain(self, mount: str) -> bool:
        """Tell whether paths on a filesystem are those below its mount point."""
        one = next(one for one in self.mounts if one.mount == mount)
        own = devices.tag(one.spec) or devices.normal(one.spec)
        spec = self.names.table.get(own, own)
        inner = "subvol" in one.options or "bind" in one.options.split(",")
        return one.type not in _INNER and self.types.get(spec, "") not in _INNER and not inner


def volumes_of(guest: GuestFS, facts: Facts) -> Volumes:
    """Return the filesystems that fstab mounts where a loader's files are, and the disks where they are described."""
    value = facts.value
    names = known(
        value(DISKS_UUID_BY_DEVICE, {}),
        value(DISKS_SPECS, []),
        bool(value(DISKS_KNOWN)) and bool(value(DISKS_TAGGED)),
        bool(value(DISKS_COMPLETE)),
        value(DISKS_DOUBTFUL, []),
        value(DISKS_OLD_NAMES, []),
    )
    try:
        described = guest.disks()
    except GuestError:
        described = None
    mounts = [one for one in value(FSTAB_ENTRIES) or () if one.mount in PLACES]
    for one in value(DISKS_MOUNTS, []):
        mounts.append(Mount(one.device, one.mount, "auto", "defaults", 0, 0, 0))
    return Volumes(tuple(mounts), described.disks if described else (), names, dict(value(DISKS_FSTYPE_BY_SPEC, {})))


def _below(mount: str, path: str) -> str:
    return f"{mount.rstrip('/')}/{path.lstrip('/')}"


def _number(device: str) -> int:
    digits = device[len(device.rstrip("0123456789")) :]
    return int(digits[:4] or 0)
