"""What netplan refuses among values: words of a list, numbers beyond a range, addresses of another family; and devices.

Only what every version refuses: who is taken for refused is taken out of the files. Source: netplan(5), the tables of
its parser (src/parse.c) and its checks of whole definitions (src/validation.c) of versions 0.106 to 1.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from guestfix.base.patterns import regex
from guestfix.formats.yamltree import Node

_WORDS: dict[str, tuple[str, ...]] = {
    "activation-mode": ("manual", "off"),
    "dhcp-identifier": ("mac", "duid"),
    "ipv6-address-generation": ("eui64", "stable-privacy"),
    "embedded-switch-mode": ("switchdev", "legacy"),
    "infiniband-mode": ("datagram", "connected"),
    "link-local": ("ipv4", "ipv6"),
    "optional-addresses": ("ipv4-ll", "ipv6-ra", "dhcp4", "dhcp6", "static"),
    "band": ("5GHz", "5G", "2.4GHz", "2.4G"),
    "scope": ("global", "link", "host"),
    "lifetime": ("0", "forever"),
    "wakeonwlan": (
        *("any", "default", "disconnect", "magic_pkt", "gtk_rekey_failure", "eap_identity_req"),
        *("four_way_handshake", "rfkill_release", "tcp"),
    ),
    "type": (
        *("unicast", "anycast", "blackhole", "broadcast", "local", "multicast", "nat", "prohibit", "throw"),
        *("unreachable", "xresolve"),
    ),
}
"""By key: all the words that it may have, alone or in a list."""

_MOST = {"type-of-service": 255, "ttl": 255, "flow-label": 1048575}
_NAME = regex(r"\S{1,64}\Z")
_GLOB = regex(r"[*?\[]")
_IP6_MODES = ("ipip6", "ip6ip6", "ip6gre", "ip6gretap", "vti6")
_OF_PORTS = ("path-cost", "port-priority")
_PSK = regex(r"[0-9A-Fa-f]{64}\Z")


def wrong_word(key: Node, value: Node) -> str:
    """Return what is wrong with a value that has to be one of some words or numbers; empty where nothing is."""
    known = _WORDS.get(key.value)
    for one in value.items if value.kind == "seq" else (value,):
        if one.kind != "scalar":
            continue
        if known is not None and one.value not in known:
            return f"{key.value} is none of {', '.join(known[:6])}: {one.value[:64]!r}"
        if key.value in _MOST and not (_is_number(one.value) and int(one.value) <= _MOST[key.value]):
            return f"{key.value} is no number up to {_MOST[key.value]}: {one.value[:64]!r}"
    return ""


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 11


def wrong_name(group: str, name: Node, device: Node) -> str:
    """Return what is wrong with a device's id, or with what it matches by."""
    match = device.get("match") if device.kind == "map" else None
    if match is None and (group == "ethernets" or group == "wifis") and _GLOB.search(name.value):
        return f"{name.value[:64]} is a pattern, which has to stand under match"
    if match is None and not _NAME.match(name.value):
        return f"{name.value[:64]!r} is no interface's name"
    driver = match.get("driver") if match is not None and match.kind == "map" else None
    words = driver.items if driver is not None and driver.kind == "seq" else [driver] if driver is not None else []
    if driver is not None and (not words or any(one.kind != "scalar" or " " in one.value for one in words)):
        return "match: driver is no driver's name"
    return ""


def wrong_row(kind: str, said: Mapping[str, str], family: Callable[[str], int]) -> str:
    """Return what is wrong with a route or policy as a whole; ``family`` tells 4 or 6 of an address, else 0."""
    if kind == "routing-policy":
        known = {family(said.get(word, "").partition("/")[0]) for word in ("from", "to")} - {0}
        if not ("from" in said or "to" in said):
            return "a policy has neither from nor to"
        return "a policy is from one family to another" if len(known) > 1 else ""
    known = {family(said.get(word, "").partition("/")[0]) for word in ("to", "via", "from")} - {0}
    return f"the route to {said.get('to', '')[:64]} is by another family" if len(known) > 1 else ""


# devices as all files together define them

Devices = Mapping[tuple[str, str], object]


def unfit(devices: Devices, renderer: str) -> dict[str, str]:
    """Return, by the id of a device, what netplan refuses of its definition as a whole."""
    known = {name for _, name in devices}
    found: dict[str, str] = {}
    owners: dict[tuple[bool, str], str] = {}
    for (group, name), data in devices.items():
        body: dict[str, object] = data if isinstance(data, dict) else {}
        by_networkd = (_text(body.get("renderer")) or renderer or "networkd") == "networkd"
        why = next((what for what in _whole(group, body, by_networkd, known) if what), "")
        for port in _texts(body.get("interfaces")) if group in ("bonds", "bridges", "vrfs") else ():
            owner = owners.setdefault((group == "vrfs", port), name)
            why = why or (f"{port} is a port of {owner} already" if owner != name else "")
        if why:
            found[name] = why
    return found


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: object) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list | tuple) else []


def _whole(group: str, body: dict[str, object], by_networkd: bool, known: set[str]) -> Iterator[str]:
    parts = body.get("parameters")
    if "set-name" in body and "match" not in body:
        yield "set-name needs match"
    if "ipv6-address-generation" in body and "ipv6-address-token" in body:
        yield "ipv6-address-generation and ipv6-address-token exclude each other"
    if not by_networkd:
        yield from _networkmanager(body)
    if group == "vlans":
        yield "" if "id" in body else "a VLAN has no id"
        yield "" if "link" in body else "a VLAN has no link"
        number = _text(body.get("id"))
        yield "" if not number or (_is_number(number) and int(number) <= 4094) else f"a VLAN's id is {number[:16]!r}"
    elif group == "vrfs":
        yield "" if "table" in body else "a VRF has no table"
        for word in ("routes", "routing-policy"):
            own = _text(body.get("table"))
            tables = {_text(row.get("table")) or own for row in _rows(body.get(word))}
            yield "" if tables <= {own} else f"{word} of a VRF name another table"
    elif group == "wifis":
        yield "" if body.get("access-points") else "no access point is defined"
        yield "networkd takes no wifi by match" if by_networkd and "match" in body else ""
        yield from _wifi(body.get("access-points"))
    elif group == "modems" and by_networkd:
        yield "networkd sets no modem up"
    elif group == "tunnels":
        yield from _tunnel(body)
    elif group == "bonds" and isinstance(parts, dict):
        primary = _text(parts.get("primary"))
        yield f"its primary {primary} is not defined" if primary and primary not in known else ""
    elif group == "bridges" and isinstance(parts, dict):
        for word in _OF_PORTS:
            rows = parts.get(word)
            lost = next((one for one in rows if one not in known), "") if isinstance(rows, dict) else ""
            yield f"{word} names {lost}, which no file defines" if lost else ""


def _rows(value: object) -> list[dict[str, object]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list | tuple) else []


def _networkmanager(body: dict[str, object]) -> Iterator[str]:
    """Yield what NetworkManager's renderer does not do, and refuses."""
    if any(row.get("type", "unicast") != "unicast" for row in _rows(body.get("routes"))):
        yield "NetworkManager takes unicast routes alone"
    yield "NetworkManager takes no ipv6-mtu" if "ipv6-mtu" in body else ""
    yield "NetworkManager takes no options of addresses" if _rows(body.get("addresses")) else ""


def _wifi(points: object) -> Iterator[str]:
    for data in points.values() if isinstance(points, dict) else ():
        password = _text(data.get("password")) if isinstance(data, dict) else ""
        if password and not (8 <= len(password) < 64 or _PSK.match(password)):
            yield "a wifi's password has not 8 to 63 characters"


def _tunnel(body: dict[str, object]) -> Iterator[str]:
    mode = _text(body.get("mode"))
    if not mode:
        yield "a tunnel has no mode"
    elif mode == "vxlan":
        number = _text(body.get("id"))
        yield "" if _is_number(number) and 0 < int(number) < 1 << 24 else "a VXLAN has no id"
    elif mode != "wireguard":
        yield "" if body.get("remote") else "a tunnel has no remote address"
        for word in ("local", "remote"):
            text = _text(body.get(word))
            yield "" if not text or _is_address(text, mode in _IP6_MODES) else f"{word} is no address of its kind"


def _is_address(text: str, six: bool) -> bool:
    import ipaddress  # takes 3 ms to load; few guests have tunnels

    try:
        return ipaddress.ip_address(text).version == (6 if six else 4)
    except ValueError:
        return False
