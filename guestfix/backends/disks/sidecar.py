"""The disks description of ``--disks``: what a tree of files can't show about the disks it came from."""

from __future__ import annotations

import hashlib
from typing import Any

from guestfix.base import cache
from guestfix.base.errors import GuestfixError, InputError, Problem
from guestfix.base.guest import Disk, Disks, Volume
from guestfix.base.patterns import regex
from guestfix.base.record import asdict
from guestfix.pack.schema import Reader
from guestfix.pack.yamlpos import MAX_BYTES, Node, parse

FORMAT = 5
VOLUME_KEYS = (
    "device",
    "aliases",
    "fstype",
    "uuid",
    "label",
    "partuuid",
    "partlabel",
    "size",
    "unclean",
    "lost",
    "start",
)
DISK_KEYS = ("device", "size", "table", "partitions", "id")


def read_disks(path: str) -> Disks:
    """Return the disks that a file describes.

    Raises InputError with every mistake at its line and column, GuestfixError where it can't be read.
    """
    try:
        with open(path, "rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise GuestfixError(f"can't read the disks description: {error.strerror}", where=path) from error
    return disks_from(data, path)


def disks_from(data: bytes, path: str) -> Disks:
    """Return the disks that the bytes of this file describe. Raises InputError with every mistake."""
    name = f"disks-{FORMAT}-{hashlib.sha256(data).hexdigest()}"
    try:
        return _decode(cache.read(name))
    except (KeyError, TypeError, AttributeError):
        disks = parse_disks(data, path)
        cache.write(name, asdict(disks))
        return disks


def _decode(kept: Any) -> Disks:
    disks = [{**disk, "partitions": tuple(_volume_in(part) for part in disk["partitions"])} for disk in kept["disks"]]
    return Disks(tuple(Disk(**disk) for disk in disks), tuple(_volume_in(volume) for volume in kept["volumes"]))


def _volume_in(kept: dict[str, Any]) -> Volume:
    return Volume(**{**kept, "aliases": tuple(kept["aliases"])})


def parse_disks(data: bytes, file: str) -> Disks:
    """Return the disks described by YAML text. Raises InputError with every mistake."""
    node, problems = parse(data, file)
    disks = Disks()
    if node is not None:
        reader = Reader(node, problems, "the disks description")
        disks = read_disks_node(reader)
    if problems:
        raise InputError(problems)
    return disks


def read_disks_node(reader: Reader) -> Disks:
    """Return the disks that a mapping with ``disks`` and ``volumes`` describes, noting its mistakes."""
    reader.allow(("disks", "volumes"))
    places: Places = []
    disks = tuple(_disk(one, places) for one in reader.readers("disks", "a disk"))
    volumes = tuple(_volume(one, places) for one in reader.readers("volumes", "a volume"))
    _refuse_twice(reader, disks, volumes, places)
    return Disks(disks, volumes)


Places = list[tuple[str, Node]]
"""Each name in the order of the text, with where it stands."""


def _disk(reader: Reader, places: Places) -> Disk:
    reader.allow(DISK_KEYS)
    device = _device(reader, places)
    partitions = tuple(_partition(one, places, device) for one in reader.readers("partitions", "a partition"))
    table = reader.text("table", "", one_of=("", "gpt", "mbr", "ldm")) or None
    return Disk(device, reader.number("size"), table, partitions, reader.text("id", "").lower() or None)


_PARTITION = regex(r"(/dev/(?:[shv]d[a-z]+|xvd[a-z]+))([0-9]+)|(/dev/(?:nvme[0-9]+n|mmcblk|nbd|loop)[0-9]+p)([0-9]+)")
"""The kernel's names of partitions: that of the disk, after a digit a p, and a number (block/partitions/core.c)."""


def _partition(reader: Reader, places: Places, disk: str) -> Volume:
    """Read a partition, whose name must be one of its own disk's."""
    volume = _volume(reader, places)
    match = _PARTITION.fullmatch(volume.device)
    if match and disk and (match[1] or match[3][:-1]) != disk:
        number = match[2] or match[4]
        remedy = f"did you mean {disk}{'p' if disk[-1:].isdigit() else ''}{number}?"
        reader.complain(reader.keys["device"].mark, f"{volume.device} is no partition of {disk}", remedy)
    return volume


TAGS = ("uuid", "label", "partuuid", "partlabel")
"""Keys that a volume may lack: an empty text says so, and one that is left out says nothing."""

_UUID = regex(r"[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*")


def _check_uuid(reader: Reader, key: str, value: str | None) -> None:
    if value and not _UUID.fullmatch(value):
        near = _UUID.match(value.strip())
        remedy = (
            f"did you mean {near[0]}?" if near and len(near[0]) > 3 else "as blkid prints it: letters, digits, hyphens"
        )
        reader.complain(reader.keys[key].mark, f"{value!r} is no {key}", remedy)


def _volume(reader: Reader, places: Places) -> Volume:
    reader.allow(VOLUME_KEYS)
    device = _device(reader, places)
    aliases = reader.texts("aliases")
    names = {name: reader.text(name, "") if name in reader.keys else None for name in TAGS}
    names["fstype"] = reader.text("fstype", "") or None
    _check_uuid(reader, "uuid", names["uuid"])
    _check_uuid(reader, "partuuid", names["partuuid"])
    unclean, lost = (reader.text(key, "no", one_of=("yes", "no")) == "yes" for key in ("unclean", "lost"))
    places += [(name, reader.keys["aliases"]) for name in aliases]
    size, start = reader.number("size"), reader.number("start")
    return Volume(device, aliases, size=size, unclean=unclean, lost=lost, start=start, **names)


def _device(reader: Reader, places: Places) -> str:
    device = reader.text("device")
    places += [(device, reader.keys["device"])] if device else []
    if device and not device.startswith("/dev/"):
        reader.complain(reader.keys["device"].mark, f"{device!r} is no device name: it must start with /dev/")
    return device


def _refuse_twice(reader: Reader, disks: tuple[Disk, ...], volumes: tuple[Volume, ...], places: Places) -> None:
    """Note names that stand for two things. A disk without partitions may be a volume itself (LVM on it)."""
    bare = {disk.device for disk in disks if disk.table is None and not disk.partitions}
    whole = {volume.device for volume in volumes} & bare
    seen: dict[str, int] = {}
    every = [disk.device for disk in disks if disk.device not in whole] + [
        name for volume in Disks(disks, volumes).all_volumes() for name in (volume.device, *volume.aliases)
    ]
    for name in every:
        if name and name in seen:
            nodes = [node for known, node in places if known == name]
            problem: Problem = nodes[min(seen[name], len(nodes) - 1)].mark.problem(f"{name!r} is described twice")
            reader.problems.append(problem)
        seen[name] = seen.get(name, 0) + 1
