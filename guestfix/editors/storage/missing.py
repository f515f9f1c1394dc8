"""Changes to /etc/fstab for volumes that did not come along, and for what builds upon them."""

from __future__ import annotations

from collections.abc import Sequence

from guestfix.base.edit import Content, Edit, Note, Splice, Table
from guestfix.editors.storage.fstab import (
    LENIENT,
    add_options,
    done,
    fits,
    fits_type,
    names_device,
    no_fsck,
    note_of,
    relax,
    resolved,
    spec_of,
    too_long,
    where_of,
)
from guestfix.formats.storage import devices
from guestfix.formats.storage.dependents import REQUIRING, device_of
from guestfix.formats.storage.fstab import VITAL, FstabEntry, readable
from guestfix.formats.storage.known import Known, known

_LACKS = {
    "absent": ("nothing answers to {spec}", "attach its disk", "import the disk that holds {place}, or name {spec} in"),
    "undescribed": ("{spec} comes from the old hardware, and the disks are not described", "name it by UUID=", ""),
    "unnamed": ("the UUID of {spec} is not known", "name it by UUID=", "give the UUID of {spec} in"),
    "other": (
        "{spec} holds another filesystem than the entry says",
        "name it by UUID=",
        "check the order of the disks in",
    ),
}
"""Per lack: what is wrong, what to do afterwards, and what to do now with the description of the disks."""

_DESCRIBE = "describe the guest's disks with --disks, so that the volume's UUID is known"


def guard_missing(
    src: bytes | None,
    *,
    table: Table,
    types: Table,
    specs: list[str],
    tagged: bool,
    complete: bool,
    init: str,
    doubtful: Sequence[str] = (),
    old: Sequence[str] = (),
) -> Content | Edit:
    """Keep entries whose volume is not there from stopping the boot; block where nothing can be done.

    Missing is: a device name, or one of the old hardware (``old``), that table can't resolve; where the disks are
    described with what they hold (``tagged``, ``complete``), a tag or a name above partitions that is not in
    ``specs``, unless a volume may have it (``doubtful``). Such an entry gets ``nofail`` (systemd: and a device timeout
    of 30 s, so that what waits for it goes on; Ubuntu's mountall: ``nobootwait``) and no fsck, with a follow-up, and so
    does what builds upon it: binds, overlays, files on it, mounts below it. The mount points in VITAL are never made
    optional: they are a blocker. Entries that boot doesn't wait for (noauto, nofail, automount) stay; those with noauto
    lose their fsck, which sysvinit would still run.
    """
    if src is None:
        return src
    splices: list[Splice] = []
    notes: list[Note] = []
    found = readable(src)
    volumes = devices.Resolver(table, (entry.spec for entry in found))
    names = known(table, specs, tagged, complete, doubtful, old)
    lost = []
    for entry in found:
        lack = _lacks(entry, names, volumes, types) if names_device(entry) else ""
        device = spec_of(entry) if lack else _lost_device(entry, names)
        if not device:
            continue
        lost.append(entry)
        lack = (lack or "absent") if specs or lack not in ("", "absent") else "undescribed"
        changes, said = _guard(entry, lack, device, init)
        small = fits(entry, changes)
        splices += changes if small else []
        notes += said if small else [too_long(entry)]
    relax(found, lost, init, splices, notes)
    return done(src, splices, notes)


def _lacks(entry: FstabEntry, names: Known, volumes: devices.Resolver, types: Table) -> str:
    """Return what is wrong with the entry's volume: a key of _LACKS, or an empty text."""
    spec = resolved(entry, names.table, volumes, names.old)
    if spec is not None:
        return "" if fits_type(entry, spec, types) else "other"
    if devices.is_unstable(entry.spec) or devices.is_bare_uuid(entry.spec):
        return "unnamed" if devices.normal(entry.spec) in names.specs else "absent"
    return "absent" if names.answer(entry.spec) == "absent" else ""


def _lost_device(entry: FstabEntry, names: Known) -> str:
    """Return the device that systemd is told to wait for before it mounts the entry, "" where all are there."""
    values = (option.partition("=") for option in entry.options.split(","))
    wanted = [device for name, _, value in values if name in REQUIRING and (device := device_of(value))]
    return next((device for device in wanted if names.answer(device) == "absent"), "")


def _guard(entry: FstabEntry, lack: str, device: str, init: str) -> tuple[list[Splice], list[Note]]:
    lenient, options = LENIENT.get(init, ("nofail", "nofail"))
    if entry.has("noauto"):
        return ([] if init == "systemd" else no_fsck(entry)), []
    if entry.has(lenient, "x-systemd.automount", "comment=systemd.automount"):
        lost = devices.is_unstable(entry.spec) and "comment=cloudconfig" not in entry.options.split(",")
        return [], [_unmounted(entry, lack, device)] if lost else []
    if entry.place in VITAL:
        return [], [_vital(entry, lack, device)]
    where, (wrong, afterwards, _) = where_of(entry), _LACKS[lack]
    summary = f"{where} would hold up the boot: {wrong.format(spec=device)}"
    follow_up = f"{lenient} was added to {where}: {afterwards}, then remove it"
    remedy = f"{_DESCRIBE}; else {_AFTERWARDS}" if lack == "undescribed" else ""
    notes = [note_of(entry, "warning", "GF-FSTAB-VOLUME-MISSING", summary, remedy), Note("follow_up", follow_up)]
    return [*add_options(entry, options), *no_fsck(entry)], notes


_AFTERWARDS = "name it by UUID after the migration and remove nofail"


def _unmounted(entry: FstabEntry, lack: str, device: str) -> Note:
    """Tell of an entry that the boot does without anyway, by a name of the old hardware.

    What cloud-init wrote for a disk of an instance (comment=cloudconfig) it writes anew.
    """
    wrong = _LACKS[lack][0].format(spec=device)
    summary = f"{where_of(entry)} is left out at boot, as its options allow: {wrong}"
    return note_of(entry, "info", "GF-FSTAB-VOLUME-MISSING", summary, "name the volume by UUID= or LABEL=")


def _vital(entry: FstabEntry, lack: str, device: str) -> Note:
    code = "GF-FSTAB-ROOT-UNRESOLVED" if entry.place == "/" else "GF-FSTAB-VITAL-UNRESOLVED"
    wrong, _, now = _LACKS[lack]
    remedy = f"{now.format(spec=device, place=entry.place)} the description of the disks" if now else _DESCRIBE
    return note_of(entry, "blocker", code, f"{entry.place} can't be mounted: {wrong.format(spec=device)}", remedy)
