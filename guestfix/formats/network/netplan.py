"""netplan's YAML: device definitions of one file, and of several merged as netplan merges them.

Source: netplan(5) and netplan-generate(8): files of /lib, /etc and /run/netplan are read in the order of their
base names, a later one of the same name hides an earlier; mappings merge, sequences grow, scalars are replaced.
"""

from __future__ import annotations

from collections.abc import Sequence

from guestfix.base.catalog.records.network import Nic
from guestfix.base.errors import EditError
from guestfix.base.patterns import regex
from guestfix.base.record import replace
from guestfix.formats.network.keyfile import WIRED
from guestfix.formats.network.nic import MAX_NICS, norm_mac, number
from guestfix.formats.yamltree import Node, parse

_ADDRESS = regex(r"ipv[46]\.address(?:es)?\d*\Z")
_ROUTE = regex(r"ipv[46]\.routes?\d*\Z")

_ANYWHERE = ("default", "0.0.0.0/0", "::/0", "0/0")

GROUPS = {
    "ethernets": "ethernet",
    "bonds": "bond",
    "bridges": "bridge",
    "vlans": "vlan",
    "wifis": "wifi",
    "modems": "other",
    "tunnels": "tunnel",
    "vrfs": "other",
    "dummy-devices": "dummy",
    "virtual-ethernets": "other",
    "nm-devices": "other",
}


def yes(text: object) -> bool:
    """Tell whether a YAML scalar means true to netplan (``true``, ``on``, ``yes``, ``y``)."""
    return isinstance(text, str) and text.lower() in ("true", "on", "yes", "y")


def networks(root: Node | None) -> list[Node]:
    """Return the ``network:`` mappings of a document: netplan reads each of them, one after the other."""
    pairs = root.pairs if root is not None and root.kind == "map" else []
    return [value for key, value in pairs if key.value == "network" and value.kind == "map"]


def network_of(root: Node | None) -> Node | None:
    """Return the last ``network:`` mapping of a document, or None."""
    return next(reversed(networks(root)), None)


def devices(root: Node | None) -> list[tuple[str, str, Node, Node]]:
    """Return (group, id, key node, value node) of every device definition in a document, in file order."""
    found = []
    for group, members in [pair for network in networks(root) for pair in network.pairs]:
        if group.value in GROUPS and members.kind == "map":
            pairs = [pair for pair in members.pairs if pair[0].value != "renderer"]
            found += [(group.value, key.value, key, value) for key, value in pairs]
    return found[:MAX_NICS]


def needs(device: Node) -> set[str]:
    """Return the ids that a device definition names: its ports, its link, its VRF's interfaces."""
    data = _map(_plain_data(device))
    return {*_texts(data.get("interfaces")), _str(data.get("link"))} - {""}


def refuse_twins(root: Node | None) -> None:
    """Raise EditError where a mapping has a key twice: netplan takes both, so changing one would not do."""
    todo = networks(root)
    if len(todo) > 1:
        raise EditError("the file has network: twice", where=f"line {todo[1].line}", remedy="make one of the two")
    while todo:
        node = todo.pop()
        seen: set[str] = set()
        for key, value in node.pairs:
            if key.value in seen:
                what = f"the file has the key {key.value[:64]!r} twice in one place"
                raise EditError(what, where=f"line {key.line}", remedy="make one of the two")
            seen.add(key.value)
            todo.append(value)
        todo += node.items


def _plain_data(node: Node) -> object:
    """Return a tree as dicts, lists and strings; the values of a key that comes twice are merged, as netplan does."""
    if node.kind == "seq":
        return [_plain_data(one) for one in node.items]
    if node.kind != "map":
        return node.value
    found: dict[str, object] = {}
    for key, value in node.pairs:
        data = _plain_data(value)
        found[key.value] = _merge(found[key.value], data) if key.value in found else data
    return found


def _merge(old: object, new: object) -> object:
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{key: _merge(old[key], value) if key in old else value for key, value in new.items()}}
    if isinstance(old, list) and isinstance(new, list):
        return old + [one for one in new if one not in old]
    return new


class Merged:
    """What several files say together. ``nics`` has every device; ``errors`` the files that can't be read."""

    def __init__(self) -> None:
        self.devices: dict[tuple[str, str], object] = {}
        self.places: dict[tuple[str, str], tuple[str, int]] = {}
        self.files: dict[tuple[str, str], list[str]] = {}
        self.renderer = ""
        self.errors: list[tuple[str, str]] = []

    def add(self, path: str, src: bytes) -> None:
        """Merge one more file, which comes after all before it."""
        try:
            root = parse(src)
        except EditError as error:
            self.errors.append((path, str(error)))
            return
        network = network_of(root)
        renderer = network.get("renderer") if network else None
        self.renderer = renderer.value if renderer is not None else self.renderer
        for group, name, key, value in devices(root):
            place, data = (group, name), _plain_data(value)
            self.devices[place] = _merge(self.devices.get(place), data) if place in self.devices else data
            self.places.setdefault(place, (path, key.line))
            self.files.setdefault(place, []).append(path)

    def nics(self) -> list[Nic]:
        """Return every device definition as a Nic, in the order in which they were first named."""
        found = []
        for (group, name), data in self.devices.items():
            path, line = self.places[group, name]
            known = data if isinstance(data, dict) else {}
            found.append(_nic(group, name, known, path, line))
        return found[:MAX_NICS]


def merge(files: Sequence[tuple[str, bytes]]) -> Merged:
    """Merge files of (guest path, bytes) given in netplan's order."""
    merged = Merged()
    for path, src in files:
        merged.add(path, src)
    return merged


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value] if value else []
    if isinstance(value, list):
        return [one if isinstance(one, str) else next(iter(one), "") for one in value if isinstance(one, (str, dict))]
    return []


def _map(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _str(value: object) -> str:
    return value if isinstance(value, str) else ""


def _routes(data: dict[str, object]) -> tuple[str, str, tuple[str, ...]]:
    routes, rules = data.get("routes"), data.get("routing-policy")
    rows = [row for row in (routes if isinstance(routes, list | tuple) else []) if isinstance(row, dict)]
    main = [(_str(row.get("to")), _str(row.get("via"))) for row in rows if _str(row.get("table")) in ("", "254")]
    default = [via for to, via in main if to in _ANYWHERE]
    four = _str(data.get("gateway4")) or next((via for via in default if ":" not in via), "")
    six = _str(data.get("gateway6")) or next((via for via in default if ":" in via), "")
    others = [
        _route(row) for row in rows if _str(row.get("to")) not in _ANYWHERE or _str(row.get("via")) not in (four, six)
    ]
    policy = [row for row in (rules if isinstance(rules, list | tuple) else []) if isinstance(row, dict)]
    others += [f"rule {' '.join(f'{key} {_str(value)}' for key, value in row.items())}" for row in policy]
    return four, six, tuple(others)


def _route(row: dict[str, object]) -> str:
    via, table = _str(row.get("via")), _str(row.get("table"))
    return (
        _str(row.get("to")) + (f" via {via}" if via else "") + (f" table {table}" if table not in ("", "254") else "")
    )


def _parents(group: str, data: dict[str, object]) -> tuple[str, ...]:
    if group == "vlans":
        return (_str(data.get("link")),) if _str(data.get("link")) else ()
    return tuple(_texts(data.get("interfaces"))) if group in ("bonds", "bridges", "vrfs") else ()


_METHODS = {"auto": "dhcp", "manual": "static", "disabled": "none", "link-local": "auto", "shared": "static"}


def passed(device: dict[str, object]) -> dict[str, str]:
    """Return the settings that a device hands to NetworkManager past netplan, which win over netplan's own."""
    rows = _map(_map(device.get("networkmanager")).get("passthrough"))
    return {key: value for key, value in rows.items() if isinstance(value, str)}


def _handed(nic: Nic, keys: dict[str, str]) -> Nic:
    """Return the interface as NetworkManager takes it, with the keys that are handed to it."""
    rows = [value.split(",") for key, value in keys.items() if _ADDRESS.match(key)]
    found = [row[0].strip() for row in rows if row[0].strip()]
    behind = next((row[1].strip() for row in rows if len(row) > 1 and row[1].strip()), "")
    name = keys.get("connection.interface-name", "") or keys.get("match.interface-name", "")
    mac = next((norm_mac(keys[f"{one}.mac-address"]) for one in WIRED if f"{one}.mac-address" in keys), "")
    off = keys.get("connection.autoconnect", "").lower() in ("false", "no", "0", "off")
    return replace(
        nic,
        name=name or nic.name,
        method=_METHODS.get(keys.get("ipv4.method", ""), nic.method),
        addresses=tuple(dict.fromkeys((*nic.addresses, *found))),
        gateway=nic.gateway or keys.get("ipv4.gateway", "") or behind,
        dns=tuple(dict.fromkeys((*nic.dns, *regex(r"[^;,\s]+").findall(keys.get("ipv4.dns", ""))))),
        routes=nic.routes + tuple(value for key, value in keys.items() if _ROUTE.match(key)),
        auto=not off,
        mac=nic.mac or mac,
        bound_name=nic.bound_name or bool(name),
        bound_mac=nic.bound_mac or bool(mac),
        any_nic=nic.any_nic and not name and not mac,
    )


def _nic(group: str, name: str, data: dict[str, object], path: str, line: int) -> Nic:
    match, dns = _map(data.get("match")), _map(data.get("nameservers"))
    addresses = tuple(_texts(data.get("addresses")))
    four, six = ([one for one in addresses if (":" in one) == is6] for is6 in (False, True))
    gateway, gateway6, routes = _routes(data)
    pattern, mac = _str(match.get("name")), norm_mac(_str(match.get("macaddress")))
    real = _str(data.get("set-name")) or pattern or ("" if match else name)
    accept = data.get("accept-ra") is None or yes(data.get("accept-ra"))
    said = Nic(
        name=real or name,
        path=path,
        line=line,
        stack="netplan",
        kind=GROUPS[group],
        mac=mac,
        method="dhcp" if yes(data.get("dhcp4")) else "static" if four else "none",
        method6="dhcp" if yes(data.get("dhcp6")) else "static" if six else "auto" if accept else "none",
        addresses=addresses,
        gateway=gateway,
        gateway6=gateway6,
        dns=tuple(_texts(dns.get("addresses"))),
        search=tuple(_texts(dns.get("search"))),
        routes=routes,
        mtu=number(_str(data.get("mtu"))),
        parents=_parents(group, data),
        bound_name=not match or (bool(pattern) and not set(pattern) & set("*?[")),
        bound_mac=bool(mac),
        any_nic=pattern in ("e*", "en*", "eth*", "*") and len(match) == 1,
        id=name,
        tied_to=tuple(f"match.{key}" for key in match if key not in ("name", "macaddress")),
    )
    keys = passed(data)
    return _handed(said, keys) if keys else said
