"""Inventories: which guests there are. YAML or CSV that people write, and what hypervisors write of their machines."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from guestfix.backends import named_backend
from guestfix.backends.disks.names import is_afar, shown
from guestfix.base.errors import GuestfixError, PackError, Problem, UsageError
from guestfix.base.nearest import did_you_mean
from guestfix.base.patterns import regex
from guestfix.base.record import field, frozen, replace
from guestfix.fleet.job import Guest
from guestfix.fleet.machines import domain, proxmox
from guestfix.pack.schema import Reader
from guestfix.pack.yamlpos import Mark, Node, parse

MOST = 1_000_000
"""Guests of one run."""

MOST_BYTES = 1 << 30
IMAGES = (".qcow2", ".raw", ".img", ".vmdk", ".vhd", ".vhdx", ".vdi", ".ova", ".ovf")
_KEYS = ("name", "disks", "root", "target", "policies", "accept", "network_map", "describe", "tags", "after")
_SPLIT = ";"


@frozen
class Known:
    """What an inventory may choose: the pack's targets, and its policies with their values."""

    targets: tuple[str, ...]
    policies: dict[str, tuple[str, ...]] = field(default_factory=dict)


def read(places: Sequence[str], known: Known) -> list[Guest]:
    """Return the guests of all places: inventories, machines' descriptions, disk images, and folders.

    A folder that holds a guest's root is that guest; of another, everything in it is looked at, and below it folders
    with ``root`` and ``disks.yaml`` or with an OVF. Raises
    PackError with every mistake and its place, UsageError where there is no guest, GuestfixError for what can't be
    read.
    """
    found: list[Guest] = []
    problems: list[Problem] = []
    for place in places:
        found += _at(place, known, problems)
    problems += _wrong(found)
    if problems:
        raise PackError(problems)
    if not found:
        raise UsageError("there is no guest in it", where=", ".join(places), remedy="see: guestfix fleet run --help")
    return found


def _at(place: str, known: Known, problems: list[Problem]) -> list[Guest]:
    backend, rest = named_backend(place)
    if backend == "dir":
        return [_folder(rest)]
    if backend:
        found = _at(rest, known, problems)
        return [replace(one, disks=tuple(f"{backend}:{disk}" for disk in one.disks)) for one in found]
    if is_afar(place):
        name = shown(place)
        return [Guest(name.rstrip("/").rpartition("/")[2] or name, (place,), where=name)]
    if os.path.isdir(place):
        if is_root(place):
            return [_folder(place)]
        return [one for entry in _entries(place) for one in _inside(entry, known, problems)]
    end = os.path.splitext(place)[1].lower()
    if end in IMAGES:
        return [Guest(_stem(place), (os.path.abspath(place),), where=place)]
    data = _read(place)
    if end in (".yaml", ".yml", ".json"):
        return _yaml(data, place, known, problems)
    if end == ".csv":
        return _csv(data, place, known, problems)
    if end == ".xml":
        return [domain(data, place)]
    if end == ".conf":
        return [proxmox(data, place)]
    raise UsageError(
        "this is no inventory, image or folder", where=place, remedy=f"it ends in .yaml, .csv, .xml, .conf, {IMAGES[0]}"
    )


_EXTENT = regex(r".*-(?:flat|delta|sesparse|ctk|[fs]\d{3})\.vmdk$")


def _entries(folder: str) -> list[os.DirEntry[str]]:
    """Return what may be a guest in a folder: no part of a VMDK, and beside an OVF none of the disks that it names."""
    found = sorted((one for one in os.scandir(folder) if not _EXTENT.match(one.name.lower())), key=lambda one: one.name)
    if any(one.name.lower().endswith(".ovf") for one in found):
        return [one for one in found if one.name.lower().endswith((".ovf", ".ova")) or one.is_dir()]
    return found


def is_root(folder: str) -> bool:
    """Tell whether a folder holds a guest's root."""
    return any(os.path.lexists(os.path.join(folder, name)) for name in ("etc", "Windows", "usr"))


def _folder(place: str) -> Guest:
    name = os.path.basename(os.path.abspath(place))
    return Guest(name, (f"dir:{os.path.abspath(place)}",), where=place)


def _inside(entry: os.DirEntry[str], known: Known, problems: list[Problem]) -> list[Guest]:
    end = os.path.splitext(entry.name)[1].lower()
    if entry.is_dir():
        if is_root(entry.path):
            return [_folder(entry.path)]
        root, describe = (os.path.join(entry.path, name) for name in ("root", "disks.yaml"))
        if not os.path.isdir(root) or not is_root(root):
            machines = [one for one in _entries(entry.path) if one.name.lower().endswith(".ovf")]
            return [one for machine in machines for one in _inside(machine, known, problems)]
        return [replace(_folder(root), name=entry.name, describe=describe if os.path.isfile(describe) else "")]
    return _at(entry.path, known, problems) if end in (*IMAGES, ".xml", ".conf") else []


def _stem(place: str) -> str:
    return os.path.splitext(os.path.basename(place))[0]


def _read(place: str) -> bytes:
    try:
        with open(place, "rb") as file:
            return file.read(MOST_BYTES)
    except OSError as error:
        raise GuestfixError(f"the inventory can't be read: {error.strerror}", where=place) from error


# YAML


def _yaml(data: bytes, place: str, known: Known, problems: list[Problem]) -> list[Guest]:
    node, wrong = parse(data, place)
    problems += wrong
    if node is None:
        return []
    whole = Reader(node, problems, "the inventory")
    whole.allow(("defaults", "guests"))
    default = whole.child("defaults")
    base = _guest(Reader(default, problems, "defaults"), Guest("", ()), known, place, named=False) if default else None
    return [
        _guest(one, base or Guest("", ()), known, place, named=True)
        for one in whole.readers("guests", "a guest", required=True)
    ]


def _guest(reader: Reader, base: Guest, known: Known, place: str, *, named: bool) -> Guest:
    for key, mark in reader.node.key_marks.items():
        if key not in _KEYS:
            reader.complain(mark, f"{reader.what} has no key {key!r}", did_you_mean(key, _KEYS))
    here = os.path.dirname(os.path.abspath(place))
    guest = replace(
        base,
        name=reader.text("name") if named else "",
        disks=tuple(_beside(here, one) for one in reader.texts("disks", required=named)),
        root=reader.text("root", base.root),
        target=reader.text("target", base.target),
        policies={**base.policies, **_pairs(reader, "policies")},
        accept=reader.texts("accept") or base.accept,
        network_map=_pairs(reader, "network_map") or base.network_map,
        describe=_beside(here, reader.text("describe", "")),
        tags=(*base.tags, *reader.texts("tags")),
        after=reader.texts("after"),
        where=f"{place}:{reader.node.mark.line}:{reader.node.mark.column}",
    )
    _choices(reader, guest, known)
    return guest


def _beside(folder: str, place: str) -> str:
    backend, rest = named_backend(place)
    if backend:
        return f"{backend}:{_beside(folder, rest)}"
    return place if not place or is_afar(place) else os.path.join(folder, place)


def _pairs(reader: Reader, name: str) -> dict[str, str]:
    node = reader.child(name)
    if node is None:
        return {}
    if node.keys is None:
        reader.complain(node.mark, f"{name!r} must be a mapping, not {node.kind}")
        return {}
    for value in node.keys.values():
        if value.text is None:
            reader.complain(value.mark, f"{name!r} holds texts, not {value.kind}")
    return {key: value.text or "" for key, value in node.keys.items()}


def _choices(reader: Reader, guest: Guest, known: Known) -> None:
    node: Node | None = reader.child("target")
    if node is not None and guest.target not in known.targets:
        reader.complain(node.mark, f"there is no target {guest.target!r}", did_you_mean(guest.target, known.targets))
    policies = reader.child("policies")
    for name, value in (policies.keys or {}).items() if policies is not None else ():
        if name not in known.policies:
            reader.complain(value.mark, f"there is no policy {name!r}", did_you_mean(name, known.policies))
        elif (values := known.policies[name]) and value.text not in values:
            reader.complain(
                value.mark, f"policy {name} can't be {value.text!r}", did_you_mean(value.text or "", values)
            )


# CSV


def _csv(data: bytes, place: str, known: Known, problems: list[Problem]) -> list[Guest]:
    """Read a table: columns as the keys of the YAML form, lists parted by semicolons, policies as ``policy.NAME``."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        problems.append(Mark(place, 1, 1).problem(f"not UTF-8 text (byte {error.start})"))
        return []
    lines = text.split("\n")
    rows = csv.reader(io.StringIO(text), strict=True)
    found: list[Guest] = []
    try:
        header = [name.strip() for name in next(rows, [])]
        columns = ("name", "disks", "root", "target", "tags", "after", "accept", "describe")
        for number, name in enumerate(header):
            if name not in columns and not (name.startswith("policy.") and name[7:] in known.policies):
                near = did_you_mean(name, [*columns, *(f"policy.{one}" for one in known.policies)])
                column = len(",".join(header[:number])) + (number > 0) + 1
                problems.append(Mark(place, 1, column, lines[0]).problem(f"there is no column {name!r}", near))
        if missing := [name for name in ("name", "disks") if name not in header]:
            problems.append(Mark(place, 1, 1, lines[0]).problem(f"the table lacks the column {missing[0]!r}"))
            return []
        line = rows.line_num
        for row in rows:
            if row:
                marks = dict(zip(header, _cells(place, lines, line), strict=False))
                found.append(_row(dict(zip(header, row, strict=False)), marks, known, problems))
            line = rows.line_num
    except csv.Error as error:
        problems.append(Mark(place, rows.line_num, 1).problem(f"this row can't be read: {error}"))
    return found


def _cells(place: str, lines: Sequence[str], line: int) -> Iterator[Mark]:
    """Yield where each cell of the row begins whose first line has this number, 0-based."""
    yield Mark(place, line + 1, 1, lines[line].rstrip("\r"))
    quoted = False
    for number in range(line, len(lines)):
        text = lines[number]
        for column, one in enumerate(text, 1):
            quoted ^= one == '"'
            if one == "," and not quoted:
                yield Mark(place, number + 1, column + 1, text.rstrip("\r"))


def _row(row: dict[str, str], marks: Mapping[str, Mark], known: Known, problems: list[Problem]) -> Guest:
    def several(name: str) -> tuple[str, ...]:
        return tuple(part.strip() for part in row.get(name, "").split(_SPLIT) if part.strip())

    mark = next(iter(marks.values()))
    here, target = os.path.dirname(os.path.abspath(mark.file)), row.get("target", "").strip()
    policies = {key[7:]: value.strip() for key, value in row.items() if key.startswith("policy.") and value.strip()}
    if target and target not in known.targets:
        near = did_you_mean(target, known.targets)
        problems.append(marks["target"].problem(f"there is no target {target!r}", near))
    for name, value in policies.items():
        values = known.policies.get(name, ())
        if values and value not in values:
            near = did_you_mean(value, values)
            problems.append(marks[f"policy.{name}"].problem(f"policy {name} can't be {value!r}", near))
    disks = tuple(_beside(here, one) for one in several("disks"))
    name = row.get("name", "").strip()
    if not name or not disks:
        problems.append(mark.problem(f"a guest lacks its {'disks' if name else 'name'}"))
    return Guest(
        name,
        disks,
        row.get("root", "").strip(),
        target,
        policies,
        several("accept"),
        describe=_beside(here, row.get("describe", "").strip()),
        tags=several("tags"),
        after=several("after"),
        where=f"{mark.file}:{mark.line}:{mark.column}",
    )


# all together


def _wrong(guests: Iterable[Guest]) -> list[Problem]:
    """Return a problem for each name and disk that two guests have, each unknown or circular order, too many guests."""
    names: dict[str, Guest] = {}
    disks: dict[str, Guest] = {}
    found: list[Problem] = []
    for guest in guests:
        if guest.name in names:
            what = f"{guest.name!r} is the name of the guest at {names[guest.name].where} too"
            found.append(Problem(what, where=guest.where, remedy="give each guest a name of its own"))
        names.setdefault(guest.name, guest)
        for disk in guest.disks:
            rest = named_backend(disk)[1]
            one = rest if is_afar(rest) else os.path.realpath(rest)
            if disks.setdefault(one, guest) is not guest:
                what = f"{guest.name} and {disks[one].name} have the same disk: {shown(disk)}"
                found.append(Problem(what, where=guest.where, remedy="take one of them out"))
    if len(names) > MOST:
        found.append(Problem(f"more than {MOST} guests", remedy="part the inventory"))
    for guest in names.values():
        for other in guest.after:
            if other not in names:
                what = f"{guest.name} comes after {other!r}, which is no guest"
                found.append(Problem(what, where=guest.where, remedy=did_you_mean(other, names)))
    return found or _circles(names)


def _circles(names: Mapping[str, Guest]) -> list[Problem]:
    try:
        TopologicalSorter({name: guest.after for name, guest in names.items()}).prepare()
    except CycleError as error:
        circle = error.args[1][1:]
        what = f"{', '.join(sorted(circle))} wait for one another"
        return [Problem(what, where=names[min(circle)].where, remedy="take an 'after' out")]
    return []


def waves(guests: Iterable[Guest], tags: Sequence[str] = ()) -> list[list[Guest]]:
    """Return the guests in waves: each comes after all that it names, those with the first of the tags before others.

    UsageError where a guest comes after one that its tag puts into a later wave.
    """
    ranked: list[dict[str, Guest]] = [{} for _ in range(len(tags) + 1)]
    ranks: dict[str, int] = {}
    for guest in guests:
        ranks[guest.name] = next((at for at, tag in enumerate(tags) if tag in guest.tags), len(tags))
        ranked[ranks[guest.name]][guest.name] = guest
    found: list[list[Guest]] = []
    for rank, group in enumerate(ranked):
        late = [(one, name) for one in group.values() for name in one.after if ranks.get(name, 0) > rank]
        for one, name in late:
            what = f"{one.name} comes after {name}, which its tags put into a later wave"
            raise UsageError(what, where=one.where, remedy="give both the same tag, or name the tags in another order")
        order = TopologicalSorter({name: [one for one in guest.after if one in group] for name, guest in group.items()})
        order.prepare()
        while ready := order.get_ready():
            found.append([group[name] for name in ready])
            order.done(*ready)
    return found
