"""NetworkManager's connection profiles in keyfile format, and its own configuration files.

Source: nm-settings-keyfile(5), NetworkManager.conf(5).
"""

from __future__ import annotations

from guestfix.base.catalog.records.network import Nic
from guestfix.base.errors import TooLarge
from guestfix.base.patterns import regex
from guestfix.formats.ini import Group, entries, get, groups
from guestfix.formats.network.nic import norm_mac, number

_KINDS = {
    "ethernet": "ethernet",
    "802-3-ethernet": "ethernet",
    "wired": "ethernet",
    "bond": "bond",
    "vlan": "vlan",
    "bridge": "bridge",
    "team": "team",
    "wifi": "wifi",
    "802-11-wireless": "wifi",
    "loopback": "loopback",
    "dummy": "dummy",
}
WIRED = ("ethernet", "802-3-ethernet", "wired")
"""The names that the group of a wired connection's own settings may have."""

_METHODS = {"auto": "dhcp", "manual": "static", "disabled": "none", "ignore": "none", "link-local": "auto"}
_METHODS6 = {"auto": "auto", "dhcp": "dhcp", "manual": "static", "ignore": "none", "disabled": "none"}
_ADDRESS = regex(r"address(?:es)?\d*\Z")
_ROUTE = regex(r"route(?:s)?\d*\Z")


def wired_value(found: list[Group], key: str) -> str:
    """Return a key of the wired group, whichever of its names is used."""
    return next((value for group in WIRED if (value := get(found, group, key)) is not None), "")


def _list(text: str | None) -> tuple[str, ...]:
    return tuple(word for word in regex(r"[;,\s]+").split(text or "") if word)


def _ip(found: list[Group], group: str) -> tuple[tuple[str, ...], str, tuple[str, ...]]:
    """Return addresses, gateway and routes of the ipv4 or ipv6 group."""
    rows, gateway, routes = [], get(found, group, "gateway") or "", []
    for one in entries(found, group):
        if _ADDRESS.match(one.key):
            address, _, behind = one.value.partition(",")
            rows.append(address.strip())
            gateway = gateway or behind.strip()
        elif _ROUTE.match(one.key):
            routes.append(one.value)
        elif one.key.startswith("routing-rule"):
            routes.append(f"rule {one.value}")
    return tuple(row for row in rows if row), gateway, tuple(routes)


def nic(src: bytes) -> Nic:
    """Return what one connection profile says."""
    found = groups(src)
    four, gateway, routes4 = _ip(found, "ipv4")
    six, gateway6, routes6 = _ip(found, "ipv6")
    name, mac = get(found, "connection", "interface-name") or "", norm_mac(wired_value(found, "mac-address"))
    kind = _KINDS.get(get(found, "connection", "type") or "", "other")
    match = get(found, "match", "interface-name") or ""
    parent = get(found, "vlan", "parent")
    master = get(found, "connection", "master") or get(found, "connection", "controller")
    asks = kind in ("ethernet", "bond", "bridge", "team", "vlan") and not master  # a port has no address of its own
    method = get(found, "ipv4", "method") or ("auto" if asks else "disabled" if master else "")
    return Nic(
        name=name or match or get(found, "connection", "id") or "",
        line=next((one.line for one in entries(found, "connection", "interface-name")), 1),
        stack="networkmanager",
        kind=kind,
        mac=mac,
        method=_METHODS.get(method, method),
        method6=_METHODS6.get(get(found, "ipv6", "method") or "auto", ""),
        addresses=four + six,
        gateway=gateway,
        gateway6=gateway6,
        dns=_list(get(found, "ipv4", "dns")) + _list(get(found, "ipv6", "dns")),
        search=_list(get(found, "ipv4", "dns-search")) + _list(get(found, "ipv6", "dns-search")),
        routes=routes4 + routes6,
        mtu=number(wired_value(found, "mtu")),
        parents=(parent,) if parent else (),
        auto=(get(found, "connection", "autoconnect") or "true").lower() in ("true", "yes", "1"),
        bound_name=bool(name or match),
        bound_mac=bool(mac),
        id=get(found, "connection", "id") or "",
        uuid=get(found, "connection", "uuid") or "",
        any_nic=not (name or match or mac or master),
        tied_to=(master,) if master else (),
    )


_NEW = "02:00:00:00:00:00"
"""An address that no NIC of the old platform had."""


def readable_name(name: str) -> bool:
    """Tell whether NetworkManager reads a file of this name (nms_keyfile_utils: no hidden or backup files)."""
    backup = name.endswith(("~", ".bak", ".orig", ".rpmnew", ".rpmorig", ".rpmsave", ".swp", ".tmp"))
    return not name.startswith(".") and not backup


def no_auto_default(sources: list[bytes]) -> bool:
    """Tell whether NetworkManager may be told not to make a DHCP profile of its own for a wired NIC that is new.

    A list that names others' addresses alone is not about it; one of names may be.
    """
    for src in reversed(sources):
        value = get(groups(src), "main", "no-auto-default")
        if value is not None:
            return value.strip() == "*" or (value.strip() != "" and _is_about_new(value))
    return False


def _is_about_new(devices: str) -> bool:
    from guestfix.formats.network.devicelist import Device, matches, parse  # takes 60 ms to load, and is rare

    try:
        return matches(parse(devices), Device(mac=_NEW)) is not False
    except TooLarge:
        return True
