"""systemd-networkd's .network files: static to DHCP, and what binds a file to old hardware."""

from __future__ import annotations

from guestfix.formats.ini import Group, Setting, entries, get, remove, set_value
from guestfix.formats.network.networkd import link_binding, nic, parse
from guestfix.formats.network.nic import is_link_local, is_mac

ANY_NIC = "en* eth*"
"""The names that udev or the kernel gives a wired NIC (systemd.net-naming-scheme(7))."""

_SECTIONS = ("Address", "Route", "RoutingPolicyRule", "Neighbor", "NextHop")
_NETWORK = ("Address", "Gateway", "DNS", "Domains", "DNSDefaultRoute")
_PORT_SECTIONS = ("Bridge", "BridgeVLAN")
_PORT = ("Bond", "Bridge", "VLAN", "MACVLAN", "VRF")
_LINK = ("MTUBytes", "MACAddress", "Unmanaged", "ActivationPolicy")
_LEASE = ("DHCP", "DHCPv4")
_ROUTES = ("UseRoutes", "UseGateway", "RouteTable")
_SERVERS = ("UseDNS",)
_MATCH = ("MACAddress", "PermanentMACAddress", "Path", "Driver", "OriginalName", "Property", "Type", "Kind", "Host")

FRESH = f"# Written by guestfix: any wired NIC.\n[Match]\nName={ANY_NIC}\n\n[Network]\nDHCP=yes\n".encode()
"""A .network file for any wired NIC."""


def dhcp(src: bytes | None, *, any_nic: bool = False, leave_bonds: bool = True) -> bytes | None:
    """Make a .network file take its addresses by DHCP. ``any_nic`` makes it match every wired NIC.

    ``leave_bonds`` takes it out of a bond or bridge, and VLANs off it. What refuses the lease's routes goes, and where
    name servers were set by hand or the address was, what refuses the lease's.
    """
    if src is None:
        return None
    found = parse(src)
    any_nic = any_nic and not nic(src).any_nic
    out = remove(src, _old_spans(found, any_nic, leave_bonds, _fixed(found)))
    if not _asks(found):
        out = set_value(out, "Network", "DHCP", "yes", continued=True)
    if any_nic:
        out = _match_any(out)
    return src if out == src else out


def dhcp_beside(src: bytes | None, *, any_nic: bool = False, leave_bonds: bool = True) -> bytes | None:
    """Take out of a drop-in what :func:`dhcp` takes out of its .network file; None where nothing is left of it."""
    if src is None:
        return None
    found = parse(src)
    spans = _old_spans(found, any_nic, leave_bonds, True)
    spans += [(one.start, one.end) for one in entries(found, "Network", "DHCP") if not _asks(found)]
    names = entries(found, "Match", "Name") if any_nic else []
    out = remove(src, sorted({*spans, *((one.start, one.end) for one in names)}))
    return out if out == src or any(group.entries for group in parse(out)) else None


def _old_spans(found: list[Group], any_nic: bool, leave_bonds: bool, fixed: bool) -> list[tuple[int, int]]:
    """Return what only means something on the old network; ``fixed``: name servers or the address were set by hand."""
    sections = _SECTIONS + (_PORT_SECTIONS if leave_bonds else ())
    spans = [(group.start, group.end) for group in found if group.name in sections and not _on_link(group)]
    drop = {"Network": _NETWORK + (_PORT if leave_bonds else ()), "Link": _LINK, "Match": _MATCH if any_nic else ()}
    for group in found:
        spans += [(one.start, one.end) for one in group.entries if one.key in drop.get(group.name, ())]
        spans += [(one.start, one.end) for one in _refusals(group, fixed)]
    return spans


def _on_link(group: Group) -> bool:
    """Tell whether a section is a route on the link itself, or by the lease's router: any network has these."""
    known = {one.key: one.value for one in group.entries}
    if group.name != "Route" or known.get("PreferredSource"):
        return False
    gateway = known.get("Gateway", "")
    return gateway.startswith(("_dhcp", "_ipv6ra")) or (not gateway and is_link_local(known.get("Destination", "")))


def _fixed(found: list[Group]) -> bool:
    return bool(entries(found, "Network", "DNS")) or not _asks(found)


def _refusals(group: Group, fixed: bool) -> list[Setting]:
    """Return what keeps routes, and name servers that took the place of the lease's, out of use."""
    keys = (*_ROUTES, *(_SERVERS if fixed else ())) if group.name in _LEASE else ()
    return [one for one in group.entries if one.key in keys and (one.key == "RouteTable" or _no(one.value))]


def _no(value: str) -> bool:
    return value.lower() in ("no", "false", "0", "off", "n", "f")


def _asks(found: list[Group]) -> bool:
    """Tell whether the file takes an IPv4 address by DHCP."""
    return (get(found, "Network", "DHCP") or "").lower() in ("yes", "true", "1", "on", "both", "ipv4")


def _match_any(src: bytes) -> bytes:
    names = entries(parse(src), "Match", "Name")
    src = remove(src, [(one.start, one.end) for one in names[:-1]])
    return set_value(src, "Match", "Name", ANY_NIC, continued=True)


def rebind(src: bytes | None, *, mac: str = "", name: str = "") -> bytes | None:
    """Make a match by hardware address name the new NIC; without a MAC, match by ``name`` instead.

    An address that the file gives to the interface goes: it is that of the old hardware.
    """
    if src is None:
        return None
    given = entries(parse(src), "Link", "MACAddress")
    src = remove(src, [(one.start, one.end) for one in given])
    found = parse(src)
    bound = [one for one in entries(found, "Match") if one.key in ("MACAddress", "PermanentMACAddress")]
    if not bound or (not mac and not name):
        return src
    if mac:
        kept = remove(src, [(one.start, one.end) for one in bound[:-1]])
        return set_value(kept, "Match", bound[-1].key, mac, continued=True)
    out = remove(src, [(one.start, one.end) for one in bound])
    return out if get(found, "Match", "Name") else set_value(out, "Match", "Name", name, continued=True)


def fresh_device(src: bytes | None) -> bytes | None:
    """Take the hardware address out of a .netdev file: it is that of the old hardware."""
    if src is None:
        return None
    given = [one for one in entries(parse(src), "NetDev", "MACAddress") if is_mac(one.value)]
    return remove(src, [(one.start, one.end) for one in given])


def optional(src: bytes | None) -> bytes | None:
    """Make network-online.target not wait for the file's interface (RequiredForOnline=no)."""
    return None if src is None else set_value(src, "Link", "RequiredForOnline", "no", continued=True)


def unbind_link(src: bytes | None) -> bytes | None:
    """Take the naming out of a .link file that is tied to old hardware; None (moved aside) if that was all it did."""
    if src is None or not link_binding(src):
        return src
    found = parse(src)
    naming = ("Name", "NamePolicy", "AlternativeName", "AlternativeNamesPolicy", "Description")
    rest = [one for one in entries(found, "Link") if one.key not in naming]
    spans = [(one.start, one.end) for one in entries(found, "Link") if one.key == "Name"]
    return remove(src, spans) if rest else None
