"""Names of block devices on Linux: which of them survive a move to other hardware, and which don't.

Sources: https://docs.kernel.org/admin-guide/devices.html, udev's 60-persistent-storage.rules, fstab(5).
"""

from __future__ import annotations

import functools
import posixpath
import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

from guestfix.base.edit import Table
from guestfix.base.patterns import regex

_UNSTABLE = regex(
    r"""/dev/(?:
      (?:sd|hd|vd|xvd|ubd|dasd|emcpower)[a-z]+[0-9]*        # SCSI, IDE, virtio, Xen, UML, s390, multipath products
    | nvme[0-9]+(?:n[0-9]+(?:p[0-9]+)?)?
    | (?:mmcblk|pmem|nbd|rbd|ubiblock)[0-9]+(?:p[0-9]+)?
    | (?:cciss|ida|rd|i2o|etherd|ataraid|block)/[^/]+              # RAID controllers with a folder; MAJOR:MINOR
    | disk/by-(?:path|diskseq)/[^/]+
    | disk/by-id/(?!dm-|md-|lvm-)[^/]+                             # dm-uuid-LVM-..., md-uuid-... go with the data
    | (?:mapper/|disk/by-id/dm-name-)(?:mpath[a-z]+|[0-9][0-9a-f]{16}(?:[0-9a-f]{16})?|eui\.[0-9a-f]{16,32})
      (?:(?:p|[-_]part)?[0-9]+)?                                   # multipath's maps, by its or the LUN's name
    | disk/by-id/dm-uuid-(?:part[0-9]+-)?mpath-[^/]+               # multipath's, made of the LUN's own number
    | (?:sr|scd|fd|st)[0-9]+\w*
    | (?:cdrom|cdrw|dvd|dvdrw|floppy)[0-9]*(?:/[^/]+)?
    )\Z""",
    re.VERBOSE,
)
_TAG = regex(r"(UUID|LABEL|PARTUUID|PARTLABEL)=(.*)\Z", re.DOTALL)
_TAG_FOLDER = regex(r"/dev/disk/by-(uuid|label|partuuid|partlabel)/([^/]+)\Z")
_LAYERED = regex(r"/dev/(?:mapper/[^/]+|md/[^/]+|md_?d?[0-9]+(?:p[0-9]+)?|disk/by-id/(?:dm|md|lvm)-[^/]+)\Z")
_TWO_PARTS = regex(r"/dev/([^/]+)/([^/]+)\Z")
_NO_VOLUME_GROUP = regex(
    "ataraid|block|bsg|bus|char|cciss|cdroms?|cpu|disk|dri|etherd|fd|floppy|hugepages|i2o|ida|input|loop|mapper|md|mqueue|"
    "net|pktcdvd|pts|raw|rd|shm|snd|usb|v4l|vfio|zvol"
)
_MAPPED = regex(r"/dev/(?:mapper/|disk/by-id/dm-name-)([^/]+)\Z")
_MD = regex(r"/dev/md/?([0-9]{1,4})\Z")
_SINGLE_HYPHEN = regex(r"(?<!-)-(?!-)")
_LINUX_EXT = {"ext2": "ext", "ext3": "ext", "ext4": "ext"}
_SAME_TYPE = {**_LINUX_EXT, "msdos": "fat", "vfat": "fat", "fat": "fat", "ntfs3": "ntfs", "ntfs-3g": "ntfs"}
_BARE_UUID = regex(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\Z")
_LETTERED = regex(r"/dev/(sd|hd|vd|xvd)([a-z]{1,2})([0-9]{1,3})\Z")
_NUMBERED = regex(r"/dev/nvme([0-9]{1,4})n1p([0-9]{1,3})\Z")
_PART_OF_ID = regex(r"(/dev/disk/by-(?:id|path)/)(.+)(-part[0-9]+)\Z")
_HEX_ESCAPE = regex(r"\\x([0-9a-fA-F]{2})")


def normal(name: str) -> str:
    """Return the name with doubled slashes and dots removed: ``//dev/./sda1`` is ``/dev/sda1``."""
    return "/" + posixpath.normpath(name).lstrip("/") if name.startswith("/") else name


def is_unstable(name: str) -> bool:
    """Tell whether the kernel or the controller makes this name up, so that other hardware has another one.

    md arrays, LVM, device-mapper names and the tags of filesystems and partitions go with the data; multipath's names
    are the storage array's.
    """
    return _UNSTABLE.match(normal(name)) is not None


def is_layered(name: str) -> bool:
    """Tell whether the name is of a volume above partitions: device-mapper, LVM (``/dev/VG/LV``), md."""
    name = normal(name)
    if _LAYERED.match(name):
        return True
    parts = _TWO_PARTS.match(name)
    return parts is not None and not _NO_VOLUME_GROUP.fullmatch(parts[1])


def is_bare_uuid(spec: str) -> bool:
    """Tell whether this is a filesystem's UUID whose ``UUID=`` was forgotten."""
    return _BARE_UUID.match(spec) is not None


def tag(spec: str) -> str:
    """Return a tag in one form, ``UUID=ab12`` for ``UUID="ab12"`` and ``/dev/disk/by-uuid/ab12``; else an empty text.

    Hexadecimal digits of a UUID count the same in both cases, so they come back in lower case.
    """
    match = _TAG.match(spec)
    if match:
        name, value = match[1], match[2]
        if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
    else:
        match = _TAG_FOLDER.match(normal(spec))
        if not match:
            return ""
        name = match[1].upper()
        value = _HEX_ESCAPE.sub(lambda found: chr(int(found[1], 16)), match[2])
    return f"{name}={value.lower() if name.endswith('UUID') else value}"


def known_tags(specs: Iterable[str]) -> frozenset[str]:
    """Return the specs to compare with: tags in the form of :func:`tag`, device names as :func:`normal`."""
    return frozenset(tag(spec) or normal(spec) for spec in specs)


def same_type(wanted: str, found: str) -> bool:
    """Tell whether an entry of this type (``auto``, a list) mounts what blkid(8) calls ``found``."""
    kinds = wanted.split(",")
    one = _SAME_TYPE.get(found, found)
    return not {"auto", "fuseblk"}.isdisjoint(kinds) or any(_SAME_TYPE.get(kind, kind) == one for kind in kinds)


def implied(name: str) -> tuple[str, ...]:
    """Return the other names that device-mapper's and LVM's naming gives a volume of this name."""
    mapped = _MAPPED.match(name)
    group = _TWO_PARTS.match(name)
    if not mapped and is_layered(name) and group and group[1] not in ("mapper", "md"):
        both = "-".join(part.replace("-", "--") for part in group.groups())
        return (f"/dev/mapper/{both}", f"/dev/disk/by-id/dm-name-{both}")
    if not mapped:
        number = _MD.match(name)
        return (f"/dev/md{number[1]}", f"/dev/md/{number[1]}") if number else ()
    halves = [half.replace("--", "-") for half in _SINGLE_HYPHEN.split(mapped[1])]
    links = (f"/dev/mapper/{mapped[1]}", f"/dev/disk/by-id/dm-name-{mapped[1]}")
    return (*links, f"/dev/{halves[0]}/{halves[1]}") if len(halves) == 2 and all(halves) else links


def link_of(tag: str) -> str:
    """Return a tag (``UUID=ab``) as its link in /dev/disk, for what opens a path."""
    kind, _, identity = tag.partition("=")
    return f"/dev/disk/by-{kind.lower()}/{identity}"


def matches(name: str, pattern: str) -> bool:
    """Tell whether a pattern matches the name; ``*`` stays within one folder."""
    return fnmatchcase(name, pattern) and (pattern[0] != "/" or name.count("/") == pattern.count("/"))


def resolve(name: str, table: Table, neighbours: Iterable[str] = ()) -> str | None:
    """Return what :class:`Resolver` finds for one name."""
    return Resolver(table, neighbours).find(name)


class Resolver:
    """Looks up device names in a table (the fact ``disks.uuid_by_device``); made once for all names of a file.

    A guest with one disk has keys such as ``/dev/disk/by-id/*-part1`` in it. They answer for any disk's
    name, so they count only while all ``names`` (those of the file, the one asked for included) can be of
    one disk. Where all disks in the table have names of one family, the same place in another family is
    meant too: a guest that was moved before may say /dev/hda1 for what its last platform called /dev/sda1.
    """

    def __init__(self, table: Table, names: Iterable[str] = ()) -> None:
        self._table = table
        self._stems: dict[str, set[str]] = {}
        for match in map(_PART_OF_ID.match, map(normal, names)):
            if match:
                self._stems.setdefault(match[1], set()).add(match[2])

    def find(self, name: str) -> str | None:
        """Return the ``UUID=...`` or ``PARTUUID=...`` of the volume that name means, or None."""
        name = normal(name)
        found = self._table.get(name)
        if found:
            return found
        if is_bare_uuid(name):
            return f"UUID={name}" if f"UUID={name}" in self._specs else None
        part = _PART_OF_ID.match(name)
        if part is None:
            return self._by_place(name)
        one_disk = self._stems.get(part[1], set()) <= {part[2]}
        return self._table.get(f"{part[1]}*{part[3]}") if one_disk else None

    @functools.cached_property
    def _specs(self) -> frozenset[str]:
        return frozenset(self._table.values())

    @functools.cached_property
    def _places(self) -> dict[tuple[str, int, str], str]:
        return {place: key for key in self._table if (place := _place(key)) is not None}

    @functools.cached_property
    def _families(self) -> frozenset[str]:
        return frozenset(family for family, _, _ in self._places)

    def _by_place(self, name: str) -> str | None:
        wanted = _place(name)
        if wanted is None or len(self._families) != 1 or wanted[0] in self._families:
            return None
        (family,) = self._families
        key = self._places.get((family, wanted[1], wanted[2]))
        return self._table[key] if key else None


def _place(name: str) -> tuple[str, int, str] | None:
    """Return a partition name's family, its disk's place counted from 0, and its number."""
    match = _LETTERED.match(name)
    if match is None:
        match = _NUMBERED.match(name)
        return ("nvme", int(match[1]), match[2]) if match else None
    place = 0
    for letter in match[2]:
        place = place * 26 + ord(letter) - ord("a") + 1
    return match[1], place - 1, match[3]
