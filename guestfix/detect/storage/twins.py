"""Labels and partition UUIDs that several volumes have: which one is meant, where that can be told.

The one that is meant is left over: it holds the filesystem that is asked for, and no other line names it by what is
its own. A root= by such a name means what /etc/fstab mounts at /.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from guestfix.base.facts import Evidence, Finding
from guestfix.base.guest import Volume
from guestfix.base.record import frozen
from guestfix.formats.storage import devices
from guestfix.formats.storage.fstab import FstabEntry

Claims = Callable[[Sequence[FstabEntry], Sequence[Volume]], set[str]]
"""The devices among some volumes that some entries name by what lasts."""

KINDS = ("label", "partlabel", "partuuid")


@frozen
class Tagged:
    """A ``root=`` or ``resume=`` in a loader's file that says a tag, and where."""

    name: str
    tag: str
    place: Evidence


def shared(volumes: Sequence[Volume], members: frozenset[str]) -> dict[str, list[Volume]]:
    """Return the tags of more than one volume, with these; members of a mirrored or striped whole may share one."""
    found: dict[str, list[Volume]] = {}
    for volume in volumes:
        for key in KINDS:
            value = getattr(volume, key)
            if value and volume.fstype not in members:
                found.setdefault(devices.tag(f"{key.upper()}={value}"), []).append(volume)
    return {tag: those for tag, those in found.items() if len({v.uuid or v.device for v in those}) > 1}


def told(
    twins: Mapping[str, Sequence[Volume]],
    entries: Sequence[FstabEntry],
    arguments: Sequence[Tagged],
    specs: Mapping[str, str],
    claims: Claims,
) -> Iterator[tuple[str, str]]:
    """Yield the tags that only one of their volumes can be meant by, with that one's own."""
    for tag, those in twins.items():
        users = [entry for entry in entries if devices.tag(entry.spec) == tag]
        others = [entry for entry in entries if entry not in users]
        taken, roots = claims(others, those), claims([one for one in others if one.place == "/"], those)
        meant: set[str] = set()
        for name in {one.name for one in arguments if one.tag == tag}:
            meant |= _left(those, taken - roots, roots, "" if name == "root" else "swap")
        for entry in users:
            meant |= _left(those, taken, set(), "" if entry.type == "auto" else entry.type)
        if len(meant) == 1 and (spec := specs.get(next(iter(meant)))):
            yield tag, spec


def _left(those: Sequence[Volume], taken: set[str], roots: set[str], kind: str) -> set[str]:
    """Return the devices that one use can mean; ``kind`` is the filesystem that it asks for, "" for any but swap."""
    fit = {
        v.device for v in those if not v.fstype or (devices.same_type(kind, v.fstype) if kind else v.fstype != "swap")
    }
    return (fit & roots) or (fit - taken) or fit


def findings(
    twins: Mapping[str, Sequence[Volume]],
    entries: Sequence[FstabEntry],
    arguments: Sequence[Tagged],
    table: Mapping[str, str],
    path: str,
) -> Iterator[Finding]:
    """Yield a finding for each tag in use whose volume can't be told. ``path`` is that of ``entries``."""
    for tag, those in twins.items():
        names = ", ".join(sorted(volume.device for volume in those))
        where = Evidence("disks", 0, names)
        users = [] if tag in table else [entry for entry in entries if devices.tag(entry.spec) == tag]
        for entry in users[:1]:
            summary = f"several volumes have {tag}, by which {entry.place} is mounted: {names}"
            places = (Evidence(path, entry.number, entry.text), where)
            yield Finding("GF-DISK-LABEL-TWICE", "warning", summary, places, outcome="unknown")
        asked = [] if tag in table else [one for one in arguments if one.tag == tag and one.name == "root"]
        for one in asked[:1]:
            summary = f"several volumes have {tag}, by which the boot looks for its root: {names}"
            yield Finding("GF-BOOT-LABEL-TWICE", "warning", summary, (one.place, where), outcome="unknown")
