"""What netplan refuses in a file: keys that it does not know, values of another kind, addresses that are none.

netplan makes nothing of any file while it refuses one. Source: netplan(5) of version 1.2 and the tables of its parser
(src/parse.c), so that a key of any version is known; ``netplan generate --root-dir`` is asked in the tests.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from guestfix.base.record import frozen
from guestfix.formats.network import netplanvalues as values
from guestfix.formats.network.nic import is_mac
from guestfix.formats.yamltree import Node

Kinds = Mapping[str, object]
"""By key: "text", "yes" (a boolean), "number", "list", "map" (of any keys), "any", or Kinds of its own."""


def _keys(kind: str, words: str) -> dict[str, object]:
    return dict.fromkeys(words.split(), kind)


_LEASE = (
    _keys("yes", "send-hostname use-dns use-hostname use-mtu use-ntp use-routes")
    | _keys("text", "hostname use-domains")
    | _keys("number", "route-metric")
)
_MANAGER: Kinds = _keys("text", "name uuid stable-id device") | {"passthrough": "map"}
_OVS = _keys("map", "external-ids other-config controller") | _keys("text", "lacp fail-mode mcast-snooping rstp") | {
    "protocols": "list", "ports": "list", "ssl": "map"
}  # fmt: skip
_AUTH = _keys(
    "text",
    "key-management method identity anonymous-identity password ca-certificate client-certificate client-key"
    " client-key-password phase2-auth",
)
_COMMON: dict[str, object] = {
    **_keys("yes", "accept-ra critical ignore-carrier dhcp4 dhcp6 optional hairpin port-mac-learning neigh-suppress"),
    **_keys("text", "activation-mode dhcp-identifier gateway4 gateway6 ipv6-address-generation ipv6-address-token"),
    **_keys("yes", "ipv6-privacy"),
    **_keys("number", "ipv6-mtu mtu"),
    **_keys("text", "macaddress renderer"),
    **_keys("list", "addresses link-local optional-addresses routes routing-policy"),
    "dhcp4-overrides": _LEASE,
    "dhcp6-overrides": _LEASE,
    "ra-overrides": _keys("any", "use-dns use-domains table"),
    "nameservers": _keys("list", "search addresses"),
    "networkmanager": _MANAGER,
    "openvswitch": _OVS,
}
_PHYSICAL: dict[str, object] = {
    "match": {"driver": "any", "macaddress": "text", "name": "text"},
    **_keys("text", "set-name"),
    **_keys("yes", "wakeonlan emit-lldp receive-checksum-offload transmit-checksum-offload tcp-segmentation-offload"),
    **_keys("yes", "tcp6-segmentation-offload generic-segmentation-offload generic-receive-offload"),
    **_keys("yes", "large-receive-offload"),
    "wakeonwlan": "list",
}
_BRIDGE = _keys("any", "ageing-time aging-time forward-delay hello-time max-age path-cost port-priority priority stp")
_BOND = _keys(
    "any",
    "mode lacp-rate mii-monitor-interval min-links transmit-hash-policy ad-select all-slaves-active all-members-active"
    " arp-interval arp-ip-targets arp-validate arp-all-targets up-delay down-delay fail-over-mac-policy gratuitous-arp"
    " gratuitious-arp packets-per-slave packets-per-member primary-reselect-policy resend-igmp learn-packet-interval"
    " primary",
)
_TUNNEL = _keys(
    "any",
    "mode local remote ttl key keys mark port peers link ageing aging id limit type-of-service flow-label"
    " do-not-fragment short-circuit arp-proxy mac-learning notifications checksums extensions port-range",
)
_MODEM = _keys("any", "apn auto-config device-id network-id number password pin sim-id sim-operator-id username")
_GROUPS: dict[str, Kinds] = {
    "ethernets": _COMMON | _PHYSICAL | {"auth": _AUTH} | _keys("text", "link embedded-switch-mode infiniband-mode")
    | _keys("any", "virtual-function-count delay-virtual-functions-rebind"),
    "wifis": _COMMON | _PHYSICAL | {"access-points": "map", "auth": _AUTH, "regulatory-domain": "text"},
    "modems": _COMMON | _PHYSICAL | _MODEM,
    "bonds": _COMMON | {"interfaces": "list", "parameters": _BOND},
    "bridges": _COMMON | {"interfaces": "list", "parameters": _BRIDGE},
    "vlans": _COMMON | {"id": "number", "link": "text"},
    "vrfs": _COMMON | {"interfaces": "list", "table": "number"},
    "tunnels": _COMMON | _TUNNEL,
    "dummy-devices": _COMMON,
    "virtual-ethernets": _COMMON | {"peer": "text"},
    "nm-devices": _COMMON | _PHYSICAL,
}  # fmt: skip
_NETWORK = {"version": "text", "renderer": "text", "openvswitch": _OVS}
_ROUTE = (
    _keys("text", "from scope to type via")
    | {"on-link": "yes"}
    | _keys("number", "table metric mtu congestion-window advertised-receive-window advertised-mss")
)
_POLICY = _keys("text", "from to type-of-service") | _keys("number", "mark priority table")
_ADDRESS = _keys("text", "lifetime label")
_BOOLEANS = ("true", "on", "yes", "y", "false", "off", "no", "n")
_RENDERERS = ("networkd", "NetworkManager", "sriov")
_EVERYWHERE = ("default", "0.0.0.0/0", "::/0")


@frozen
class Fault:
    """What netplan refuses: the mapping and the key that it is about, what is wrong, and the line.

    ``unknown``: it is a key that netplan does not know, without which the rest holds.
    """

    owner: Node
    key: Node
    what: str
    unknown: bool = False

    @property
    def line(self) -> int:
        """The 1-based line."""
        return self.key.line


def faults(root: Node | None) -> list[Fault]:
    """Return what netplan refuses in one file, in the file's order."""
    if root is None or root.kind != "map":
        return []
    found = []
    for key, value in root.pairs:
        if key.value != "network":
            found.append(Fault(root, key, f"unknown key {key.value[:64]!r}", unknown=True))
        elif value.kind == "map":
            found += _network(value)
        else:
            found.append(Fault(root, key, "network: is no mapping"))
    return found


def _network(node: Node) -> Iterator[Fault]:
    for key, value in node.pairs:
        group = _GROUPS.get(key.value)
        if key.value == "version" and value.value != "2":
            yield Fault(node, key, f"version {value.value[:16]!r} is not 2")
        elif group is None:
            yield from list(_pair(node, key, value, _NETWORK)) or _renderer(node, key, value)
        elif value.kind == "map":
            for name, device in value.pairs:
                look = _renderer(value, name, device) if name.value == "renderer" else None
                yield from look if look is not None else _device(value, name, device, key.value)
        else:
            yield Fault(node, key, f"{key.value} is no mapping")


def _renderer(node: Node, key: Node, value: Node) -> Iterator[Fault]:
    if key.value == "renderer" and value.value not in _RENDERERS:
        yield Fault(node, key, f"unknown renderer {value.value[:64]!r}")


def _device(owner: Node, name: Node, device: Node, group: str) -> Iterator[Fault]:
    if device.kind != "map":
        yield Fault(owner, name, f"{name.value[:64]} is no mapping")
        return
    wrong = values.wrong_name(group, name, device)
    if wrong:
        yield Fault(owner, name, wrong)
    for key, value in device.pairs:
        found = list(_pair(device, key, value, _GROUPS[group]))
        yield from found or _meaning(device, key, value)


def _pair(owner: Node, key: Node, value: Node, known: Kinds) -> Iterator[Fault]:
    """Check one pair's key, and the kind of its value."""
    kind = known.get(key.value)
    if kind is None:
        yield Fault(owner, key, f"unknown key {key.value[:64]!r}", unknown=True)
    elif isinstance(kind, Mapping):
        if value.kind == "map":
            for name, inner in value.pairs:
                yield from _pair(value, name, inner, kind)
        else:
            yield Fault(owner, key, f"{key.value} is no mapping")
    elif kind != "any" and value.kind != _NODES[str(kind)]:
        yield Fault(owner, key, f"{key.value} is no {_NAMES[_NODES[str(kind)]]}")
    elif kind == "yes" and value.value.lower() not in _BOOLEANS:
        yield Fault(owner, key, f"{key.value} is neither true nor false: {value.value[:64]!r}")
    elif kind == "number" and not _is_number(value.value):
        yield Fault(owner, key, f"{key.value} is no number: {value.value[:64]!r}")
    elif wrong := values.wrong_word(key, value):
        yield Fault(owner, key, wrong)


def _is_number(text: str) -> bool:
    """Tell whether this is a number of 32 bits; netplan takes none at all for 0."""
    return not text or (text.isascii() and text.isdigit() and len(text) < 12 and int(text) < 1 << 32)


_NODES = {"text": "scalar", "yes": "scalar", "number": "scalar", "list": "seq", "map": "map"}
_NAMES = {"scalar": "single value", "seq": "list", "map": "mapping"}


def _meaning(device: Node, key: Node, value: Node) -> Iterator[Fault]:
    """Check what addresses, gateways, routes and the like say."""
    if key.value == "addresses":
        for one in value.items:
            yield from _address(device, key, one)
    elif key.value in ("gateway4", "gateway6") and not _is_ip(value.value, 4 if key.value == "gateway4" else 6):
        yield Fault(device, key, f"{key.value} is no address: {value.value[:64]!r}")
    elif key.value == "macaddress" and not _is_own_mac(value.value):
        yield Fault(device, key, f"no hardware address: {value.value[:64]!r}")
    elif key.value == "renderer":
        yield from _renderer(device, key, value)
    elif key.value == "match":
        mac = value.get("macaddress") if value.kind == "map" else None
        if mac is not None and not _is_hardware(mac.value):
            yield Fault(device, key, f"match: no hardware address: {mac.value[:64]!r}")
    elif key.value == "ipv6-address-token" and not _is_ip(value.value, 6):
        yield Fault(device, key, f"ipv6-address-token is no address: {value.value[:64]!r}")
    elif key.value == "access-points":
        yield from _points(value)
    elif key.value == "parameters":
        yield from _parameters(value)
    elif key.value == "nameservers":
        servers = value.get("addresses") if value.kind == "map" else None
        for one in servers.items if servers is not None else ():
            if not _is_ip(one.value.partition("#")[0].partition("%")[0], 0):
                yield Fault(device, key, f"a name server is no address: {one.value[:64]!r}")
    elif key.value in ("routes", "routing-policy"):
        for row in value.items:
            yield from _row(device, key, row)


def _address(device: Node, key: Node, one: Node) -> Iterator[Fault]:
    text = one
    if one.kind == "map" and one.pairs:
        text = one.pairs[0][0]
        inner = one.pairs[0][1]
        for name, value in inner.pairs:
            yield from _pair(inner, name, value, _ADDRESS)
    bare, slash, length = text.value.partition("/")
    if not _is_ip(bare, 0):
        yield Fault(device, key, f"an address is none: {text.value[:64]!r}")
    elif not slash:
        yield Fault(device, key, f"the address {text.value[:64]} has no prefix length")
    elif not length.isdigit() or int(length[:9]) > (128 if ":" in bare else 32):
        yield Fault(device, key, f"the prefix length of {text.value[:64]} is none")


def _row(device: Node, key: Node, row: Node) -> Iterator[Fault]:
    if row.kind != "map":
        yield Fault(device, key, f"{key.value}: an entry is no mapping")
        return
    for name, value in row.pairs:
        yield from _pair(row, name, value, _ROUTE if key.value == "routes" else _POLICY)
    said = {name.value: value.value for name, value in row.pairs}
    for word in ("to", "via", "from"):
        text = said.get(word, "")
        if word in said and not (word == "to" and text in _EVERYWHERE) and not _is_ip(text.partition("/")[0], 0):
            yield Fault(device, key, f"{key.value}: {word} is no address: {text[:64]!r}")
    if key.value == "routes" and ("to" not in said or (said.get("scope") == "global" and "via" not in said)):
        yield Fault(device, key, "a route has no destination" if "to" not in said else "a route has no gateway")
    elif wrong := values.wrong_row(key.value, said, _family):
        yield Fault(device, key, wrong)


def _points(value: Node) -> Iterator[Fault]:
    """Check the access points of a wifi: one word says whether it is hidden, another its band."""
    for name, point in value.pairs if value.kind == "map" else ():
        for key, one in point.pairs if point.kind == "map" else ():
            if key.value not in _POINT:
                yield Fault(point, key, f"unknown key {key.value[:64]!r}", unknown=True)
            elif key.value == "hidden" and one.value.lower() not in _BOOLEANS:
                yield Fault(value, name, f"hidden is neither true nor false: {one.value[:64]!r}")
            elif key.value == "band" and (wrong := values.wrong_word(key, one)):
                yield Fault(value, name, wrong)


_POINT = ("auth", "band", "bssid", "channel", "hidden", "mode", "networkmanager", "password")
_NUMBERS = ("min-links", "gratuitous-arp", "gratuitious-arp", "packets-per-slave", "packets-per-member", "resend-igmp")


_PARAMETERS = {"arp-ip-targets": "seq", "path-cost": "map", "port-priority": "map"}
_MODES = (
    *("balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb"),
    *("balance-tcp", "balance-slb"),
)


def _parameters(value: Node) -> Iterator[Fault]:
    """Check what bonds and bridges are told: numbers, truth values, IPv4 addresses, costs and priorities of ports."""
    for key, one in value.pairs:
        kind = _PARAMETERS.get(key.value, "scalar")
        most = 63 if key.value == "port-priority" else 1 << 64
        if one.kind != kind:
            yield Fault(value, key, f"{key.value} is no {_NAMES[kind]}")
        elif kind == "map" and any(not (row.value.lstrip("-").isdigit() and int(row.value[:21]) <= most)
                                   for _, row in one.pairs):  # fmt: skip
            yield Fault(value, key, f"{key.value}: a port's is no number up to {most}")
        elif kind == "map" and len({row.value for row, _ in one.pairs}) < len(one.pairs):
            yield Fault(value, key, f"{key.value} names a port twice")
        elif key.value == "mode" and one.value not in _MODES:
            yield Fault(value, key, f"no mode of a bond: {one.value[:64]!r}")
        elif key.value in _NUMBERS and not one.value.isdigit():
            yield Fault(value, key, f"{key.value} is no number: {one.value[:64]!r}")
        elif key.value in ("stp", "all-slaves-active", "all-members-active") and one.value.lower() not in _BOOLEANS:
            yield Fault(value, key, f"{key.value} is neither true nor false: {one.value[:64]!r}")
        elif key.value == "arp-ip-targets" and any(not _is_ip(item.value, 4) for item in one.items):
            yield Fault(value, key, "arp-ip-targets: one is no IPv4 address")


def _family(text: str) -> int:
    return next((version for version in (4, 6) if _is_ip(text, version)), 0)


def _is_ip(text: str, version: int) -> bool:
    import ipaddress  # takes 3 ms to load, and is for guests that have netplan

    try:
        return version in (0, ipaddress.ip_address(text).version)
    except ValueError:
        return False


def _is_hardware(text: str) -> bool:
    return is_mac(text) or text.count(":") == 19  # of InfiniBand


def _is_own_mac(text: str) -> bool:
    return _is_hardware(text) or text in ("permanent", "preserve", "random", "stable", "stable-ssid")


def unfit(devices: Mapping[tuple[str, str], object], renderer: str) -> dict[str, str]:
    """Return, by the id of a device, why netplan refuses it as all files together define it."""
    lost = {name: f"it needs {one}, which no file defines" for name, one in undefined(devices).items()}
    return {**values.unfit(devices, renderer), **lost}


def undefined(devices: Mapping[tuple[str, str], object]) -> dict[str, str]:
    """Return, by the id of a device, an interface that it needs and that no file defines."""
    known = {name for _, name in devices}
    found = {}
    for (group, name), data in devices.items():
        body: dict[str, object] = data if isinstance(data, dict) else {}
        ports, link = body.get("interfaces"), body.get("link")
        names = [one for one in ports if isinstance(one, str)] if isinstance(ports, list) else []
        names += [link] if group in ("vlans", "ethernets") and isinstance(link, str) else []
        lost = next((one for one in names if one not in known), None)
        if group in ("bonds", "bridges", "vlans", "vrfs", "ethernets") and lost is not None:
            found[name] = lost
    return found
