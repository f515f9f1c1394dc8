"""Units of systemd that need a device or a mount (systemd.unit(5), systemd.mount(5)).

fstab's rules don't reach them. Read are the files of /etc/systemd/system, and of the folders behind it (unit file load
path) mount and swap units and drop-ins, which images and packages of a site bring along.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from guestfix.base.catalog.facts.storage import (
    DISKS_COMPLETE,
    DISKS_OLD_NAMES,
    DISKS_SPECS,
    DISKS_TAGGED,
    DISKS_UNCLAIMED,
    DISKS_UUID_BY_DEVICE,
    FSTAB_ENTRIES,
)
from guestfix.base.catalog.facts.system import OS_FAMILY
from guestfix.base.errors import GuestError
from guestfix.base.facts import Evidence, Facts, Finding
from guestfix.base.guest import GuestFS
from guestfix.base.record import frozen
from guestfix.detect.files import exists, is_link, names_in, read_small
from guestfix.formats import ini
from guestfix.formats.storage import devices
from guestfix.formats.storage.dependents import device_of
from guestfix.formats.storage.fstab import VITAL, show
from guestfix.formats.storage.known import Known, known
from guestfix.pack.model import Target

FOLDER = "/etc/systemd/system"
BEHIND = ("/usr/local/lib/systemd/system", "/usr/lib/systemd/system")
"""Folders whose files count where /etc has none of the name; a link of /lib leads to the last."""
MAX_UNITS, MOST_DROP_INS = 512, 16
WAIT = 90
"""Seconds that systemd waits for a device (DefaultTimeoutStartSec)."""

_UNITS = (".service", ".mount", ".swap", ".automount", ".target", ".socket", ".path", ".timer")
_REQUIRING = ("Requires", "BindsTo", "Requisite")
_EARLY = ("local-fs.target", "sysinit.target", "basic.target", "local-fs-pre.target")
"""Without these the boot ends in emergency mode (systemd.special(7))."""

SHARE_TYPES = frozenset(
    ("cifs", "smbfs", "smb3", "vboxsf", "vmhgfs", "fuse.vmhgfs-fuse", "sshfs", "fuse.sshfs", "9p", "virtiofs", "prl_fs")
)


@frozen
class Need:
    """What a unit needs, and where that stands: a device, or (``path``) what is mounted there; the unit's ``Where``."""

    unit: str
    name: str
    key: str
    place: Evidence
    path: bool = False
    where: str = ""

    @property
    def shown(self) -> str:
        """What is needed, to show to a reader."""
        return _shown(self.name)


def detect(guest: GuestFS, facts: Facts, target: Target) -> list[Finding]:
    """Report units that name a device by a name that won't last or that is gone, or a share of the old place."""
    if facts.value(OS_FAMILY) != "linux":
        return []
    found: list[Finding] = []
    names, places = names_of(facts), lost_places(facts)
    for unit in units_of(guest):
        if unit.endswith((".mount", ".swap")):
            found += _judge(guest, facts, target, unit)
        found += [_gone(guest, one) for one in lost(guest, unit, names, places)]
    return found


def _shown(text: str) -> str:
    return show(text.encode("utf-8", "surrogateescape"))


def units_of(guest: GuestFS) -> list[str]:
    """Return the names of the units that the administrator has written or changed, and of mounts behind them."""
    names = [name.removesuffix(".d") for name in names_in(guest, FOLDER)]
    more = [name for folder in BEHIND for name in names_in(guest, folder) if name.endswith((".mount", ".swap", ".d"))]
    names += [name.removesuffix(".d") for name in more if name not in names]
    return list(dict.fromkeys(name for name in names if name.endswith(_UNITS)))[:MAX_UNITS]


def names_of(facts: Facts) -> Known:
    """Return what is known of the guest's volumes."""
    return known(
        facts.value(DISKS_UUID_BY_DEVICE, {}),
        facts.value(DISKS_SPECS, []),
        facts.value(DISKS_TAGGED, False),
        facts.value(DISKS_COMPLETE, False),
        facts.value(DISKS_UNCLAIMED, []),
        facts.value(DISKS_OLD_NAMES, []),
    )


def lost_places(facts: Facts) -> list[str]:
    """Return where fstab mounts what did not come along."""
    names = names_of(facts)
    entries = [one for one in facts.value(FSTAB_ENTRIES, []) if one.mount.startswith("/") and one.mount != "/"]
    return [one.mount.rstrip("/") for one in entries if names.is_gone(one.spec)]


def lost(guest: GuestFS, unit: str, names: Known, places: list[str]) -> list[Need]:
    """Return what a unit needs that the target does not have."""
    found = []
    for one in _needs(guest, unit):
        if one.path:
            gone = any(f"{one.name}/".startswith(f"{place}/") for place in places)
        elif one.key == "What" and names.is_old(one.name):
            gone = names.is_gone(one.name)  # one that is there under another name is told by _judge
        else:
            gone = names.answer(one.name) == "absent"
        found += [one] if gone else []
    return found


def _files(guest: GuestFS, unit: str) -> Iterator[str]:
    """Yield a unit's file, the first there is, and its drop-ins, of which one in /etc hides others of its name."""
    folders = (FOLDER, *BEHIND) if unit.endswith((".mount", ".swap")) else (FOLDER,)
    yield next((path for folder in folders if is_there(guest, path := f"{folder}/{unit}")), f"{FOLDER}/{unit}")
    seen: dict[str, str] = {}
    for folder in (FOLDER, *BEHIND):
        for name in names_in(guest, f"{folder}/{unit}.d")[:MOST_DROP_INS]:
            if name.endswith(".conf"):
                seen.setdefault(name, f"{folder}/{unit}.d/{name}")
    yield from seen.values()


def is_there(guest: GuestFS, path: str) -> bool:
    """Tell whether a folder has a name, be it a link that leads nowhere (a masked unit)."""
    return exists(guest, path) or is_link(guest, path)


def _needs(guest: GuestFS, unit: str) -> Iterator[Need]:
    for path in _files(guest, unit):
        groups = ini.groups(read_small(guest, path) or b"", continued=True)
        where = next((one.value for one in ini.entries(groups, "Mount", "Where")), "")
        for entry in ini.entries(groups, "Unit"):
            place = Evidence(path, entry.line, f"{entry.key}={_shown(entry.value)}")
            for word in entry.value.split() if entry.key in _REQUIRING else ():
                if device_of(word):
                    yield Need(unit, device_of(word), entry.key, place, where=where)
        for name in ("Mount", "Swap"):
            for entry in ini.entries(groups, name, "What"):
                place = Evidence(path, entry.line, f"What={_shown(entry.value)}")
                if entry.value.startswith("/dev/"):
                    yield Need(unit, entry.value, "What", place, where=where)
                elif entry.value.startswith("/") and not entry.value.startswith("//"):
                    yield Need(unit, entry.value, "What", place, True, where)


def holders(guest: GuestFS, unit: str) -> list[str]:
    """Return the links by which a unit, or its automount, starts: none for a unit that is masked."""
    if is_link(guest, f"{FOLDER}/{unit}") and _leads_nowhere(guest, unit):
        return []
    both = tuple(dict.fromkeys((unit, unit.removesuffix(".mount") + ".automount")))
    paths = []
    for home in (FOLDER, *BEHIND) if unit.endswith((".mount", ".swap")) else (FOLDER,):
        for folder in names_in(guest, home):
            if folder.endswith((".wants", ".requires")):
                paths += [f"{home}/{folder}/{name}" for name in both]
    return [path for path in paths if exists(guest, path)]


def _leads_nowhere(guest: GuestFS, unit: str) -> bool:
    try:
        return guest.readlink(f"{FOLDER}/{unit}") == "/dev/null"
    except GuestError:
        return False


def cost(guest: GuestFS, unit: str) -> tuple[Literal["", "waits", "stops"], int]:
    """Return what a boot does that starts this unit, whose device is not there, and the seconds it takes."""
    if unit in _EARLY:
        return "stops", WAIT
    links = holders(guest, unit)
    early = [path for path in links if path.rsplit("/", 2)[1] in [f"{one}.requires" for one in _EARLY]]
    mounts = unit.endswith((".mount", ".swap"))
    return ("stops", WAIT) if early and mounts else ("waits", WAIT) if links else ("", 0)


def _gone(guest: GuestFS, one: Need) -> Finding:
    outcome, seconds = cost(guest, one.unit)
    vital = bool(outcome) and one.unit.endswith(".mount") and one.where in VITAL
    what = f"what is mounted at {_shown(one.name)}" if one.path else _shown(one.name)
    return Finding(
        "GF-UNIT-DEVICE",
        "warning" if outcome else "info",
        f"{one.unit} requires {what}, which the target does not have by that name",
        (one.place,),
        outcome="stops" if vital else outcome,
        seconds=seconds,
    )


def _judge(guest: GuestFS, facts: Facts, target: Target, unit: str) -> Iterator[Finding]:
    what, kind, evidence = "", "", Evidence(f"{FOLDER}/{unit}")
    for path in _files(guest, unit):
        groups = ini.groups(read_small(guest, path) or b"", continued=True)
        for entry in (*ini.entries(groups, "Mount"), *ini.entries(groups, "Swap")):
            if entry.key == "What":
                what, evidence = entry.value, Evidence(path, entry.line, f"What={_shown(entry.value)}")
            elif entry.key == "Type":
                kind = entry.value
    outcome, seconds = cost(guest, unit)
    severity = "warning" if outcome else "info"
    if kind in SHARE_TYPES or (what.startswith(("//", "\\\\", ".host:")) and not what.startswith("//dev/")):
        summary = f"{unit} mounts {_shown(what)} ({_shown(kind) or 'a share'}), which stays behind"
        yield Finding("GF-MOUNT-UNIT-SHARE", severity, summary, (evidence,), f"systemctl disable {unit}, or mask it")
    elif names_of(facts).is_old(what) and not names_of(facts).is_gone(what):
        spec = devices.resolve(what, facts.value(DISKS_UUID_BY_DEVICE, {}))
        link = spec.removeprefix("UUID=") if spec and spec.startswith("UUID=") else "..."
        remedy = f"write What=/dev/disk/by-uuid/{link}"
        if unit.endswith(".swap"):  # whose name must be that of its device
            remedy = f"name the swap area in /etc/fstab by UUID={link} instead, and remove this unit"
        alike = bool(spec) and bool(target.disk_prefix) and what.startswith(f"/dev/{target.disk_prefix}")
        summary = f"{unit} names {_shown(what)}, which gets another name on other hardware"
        yield Finding(
            "GF-MOUNT-UNIT-DEVICE",
            severity,
            summary,
            (evidence,),
            remedy,
            outcome="" if alike else outcome,
            seconds=0 if alike else seconds,
        )
