"""dhcpcd and connman, which take a wired NIC without a profile, and what they are told to leave alone.

Sources: dhcpcd.conf(5) (denyinterfaces, allowinterfaces: the last of each counts; ``interface`` begins a block; static,
nodhcp, nodhcp4 in the block of all), connman.conf(5) (NetworkInterfaceBlacklist: what names begin with; by default
virtual ones alone).
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from guestfix.base.catalog.facts.network import NETWORK_ACTIVE, NETWORK_PREDICTABLE_NAMES
from guestfix.base.facts import Evidence, Finding
from guestfix.base.guest import GuestFS
from guestfix.detect.files import lines_of, read_small
from guestfix.formats import ini
from guestfix.walk.scene import Ground, Scene, passes

DHCPCD, CONNMAN = "/etc/dhcpcd.conf", "/etc/connman/main.conf"
BOTH = ("dhcpcd", "connman")


def asks(scene: Scene) -> Ground | None:
    """Return that a NIC of any name is asked for by a program that needs no profile; None where that is not so."""
    program = next((one for one in scene.facts.value(NETWORK_ACTIVE) or () if one in BOTH), "")
    if not program or refused(scene) is not None or _fixed(scene.guest, program):
        return None
    return passes(f"{program} asks DHCP for any wired NIC", Evidence(DHCPCD if program == "dhcpcd" else CONNMAN))


def refused(scene: Scene) -> Finding | None:
    """Return the finding where such a program is told to leave the target's NIC alone, and no other has it."""
    active = scene.facts.value(NETWORK_ACTIVE) or []
    if len(active) != 1 or active[0] not in BOTH:
        return None
    look = _by_dhcpcd if active[0] == "dhcpcd" else _by_connman
    places = [look(scene.guest, name) for name in _names(scene)]
    place = places[0]
    if place is None or None in places:
        return None
    summary = f"{active[0]} is told to leave a wired NIC that is new alone: {place.text}"
    remedy = "take the names of wired NICs out of this line, or let it allow en* and eth*"
    return Finding("GF-NETWORK-UNMANAGED", "warning", summary, (place,), remedy, outcome="stops")


def _names(scene: Scene) -> tuple[str, ...]:
    """Return what the target's NIC may be called: by the kernel, by its place, or either where nothing tells which."""
    known = scene.facts.value(NETWORK_PREDICTABLE_NAMES)
    return ("eth0", "ens97") if known is None else ("ens97",) if known else ("eth0",)


def _by_dhcpcd(guest: GuestFS, name: str) -> Evidence | None:
    deny = allow = None
    for number, line in lines_of(read_small(guest, DHCPCD) or b""):
        key, _, value = line.strip().partition(" ")
        place = Evidence(DHCPCD, number, line.strip()[:200])
        if key == "denyinterfaces":
            deny = place if _any_of(value, name) else deny
        elif key == "allowinterfaces":
            allow = (_any_of(value, name), place)
    return deny or (allow[1] if allow is not None and not allow[0] else None)


def _any_of(text: str, name: str) -> bool:
    return any(fnmatchcase(name, one) for one in text.replace(",", " ").split())


def _by_connman(guest: GuestFS, name: str) -> Evidence | None:
    groups = ini.groups(read_small(guest, CONNMAN) or b"")
    for entry in ini.entries(groups, "General", "NetworkInterfaceBlacklist"):
        if any(one and name.startswith(one) for one in entry.value.replace(" ", "").split(",")):
            return Evidence(CONNMAN, entry.line, f"NetworkInterfaceBlacklist={entry.value[:160]}")
    return None


def _fixed(guest: GuestFS, program: str) -> bool:
    """Tell whether dhcpcd is told, of all interfaces, not to ask; what it says of one by name is of the old NIC."""
    for _, line in lines_of(read_small(guest, DHCPCD) or b"") if program == "dhcpcd" else ():
        if line.startswith("interface "):
            return False
        if line.split()[0] in ("nodhcp", "nodhcp4", "noipv4", "inform", "static"):
            return True
    return False
