"""The names by which a guest knew its disks and volumes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from guestfix.backends.disks.naming import letters, partition_name
from guestfix.backends.volumes.probe import Probe
from guestfix.base.patterns import regex

_DEVICE = regex(rb"/dev/(?:(sd|hd|vd|xvd)[a-z]{1,2}\d*|(nvme)\d+n\d+|(mmcblk)\d+|(cciss)/c\dd\d+)")
_LABELS = ("by-uuid", "by-label", "by-partuuid", "by-partlabel")


def family_of(text: bytes) -> str:
    """Return the kind of disk names used most in a file such as fstab, or an empty string.

    Optical drives and floppies don't count: their lines name a medium's filesystem or mount point.
    """
    seen: Counter[str] = Counter()
    for line in text.splitlines():
        words = line.split()
        if not words or words[0].startswith(b"#") or any(b"cdrom" in w or w in (b"iso9660", b"udf") for w in words):
            continue
        for match in _DEVICE.finditer(line):
            seen[next(group for group in match.groups() if group).decode()] += 1
    return seen.most_common(1)[0][0] if seen else ""


def disk_names(index: int, number: int, family: str) -> tuple[str, ...]:
    """Return the device names of a disk (number 0) or of a partition in a family (``sd``, ``nvme`` ...)."""
    numbered = {"nvme": f"/dev/nvme{index}n1", "mmcblk": f"/dev/mmcblk{index}", "cciss": f"/dev/cciss/c0d{index}"}
    disk = numbered.get(family) or f"/dev/{family}{letters(index)}"
    return (partition_name(disk, number) if number else disk,)


def lvm_names(group: str, name: str, ids: str = "") -> tuple[str, ...]:
    """Return a logical volume's names, the device-mapper one first (hyphens are doubled there).

    ``ids`` are the UUIDs of its group and its own, one after the other, of which udev makes a link.
    """
    both = "-".join(part.replace("-", "--") for part in (group, name))
    link = (f"/dev/disk/by-id/dm-uuid-LVM-{ids.replace('-', '')}",) if ids else ()
    return (f"/dev/mapper/{both}", f"/dev/{group}/{name}", f"/dev/disk/by-id/dm-name-{both}", *link)


def luks_names(uuid: str, version: int) -> tuple[str, ...]:
    """Return the names of an opened LUKS volume, as dracut and systemd call one that no crypttab names."""
    name = f"luks-{uuid}"
    link = f"/dev/disk/by-id/dm-uuid-CRYPT-LUKS{version}-{uuid.replace('-', '')}-{name}"
    return (f"/dev/mapper/{name}", f"/dev/disk/by-id/dm-name-{name}", link)


def md_names(name: str, number: int, unnamed: int, uuid: str = "") -> tuple[str, ...]:
    """Return a RAID array's names: from its number (0.90), or its name in the superblock (``host:0``, ``root``).

    ``unnamed`` is the number that the kernel gives it where the name is none: 127 and down. ``uuid`` is the array's.
    """
    link = (f"/dev/disk/by-id/md-uuid-{uuid}",) if uuid else ()
    if number >= 0:
        return (f"/dev/md{number}", f"/dev/md/{number}", *link)
    short = name.rpartition(":")[2]
    named = (f"/dev/md/{short}", f"/dev/md/{name}", f"/dev/disk/by-id/md-name-{name}") if short else ()
    if short.isdecimal() and len(short) < 4:
        return (f"/dev/md{int(short)}", *named, *link)
    return tuple(dict.fromkeys((*named, f"/dev/md{unnamed}", *link)))


def spec_names(probe: Probe | None, partuuid: str | None, partlabel: str | None) -> tuple[str, ...]:
    """Return every tag and /dev/disk/by- link that names a volume."""
    uuid, label = (probe.uuid, probe.label) if probe is not None else (None, None)
    values = (uuid, label, partuuid, partlabel)
    kinds = ("UUID", "LABEL", "PARTUUID", "PARTLABEL")
    tags = [f"{tag}={value}" for tag, value in zip(kinds, values, strict=True) if value]
    links = [f"/dev/disk/{place}/{_encoded(value)}" for place, value in zip(_LABELS, values, strict=True) if value]
    return (*tags, *links)


def _encoded(text: str) -> str:
    """Return text as udev writes it into a link's name."""
    return re.sub(r"[^A-Za-z0-9#+\-.:=@_]", lambda match: "".join(f"\\x{b:02x}" for b in match[0].encode()), text)


class Names:
    """All names of all volumes. A name that two volumes claim finds the first."""

    def __init__(self) -> None:
        self.family = "sd"
        self._names: dict[int, tuple[str, ...]] = {}
        self._by_name: dict[str, int] = {}

    def add(self, key: int, names: Iterable[str]) -> None:
        """Record the device names of a volume, the main one first."""
        found = tuple(names)
        self._names[key] = found or (f"volume {key}",)
        match = _DEVICE.match(found[0].encode()) if found else None
        if match:
            self.family = next(group for group in match.groups() if group).decode()
        for name in found:
            self._by_name.setdefault(name, key)

    def add_specs(self, key: int, specs: Iterable[str]) -> None:
        """Record the tags and links that name a volume."""
        for spec in specs:
            self._by_name.setdefault(_folded(spec), key)

    def rename(self, key: int, names: Iterable[str]) -> None:
        """Give a volume other device names than those that it has."""
        for name in self._names.pop(key):
            if self._by_name[name] == key:
                del self._by_name[name]
        self.add(key, names)

    def also(self, key: int, name: str) -> None:
        """Record one more device name of a volume, unless another one has it."""
        if self._by_name.setdefault(name, key) == key and name not in self._names[key]:
            self._names[key] += (name,)

    def primary(self, key: int) -> str:
        """Return the main device name."""
        return self._names[key][0]

    def all(self, key: int) -> tuple[str, ...]:
        """Return every device name, the main one first."""
        return self._names[key]

    def find(self, spec: str) -> int | None:
        """Return the volume that a device name, tag or link names."""
        return self._by_name.get(_folded(spec))


def _folded(spec: str) -> str:
    tag, mark, value = spec.partition("=")
    return f"{tag}={value.lower()}" if mark and tag in ("UUID", "PARTUUID") else spec


def scsi_name(device: str) -> str:
    """Return the name that a device of another family has as a SCSI disk (vda1: /dev/sda1), "" for what has none."""
    match = re.fullmatch(r"/dev/(?:sd|hd|vd|xvd)([a-z])(\d*)", device)
    nvme = re.fullmatch(r"/dev/nvme(\d)n1(?:p(\d+))?", device)
    if nvme:
        return f"/dev/sd{letters(int(nvme[1]))}{nvme[2] or ''}"
    return f"/dev/sd{match[1]}{match[2]}" if match else ""
