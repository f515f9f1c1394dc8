"""The names of volumes that the guest's own files use, set against the volumes that there are.

What the description of the disks leaves open is told where it can be: by elimination, and by what the guest's own
configuration says of a name (:mod:`guestfix.detect.storage.given`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from guestfix.base.bounds import MENU, MOUNT_TABLE
from guestfix.base.facts import Evidence, Finding
from guestfix.base.guest import Disks, GuestFS, Volume
from guestfix.base.patterns import regex
from guestfix.base.record import frozen, replace
from guestfix.detect.files import paths_like, read_small
from guestfix.detect.storage import given
from guestfix.detect.storage.mappings import mapped
from guestfix.detect.storage.stems import Stems, Use, tell
from guestfix.detect.storage.twins import Tagged, findings, shared
from guestfix.detect.storage.twins import told as twins_told
from guestfix.formats.storage import devices
from guestfix.formats.storage.fstab import VITAL, FstabEntry, readable
from guestfix.formats.storage.known import Known

FSTAB = "/etc/fstab"
MENUS = (
    "/boot/grub/menu.lst", "/boot/grub/grub.conf", "/boot/grub/grub.cfg", "/boot/grub2/grub.cfg", "/boot/grub2/grubenv",
    "/boot/loader/entries/*.conf", "/etc/default/grub", "/etc/kernel/cmdline",
)  # fmt: skip
MOST_MENUS, MOST_USES, MOST_RULES = 32, 256, 16

_ARGUMENT = regex(r"(?:^|[\s\"'])(root|resume)=(/dev/[^\s\"']+)")
_TAGGED = regex(
    r"(?:^|[\s\"'])(root|resume)=[\"']?((?:LABEL|PARTLABEL|PARTUUID)=[^\s\"']+|/dev/disk/by-[a-z]+/[^\s\"']+)"
)
_MAP_LINE = regex(r"^\s*\(hd([0-9]{1,2})\)\s+(/dev/\S+)")
_MEMBERS = frozenset(
    ("LVM2_member", "crypto_LUKS", "linux_raid_member", "ddf_raid_member", "isw_raid_member", "zfs_member")
)


@frozen
class Used:
    """What came of it: the tables with more names, more that is answered to, doubtful and old names, findings.

    ``unclaimed`` are the doubtful names that a volume may have which no entry of fstab names otherwise.
    """

    table: Mapping[str, str]
    partuuids: Mapping[str, str]
    answering: frozenset[str] = frozenset()
    doubtful: tuple[str, ...] = ()
    unclaimed: tuple[str, ...] = ()
    old: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


def names_in_use(
    guest: GuestFS,
    disks: Disks,
    volumes: Sequence[Volume],
    specs: Mapping[str, str],
    table: Mapping[str, str],
    answers: Iterable[str],
    whole: tuple[bool, bool],
) -> Used:
    """Return what the guest's files tell of names.

    ``specs``: each device's own tag; ``table``: names known so far; ``whole``: the facts disks.tagged, disks.complete.
    """
    entries = readable(read_small(guest, FSTAB, MOUNT_TABLE) or b"")
    known = devices.known_tags([*answers, *table])
    claimed = _claimed(entries, volumes, table, specs)
    aliases, links = given.multipath_aliases(guest), given.udev_links(guest)
    told = _told(guest, disks, entries, Stems(aliases, links), claimed, (volumes, table, specs))
    partuuids = {
        name: f"PARTUUID={v.partuuid}" for name, dev in told.items() for v in volumes if v.device == dev and v.partuuid
    }
    table = {**table, **{name: spec for name, device in told.items() if (spec := specs.get(device))}}
    twins = shared(volumes, _MEMBERS)
    tagged = list(_tagged(guest)) if twins else []
    table |= twins_told(twins, entries, tagged, specs, lambda those, among: _claimed(those, among, {}, specs))
    old = [pattern for alias in aliases for pattern in given.of_multipath(alias)]
    old = [one for one in old if not any(devices.matches(name, one) for name in known)]
    old += [link.pattern for link in links]
    forgotten = _forgotten(disks, entries, table, known)
    doubtful = (*_doubtful(guest, disks, volumes, set(), known), *forgotten)
    names = Known(table, known, *whole, doubtful, tuple(old))
    luks = mapped(guest, entries, names, partuuids, volumes, disks.read)
    unclaimed = (*_doubtful(guest, disks, volumes, claimed, known), *luks.untold)
    found = [*_multipath(entries, aliases), *_udev(guest, links), *findings(twins, entries, tagged, table, FSTAB)]
    answering, old_names = frozenset((*luks.opened, *told)), (*old, *luks.shut)
    return Used(table, partuuids, answering, (*doubtful, *luks.untold), unclaimed, old_names, tuple(found))


# by elimination


def _claimed(
    entries: Sequence[FstabEntry], volumes: Sequence[Volume], table: Mapping[str, str], specs: Mapping[str, str]
) -> set[str]:
    """Return the devices that an entry of fstab names by what is known; Btrfs can be mounted by many entries."""
    by_spec: dict[str, set[str]] = {}
    for volume in volumes:
        if volume.fstype != "btrfs":
            tags = (
                ("UUID", volume.uuid),
                ("LABEL", volume.label),
                ("PARTUUID", volume.partuuid),
                ("PARTLABEL", volume.partlabel),
            )
            names = [volume.device, *volume.aliases, *(f"{key}={value}" for key, value in tags if value)]
            for name in devices.known_tags(names):
                by_spec.setdefault(name, set()).add(volume.device)
    resolver = devices.Resolver(table, (entry.spec for entry in entries))
    found = set()
    for entry in entries:
        spec = resolver.find(entry.spec) or entry.spec
        named = by_spec.get(devices.tag(spec) or devices.normal(spec), set())
        found |= named if len(named) == 1 else set()
    return found


def _doubtful(
    guest: GuestFS, disks: Disks, volumes: Sequence[Volume], claimed: set[str], known: frozenset[str]
) -> Iterator[str]:
    """Yield patterns of names that a volume may have which no entry names otherwise, though nobody said so."""
    if disks.read:
        return
    parts = {part.device for disk in disks.disks for part in disk.partitions}
    free = [one for one in volumes if one.device not in claimed and one.fstype not in _MEMBERS]
    for key in ("uuid", "label", "partuuid", "partlabel"):
        if any(getattr(one, key) is None and (one.device in parts or key in ("uuid", "label")) for one in free):
            yield f"{key.upper()}=*"
    if any(one.fstype == "crypto_LUKS" and not one.uuid for one in volumes):
        yield "UUID=*"
    above = [one for one in free if one.device not in parts]
    if any(devices.is_layered(one.device) and not _is_md(one) and not _has(one, "dm-uuid-") for one in above):
        yield "/dev/disk/by-id/dm-uuid-*"
    nameless = [one for one in above if _is_md(one) and not _has(one, "md-uuid-")]
    if nameless:
        yield from ("/dev/disk/by-id/md-*", *(name for name, _ in given.arrays_named(guest) if name not in known))
    if any(one.fstype in ("LVM2_member", None) and not one.uuid for one in volumes):
        yield "/dev/disk/by-id/lvm-pv-uuid-*"


_LAYERED = ("/dev/mapper/*", "/dev/*/*", "/dev/md*", "/dev/disk/by-id/dm-*", "/dev/disk/by-id/md-*")


def _forgotten(
    disks: Disks, entries: Sequence[FstabEntry], table: Mapping[str, str], known: frozenset[str]
) -> tuple[str, ...]:
    """Return the patterns of all names above partitions where nobody may have thought of describing such volumes.

    So it is where none is described, and the description doesn't have the root either.
    """
    if disks.read or any(map(devices.is_layered, known)):
        return ()
    resolver = devices.Resolver(table, (entry.spec for entry in entries))
    roots = [entry.spec for entry in entries if entry.place == "/"]
    there = any((devices.tag(one) or devices.normal(one)) in known or resolver.find(one) for one in roots)
    return () if there else _LAYERED


def _is_md(volume: Volume) -> bool:
    return volume.device.startswith("/dev/md")


def _has(volume: Volume, kind: str) -> bool:
    return any(name.startswith(f"/dev/disk/by-id/{kind}") for name in volume.aliases)


# names of the old hardware


def _told(
    guest: GuestFS,
    disks: Disks,
    entries: Sequence[FstabEntry],
    stems: Stems,
    claimed: set[str],
    known: tuple[Sequence[Volume], Mapping[str, str], Mapping[str, str]],
) -> dict[str, str]:
    """Return the names of the old disks (by-id, by-path, multipath, udev) that can be told, with the device of each.

    A root= means what fstab mounts at /, a resume= may well mean one of its swap areas. ``known`` are the volumes, the
    table of their names, and each device's own tag.
    """
    volumes, table, specs = known
    uses = [Use(entry.spec, "" if entry.type == "auto" else entry.type, entry.place in VITAL) for entry in entries]
    uses = [use for use in uses if devices.normal(use.name) not in table and stems.place(use.name)]
    if disks.disks and (uses or stems.aliases or stems.links or len(disks.disks) > 1):
        root = _claimed([entry for entry in entries if entry.place == "/"], volumes, table, specs)
        swap = frozenset(_claimed([entry for entry in entries if entry.type == "swap"], volumes, table, specs))
        uses += [
            replace(use, device=next(iter(root), "") if use.vital else "", shared=frozenset() if use.vital else swap)
            for use in _arguments(guest)
            if devices.normal(use.name) not in table and stems.place(use.name)
        ]
    return tell(uses[:MOST_USES], stems, disks, claimed, _order(guest)) if uses else {}


def _menus(guest: GuestFS) -> Iterator[tuple[str, str]]:
    """Yield the path and the text of each file of the loaders."""
    for path in [path for pattern in MENUS for path in paths_like(guest, pattern, MOST_MENUS)]:
        yield path, (read_small(guest, path, MENU) or b"").decode("utf-8", "replace")


def _arguments(guest: GuestFS) -> Iterator[Use]:
    """Yield the names that root= and resume= have in the loaders' files."""
    for _, text in _menus(guest):
        for match in _ARGUMENT.finditer(text):
            yield Use(match[2], "" if match[1] == "root" else "swap", match[1] == "root")


def _tagged(guest: GuestFS) -> Iterator[Tagged]:
    """Yield the tags that root= and resume= have in the loaders' files."""
    for path, text in _menus(guest):
        for match in _TAGGED.finditer(text):
            tag = devices.tag(match[2])
            if tag:
                yield Tagged(match[1], tag, Evidence(path, text.count("\n", 0, match.start(1)) + 1, match[0].strip()))


def _order(guest: GuestFS) -> list[str]:
    """Return the disks' old names in the order of GRUB's device.map."""
    for path in ("/boot/grub/device.map", "/boot/grub2/device.map"):
        text = (read_small(guest, path) or b"").decode("utf-8", "replace")
        found = [match for line in text.splitlines() if (match := _MAP_LINE.match(line))]
        if found and [int(match[1]) for match in found] == list(range(len(found))):
            return [match[2] for match in found]
    return []


def _multipath(entries: Sequence[FstabEntry], aliases: Mapping[str, str]) -> Iterator[Finding]:
    stems = Stems(aliases)
    mapped = [entry for entry in entries if entry.spec.startswith(("/dev/mapper/", "/dev/disk/by-id/dm-"))]
    users = [entry for entry in mapped if stems.place(entry.spec)]
    if users:
        names = ", ".join(entry.spec for entry in users[:4])
        yield Finding(
            "GF-DISK-MULTIPATH",
            "warning",
            f"multipath makes these names of the old storage's LUNs, and a virtual disk has none: {names}",
            tuple(Evidence(FSTAB, entry.number, entry.text) for entry in users[:8]),
        )


def _udev(guest: GuestFS, links: Sequence[given.Link]) -> Iterator[Finding]:
    """Report each rule with who uses its names."""
    if links:
        from guestfix.detect.storage.users import users_of
    by_rule: dict[tuple[str, int], list[given.Link]] = {}
    for link in links:
        by_rule.setdefault((link.place.path, link.place.line), []).append(link)
    for those in list(by_rule.values())[:MOST_RULES]:
        known = users_of(guest, [one.pattern for one in those])
        places = list(dict.fromkeys(one.path for one in known))
        users = f"; it is used in {', '.join(places[:4])}" if known else ""
        named = those[0].pattern.partition("[")[0]
        yield Finding(
            "GF-UDEV-OLD-DISK",
            "warning",
            f"{those[0].place.path} gives the name {named} by {those[0].by}, which only the old disk has{users}",
            (those[0].place, *known[:8]),
        )
    rights = given.udev_rights(guest)
    if rights:
        summary = "udev rules give disks an owner or a mode by names or numbers that only the old disks have"
        yield Finding("GF-UDEV-OLD-DISK", "warning", summary, tuple(rights))
