"""Limits of disks and volumes: encryption, dynamic disks, number and size, the root filesystem, hibernation.

A tree of files can't show these; they come from the description of the disks and from crypttab(5).
"""

from __future__ import annotations

from collections.abc import Iterator

from guestfix.base.catalog.facts.storage import DISKS_UUID_BY_DEVICE, FSTAB_ENTRIES
from guestfix.base.catalog.facts.system import OS_FAMILY
from guestfix.base.errors import GuestError
from guestfix.base.facts import Evidence, Facts, Finding
from guestfix.base.guest import Disk, Disks, GuestFS, Volume
from guestfix.detect.files import lines_of, read_small
from guestfix.formats.storage import devices
from guestfix.pack.model import Target

_DYNAMIC = ("ldm", "dynamic", "ldm_data", "ldm_metadata", "windows_ldm")
_KEYLESS = ("/dev/urandom", "/dev/random")


def check(guest: GuestFS, facts: Facts, target: Target) -> list[Finding]:
    """Report what the description of the disks shows."""
    try:
        disks = guest.disks() or Disks()
    except GuestError:
        disks = Disks()
    volumes = disks.all_volumes()
    linux = facts.value(OS_FAMILY) == "linux"
    found = [*_dynamic(disks, volumes), *_too_many(disks, target), *_too_large(disks, target)]
    if linux:
        found += [*_encrypted(guest, volumes), *_hibernated(volumes), *_root(facts, target, disks, volumes)]
    return found


def _shown(volume: Volume) -> Evidence:
    return Evidence("disks", 0, f"{volume.device}: {volume.fstype}")


def _is(volume: Volume, *kinds: str) -> bool:
    return (volume.fstype or "").lower() in kinds


def _encrypted(guest: GuestFS, volumes: tuple[Volume, ...]) -> Iterator[Finding]:
    """LUKS by the volume's type or by crypttab, save for swap that gets a new random key at each boot."""
    luks = [_shown(volume) for volume in volumes if _is(volume, "crypto_luks", "luks")]
    for number, line in lines_of(read_small(guest, "/etc/crypttab") or b""):
        fields = line.split()
        if not line.startswith("#") and len(fields) > 1 and (fields + ["none"])[2] not in _KEYLESS:
            luks.append(Evidence("/etc/crypttab", number, line))
    if luks:
        yield Finding(
            "GF-DISK-LUKS",
            "warning",
            "a volume is encrypted with LUKS: it opens at boot only where its key or passphrase can be given",
            tuple(luks[:8]),
            "see that the target has a console to type the passphrase on and that no key depends on the old machine "
            "(TPM, USB stick, network); else decrypt the volume before the migration",
        )
    locked = [_shown(volume) for volume in volumes if _is(volume, "bitlocker")]
    if locked:
        summary = "a volume is encrypted with BitLocker; it is left alone"
        remedy = "suspend or switch off BitLocker on the machine it belongs to, if the guest needs the volume"
        yield Finding("GF-DISK-BITLOCKER", "warning", summary, tuple(locked), remedy)


def _dynamic(disks: Disks, volumes: tuple[Volume, ...]) -> Iterator[Finding]:
    found = [Evidence("disks", 0, f"{disk.device}: {disk.table}") for disk in disks.disks if _ldm(disk.table)]
    found += [_shown(volume) for volume in volumes if _ldm(volume.fstype)]
    if found:
        yield Finding(
            "GF-DISK-DYNAMIC",
            "warning",
            "a disk is a Windows dynamic disk; its volumes may not come up on other hardware",
            tuple(found[:8]),
            "convert it to a basic disk on the old machine before the migration",
        )


def _ldm(kind: str | None) -> bool:
    return (kind or "").lower() in _DYNAMIC


def _too_many(disks: Disks, target: Target) -> Iterator[Finding]:
    most = target.limits.get("volumes")
    if most is not None and len(disks.disks) > most:
        names = ", ".join(disk.device for disk in disks.disks)
        yield Finding(
            "GF-DISK-TOO-MANY",
            "warning",
            f"the guest has {len(disks.disks)} disks; import services take {most} at most",
            (Evidence("disks", 0, names),),
            "attach the disks beyond that after the migration; their fstab entries need nofail until then",
        )


def _too_large(disks: Disks, target: Target) -> Iterator[Finding]:
    largest = target.limits.get("disk_bytes")
    for disk in disks.disks:
        if largest is not None and disk.size is not None and disk.size >= largest:
            yield Finding(
                "GF-DISK-TOO-LARGE",
                "warning",
                f"{disk.device} has {disk.size / 1024**4:.1f} TiB; import services take disks below {_size(largest)}",
                (Evidence("disks", 0, f"{disk.device}: {disk.size} bytes"),),
                "shrink or split the disk, or copy its data after the migration",
            )


def _size(size: int) -> str:
    return f"{size / 1024**4:.10g} TiB" if size >= 1024**4 else f"{size / 1024**3:.10g} GiB"


def _hibernated(volumes: tuple[Volume, ...]) -> Iterator[Finding]:
    asleep = [_shown(volume) for volume in volumes if _is(volume, "swsuspend", "tuxonice")]
    if asleep:
        yield Finding(
            "GF-DISK-HIBERNATED",
            "blocker",
            "the guest is hibernated: its swap holds a memory image, which would be resumed over changed filesystems",
            tuple(asleep),
            "start the guest on the old platform, shut it down, and take its disks then",
        )


# the root filesystem


def _root(facts: Facts, target: Target, disks: Disks, volumes: tuple[Volume, ...]) -> Iterator[Finding]:
    entry = next((one for one in facts.value(FSTAB_ENTRIES) or () if one.mount == "/"), None)
    if entry is None:
        return
    line = Evidence("/etc/fstab", entry.line, f"{entry.spec} / {entry.type} {entry.options}")
    meant, why = _meant(facts, disks, volumes, entry.spec)
    kinds = dict.fromkeys(one.fstype or entry.type for one in meant) or {entry.type: None}
    taken = target.limits.get("root_filesystems")
    if taken and any(kind not in (*taken, "auto") for kind in kinds):
        yield Finding(
            "GF-DISK-ROOT-FILESYSTEM",
            "warning",
            f"the root filesystem is {' or '.join(kinds)}{why}; import services take {', '.join(taken)}",
            (line, *(_shown(one) for one in meant[:4])),
            "see that kernel and initramfs bring this filesystem, and try the migrated guest before it is used",
        )
    if "btrfs" in kinds and "subvol" in entry.options:
        summary = "the root is a Btrfs subvolume, which some import services do not take; guestfix keeps it as it is"
        yield Finding("GF-DISK-ROOT-SUBVOLUME", "info", summary, (line,))
    homes = [disk for disk in disks.disks if any(one in disk.partitions for one in meant)]
    if len(homes) == 1 and homes[0] != disks.disks[0]:
        yield _elsewhere(homes[0], disks.disks[0], line)


def _meant(facts: Facts, disks: Disks, volumes: tuple[Volume, ...], spec: str) -> tuple[list[Volume], str]:
    """Return the volumes that the root may be, and which of several by this name it is, or that that can't be told."""
    name = devices.tag(spec) or devices.normal(spec)
    those = [one for one in volumes if {spec, name} & set(_answers(one))]
    own = facts.value(DISKS_UUID_BY_DEVICE, {}).get(name, "")
    told = [one for one in those or volumes if disks.root and disks.root in (one.device, *one.aliases)]
    by = "which holds the system that was read"
    if not told and own and len(those) != 1:
        told = [one for one in volumes if own in _answers(one)]
        by = "by its filesystem and by what names the others"
    names = ", ".join(one.device for one in those)
    if len(those) < 2:
        return those or told, ""
    if len(told) == 1:
        return told, f" ({told[0].device}: of {names}, which all answer to {spec}, {by})"
    return those, f" ({names} answer to {spec}, and which of them is meant can't be told)"


def _elsewhere(home: Disk, first: Disk, line: Evidence) -> Finding:
    return Finding(
        "GF-DISK-ROOT-DISK",
        "warning",
        f"the root partition is on {home.device}, not on the first disk {first.device} that the firmware boots from",
        (line, Evidence("disks", 0, f"first disk: {first.device}")),
        "attach all disks in the same order on the target, or install the boot loader on the root's disk",
    )


def _answers(volume: Volume) -> tuple[str, ...]:
    tags = {"UUID": volume.uuid, "LABEL": volume.label, "PARTUUID": volume.partuuid, "PARTLABEL": volume.partlabel}
    return (volume.device, *volume.aliases, *(f"{name}={value}" for name, value in tags.items() if value))
