"""Which network services a guest has, whether they start at boot, and which DHCP client they use."""

from __future__ import annotations

from guestfix.base.guest import GuestFS
from guestfix.base.record import frozen
from guestfix.detect.files import exists
from guestfix.detect.system.initsystem import RUN_FOLDERS, RUN_LEVELS, Services
from guestfix.detect.system.programs import Programs

UNIT_FOLDERS = ("/usr/lib/systemd/system", "/lib/systemd/system", "/etc/systemd/system")

SERVICES = {
    "networkmanager": ("NetworkManager.service", ("NetworkManager", "network-manager")),
    "ifcfg": ("network.service", ("network",)),
    "ifcfg-suse": ("wicked.service", ("network",)),
    "ifupdown": ("networking.service", ("networking",)),
    "networkd": ("systemd-networkd.service", ()),
    "dhcpcd": ("dhcpcd.service", ("dhcpcd",)),
    "connman": ("connman.service", ("connman",)),
}
"""Stack to its systemd unit and the names of its script, job or folder elsewhere."""


@frozen
class Service:
    """``state`` is on, off, masked, or absent (nothing of the service was seen).

    ``unit`` is the unit file, script, job or folder; ``system`` is systemd, sysv, upstart, openrc or runit.
    """

    name: str
    state: str
    unit: str = ""
    system: str = ""
    evidence: str = ""


def look(guest: GuestFS, services: Services, stack: str) -> Service:
    """Return the state of the stack's service."""
    unit, names = SERVICES[stack]
    found = services.find((unit,), names)
    if found.state == "absent":
        return Service(unit, "absent")
    if found.name == unit:
        homes = [f"{folder}/{unit}" for folder in UNIT_FOLDERS]
        home = next((path for path in homes if exists(guest, path)), "")
        return Service(unit, found.state, home, "systemd", found.path)
    if found.path.startswith("/etc/init/"):
        return Service(found.name, found.state, found.path, "upstart", found.path)
    places = (f"/etc/rc.d/init.d/{found.name}", f"/etc/init.d/{found.name}", f"/etc/sv/{found.name}")
    script = next((path for path in places if exists(guest, path)), "")
    return Service(found.name, found.state, script, _kind(guest, found.path), found.path)


def _kind(guest: GuestFS, path: str) -> str:
    """Return what starts the script or folder at path, or that a link at path leads to."""
    if path.startswith(("/etc/sv/", *RUN_FOLDERS)):
        return "runit"
    return "openrc" if path.startswith("/etc/runlevels/") or exists(guest, RUN_LEVELS[1]) else "sysv"


CLIENTS = ("dhclient", "dhcpcd", "udhcpc", "pump", "dhcpcd5")
BUILT_IN = ("networkmanager", "networkd", "netplan", "connman", "dhcpcd")
"""Stacks that bring their own DHCP client. (NetworkManager: since 1.0; netplan: by its renderers.)"""


def dhcp_client(programs: Programs, stack: str, manager: str) -> str | None:
    """Return the DHCP client that the stack in charge would use, "" for none, None where it can't be told."""
    if stack in BUILT_IN or manager in BUILT_IN:
        return stack if stack in BUILT_IN else manager
    if stack == "ifcfg-suse" and (programs.path("wicked") or manager == "wicked"):
        return "wicked"
    path = programs.path(*CLIENTS)
    return path.rpartition("/")[2] if path else "" if programs.complete else None
