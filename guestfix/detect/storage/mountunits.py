"""The administrator's own mount and swap units of systemd (systemd.mount(5)), which fstab's rules don't reach.

Only those of /etc/systemd/system are read: what a distribution ships mounts no disk of one machine.
"""

from __future__ import annotations

from collections.abc import Iterator

from guestfix.base.catalog.facts.storage import (
    DISKS_COMPLETE,
    DISKS_DOUBTFUL,
    DISKS_OLD_NAMES,
    DISKS_SPECS,
    DISKS_TAGGED,
    DISKS_UUID_BY_DEVICE,
)
from guestfix.base.catalog.facts.system import OS_FAMILY
from guestfix.base.facts import Evidence, Facts, Finding
from guestfix.base.guest import GuestFS
from guestfix.detect.files import exists, names_in, read_small
from guestfix.formats import ini
from guestfix.formats.storage import devices
from guestfix.formats.storage.dependents import device_of
from guestfix.formats.storage.fstab import lines, show
from guestfix.formats.storage.known import Known, known
from guestfix.pack.model import Target

FOLDER = "/etc/systemd/system"
MAX_UNITS = 512
_UNITS = (".service", ".mount", ".swap", ".automount", ".target")
_REQUIRING = ("Requires", "BindsTo", "Requisite")
SHARE_TYPES = frozenset(
    ("cifs", "smbfs", "smb3", "vboxsf", "vmhgfs", "fuse.vmhgfs-fuse", "sshfs", "fuse.sshfs", "9p", "virtiofs", "prl_fs")
)


def detect(guest: GuestFS, facts: Facts, target: Target) -> list[Finding]:
    """Report units that name a device by a name that won't last, or a share of the old place."""
    if facts.value(OS_FAMILY) != "linux":
        return []
    names = [name for name in names_in(guest, FOLDER) if name.endswith((".mount", ".swap"))]
    known_names = known(
        facts.value(DISKS_UUID_BY_DEVICE, {}),
        facts.value(DISKS_SPECS, []),
        facts.value(DISKS_TAGGED, False),
        facts.value(DISKS_COMPLETE, False),
        facts.value(DISKS_DOUBTFUL, []),
        facts.value(DISKS_OLD_NAMES, []),
    )
    units = [name for name in names_in(guest, FOLDER) if name.endswith(_UNITS)]
    found = [finding for name in names[:MAX_UNITS] for finding in _judge(guest, facts, name)]
    return found + [finding for name in units[:MAX_UNITS] for finding in _waiting(guest, known_names, name)]


def _judge(guest: GuestFS, facts: Facts, name: str) -> Iterator[Finding]:
    path = f"{FOLDER}/{name}"
    what, kind = "", ""
    evidence = Evidence(path)
    for number, key, value in _settings(read_small(guest, path) or b""):
        if key == "What":
            what, evidence = value, Evidence(path, number, f"What={show(value.encode())}")
        elif key == "Type":
            kind = value
    severity = "warning" if _is_enabled(guest, name) else "info"
    if kind in SHARE_TYPES or (what.startswith(("//", "\\\\", ".host:")) and not what.startswith("//dev/")):
        summary = f"{name} mounts {show(what.encode())} ({show(kind.encode()) or 'a share'}), which stays behind"
        yield Finding("GF-MOUNT-UNIT-SHARE", severity, summary, (evidence,), f"systemctl disable {name}, or mask it")
    elif devices.is_unstable(what):
        spec = devices.resolve(what, facts.value(DISKS_UUID_BY_DEVICE, {}))
        link = spec.removeprefix("UUID=") if spec and spec.startswith("UUID=") else "..."
        remedy = f"write What=/dev/disk/by-uuid/{link}"
        if name.endswith(".swap"):  # whose name must be that of its device
            remedy = f"name the swap area in /etc/fstab by UUID={link} instead, and remove this unit"
        summary = f"{name} names {show(what.encode())}, which gets another name on other hardware"
        yield Finding("GF-MOUNT-UNIT-DEVICE", severity, summary, (evidence,), remedy)


def _waiting(guest: GuestFS, names: Known, unit: str) -> Iterator[Finding]:
    """Report a unit that requires a device which the target does not have: its start waits, and fails."""
    path = f"{FOLDER}/{unit}"
    groups = ini.groups(read_small(guest, path) or b"", continued=True)
    requiring = [entry for entry in ini.entries(groups, "Unit") if entry.key in _REQUIRING]
    wanted = [(entry, device_of(word)) for entry in requiring for word in entry.value.split()]
    wanted += [(entry, entry.value) for name in ("Mount", "Swap") for entry in ini.entries(groups, name, "What")]
    for entry, device in wanted:
        old = names.is_old(device) and entry.key != "What"  # that is told by _judge
        if device and (old or (not names.is_old(device) and names.answer(device) == "absent")):
            enabled = _is_enabled(guest, unit)
            yield Finding(
                "GF-UNIT-DEVICE",
                "warning" if enabled else "info",
                f"{unit} requires {show(device.encode())}, which the target does not have by that name",
                (Evidence(path, entry.line, f"{entry.key}={entry.value}"),),
                outcome="waits" if enabled else "",
                seconds=90,
            )


def _settings(src: bytes) -> Iterator[tuple[int, str, str]]:
    """Yield line, key and value of the sections [Mount] and [Swap]."""
    inside = False
    for number, _, raw in lines(src):
        text = raw.decode("utf-8", "backslashreplace").strip()
        if text.startswith("["):
            inside = text in ("[Mount]", "[Swap]")
        elif inside and not text.startswith(";"):
            key, _, value = text.partition("=")
            yield number, key.strip(), value.strip()


def _is_enabled(guest: GuestFS, name: str) -> bool:
    folders = [one for one in names_in(guest, FOLDER) if one.endswith((".wants", ".requires"))]
    automount = name.removesuffix(".mount") + ".automount"
    return any(exists(guest, f"{FOLDER}/{folder}/{unit}") for folder in folders for unit in (name, automount))
