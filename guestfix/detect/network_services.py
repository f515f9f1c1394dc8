"""Which network services a guest has and whether they start at boot: systemd, SysV and upstart.

Sources: systemd.unit(5) ([Install] is links in *.wants), chkconfig(8) and insserv(8) (S links), upstart's
init(5) (``manual`` in an override file).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from guestfix.detect.files import exists, is_link, names_in, read_small
from guestfix.errors import GuestError
from guestfix.guest import GuestFS

UNIT_FOLDERS = ("/usr/lib/systemd/system", "/lib/systemd/system")
OWN_UNITS = "/etc/systemd/system"
RC_FOLDERS = ("/etc/rc.d", "/etc", "/etc/init.d")

SERVICES = {
    "networkmanager": ("NetworkManager.service", ("NetworkManager", "network-manager")),
    "ifcfg": ("network.service", ("network",)),
    "ifcfg-suse": ("wicked.service", ("network",)),
    "ifupdown": ("networking.service", ("networking",)),
    "networkd": ("systemd-networkd.service", ()),
    "dhcpcd": ("dhcpcd.service", ("dhcpcd",)),
    "connman": ("connman.service", ("connman",)),
}
"""Stack to its systemd unit and its SysV or upstart names."""


@dataclass(frozen=True, slots=True)
class Service:
    """``state`` is on, off, masked, or absent (nothing of the service was seen). ``unit`` is where it lies."""

    name: str
    state: str
    unit: str = ""
    system: str = ""
    evidence: str = ""


def look(guest: GuestFS, stack: str) -> Service:
    """Return the state of the stack's service."""
    unit, names = SERVICES[stack]
    return _systemd(guest, unit) or _sysv(guest, names) or _upstart(guest, names) or Service(unit, "absent")


def _systemd(guest: GuestFS, unit: str) -> Service | None:
    own = f"{OWN_UNITS}/{unit}"
    home = next((f"{folder}/{unit}" for folder in UNIT_FOLDERS if _there(guest, f"{folder}/{unit}")), "")
    if is_link(guest, own) and _target(guest, own) == "/dev/null":
        return Service(unit, "masked", home, "systemd", own)
    home = home or (own if exists(guest, own) else "")
    for folder in (OWN_UNITS, *UNIT_FOLDERS):
        for name in names_in(guest, folder):
            if name.endswith((".wants", ".requires")) and unit in names_in(guest, f"{folder}/{name}"):
                return Service(unit, "on", home, "systemd", f"{folder}/{name}/{unit}")
    return Service(unit, "off", home, "systemd", home) if home else None


def _there(guest: GuestFS, path: str) -> bool:
    return exists(guest, path) or is_link(guest, path)


def _target(guest: GuestFS, path: str) -> str:
    try:
        return guest.readlink(path)
    except GuestError:
        return ""


def _sysv(guest: GuestFS, names: tuple[str, ...]) -> Service | None:
    for name in names:
        script = next((p for p in (f"/etc/rc.d/init.d/{name}", f"/etc/init.d/{name}") if exists(guest, p)), "")
        start = re.compile(rf"S\d\d{re.escape(name)}\Z")
        for base in RC_FOLDERS:
            for level in ("rc3.d", "rc5.d", "rc2.d", "rcS.d", "boot.d"):
                hit = next((one for one in names_in(guest, f"{base}/{level}") if start.match(one)), "")
                if hit:
                    return Service(name, "on", script, "sysv", f"{base}/{level}/{hit}")
        if script and not _upstart(guest, names):
            return Service(name, "off", script, "sysv", script)
    return None


def _upstart(guest: GuestFS, names: tuple[str, ...]) -> Service | None:
    for name in names:
        job = f"/etc/init/{name}.conf"
        if exists(guest, job):
            override = read_small(guest, f"/etc/init/{name}.override") or b""
            manual = any(line.strip() == b"manual" for line in override.splitlines())
            return Service(name, "off" if manual else "on", job, "upstart", job)
    return None


CLIENTS = ("dhclient", "dhcpcd", "udhcpc", "pump", "dhcpcd5")
BUILT_IN = ("networkmanager", "networkd", "netplan", "connman", "dhcpcd")
"""Stacks that bring their own DHCP client. (NetworkManager: since 1.0; netplan: by its renderers.)"""

_PROGRAM_FOLDERS = ("/usr/sbin", "/sbin", "/usr/bin", "/bin", "/usr/lib/wicked/bin", "/usr/libexec/wicked/bin")


def dhcp_client(guest: GuestFS, stack: str, manager: str) -> str | None:
    """Return the DHCP client that the stack in charge would use, "" for none, None where it can't be told."""
    if stack in BUILT_IN or manager in BUILT_IN:
        return stack if stack in BUILT_IN else manager
    programs = {name for folder in _PROGRAM_FOLDERS for name in names_in(guest, folder)}
    if stack == "ifcfg-suse" and ("wicked" in programs or "wickedd" in programs or manager == "wicked"):
        return "wicked"
    found = next((name for name in CLIENTS if name in programs), "")
    return found or ("" if len(programs) > 40 else None)
