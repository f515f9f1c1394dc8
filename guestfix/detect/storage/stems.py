"""Which described disk a name of the old hardware means: by-id, by-path and multipath names.

Such a name says its disk and a partition's number. Which disk that is follows from the partitions that the guest's
files want of it: their numbers, their filesystems, and the order that GRUB's device.map or the paths give.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from guestfix.base.guest import Disk, Disks, Volume
from guestfix.base.patterns import regex
from guestfix.base.record import frozen
from guestfix.detect.storage.given import OF_NAME, Link
from guestfix.formats.storage import devices

_LINK = regex(r"/dev/disk/by-(id|path)/(?!dm-|md-|lvm-)(.+?)(?:-part([0-9]{1,3}))?\Z")
_MAP = regex(r"/dev/(?:mapper/|disk/by-id/dm-name-)(.+)\Z")
_MAP_UUID = regex(r"/dev/disk/by-id/dm-uuid-(?:part([0-9]{1,3})-)?mpath-([^/]+)\Z")
_WWID = regex(r"(?:\A|[-_.])(?:0x|3)?([56][0-9a-f]{15}(?:[0-9a-f]{16})?)\Z")
_PART = regex(r"(?:p|[-_]part)?([0-9]{1,3})\Z")
_MULTIPATH = regex(r"(?:mpath[a-z]+|[0-9][0-9a-f]{16}(?:[0-9a-f]{16})?|eui\.[0-9a-f]{16,32})")
_LAST_NUMBER = regex(r"[0-9]{1,3}\Z")
_PARTITION = regex(r"p?([0-9]+)\Z")


@frozen
class Place:
    """A disk by a name of the old hardware, and a partition's number ("": the whole disk)."""

    stem: str
    number: str
    path: bool = False


@frozen
class Use:
    """A name in the guest's files, the filesystem that should be there ("": not said), and whether it must be found.

    ``device`` is the device that it can mean alone, where that is known; ``shared`` are devices that it may mean though
    another line names them by what lasts.
    """

    name: str
    type: str = ""
    vital: bool = False
    device: str = ""
    shared: frozenset[str] = frozenset()


class Stems:
    """Reads names. ``aliases`` are multipath's own names with the LUN's number that each stands for.

    ``links`` are those that udev rules give by the old disk: of one disk are those by the same number.
    """

    def __init__(self, aliases: Mapping[str, str], links: Sequence[Link] = ()) -> None:
        self.aliases = dict(aliases)
        self.links = tuple(links)

    def place(self, name: str) -> Place | None:
        """Return what the name means, None for one that is not of these kinds."""
        name = devices.normal(name)
        link = _LINK.match(name)
        if link:
            return Place(_one_name(link[2]), link[3] or "", link[1] == "path")
        by_uuid = _MAP_UUID.match(name)
        if by_uuid:
            return Place(_one_name(by_uuid[2]), by_uuid[1] or "")
        mapped = _MAP.match(name)
        return self._mapped(mapped[1]) if mapped else self._linked(name)

    def _linked(self, name: str) -> Place | None:
        for link in self.links:
            if link.number is not None and devices.matches(name, link.pattern):
                last = _LAST_NUMBER.search(name)
                number = last[0] if link.number == OF_NAME and last else link.number
                return Place(_one_name(link.by.rpartition("==")[2]), number) if number != OF_NAME else None
        return None

    def _mapped(self, name: str) -> Place | None:
        for alias in sorted(self.aliases, key=len, reverse=True):
            if name.startswith(alias) and (number := _number(name[len(alias) :])) is not None:
                return Place(_one_name(self.aliases[alias] or alias), number)
        found = _MULTIPATH.match(name)
        number = _number(name[found.end() :]) if found else None
        return Place(_one_name(found[0]), number) if found and number is not None else None


def _number(rest: str) -> str | None:
    """Return the partition's number in what follows a map's name, None where something else follows."""
    part = _PART.fullmatch(rest)
    return part[1] if part else None if rest else ""


def _one_name(stem: str) -> str:
    """Return the LUN's own number where the name has it: ``scsi-36000c29...`` and ``wwn-0x6000c29...`` are one disk."""
    found = _WWID.search(stem)
    return found[1] if found else stem


def tell(
    uses: Sequence[Use], stems: Stems, disks: Disks, claimed: Iterable[str], order: Sequence[str]
) -> dict[str, str]:
    """Return, for each name whose disk can be told, the device that it means.

    ``claimed`` are devices that other entries name by what lasts; ``order`` are the disks' old names, first to last.
    A disk is told by what is wanted of it; where several would do, only by the order.
    """
    wanted: dict[str, list[tuple[Place, Use]]] = {}
    for use in uses:
        place = stems.place(use.name)
        if place is not None:
            wanted.setdefault(place.stem, []).append((place, use))
    parts = {disk.device: _parts(disk, disks) for disk in disks.disks}
    taken = frozenset(claimed)
    fits = {
        stem: [disk for disk, those in parts.items() if all(_fits(one, those, taken) for one in uses_of)]
        for stem, uses_of in wanted.items()
    }
    found = _by_order(wanted, fits, list(parts), [place.stem for name in order if (place := stems.place(name))])
    vital = [stem for stem, uses_of in wanted.items() if any(use.vital for _, use in uses_of)]
    for those in (vital, list(wanted)):
        _by_content(those, fits, found)
    return {
        use.name: parts[found[stem]][place.number].device
        for stem, uses_of in wanted.items()
        if stem in found
        for place, use in uses_of
    }


def _by_order(
    wanted: Mapping[str, list[tuple[Place, Use]]], fits: Mapping[str, list[str]], disks: list[str], order: list[str]
) -> dict[str, str]:
    paths = [stem for stem, uses in wanted.items() if uses[0][0].path]
    if len(paths) == len(disks) and not order:
        order = sorted(paths, key=_natural)
    pairs = [(stem, disk) for stem, disk in zip(order, disks, strict=False) if stem in wanted]
    return dict(pairs) if all(disk in fits[stem] for stem, disk in pairs) else {}


def _natural(text: str) -> list[tuple[int, str]]:
    return [(int(one), "") if one.isdecimal() else (-1, one) for one in regex(r"([0-9]+)").split(text)]


def _by_content(stems: Iterable[str], fits: Mapping[str, list[str]], found: dict[str, str]) -> None:
    """Add the disks that alone can be meant, by one name alone, until no more is told."""
    todo = [stem for stem in stems if stem not in found]
    more = True
    while more:
        more = False
        left = {one: [disk for disk in fits[one] if disk not in found.values()] for one in todo if one not in found}
        sole = [free[0] for free in left.values() if len(free) == 1]
        for stem, free in left.items():
            if len(free) == 1 and sole.count(free[0]) == 1:
                found[stem], more = free[0], True


def _parts(disk: Disk, disks: Disks) -> dict[str, Volume]:
    found = {number: part for part, number in numbered(disk)}
    whole = [one for one in disks.volumes if one.device == disk.device]
    return found | ({"": whole[0]} if whole else {})


def numbered(disk: Disk) -> Iterator[tuple[Volume, str]]:
    """Yield a disk's partitions with their numbers."""
    for part in disk.partitions:
        match = _PARTITION.match(part.device.removeprefix(disk.device))
        if match and part.device.startswith(disk.device):
            yield part, match[1]


def _fits(wanted: tuple[Place, Use], parts: Mapping[str, Volume], claimed: frozenset[str]) -> bool:
    place, use = wanted
    part = parts.get(place.number)
    if part is None or (use.device and part.device != use.device):
        return False
    if part.device in claimed and part.device != use.device and part.device not in use.shared:
        return False
    return not part.fstype or not use.type or devices.same_type(use.type, part.fstype)
