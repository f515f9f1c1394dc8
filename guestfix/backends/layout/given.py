"""What a guest's other files than its fstab say of the names of its disks and volumes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from guestfix.backends.volumes.names import Names, family_of
from guestfix.base.errors import GuestError
from guestfix.formats.storage import arrays
from guestfix.formats.storage.mappings import CRYPTTAB, mappings

if TYPE_CHECKING:
    from guestfix.backends.layout.model import Part, View

_DISK_LISTS = ("/boot/grub/device.map", "/boot/grub2/device.map", "/etc/crypttab", "/boot/grub/menu.lst")
_BY_UUID = "/dev/disk/by-id/md-uuid-"


def family_elsewhere(view: View | None) -> str:
    """Return the kind of disk names used in files beside fstab, empty where none tells."""
    return next(filter(None, (family_of(_read(view, path)) for path in _DISK_LISTS)), "")


def name_arrays(names: Names, parts: Sequence[Part], view: View | None) -> None:
    """Give RAID arrays the names that the guest's own mdadm.conf has for their UUIDs."""
    if not any(part.probe is not None and part.probe.type == "linux_raid_member" for part in parts):
        return
    keys = {
        arrays.uuid_of(name.removeprefix(_BY_UUID)): part.key
        for part in parts
        for name in part.names
        if name.startswith(_BY_UUID)
    }
    for path in arrays.PATHS:
        for name, uuid in arrays.named(_read(view, path)):
            if uuid in keys:
                names.also(keys[uuid], name)


def name_opened(names: Names, parts: Sequence[Part], view: View | None) -> None:
    """Give opened LUKS volumes the names that the guest's own crypttab has for them, instead of systemd's own."""
    opened = {part.within: part for part in parts if part.within >= 0}
    if not opened:
        return
    for one in mappings(_read(view, CRYPTTAB)):
        source = names.find(one.source)
        part = opened.pop(source, None) if source is not None else None
        if part is not None:
            own = part.names[0].removeprefix("/dev/mapper/")
            names.rename(part.key, [name.removesuffix(own) + one.name for name in part.names])


def _read(view: View | None, path: str) -> bytes:
    try:
        return view.read(path) if view is not None and view.stat(path) else b""
    except GuestError:
        return b""
