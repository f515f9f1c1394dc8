"""By which interface the target's network comes in, and which interface names of the guest's rules it can't have."""

from __future__ import annotations

from fnmatch import fnmatchcase

from guestfix.base.catalog.facts.network import NETWORK_CARRIER, NETWORK_INTERFACES, NETWORK_PREDICTABLE_NAMES
from guestfix.base.catalog.records.network import Nic
from guestfix.base.facts import Evidence, Facts
from guestfix.base.guest import GuestFS
from guestfix.base.patterns import regex
from guestfix.base.record import frozen
from guestfix.detect.files import read_small
from guestfix.detect.network.state import PIN
from guestfix.formats.ini import get, groups
from guestfix.formats.network.nic import IFNAME, MAX_CONFIG, kernel_name
from guestfix.formats.network.packetfilter import MAYBE, NO, YES
from guestfix.formats.network.udevnet import pinned_primary
from guestfix.formats.network.wired import CARRIED
from guestfix.formats.shellvars import get as variable

_UDEVS = regex(r"(?:en|eth)")
"""How udev and the kernel call a wired NIC (systemd.net-naming-scheme(7))."""


_HANDED = regex(rb"""\bconnection\.zone["']?:[ ]{1,8}["']?([\w-]{1,32})""")
"""The zone that netplan hands to NetworkManager for a device."""


@frozen
class Entrance:
    """The interface by which a connection from the target's network comes in.

    ``name`` is its name where that is sure, ``configured`` are all interfaces that the guest sets up, ``zone`` is
    firewalld's zone that its profile names. Where nothing is ``known`` of the network every name is possible.
    """

    name: str = ""
    configured: tuple[str, ...] = ()
    zone: str = ""
    known: bool = False

    def match(self, pattern: str) -> int:
        """Tell whether a packet comes in by an interface that a rule names so: YES, NO, or MAYBE.

        A final ``+`` (iptables) or ``*`` (nft) stands for any letters.
        """
        pattern = regex(r"[+*]\Z").sub("*", pattern.strip('"'))
        if pattern == "lo":
            return NO
        if not self.known:
            return YES if pattern == "*" else MAYBE
        if self.name:
            return YES if _like(self.name, pattern) else NO
        if pattern in ("e*", "*"):
            return YES
        return MAYBE if _UDEVS.match(pattern) or any(_like(one, pattern) for one in self.configured) else NO


def _like(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern.replace("[", "[[]").replace("?", "[?]"))


def entrance(guest: GuestFS, facts: Facts) -> Entrance:
    """Return by which interface the target's network comes in, in the state that the facts are of."""
    carrier = facts.value(NETWORK_CARRIER)
    if carrier is None:
        return Entrance()
    data = read_small(guest, carrier.path, MAX_CONFIG) or b""
    handed = _HANDED.search(data) if carrier.stack == "netplan" else None
    said = handed[1].decode() if handed else get(groups(data), "connection", "zone") or variable(data, "ZONE")
    zone = said or ""
    names = tuple(one.name for one in facts.value(NETWORK_INTERFACES, []) if IFNAME.match(one.name))
    sure = carrier.kind in CARRIED or (bool(carrier.name) and kept_name(guest, facts, carrier) is not None)
    given = "" if sure or carrier.kind != "ethernet" else pinned_primary(read_small(guest, PIN) or b"")
    return Entrance(carrier.name if sure else given, names, zone, known=True)


def kept_name(guest: GuestFS, facts: Facts, nic: Nic) -> Evidence | None:
    """Return what gives the target's NIC the name of this one: a rule of ours, or a kernel whose names are kept."""
    for number, line in enumerate((read_small(guest, PIN) or b"").split(b"\n"), 1):
        if not line.startswith(b"#") and f'NAME="{nic.name}"'.encode() in line:
            return Evidence(PIN, number, "a rule gives it that name")
    if facts.value(NETWORK_PREDICTABLE_NAMES, True) is False and kernel_name(nic.name):
        seen = facts.evidence(NETWORK_PREDICTABLE_NAMES)
        return Evidence(seen[0].path if seen else "/etc/udev/rules.d", 0, "the kernel's own names stay")
    return None
