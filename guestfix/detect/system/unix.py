"""What a BSD names by its hardware: disks in fstab(5), NICs in FreeBSD's rc.conf(5) and OpenBSD's hostname.if(5), and
both in the settings of loader, firewall and interfaces that stand upon others.

Facts: unix.nic and unix.disk, what the target's NIC and disks are named after (system.nics and system.disks, which the
rule pack has); disks.labels_by_device, the labels that FreeBSD makes nodes of (glabel(8)).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from guestfix.base.catalog.facts.storage import DISKS_LABELS_BY_DEVICE
from guestfix.base.catalog.facts.system import (
    OS_ID,
    OS_NAME,
    SYSTEM_DISKS,
    SYSTEM_NICS,
    UNIX_DISK,
    UNIX_NIC,
)
from guestfix.base.errors import GuestError
from guestfix.base.facts import Evidence, Facts, Finding, Unknown
from guestfix.base.guest import GuestFS
from guestfix.base.patterns import regex
from guestfix.detect.files import names_in, read_small
from guestfix.formats import shellvars
from guestfix.formats.storage.fstab import readable
from guestfix.pack.model import Target

_PLAIN = regex(r"[A-Za-z0-9._-]{1,63}\Z")
"""Labels that need no escape in a node's name."""

_DRIVERS = "ada|da|ad|nda|nvd|vtbd|xbd|mmcsd|wd|sd|ld"
_DISK = regex(rf"/dev/({_DRIVERS})\d+(?:[ps]\d+)?[a-p]?(?:\.(?:eli|journal|bde))?\Z")
_DISK_IN = regex(rf"(?<![A-Za-z0-9.-])(?:/dev/({_DRIVERS})\d+\w*|(?:geli_|[\"' ])({_DRIVERS})\d+[ps]\d+)")
"""A disk within a setting: by its node, or by its name where geli(8) is set up for a partition."""

_BY_SERIAL = "/dev/diskid/"
"""Nodes that are named after the serial number of the disk (glabel(8))."""

_RC = ("/etc/rc.conf", "/etc/rc.conf.local", "/etc/rc.conf.d/network", "/etc/rc.conf.d/netif")
_SETTINGS = (
    "/boot/loader.conf", "/boot/loader.conf.local", *_RC, "/etc/rc.local", "/etc/pf.conf", "/etc/ipf.rules",
    "/etc/ipnat.rules", "/etc/ipfw.rules", "/etc/jail.conf", "/etc/dhclient.conf", "/etc/dhcpd.conf",
)  # fmt: skip
"""What may name hardware beside the lists of disks and NICs, as rc.conf(5), loader.conf(5) and pf.conf(5) say."""

MOST_NAMED = 16
_FILESYSTEMS = {"ufs": "ufs", "vfat": "msdosfs", "ext2": "ext2fs"}
"""By blkid(8)'s name of a filesystem: the folder below /dev of its labels."""

_NIC_FILE = regex(r"(?:hostname|ifconfig)\.([a-z]+\d+)\Z")
_WORD = regex(r"[A-Za-z]{1,15}\d{1,4}")
_STANDS = regex(r"laggport|vlandev|addm|parent")
_MADE = regex(r"(?:lo|vlan|trunk|aggr|bridge|veb|vether|gif|gre|tun|tap|wg|carp|pflow|pfsync|enc|vxlan)\d+\Z")


def detect(guest: GuestFS, facts: Facts, target: Target) -> list[Finding]:
    """Record the facts, and find what a name of the old hardware keeps from working."""
    _put_name(facts, UNIX_NIC, facts.value(SYSTEM_NICS), target.nic)
    _put_name(facts, UNIX_DISK, facts.value(SYSTEM_DISKS), target.disk_bus)
    facts.put(DISKS_LABELS_BY_DEVICE, dict(_labels(guest)))
    nics = [*_from_rc_conf(guest), *_from_names(guest)]
    return [
        _told(facts),
        *_devices(guest, facts),
        *_nics(facts, nics),
        *_named(guest, facts, {name for name, _ in nics}),
    ]


def _put_name(facts: Facts, kind: object, known: list[str] | None, device: str) -> None:
    named = dict(one.split("=", 1) for one in known or () if "=" in one)
    facts.put(kind, named.get(device) or Unknown(f"what this system calls {device} is not known"))  # type: ignore[call-overload]


def _told(facts: Facts) -> Finding:
    name = facts.value(OS_NAME) or facts.value(OS_ID)
    summary = f"{name} is no Linux: its boot is not walked, and what names hardware in its files is all that is judged"
    return Finding("GF-OS-UNIX", "info", summary, facts.evidence(OS_ID))


def _labels(guest: GuestFS) -> Iterator[tuple[str, str]]:
    """Yield each partition with the node of a label that it alone has: GPT's name first, then its filesystem's."""
    try:
        disks = guest.disks()
    except GuestError:
        disks = None
    parts = [(one, disk.table) for disk in (disks.disks if disks else ()) for one in disk.partitions]
    names = [
        (part.device, f"/dev/gpt/{part.partlabel}")
        for part, table in parts
        if table == "gpt" and part.partlabel and _PLAIN.match(part.partlabel)
    ]
    names += [
        (part.device, f"/dev/{_FILESYSTEMS[part.fstype]}/{part.label}")
        for part, _ in parts
        if part.fstype in _FILESYSTEMS and part.label and _PLAIN.match(part.label)
    ]
    times, done = Counter(node for _, node in names), set[str]()
    for device, node in names:
        if times[node] == 1 and device not in done:
            done.add(device)
            yield device, node


def _devices(guest: GuestFS, facts: Facts) -> Iterator[Finding]:
    """Find entries of fstab that name a disk by its driver, where the target's disks have another one."""
    own = str(facts.value(UNIX_DISK) or "")
    for entry in readable(read_small(guest, "/etc/fstab") or b""):
        found, what = _DISK.match(entry.spec), ""
        if found and found[1] != own:
            what = f"a disk of the driver {found[1]}" + (f", which are {own} on the target" if own else "")
        elif entry.spec.startswith(_BY_SERIAL):
            what = "named by the serial number of the old disk"
        if what and not entry.has("noauto"):
            where = entry.mount if entry.mount.startswith("/") else "a swap area"
            place = Evidence("/etc/fstab", entry.number, entry.text)
            yield Finding("GF-FSTAB-UNIX-DEVICE", "warning", f"{where} is on {entry.spec}, {what}", (place,))


def _nics(facts: Facts, named: list[tuple[str, Evidence]]) -> Iterator[Finding]:
    """Find settings for NICs of the old hardware, where there are none for the target's own."""
    own = str(facts.value(UNIX_NIC) or "")
    if own and any(name == f"{own}0" for name, _ in named):
        return
    for name, place in named:
        if name.rstrip("0123456789") != own:
            here = f", which is {own}0 on the target" if own else ""
            what = f"the network is set up for {name}{here}"
            yield Finding("GF-NETWORK-UNIX-NIC", "warning", what, (place,))


def _from_rc_conf(guest: GuestFS) -> Iterator[tuple[str, Evidence]]:
    from guestfix.editors.network.rcconf import interface_of

    seen = set[str]()
    for path in _RC:
        for one in shellvars.assignments(read_small(guest, path) or b""):
            name = interface_of(one.name)
            if name and one.value.strip() and name not in seen:
                seen.add(name)
                yield name, Evidence(path, one.line, f"{one.name}={one.value}"[:160])


def _from_names(guest: GuestFS) -> Iterator[tuple[str, Evidence]]:
    """Yield the NICs that have a file of their own: hostname.if of OpenBSD, ifconfig.if of NetBSD."""
    found = [(match[1], name) for name in names_in(guest, "/etc") if (match := _NIC_FILE.match(name))]
    for nic, name in found[:16]:
        if not _MADE.match(nic):
            yield nic, Evidence(f"/etc/{name}")


def _named(guest: GuestFS, facts: Facts, nics: set[str]) -> Iterator[Finding]:
    """Find further lines that name a disk, or a NIC that the guest sets up, by a driver that the target's has not."""
    disk, nic = str(facts.value(UNIX_DISK) or ""), str(facts.value(UNIX_NIC) or "")
    old = {name for name in nics if name.rstrip("0123456789") != nic}
    made = [
        f"/etc/{name}" for name in names_in(guest, "/etc") if (one := _NIC_FILE.match(name)) and _MADE.match(one[1])
    ]
    told = 0
    for path in (*_SETTINGS, *made[:MOST_NAMED]):
        for number, line in enumerate((read_small(guest, path) or b"").decode("utf-8", "replace").splitlines(), 1):
            name = _name_in(line.partition("#")[0], disk, old)
            if name and told < MOST_NAMED:
                told += 1
                what = f"{path} names {name}, which is another on the target"
                yield Finding("GF-OS-UNIX-NAMED", "warning", what, (Evidence(path, number, line[:160]),))


def _name_in(line: str, disk: str, nics: set[str]) -> str:
    """Return the old name that a line has beside a NIC's own settings, empty for none."""
    if not line.strip() or (line.lstrip().startswith("ifconfig_") and not _STANDS.search(line)):
        return ""
    found = next((one for one in _DISK_IN.finditer(line) if (one[1] or one[2]) != disk), None)
    if found:
        return found[0].strip("\"' ").removeprefix("geli_")
    return next((word for word in _WORD.findall(line) if word in nics), "")
