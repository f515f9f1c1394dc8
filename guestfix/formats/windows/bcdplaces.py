"""Whether the partitions that a boot configuration names are among a guest's disks, and how to name one that is."""

from __future__ import annotations

from collections.abc import Iterable

from guestfix.base.guest import Disk, Disks, Volume
from guestfix.formats.windows.bcd import Device


def is_there(device: Device, disks: Disks) -> bool | None:
    """Tell whether a boot entry's device is on these disks; None where what is known of them can't tell.

    What names no partition (the one that the boot manager came from, any that has the file) is there.
    """
    if device.kind in ("boot", "locate"):
        return True
    if device.kind != "partition" or not device.style or not disks.disks:
        return None
    if device.style == "gpt":
        return _on_gpt(device, disks)
    return _on_mbr(device, disks)


def _on_gpt(device: Device, disks: Disks) -> bool | None:
    parts = [part for disk in disks.disks for part in disk.partitions]
    if any((part.partuuid or "").lower() == device.partition for part in parts):
        return True
    told = disks.read or (bool(parts) and all(part.partuuid for part in parts))
    return False if told else None


def _on_mbr(device: Device, disks: Disks) -> bool | None:
    signatures = {disk.device: signature(disk) for disk in disks.disks if disk.table != "gpt"}
    same = [disk for disk in disks.disks if signatures.get(disk.device) == device.disk]
    if not same:
        return False if disks.read or (signatures and all(signatures.values())) else None
    starts = [part.start for disk in same for part in disk.partitions]
    if device.partition in (str(start) for start in starts):
        return True
    return False if starts and None not in starts else None


def signature(disk: Disk) -> str:
    """Return an MBR disk's signature in hex digits: its own id, or the first part of its partitions' ids."""
    named = (part.partuuid.partition("-")[0] for part in disk.partitions if part.partuuid)
    return (disk.id or next(named, "")).lower()


def with_ids(disks: Disks, devices: Iterable[Device]) -> dict[str, str]:
    """Return each GPT disk's GUID by the disk's name: its own, or that under which a boot entry names its partition."""
    found = {disk.device: disk.id for disk in disks.disks if disk.id}
    for device in devices:
        for disk in disks.disks:
            if device.style == "gpt" and any(
                (one.partuuid or "").lower() == device.partition for one in disk.partitions
            ):
                found.setdefault(disk.device, device.disk)
    return found


def device_of(volume: Volume, disks: Disks, ids: dict[str, str]) -> Device | None:
    """Return how a boot entry names a partition of these disks, None where too little is known of it."""
    for disk in disks.disks:
        if volume not in disk.partitions:
            continue
        if disk.table == "gpt" and volume.partuuid and ids.get(disk.device):
            return Device("partition", "gpt", ids[disk.device], volume.partuuid.lower())
        if disk.table == "mbr" and volume.start is not None and signature(disk):
            return Device("partition", "mbr", signature(disk), str(volume.start))
    return None


def system_volume(disks: Disks, letter: str) -> Volume | None:
    """Return the partition that holds Windows, where that is certain.

    ``letter`` is what MountedDevices says of C: (``volume GUID``, ``mbr SIGNATURE offset BYTES``). It is the partition
    that was opened as the guest's root, else the one that C: was, else the only one with NTFS.
    """
    parts = [(disk, part) for disk in disks.disks for part in disk.partitions]
    opened = [part for _, part in parts if disks.root and disks.root in (part.device, *part.aliases)]
    lettered = [part for disk, part in parts if letter and letter in _letters(disk, part)]
    ntfs = [part for _, part in parts if (part.fstype or "").lower() == "ntfs"]
    return next((those[0] for those in (opened, lettered, ntfs) if len(those) == 1), None)


def _letters(disk: Disk, part: Volume) -> tuple[str, str]:
    return f"volume {(part.partuuid or '').lower()}", f"mbr {signature(disk)} offset {part.start}"


def start_volume(disks: Disks) -> Volume | None:
    """Return the EFI system partition where only one partition can be it: the only FAT."""
    found = [one for disk in disks.disks for one in disk.partitions if (one.fstype or "").lower() in ("vfat", "fat32")]
    return found[0] if len(found) == 1 else None
