"""Which entries of fstab need another one: binds, overlays, files on it, mounts below it, x-systemd.requires=.

Sources: systemd.mount(5), section "fstab", and systemd.unit(5), RequiresMountsFor= (what systemd adds by itself);
mount(8); the kernel's filesystems/overlayfs.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence

from guestfix.base.patterns import regex
from guestfix.formats.storage.fstab import FstabEntry

REQUIRING = ("x-systemd.requires", "x-systemd.requires-mounts-for", "x-systemd.bindsto")
"""Options by which an entry needs a unit, a device or what is mounted at a path."""

_LAYERS = {"lowerdir", "upperdir", "workdir", "br", "dirs", "upper", "lower"}
_UNIONS = {"aufs", "unionfs", "mergerfs", "fuse.mergerfs", "mhddfs", "fuse.unionfs", "fuse.mhddfs"}
_ESCAPED = regex(r"\\x([0-9a-fA-F]{2})")


def dependents(found: Sequence[FstabEntry], lost: Sequence[FstabEntry]) -> list[tuple[FstabEntry, FstabEntry]]:
    """Return the entries that need a lost one, itself or through others, each with the one that it needs.

    ``found`` are all entries of the file, those of ``lost`` among them.
    """
    first: dict[str, FstabEntry] = {}
    for entry in found:
        if entry.place.startswith("/") and entry.place != "/":
            first.setdefault(entry.place, entry)
    bases = {entry.number: _bases(entry, first) for entry in found}
    above: dict[int, list[int]] = {}
    for number, needed in bases.items():
        for base in needed:
            above.setdefault(base.number, []).append(number)
    gone = {entry.number for entry in lost}
    todo = list(gone)
    while todo:
        fresh = [number for number in above.get(todo.pop(), ()) if number not in gone]
        gone.update(fresh)
        todo += fresh
    own = {entry.number for entry in lost}
    return [
        (entry, next(base for base in bases[entry.number] if base.number in gone))
        for entry in found
        if entry.number in gone and entry.number not in own
    ]


def _bases(entry: FstabEntry, first: Mapping[str, FstabEntry]) -> list[FstabEntry]:
    """Return the entries whose mounts hold the paths that an entry needs; none for what the root holds."""
    return [base for path in _paths(entry) if (base := _cover(path, entry.place, first)) is not None]


def _cover(path: str, own: str, first: Mapping[str, FstabEntry]) -> FstabEntry | None:
    while path not in ("/", ""):
        if path in first and path != own:
            return first[path]
        path = path.rpartition("/")[0]
    return None


def _paths(entry: FstabEntry) -> Iterator[str]:
    """Yield the paths that must be mounted for the entry to succeed."""
    spec = entry.spec
    if entry.place.startswith("/"):
        yield posixpath.dirname(entry.place)
    if entry.type in _UNIONS:
        yield from (_normal(one) for one in spec.split(":") if one.startswith("/"))
    elif spec.startswith("/") and not spec.startswith(("/dev/", "//")):
        yield _normal(spec)
    for option in entry.options.split(","):
        name, _, value = option.partition("=")
        if name in _LAYERS:
            yield from (_normal(one.partition("=")[0]) for one in value.split(":") if one.startswith("/"))
        elif name in REQUIRING:
            yield from [path] if (path := path_of(value)) and not path.startswith("/dev/") else []


def _normal(path: str) -> str:
    return "/" + posixpath.normpath(path).lstrip("/")


def path_of(unit: str) -> str:
    """Return the path that a mount's or device's unit stands for, a path itself as it is, else an empty text."""
    if unit.startswith("/"):
        return _normal(unit)
    stem, dot, kind = unit.rpartition(".")
    if not dot or kind not in ("mount", "automount", "device", "swap"):
        return ""
    return "/" + _ESCAPED.sub(lambda match: chr(int(match[1], 16)), stem.replace("-", "/"))


def device_of(unit: str) -> str:
    """Return the device that a unit's name or a path stands for, else an empty text."""
    path = path_of(unit)
    return path if path.startswith("/dev/") else ""
