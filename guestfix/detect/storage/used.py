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
from guestfix.base.record import frozen
from guestfix.detect.files import paths_like, read_small
from guestfix.detect.storage import given
from guestfix.detect.storage.stems import Stems, Use, tell
from guestfix.formats.storage import devices
from guestfix.formats.storage.fstab import VITAL, FstabEntry, readable

FSTAB = "/etc/fstab"
MENUS = (
    "/boot/grub/menu.lst", "/boot/grub/grub.conf", "/boot/grub/grub.cfg", "/boot/grub2/grub.cfg", "/boot/grub2/grubenv",
    "/boot/loader/entries/*.conf", "/etc/default/grub", "/etc/kernel/cmdline",
)  # fmt: skip
MOST_MENUS, MOST_USES, MOST_RULES = 32, 256, 16

_ARGUMENT = regex(r"(?:^|[\s\"'])(root|resume)=(/dev/(?:disk/by-|mapper/)[^\s\"']+)")
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
) -> Used:
    """Return what the guest's files tell of names. ``specs``: each device's own tag; ``table``: names known so far."""
    entries = readable(read_small(guest, FSTAB, MOUNT_TABLE) or b"")
    known = devices.known_tags([*answers, *table])
    claimed = _claimed(entries, volumes, table, specs)
    aliases, links = given.multipath_aliases(guest), given.udev_links(guest)
    told = _told(guest, disks, entries, aliases, claimed, table)
    partuuids = {
        name: f"PARTUUID={v.partuuid}" for name, dev in told.items() for v in volumes if v.device == dev and v.partuuid
    }
    table = {**table, **{name: spec for name, device in told.items() if (spec := specs.get(device))}}
    table |= _alone(entries, volumes, specs, claimed)
    opened, shut, open_question = _mapped(guest, table, partuuids, known, volumes, disks)
    old = [pattern for alias in aliases for pattern in given.of_multipath(alias)]
    old = [one for one in (*old, *(link.pattern for link in links)) if not any(devices.matches(n, one) for n in known)]
    doubtful, unclaimed = (
        (*_doubtful(guest, disks, volumes, those, known), *open_question) for those in (set[str](), claimed)
    )
    found = [*_multipath(entries, aliases), *_udev(entries, links), *_labels(entries, volumes, table)]
    return Used(table, partuuids, frozenset((*opened, *told)), doubtful, unclaimed, (*old, *shut), tuple(found))


# by elimination


def _claimed(
    entries: Sequence[FstabEntry], volumes: Sequence[Volume], table: Mapping[str, str], specs: Mapping[str, str]
) -> set[str]:
    """Return the devices that an entry of fstab names by what is known; Btrfs can be mounted by many entries."""
    by_spec: dict[str, str] = {}
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
                by_spec.setdefault(name, volume.device)
    resolver = devices.Resolver(table, (entry.spec for entry in entries))
    found = set()
    for entry in entries:
        spec = resolver.find(entry.spec) or entry.spec
        device = by_spec.get(devices.tag(spec) or devices.normal(spec))
        found |= {device} if device else set()
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


def _is_md(volume: Volume) -> bool:
    return volume.device.startswith("/dev/md")


def _has(volume: Volume, kind: str) -> bool:
    return any(name.startswith(f"/dev/disk/by-id/{kind}") for name in volume.aliases)


def _alone(
    entries: Sequence[FstabEntry], volumes: Sequence[Volume], specs: Mapping[str, str], claimed: set[str]
) -> Iterator[tuple[str, str]]:
    """Yield the tags that several volumes have and only one of them can be meant by, with that one's own."""
    for tag, those in _shared(volumes).items():
        for entry in entries:
            if devices.tag(entry.spec) == tag:
                fit = [v for v in those if not v.fstype or devices.same_type(entry.type, v.fstype)]
                fit = [
                    v for v in fit if not _claimed([one for one in entries if one is not entry], [v], {}, specs)
                ] or fit
                if len(fit) == 1 and specs.get(fit[0].device):
                    yield tag, specs[fit[0].device]


def _shared(volumes: Sequence[Volume]) -> dict[str, list[Volume]]:
    found: dict[str, list[Volume]] = {}
    for volume in volumes:
        for key in ("label", "partlabel"):
            if getattr(volume, key) and volume.fstype not in _MEMBERS:
                found.setdefault(f"{key.upper()}={getattr(volume, key)}", []).append(volume)
    return {tag: those for tag, those in found.items() if len({v.uuid or v.device for v in those}) > 1}


def _labels(entries: Sequence[FstabEntry], volumes: Sequence[Volume], table: Mapping[str, str]) -> Iterator[Finding]:
    for tag, those in _shared(volumes).items():
        if tag in table:
            continue
        users = [entry for entry in entries if devices.tag(entry.spec) == tag]
        if users:
            names = ", ".join(sorted(volume.device for volume in those))
            yield Finding(
                "GF-DISK-LABEL-TWICE",
                "warning",
                f"several volumes have {tag}, by which {users[0].place} is mounted: {names}",
                (Evidence(FSTAB, users[0].number, users[0].text), Evidence("disks", 0, names)),
                outcome="unknown",
            )


# names of the old hardware


def _told(
    guest: GuestFS,
    disks: Disks,
    entries: Sequence[FstabEntry],
    aliases: Mapping[str, str],
    claimed: set[str],
    table: Mapping[str, str],
) -> dict[str, str]:
    """Return the by-id, by-path and multipath names whose disk can be told, with the device of each."""
    stems = Stems(aliases)
    uses = [Use(entry.spec, "" if entry.type == "auto" else entry.type, entry.place in VITAL) for entry in entries]
    uses = [use for use in uses if devices.normal(use.name) not in table and stems.place(use.name)]
    if disks.disks and (uses or aliases or len(disks.disks) > 1):
        uses += [use for use in _arguments(guest) if devices.normal(use.name) not in table]
    return tell(uses[:MOST_USES], stems, disks, claimed, _order(guest)) if uses else {}


def _arguments(guest: GuestFS) -> Iterator[Use]:
    """Yield the names that root= and resume= have in the loaders' files."""
    for path in [path for pattern in MENUS for path in paths_like(guest, pattern, MOST_MENUS)]:
        text = (read_small(guest, path, MENU) or b"").decode("utf-8", "replace")
        for match in _ARGUMENT.finditer(text):
            yield Use(match[2], "" if match[1] == "root" else "swap", match[1] == "root")


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


def _udev(entries: Sequence[FstabEntry], links: Sequence[given.Link]) -> Iterator[Finding]:
    """Report each rule with who mounts by its names."""
    by_rule: dict[tuple[str, int], list[given.Link]] = {}
    for link in links:
        by_rule.setdefault((link.place.path, link.place.line), []).append(link)
    for those in list(by_rule.values())[:MOST_RULES]:
        known = [entry for entry in entries if any(devices.matches(entry.spec, one.pattern) for one in those)]
        users = f"; {FSTAB} uses it: {', '.join(entry.spec for entry in known[:4])}" if known else ""
        named = those[0].pattern.partition("[")[0]
        yield Finding(
            "GF-UDEV-OLD-DISK",
            "warning",
            f"{those[0].place.path} gives the name {named} by {those[0].by}, which only the old disk has{users}",
            (those[0].place, *(Evidence(FSTAB, entry.number, entry.text) for entry in known[:4])),
        )


# crypttab


def _mapped(
    guest: GuestFS,
    table: Mapping[str, str],
    partuuids: Mapping[str, str],
    known: frozenset[str],
    volumes: Sequence[Volume],
    disks: Disks,
) -> tuple[list[str], list[str], list[str]]:
    """Return the names of crypttab's mappings: of those that open, that have lost their device, that can't be told."""
    parts = {name: True for v in volumes if v.partuuid for name in (v.device, *v.aliases)} | dict.fromkeys(
        partuuids, True
    )
    every_uuid = disks.read or all(v.uuid for v in volumes if v.fstype in ("crypto_LUKS", None))
    answers: tuple[list[str], list[str], list[str]] = ([], [], [])
    for one in given.mappings(guest):
        names = [
            name for name in (f"/dev/mapper/{one.name}", f"/dev/disk/by-id/dm-name-{one.name}") if name not in known
        ]
        spec = devices.tag(one.source) or devices.normal(one.source)
        if devices.is_unstable(one.source):
            here = spec in parts if one.random else devices.resolve(one.source, table) is not None
            answers[0 if here else 1].extend(names)
        elif spec in known or spec in table:
            answers[0].extend(names)
        elif spec.startswith("UUID=") and volumes and every_uuid:
            answers[1].extend(names)
        else:
            answers[2].extend(names)
    return answers
