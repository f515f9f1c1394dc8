"""NetworkManager connection profiles: static to DHCP, and what binds a profile to old hardware."""

from __future__ import annotations

from guestfix.base.patterns import regex
from guestfix.formats.ini import Group, Setting, entries, get, groups, remove, set_value
from guestfix.formats.network.keyfile import WIRED
from guestfix.formats.network.nic import is_from, is_link_local

OLD_KEYS = regex(
    r"(address(es)?\d*|gateway|dns|dns-search|route(s)?\d*(_options)?|routing-rule\d*|ignore-auto-dns|ignore-auto-routes"
    r"|never-default)\Z"
)
_REFUSALS = ("ignore-auto-dns", "ignore-auto-routes", "never-default")
_ROUTE = regex(r"routes?\d+\Z")
PORT = ("master", "slave-type", "controller", "port-type", "permissions")
OWN_MAC = ("preserve", "permanent", "random", "stable", "stable-ssid")


def _wired(found: list[Group]) -> list[tuple[Group, Setting]]:
    return [(group, one) for group in found if group.name in WIRED for one in group.entries]


def _to_old_network(found: list[Group], leave_bonds: bool) -> list[Setting]:
    """Return the entries that only mean something on the old network."""
    own_servers = get(found, "ipv4", "method") == "manual" or any(get(found, name, "dns") for name in ("ipv4", "ipv6"))
    six = get(found, "ipv6", "method") == "manual" or any(
        one.key == "dns" or one.key.startswith("address") for one in entries(found, "ipv6")
    )
    gone = [
        one
        for group in found
        if group.name in ("ipv4", "ipv6")
        for one in group.entries
        if OLD_KEYS.match(one.key)
        and not _stays(one, group.entries, own_servers)
        and (six or group.name == "ipv4" or one.key not in _REFUSALS)
    ]
    port = PORT if leave_bonds else ()
    gone += [one for group in found if group.name == "connection" for one in group.entries if one.key in port]
    for _, one in _wired(found):
        if one.key == "mtu" or (one.key in ("cloned-mac-address", "assigned-mac-address") and one.value not in OWN_MAC):
            gone.append(one)
    return gone


def _stays(one: Setting, found: list[Setting], own_servers: bool) -> bool:
    """Tell whether an entry is none of the old network's: a route on the link, no wish for anybody's name servers."""
    if one.key == "ignore-auto-dns":
        return not own_servers
    key = one.key.removesuffix("_options")
    if not _ROUTE.match(key):
        return False
    both = {other.key: other.value for other in found if other.key in (key, f"{key}_options")}
    return is_link_local(both.get(key, "")) and not is_from(both.get(f"{key}_options", ""))


def _bindings(found: list[Group]) -> list[Setting]:
    """Return the entries that tie the profile to one NIC."""
    gone = [one for _, one in _wired(found) if one.key in ("mac-address", "s390-subchannels")]
    gone += [one for g in found if g.name == "connection" for one in g.entries if one.key == "interface-name"]
    return gone + [one for group in found if group.name == "match" for one in group.entries]


def dhcp(src: bytes | None, *, any_nic: bool = False, leave_bonds: bool = True) -> bytes | None:
    """Make a profile take its addresses by DHCP (IPv6: by router advertisement or DHCPv6) at boot.

    ``any_nic`` unties it from interface name and MAC and lets it serve several NICs at once
    (multi-connect=3, which NetworkManager knows since 1.14 and passed over before). ``leave_bonds`` takes it out of a
    bond, bridge or team.
    """
    if src is None:
        return None
    found = groups(src)
    gone = _to_old_network(found, leave_bonds) + (_bindings(found) if any_nic else [])
    gone += [one for g in found if g.name == "connection" for one in g.entries if one.key == "autoconnect" and _no(one)]
    out = remove(src, [(one.start, one.end) for one in gone])
    if get(found, "ipv4", "method") != "auto":
        out = set_value(out, "ipv4", "method", "auto")
    if get(found, "ipv6", "method") == "manual":
        out = set_value(out, "ipv6", "method", "auto")
    if any_nic and out != src:
        out = set_value(out, "connection", "multi-connect", "3")
    return src if out == src else out


def _no(one: Setting) -> bool:
    return one.value.lower() in ("false", "no", "0", "off")


def rebind(src: bytes | None, *, mac: str = "") -> bytes | None:
    """Make mac-address name the new NIC, or drop it where no MAC is given; a cloned one, and a bridge's, is dropped."""
    if src is None:
        return None
    cloned = ("cloned-mac-address", "assigned-mac-address")
    wired = _wired(groups(src))
    gone = [one for _, one in wired if one.key in cloned and one.value not in OWN_MAC]
    bound = [one for _, one in wired if one.key == "mac-address"]
    gone += entries(groups(src), "bridge", "mac-address")
    spans = [(one.start, one.end) for one in gone + ([] if mac else bound)]
    out = remove(src, spans)
    for group, one in wired:
        if mac and one.key == "mac-address" and one.value.lower() != mac.lower():
            out = set_value(out, group.name, "mac-address", mac.upper())
    return out


def in_zone(src: bytes | None, *, zone: str) -> bytes | None:
    """Put the profile's interface into this zone of the firewall; "" leaves the file as it is."""
    return src if src is None or not zone else set_value(src, "connection", "zone", zone)


def fresh(uuid: str) -> bytes:
    """Return a new profile for any wired NIC. The file must be owned by root with mode 0600."""
    return (
        f"[connection]\nid=guestfix-wired\nuuid={uuid}\ntype=ethernet\nmulti-connect=3\n\n"
        "[ipv4]\nmethod=auto\n\n[ipv6]\nmethod=auto\n"
    ).encode()
