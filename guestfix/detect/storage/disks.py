"""What is known of the guest's disks, as look-up tables from the names that its files use.

Facts: disks.known, disks.count, disks.boot_bytes (of the first disk), disks.uuid_by_device (device name or alias to
``UUID=...``; ``PARTUUID=...`` where two
volumes have the same UUID), disks.partuuid_by_device, disks.fstype_by_spec, disks.specs (all that the
volumes answer to), disks.tagged (each volume is described with what it holds, so that a tag that none of
them has can be called missing), disks.complete (the volumes above partitions are described too), disks.doubtful
(patterns of names that a volume may have though the description does not say so), disks.old_names (patterns of names
that the guest's own configuration makes of the old hardware, and names of lost volumes), disks.unclaimed (of the
doubtful ones, those that a volume may have which no entry of fstab names otherwise), disks.mounts (what is mounted
though fstab has no line for it).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from guestfix.base.catalog.facts.storage import (
    DISKS_BOOT_BYTES,
    DISKS_COMPLETE,
    DISKS_COUNT,
    DISKS_DOUBTFUL,
    DISKS_FSTYPE_BY_SPEC,
    DISKS_KNOWN,
    DISKS_LAYOUT,
    DISKS_MOUNTS,
    DISKS_OLD_NAMES,
    DISKS_PARTUUID_BY_DEVICE,
    DISKS_SPECS,
    DISKS_TAGGED,
    DISKS_UNCLAIMED,
    DISKS_UUID_BY_DEVICE,
)
from guestfix.base.catalog.facts.system import OS_FAMILY
from guestfix.base.catalog.records.storage import Laid
from guestfix.base.errors import GuestError
from guestfix.base.facts import Evidence, Facts, Finding, Unknown
from guestfix.base.guest import Disks, GuestFS, Volume
from guestfix.detect.storage.stems import numbered
from guestfix.detect.storage.used import Used, names_in_use
from guestfix.formats.storage import devices
from guestfix.pack.model import Target

MEMBERS = frozenset(
    ("LVM2_member", "crypto_LUKS", "linux_raid_member", "ddf_raid_member", "isw_raid_member", "zfs_member")
)
"""What blkid(8) calls a partition whose content is a part or the container of another volume."""

_LOCKED = ("crypto_LUKS", "BitLocker")
"""What is not opened, so that what is in it can't be seen."""

_FOREIGN = ("ddf_raid_member", "isw_raid_member", "zfs_member")
"""Parts of volumes that no backend puts together."""

_MAX_VOLUMES = 4096


def detect(guest: GuestFS, facts: Facts, target: Target) -> list[Finding]:
    """Record the disks.* facts; without a description of the disks the tables are empty, not unknown."""
    try:
        disks = guest.disks()
    except GuestError:
        disks = None
    facts.put(DISKS_KNOWN, disks is not None)
    facts.put(DISKS_MOUNTS, list((disks or Disks()).mounts))
    _put_sizes(facts, disks)
    facts.put(DISKS_LAYOUT, list(_laid(disks or Disks()))[:_MAX_VOLUMES])
    volumes = [one for one in (disks or Disks()).all_volumes()[:_MAX_VOLUMES] if not one.lost]
    twice = _shared_uuids(volumes)
    specs = {volume.device: _spec_of(volume, twice) for volume in volumes}
    whole = disks is not None and all(map(_is_described, volumes)), disks is not None and _is_complete(disks)
    table = {name: spec for volume in volumes if (spec := specs[volume.device]) for name in _names(volume)}
    table |= {name: specs[device] for name, device in _other_names(disks or Disks()) if specs.get(device)}
    more = Used(table, {})
    if facts.value(OS_FAMILY) == "linux":
        every = {spec for one in volumes for spec in _answers(one)}
        more = names_in_use(guest, disks or Disks(), volumes, specs, table, every, whole)
    table = dict(more.table)
    facts.put(DISKS_UUID_BY_DEVICE, table)
    facts.put(DISKS_PARTUUID_BY_DEVICE, {**_partuuids(volumes), **more.partuuids})
    facts.put(DISKS_FSTYPE_BY_SPEC, {specs[v.device]: v.fstype for v in volumes if specs[v.device] and v.fstype})
    every = {spec for volume in volumes for spec in _answers(volume)} | set(table) | more.answering
    facts.put(DISKS_SPECS, sorted(every))
    facts.put(DISKS_TAGGED, whole[0])
    facts.put(DISKS_COMPLETE, whole[1])
    facts.put(DISKS_DOUBTFUL, sorted(more.doubtful))
    facts.put(DISKS_UNCLAIMED, sorted(more.unclaimed))
    lost = [name for one in (disks or Disks()).all_volumes() if one.lost for name in _names(one) if name not in every]
    facts.put(DISKS_OLD_NAMES, sorted({*more.old, *lost[:_MAX_VOLUMES]}))
    return [*(_same_uuid(uuid, volumes) for uuid in sorted(twice)), *more.findings]


def _put_sizes(facts: Facts, disks: Disks | None) -> None:
    """Record how many disks there are, and how large the first one is."""
    if disks is None or not disks.disks:
        facts.put(DISKS_COUNT, Unknown("nobody described the guest's disks"))
        facts.put(DISKS_BOOT_BYTES, Unknown("nobody described the guest's disks"))
        return
    facts.put(DISKS_COUNT, len(disks.disks), Evidence("disks", 0, ", ".join(one.device for one in disks.disks[:16])))
    first = disks.disks[0]
    size = first.size if first.size is not None else Unknown(f"nothing tells the size of {first.device}")
    facts.put(DISKS_BOOT_BYTES, size, Evidence("disks", 0, f"{first.device}: {first.size} bytes"))


def _laid(disks: Disks) -> Iterator[Laid]:
    """Yield every volume of every disk; a disk without partitions alone."""
    for disk in disks.disks:
        for part in disk.partitions or (Volume(""),):
            yield Laid(disk.device, disk.size, disk.table, part.device, part.fstype, part.label, part.size)
    for one in disks.volumes:
        yield Laid("", None, None, one.device, one.fstype, one.label, one.size)


def _names(volume: Volume) -> tuple[str, ...]:
    """Return every device name of a volume, those too that follow from another one."""
    given = (volume.device, *volume.aliases)
    found = [name for one in given for name in (one, *devices.implied(one))]
    if volume.fstype == "LVM2_member" and volume.uuid:
        found.append(f"/dev/disk/by-id/lvm-pv-uuid-{volume.uuid}")
    return tuple(dict.fromkeys(found))


def _shared_uuids(volumes: list[Volume]) -> set[str]:
    """Return the UUIDs that don't tell one volume from another; members of one btrfs or array may share one."""
    alone = [v for v in volumes if v.uuid and v.fstype != "btrfs" and v.fstype not in MEMBERS]
    return {uuid for uuid, count in Counter(volume.uuid for volume in alone if volume.uuid).items() if count > 1}


def _spec_of(volume: Volume, twice: set[str]) -> str:
    """Return the spec that stands for this volume alone, or an empty text."""
    if volume.uuid and volume.uuid not in twice:
        return f"UUID={volume.uuid}"
    return f"PARTUUID={volume.partuuid}" if volume.partuuid and volume.uuid in twice else ""


def _partuuids(volumes: list[Volume]) -> dict[str, str]:
    return {name: f"PARTUUID={volume.partuuid}" for volume in volumes if volume.partuuid for name in _names(volume)}


def _answers(volume: Volume) -> Iterator[str]:
    yield from _names(volume)
    tags = {"UUID": volume.uuid, "LABEL": volume.label, "PARTUUID": volume.partuuid, "PARTLABEL": volume.partlabel}
    yield from (f"{name}={value}" for name, value in tags.items() if value)


def _is_described(volume: Volume) -> bool:
    """Tell whether more than the name is known: every key of a description may be left out."""
    return any((volume.fstype, volume.uuid, volume.label, volume.partuuid, volume.partlabel))


def _is_complete(disks: Disks) -> bool:
    """Tell whether a volume above partitions that isn't listed can be taken for absent."""
    kinds = [part.fstype for disk in disks.disks for part in disk.partitions]
    if disks.read:
        arrays = [one for one in disks.volumes if one.device.startswith("/dev/md") and not one.lost]
        unseen = any(one.fstype is None for one in arrays)
        return not unseen and not any(one.fstype in (*_LOCKED, *_FOREIGN) for one in disks.all_volumes())
    return bool(disks.volumes) or not any(kind is None or kind in MEMBERS for kind in kinds)


def _same_uuid(uuid: str, volumes: list[Volume]) -> Finding:
    names = ", ".join(sorted(volume.device for volume in volumes if volume.uuid == uuid))
    return Finding(
        "GF-DISK-UUID-TWICE",
        "warning",
        f"several volumes have the UUID {uuid}: {names}",
        (Evidence("disks", 0, names),),
        "which one is mounted by this UUID is up to chance: give one of them another UUID, or detach it",
    )


def _other_names(disks: Disks) -> Iterator[tuple[str, str]]:
    """Yield patterns with the device they stand for: a single disk is meant by every by-id and by-path name."""
    if len(disks.disks) == 1:
        for part, number in numbered(disks.disks[0]):
            yield f"/dev/disk/by-id/*-part{number}", part.device
            yield f"/dev/disk/by-path/*-part{number}", part.device
