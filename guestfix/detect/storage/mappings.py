"""Which of crypttab's mappings there will be on the target: those whose device, and whose key's filesystem, came along.

Sources: crypttab(5) of systemd (a key file's mount is required) and of Debian's cryptsetup.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from guestfix.base.guest import GuestFS, Volume
from guestfix.base.record import frozen
from guestfix.detect.storage import given
from guestfix.formats.storage import devices
from guestfix.formats.storage.fstab import FstabEntry
from guestfix.formats.storage.known import Known


@frozen
class Mapped:
    """The device names of mappings: of those that open, that have lost their device or key, that can't be told."""

    opened: tuple[str, ...] = ()
    shut: tuple[str, ...] = ()
    untold: tuple[str, ...] = ()


def mapped(
    guest: GuestFS,
    entries: Sequence[FstabEntry],
    names: Known,
    partuuids: Mapping[str, str],
    volumes: Sequence[Volume],
    read: bool,
) -> Mapped:
    """Tell the mappings apart. ``names`` is what is known of volumes without them; ``read``: the disks were read."""
    parts = {name for v in volumes if v.partuuid for name in (v.device, *v.aliases)} | set(partuuids)
    every_uuid = bool(volumes) and (read or all(v.uuid for v in volumes if v.fstype in ("crypto_LUKS", None)))
    lost = tuple(entry.place for entry in entries if entry.place != "/" and _is_gone(entry.spec, names, False))
    found: tuple[list[str], list[str], list[str]] = ([], [], [])
    for one in given.mappings(guest):
        spec = devices.tag(one.source) or devices.normal(one.source)
        if one.random and devices.is_unstable(one.source):
            place = 0 if spec in parts else 1
        elif _is_gone(one.source, names, every_uuid) or any(_below(one.key, folder) for folder in lost):
            place = 1
        else:
            place = 0 if names.answer(one.source) == "yes" else 2
        links = (f"/dev/mapper/{one.name}", f"/dev/disk/by-id/dm-name-{one.name}")
        found[place].extend(link for link in links if link not in names.specs)
    return Mapped(*map(tuple, found))


def _is_gone(name: str, names: Known, every_uuid: bool) -> bool:
    """Tell whether a name is of the old hardware, with no volume behind it, or of a volume that did not come along."""
    if names.is_old(name):
        return devices.resolve(name, names.table) is None
    tag = devices.tag(name)
    whole = every_uuid and tag.startswith("UUID=") and tag not in names.specs
    return whole or names.is_gone(name)


def _below(path: str, folder: str) -> bool:
    return path.startswith("/") and not path.startswith("/dev/") and f"{path}/".startswith(f"{folder}/")
