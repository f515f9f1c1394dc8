"""The guest's disks as a report shows them: what is on each, where it is mounted, what the target calls it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from guestfix.base.record import frozen

LETTERS = "abcdefghijklmnopqrstuvwxyz"


@frozen
class DiskRow:
    """One disk, or (without a device) the volumes that lie above partitions. ``size`` is in bytes, 0 unknown."""

    device: str
    size: int
    volumes: tuple[str, ...]
    mounts: tuple[str, ...]
    target: str


def disk_rows(facts: Mapping[str, object]) -> list[DiskRow]:
    """Return the disks that the facts tell; none where nobody described them."""
    rows = _records(facts.get("disks.layout"))
    by_disk: dict[str, list[Mapping[str, object]]] = {}
    for row in rows:
        by_disk.setdefault(str(row.get("disk") or ""), []).append(row)
    mounted = _mounted(facts)
    own = facts.get("unix.disk")  # a BSD numbers its disks
    prefix = f"{own}%d" if isinstance(own, str) and own else str(facts.get("target.disk_prefix") or "")
    found = [_row(disk, those, mounted, prefix, number) for number, (disk, those) in enumerate(by_disk.items())]
    return sorted(found, key=lambda one: not one.device)


def _row(
    disk: str, rows: list[Mapping[str, object]], mounted: Mapping[str, list[str]], prefix: str, number: int
) -> DiskRow:
    volumes = [row for row in rows if row.get("device")]
    names = tuple(f"{_short(str(row['device']))} {row.get('fstype') or '?'}" for row in volumes)
    mounts = tuple(place for row in volumes for place in mounted.get(str(row["device"]), ()))
    size = rows[0].get("disk_size") or 0
    return DiskRow(disk, size if isinstance(size, int) else 0, names, mounts, _target(prefix, number) if disk else "")


def _short(device: str) -> str:
    return device.removeprefix("/dev/mapper/").removeprefix("/dev/")


def _target(prefix: str, number: int) -> str:
    """Return the name that the target's kernel gives to its disk of this number, from 0."""
    if not prefix:
        return ""
    if prefix.endswith("%d"):
        return f"/dev/{prefix.removesuffix('%d')}{number}"
    if prefix == "nvme":
        return f"/dev/nvme{number}n1"
    letters = LETTERS[number % 26]
    while number >= 26:
        number = number // 26 - 1
        letters = LETTERS[number % 26] + letters
    return f"/dev/{prefix}{letters}"


def _mounted(facts: Mapping[str, object]) -> dict[str, list[str]]:
    """Return the mount points of each device, by any of its names."""
    specs = facts.get("disks.uuid_by_device")
    table = specs if isinstance(specs, dict) else {}
    found: dict[str, list[str]] = {}
    for entry in _records(facts.get("disks.mounts")):
        found.setdefault(str(entry.get("device")), []).append(str(entry.get("mount")))
    for entry in _records(facts.get("fstab.entries")):
        spec, place = str(entry.get("spec")), str(entry.get("mount"))
        own = table.get(spec, spec)
        for device, uuid in table.items():
            if (uuid == own or device == spec) and place not in found.setdefault(device, []):
                found[device].append("swap" if entry.get("type") == "swap" else place)
    return found


def _records(value: object) -> Iterable[Mapping[str, object]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else ()
