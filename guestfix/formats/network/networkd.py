"""systemd-networkd's .network and .netdev files and udev's .link files.

Source: systemd.network(5), systemd.netdev(5), systemd.link(5).
"""

from __future__ import annotations

from guestfix.base.catalog.records.network import Nic
from guestfix.formats.ini import Group, entries, get, groups
from guestfix.formats.network.nic import kind_of_name, norm_mac, number

_DHCP = {"yes": "both", "true": "both", "1": "both", "both": "both", "on": "both", "ipv4": "ipv4", "ipv6": "ipv6"}
NAME_MATCHES = ("Name", "OriginalName", "Path", "PermanentMACAddress", "MACAddress", "Property", "Host")
"""The matches of a [Match] section that may tie a file to the old hardware."""


_OTHERS = {"RoutingPolicyRule": "rule", "Neighbor": "neighbour", "NextHop": "next hop"}
"""What else sends packets their way, and what a sentence calls it."""


def parse(src: bytes) -> list[Group]:
    """Return the file's sections; a final backslash joins lines (systemd.syntax(7))."""
    return groups(src, continued=True)


def _all(found: list[Group], section: str, key: str) -> tuple[str, ...]:
    """Return every word of a list-valued key; an empty assignment clears what came before it."""
    words: list[str] = []
    for one in entries(found, section, key):
        words = [*words, *one.value.split()] if one.value else []
    return tuple(words)


def _routes(found: list[Group]) -> tuple[str, str, tuple[str, ...]]:
    """Return the IPv4 and IPv6 default gateways and the other routes of the [Route] sections and Gateway=."""
    pairs = [("", gateway) for gateway in _all(found, "Network", "Gateway")]
    more = []
    for group in found:
        known = {one.key: one.value for one in group.entries}
        if group.name == "Route" and known.get("Table", "main") in ("main", "254"):
            pairs.append((known.get("Destination", ""), known.get("Gateway", "")))
        elif group.name == "Route":
            more.append(
                f"{known.get('Destination') or 'default'} via {known.get('Gateway', '-')} table {known['Table']}"
            )
        elif group.name in _OTHERS:
            words = " ".join(f"{one.key}={one.value}" for one in group.entries)
            more.append(f"{_OTHERS[group.name]} {words}")
    default = [gateway for to, gateway in pairs if to in ("", "0.0.0.0/0", "::/0")]
    four = next((one for one in default if ":" not in one), "")
    six = next((one for one in default if ":" in one), "")
    others = [(to, gateway) for to, gateway in pairs if to not in ("", "0.0.0.0/0", "::/0")]
    others += [("default", gateway) for gateway in default if gateway and gateway not in (four, six)]
    return four, six, (*(f"{to} via {gateway}" if gateway else to for to, gateway in others), *more)


def _kind(found: list[Group], name: str) -> str:
    if get(found, "Match", "Kind") not in (None, "", "!*"):
        return get(found, "Match", "Kind") or ""
    types = _all(found, "Match", "Type")
    if "loopback" in types or "wlan" in types:
        return "loopback" if "loopback" in types else "wifi"
    return kind_of_name(name) if name else "ethernet"


def _wild(found: list[Group], names: tuple[str, ...]) -> bool:
    """Tell whether the file matches every wired NIC of a machine with predictable names."""
    if any(one.key in ("Path", "Driver", "OriginalName", "Property", "Host") for one in entries(found, "Match")):
        return False
    return bool({"en*", "e*", "*"} & set(names)) or (not names and "ether" in _all(found, "Match", "Type"))


def nic(src: bytes, kinds: dict[str, str] | None = None) -> Nic:
    """Return what one .network file says. ``kinds`` maps the names that .netdev files make to their kinds."""
    found = parse(src)
    names, macs = _all(found, "Match", "Name"), _all(found, "Match", "MACAddress")
    macs += _all(found, "Match", "PermanentMACAddress")
    name = next(iter(names), "")
    dhcp = _DHCP.get((get(found, "Network", "DHCP") or "").lower(), "")
    found_addresses = _all(found, "Network", "Address") + _all(found, "Address", "Address")
    gateway, gateway6, routes = _routes(found)
    master = [get(found, "Network", key) or "" for key in ("Bond", "Bridge")]
    four, six = ([one for one in found_addresses if (":" in one) == is6] for is6 in (False, True))
    accept = (get(found, "Network", "IPv6AcceptRA") or "yes").lower() not in ("no", "false", "0", "off")
    return Nic(
        name=name,
        line=next((one.line for one in entries(found, "Match")), 1),
        stack="networkd",
        kind=(kinds or {}).get(name) or _kind(found, name),
        mac=norm_mac(next(iter(macs), "")),
        method="dhcp" if dhcp in ("both", "ipv4") else "static" if four else "none",
        method6="dhcp" if dhcp in ("both", "ipv6") else "static" if six else "auto" if accept else "none",
        addresses=found_addresses,
        gateway=gateway,
        gateway6=gateway6,
        dns=_all(found, "Network", "DNS"),
        search=_all(found, "Network", "Domains"),
        routes=routes,
        mtu=number(get(found, "Link", "MTUBytes") or ""),
        bound_name=bool(names) and not any(set(one) & set("*?[!") for one in names),
        bound_mac=bool(macs),
        unmanaged=(get(found, "Link", "Unmanaged") or "").lower() in ("yes", "true", "1", "on"),
        any_nic=not macs and _wild(found, names),
        tied_to=tuple(one for one in master if one),
    )


def netdev(src: bytes) -> tuple[str, str]:
    """Return (name, kind) of the device that a .netdev file makes."""
    found = parse(src)
    return get(found, "NetDev", "Name") or "", (get(found, "NetDev", "Kind") or "other").lower()


def vlans(src: bytes) -> tuple[str, ...]:
    """Return the VLAN devices that a .network file puts on its link."""
    return _all(parse(src), "Network", "VLAN")


def link_binding(src: bytes) -> str:
    """Return the [Match] line by which a .link file is tied to old hardware and names it, or "".

    A file without Name=, or that matches by driver or type alone, ties nothing.
    """
    found = parse(src)
    if not get(found, "Link", "Name"):
        return ""
    for one in entries(found, "Match"):
        if one.key in NAME_MATCHES and one.value and not set(one.value) <= set("*?!"):
            return f"{one.key}={one.value}"
    return ""
