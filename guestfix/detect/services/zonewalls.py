"""Firewalls that sort interfaces into zones by name: SuSEfirewall2 and Shorewall.

Source: the comments of /etc/sysconfig/SuSEfirewall2 (FW_DEV_EXT: names, ``any``, ``auto``; FW_ZONE_DEFAULT;
FW_PROTECT_FROM_INT), ifcfg(5) of SUSE (ZONE).
"""

from __future__ import annotations

from guestfix.base.facts import Evidence
from guestfix.base.guest import GuestFS
from guestfix.detect.files import read_small
from guestfix.detect.network.entrance import Entrance
from guestfix.detect.system.initsystem import Services
from guestfix.formats import shellvars
from guestfix.formats.network.firewall import CLOSED, LIMITED, OPEN, port_in
from guestfix.formats.network.packetfilter import MAYBE, YES

RULES_LIMIT = 1024 * 1024

SUSE = "/etc/sysconfig/SuSEfirewall2"
SHOREWALL = "/etc/shorewall"
_ZONES = ("EXT", "INT", "DMZ")

Told = tuple[str, str, tuple[Evidence, ...]]
"""A firewall's name, what it does (open, limited, closed), and the lines that say so."""


def suse(guest: GuestFS, services: Services, port: int, entrance: Entrance) -> Told | None:
    """Return what SuSEfirewall2 does with the port, by the zone that the target's NIC falls into."""
    if services.find(["SuSEfirewall2.service"], ["SuSEfirewall2_setup"]).state != "on":
        return None
    src = read_small(guest, SUSE, RULES_LIMIT) or b""
    sure, maybe = _zones_of(src, entrance)
    states = {zone: _in_zone(src, zone, port) for zone in (*([sure] if sure else ()), *maybe)}
    if not states:
        text = f"FW_DEV_EXT={shellvars.get(src, 'FW_DEV_EXT') or ''}, and FW_ZONE_DEFAULT is not set"
        return "SuSEfirewall2", LIMITED, (Evidence(SUSE, 0, text),)
    state = next(iter(set(states.values()))) if len(set(states.values())) == 1 else LIMITED
    told = " ".join(_words(src, "FW_SERVICES", next(iter(states)), "_TCP")) or "nothing"
    text = f"from zone {'/'.join(states).lower()}: {told}"
    return "SuSEfirewall2", state, (Evidence(SUSE, 0, text),)


def _zones_of(src: bytes, entrance: Entrance) -> tuple[str, list[str]]:
    """Return the zone that the NIC is surely in, or "", and those that it may be in by its name."""
    if entrance.zone.upper() in _ZONES:
        return entrance.zone.upper(), []
    by_name: dict[str, list[str]] = {}
    rest = (shellvars.get(src, "FW_ZONE_DEFAULT") or "").strip().upper()
    for zone in _ZONES:
        by_name[zone] = (shellvars.get(src, f"FW_DEV_{zone}") or "").split()
        if {"any", "auto"} & set(by_name[zone]):
            rest = zone
    if not entrance.known or not any(by_name.values()):
        return "EXT", []
    matches = {zone: max((entrance.match(name) for name in names), default=-1) for zone, names in by_name.items()}
    sure = next((zone for zone, match in matches.items() if match == YES), "")
    if sure:
        return sure, []
    maybe = [zone for zone, match in matches.items() if match == MAYBE]
    return (rest if rest in _ZONES else ""), maybe


def _words(src: bytes, name: str, zone: str, end: str = "") -> list[str]:
    return (shellvars.get(src, f"{name}_{zone}{end}") or "").split()


def _in_zone(src: bytes, zone: str, port: int) -> str:
    if zone == "INT" and (shellvars.get(src, "FW_PROTECT_FROM_INT") or "no").strip() != "yes":
        return OPEN
    words = [*_words(src, "FW_SERVICES", zone, "_TCP"), *_words(src, "FW_CONFIGURATIONS", zone)]
    if "sshd" in words or any(port_in(word, port) for word in words):
        return OPEN
    taken = [part.split(",") for part in _words(src, "FW_SERVICES_ACCEPT", zone)]
    return LIMITED if any(len(part) > 2 and port_in(part[2], port) for part in taken) else CLOSED


def shorewall(guest: GuestFS, services: Services, port: int, entrance: Entrance) -> Told | None:
    """Return what Shorewall does with the port; None where it is not switched on."""
    if services.find(["shorewall.service"], ["shorewall"]).state != "on":
        return None
    conf = read_small(guest, f"{SHOREWALL}/shorewall.conf", RULES_LIMIT)
    if conf is None or (shellvars.get(conf, "STARTUP_ENABLED") or "Yes").strip().lower() != "yes":
        return None
    from guestfix.formats.network import shorewall as files  # few guests have it

    parts = {name: read_small(guest, f"{SHOREWALL}/{name}", RULES_LIMIT) for name in files.NAMES}
    if parts["interfaces"] is None:
        return "Shorewall", LIMITED, (Evidence(f"{SHOREWALL}/interfaces", 0, "not there"),)
    name, answer = files.judge({key: data or b"" for key, data in parts.items()}, port, entrance.match)
    return "Shorewall", answer.state, (Evidence(f"{SHOREWALL}/{name}", answer.line, answer.text),)
