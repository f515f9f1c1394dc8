"""Step 7: what init mounts, as the init system at hand does it.

systemd waits 90 s for each device; a required mount that fails ends in emergency mode, while swap areas, encrypted
volumes and network mounts (_netdev) cost the wait alone. Ubuntu's mountall waits for a key to be pressed. sysvinit and
OpenRC pass over what is not there, unless fsck is to check it: then they stop for a repair by hand.

Sources: systemd.mount(5), systemd-fstab-generator(8), crypttab(5); Ubuntu's mountall fstab(5); fsck(8), rc.sysinit of
Red Hat's initscripts, Debian's checkfs.sh; OpenRC's fsck and localmount.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from guestfix.base.bounds import MOUNT_TABLE
from guestfix.base.catalog.facts.storage import DISKS_KNOWN, DISKS_UNCLAIMED, FSTAB_ENTRIES, FSTAB_INIT
from guestfix.base.catalog.records.storage import Mount
from guestfix.base.facts import Evidence, Finding
from guestfix.base.patterns import regex
from guestfix.detect.files import read_small
from guestfix.detect.storage.fstab import PATH
from guestfix.detect.storage.given import mappings
from guestfix.formats.storage.dependents import REQUIRING, dependents, device_of
from guestfix.formats.storage.fstab import readable
from guestfix.formats.storage.mappings import CRYPTTAB
from guestfix.walk.linux.mode import stops
from guestfix.walk.names import answers
from guestfix.walk.scene import Ground, Look, Scene, passes, unknown

TIMEOUT = 90
"""Seconds that systemd waits for a device (DefaultTimeoutStartSec), unless x-systemd.device-timeout says other."""

_SPAN = regex(r"([0-9]{1,9})[ ]*(s|sec|seconds?|m|min|minutes?|ms)?\Z")
_NETWORK = ("nfs", "nfs4", "cifs", "smb3", "glusterfs", "ceph", "fuse.sshfs")
_AUTOMOUNT = ("x-systemd.automount", "comment=systemd.automount")


def ground(scene: Scene) -> Ground:
    """Tell whether the table of mounts was read."""
    entries = scene.facts.value(FSTAB_ENTRIES)
    if entries is None:
        return unknown(scene.facts.why_unknown(FSTAB_ENTRIES) or "/etc/fstab can't be read", Evidence(PATH))
    needed = [one for one in entries if _names_volume(one) and without(one, _init(scene))[0] != "passes"]
    doubtful = [one for one in needed if _answers(scene, one.spec)[0] == "unknown"]
    if doubtful:
        names = ", ".join(one.spec for one in doubtful[:4])
        return unknown(f"{_answers(scene, doubtful[0].spec)[1]}: {names}", _place(doubtful[0]))
    return passes("every volume that has to be mounted answers", Evidence(PATH))


def check(scene: Scene) -> Iterable[Finding]:
    """Find what the boot mounts or opens whose device the target does not have by that name."""
    yield from stops(scene, "emergency")
    init = _init(scene)
    for one in scene.facts.value(FSTAB_ENTRIES) or ():
        for device in _devices(one, init):
            answer, why = _answers(scene, device)
            outcome, seconds = without(one, init)
            if answer == "no" and outcome != "passes":
                yield _missing(one, device, why, outcome, seconds, bool(scene.facts.value(DISKS_KNOWN)))
                break
    yield from _dependents(scene, init)
    if init == "systemd":
        yield from _encrypted(scene)


def without(entry: Mount, init: str) -> tuple[Literal["passes", "waits", "stops"], int]:
    """Return what becomes of a boot whose device for this entry is not there, and how many seconds that takes."""
    options = {one.partition("=")[0] for one in entry.options.split(",")}
    swap = entry.type == "swap" and not entry.mount.startswith("/")
    if init in ("sysv", "openrc"):
        checked = (
            entry.pass_ > 0 and not swap and "nofail" not in options and not (_is_network(entry) and init == "sysv")
        )
        return ("stops", 0) if checked or entry.mount in ("/", "/usr") else ("passes", 0)
    if {"noauto", "nofail"} & options or any(one in entry.options.split(",") for one in _AUTOMOUNT):
        return "passes", 0
    if init == "mountall":
        return ("passes", 0) if swap or "nobootwait" in options or _is_network(entry) else ("stops", 0)
    seconds = _timeout(entry)
    if seconds == 0:
        return "stops", 0
    return ("waits" if swap or _is_network(entry) else "stops"), seconds


def _init(scene: Scene) -> str:
    found = str(scene.facts.value(FSTAB_INIT, "systemd"))
    return "systemd" if found == "unknown" else found


def _is_network(entry: Mount) -> bool:
    return "_netdev" in entry.options.split(",") or entry.type in _NETWORK


def _timeout(entry: Mount) -> int:
    """Return the seconds that systemd waits for the entry's device, 0 for ever."""
    for option in entry.options.split(","):
        name, _, value = option.partition("=")
        match = _SPAN.match(value) if name in ("x-systemd.device-timeout", "comment=systemd.device-timeout") else None
        if match:
            unit = match[2] or "s"
            return (
                int(match[1]) * 60
                if unit.startswith("m") and unit != "ms"
                else int(match[1]) // (1000 if unit == "ms" else 1)
            )
    return TIMEOUT


def _names_volume(entry: Mount) -> bool:
    kinds = ("/dev/", "UUID=", "LABEL=", "PARTUUID=", "PARTLABEL=")
    return (entry.mount.startswith("/") or entry.type == "swap") and entry.spec.startswith(kinds)


def _devices(entry: Mount, init: str) -> Iterator[str]:
    """Yield the devices that an entry needs: its own, and those that systemd is told to require."""
    if _names_volume(entry):
        yield entry.spec
    for option in entry.options.split(",") if init == "systemd" else ():
        name, _, value = option.partition("=")
        if name in REQUIRING and (device := device_of(value)):
            yield device


def _answers(scene: Scene, name: str) -> tuple[str, str]:
    return answers(scene, name, DISKS_UNCLAIMED)


def _missing(
    entry: Mount, device: str, why: str, outcome: Literal["waits", "stops"], seconds: int, known: bool
) -> Finding:
    """Return the finding; ``known``: the guest's disks were described."""
    name = entry.mount if entry.mount.startswith("/") else "a swap area"
    if outcome == "stops":
        summary = f"{name} is required at boot and its volume is {device}: {why}"
        remedy = "name the volume by UUID, or make the entry optional with nofail"
        remedy = remedy if known else f"describe the guest's disks with --disks; else {remedy}"
        return Finding("GF-WALK-MOUNT", "blocker", summary, (_place(entry),), remedy, outcome="stops", seconds=seconds)
    summary = f"the boot waits {seconds} s for {name} on {device}: {why}"
    return Finding("GF-WALK-WAIT", "warning", summary, (_place(entry),), outcome=outcome, seconds=seconds)


def _dependents(scene: Scene, init: str) -> Iterator[Finding]:
    """Find what builds upon an entry whose device is not there: a bind, an overlay, a file on it, a mount below it."""
    if init not in ("systemd", "mountall"):
        return
    mounts = {one.line: one for one in scene.facts.value(FSTAB_ENTRIES) or ()}
    found = [one for one in readable(read_small(scene.guest, PATH, MOUNT_TABLE) or b"") if one.number in mounts]
    lost = [
        one for one in found if any(_answers(scene, name)[0] == "no" for name in _devices(mounts[one.number], init))
    ]
    for entry, base in dependents(found, lost):
        outcome, seconds = without(mounts[entry.number], init)
        if outcome != "passes":
            why = f"{base.place}, which it builds upon, is not there"
            yield _missing(mounts[entry.number], mounts[entry.number].spec, why, outcome, seconds, True)


def _encrypted(scene: Scene) -> Iterator[Finding]:
    """Find the mappings that can't be opened and that systemd waits for."""
    for one in mappings(scene.guest):
        answer, why = _answers(scene, f"/dev/mapper/{one.name}")
        if answer == "no" and not {"nofail", "noauto"} & set(one.options):
            summary = f"the boot waits {TIMEOUT} s for the encrypted volume {one.name} on {one.source}: {why}"
            place = Evidence(CRYPTTAB, one.line, f"{one.name} {one.source}")
            yield Finding("GF-WALK-WAIT", "warning", summary, (place,), outcome="waits", seconds=TIMEOUT)


def _place(entry: Mount) -> Evidence:
    return Evidence(PATH, entry.line, f"{entry.spec} {entry.mount}")


LOOK = Look("mounts", "filesystems are mounted", ground, check)
