"""The network in FreeBSD's rc.conf(5): shell assignments, one for each interface (``ifconfig_em0``).

``ifconfig_DEFAULT`` counts for every interface that has no line of its own, so that it holds whatever the NIC's
driver, and with it its name, is.
"""

from __future__ import annotations

from guestfix.base.edit import Content, Edit, Note
from guestfix.base.errors import EditError
from guestfix.base.patterns import regex
from guestfix.formats import shellvars

MARK = b"# guestfix: "
_OWN = regex(r"ifconfig_([a-z][a-z0-9]{0,14}\d)(?:_(?:alias\d+|aliases|ipv6|descr|name))?\Z")
_VIRTUAL = regex(r"(?:lo|lagg|vlan|bridge|tap|tun|gif|gre|wg|epair|wlan|carp|pf|stf|ovpn|ipsec|vxlan|enc)\d+\Z")
"""Interfaces that are made, by the driver that makes them (the manual pages' section 4)."""

_GATEWAYS = ("defaultrouter", "ipv6_defaultrouter")
_DHCP = {"DHCP", "SYNCDHCP", "NOSYNCDHCP"}
_STACKED = regex(r"laggport|vlandev|addm|parent")


def interface_of(name: str) -> str:
    """Return the NIC that an assignment of rc.conf is about; empty for one that is made, and for other variables."""
    found = _OWN.match(name)
    return found[1] if found and not _VIRTUAL.match(found[1]) else ""


def _stands_on_another(one: shellvars.Assignment) -> bool:
    """Tell whether an interface that is made is set up by the name of another."""
    made = one.name.startswith(("ifconfig_", "create_args_")) and not interface_of(one.name)
    return one.name.startswith("vlans_") or (made and bool(_STACKED.search(one.value)))


def _asks(one: shellvars.Assignment) -> bool:
    """Tell whether an interface asks a DHCP server for its address."""
    return not _DHCP.isdisjoint(one.value.upper().split())


def dhcp(src: bytes | None, *, nic: str) -> Content | Edit:
    """Set ``ifconfig_DEFAULT`` to DHCP in place of the settings of single NICs, which become comments.

    ``nic`` is what the target's NIC is named after (``vtnet``). Nothing is done where no NIC is set up, or just that
    one, by DHCP. EditError where an interface that is made (lagg, vlan, bridge) stands on a NIC by its name, since
    nothing tells which NIC that is then, and where a quote or block is never closed.
    """
    if src is None:
        return src
    found = [one for one in shellvars.settled(src) if one.value.strip()]
    own = [one for one in found if interface_of(one.name)]
    main = [one for one in own if one.name.count("_") == 1]
    if all(_asks(one) and interface_of(one.name) == f"{nic}0" for one in main):
        return src
    shellvars.refuse_open(src, "ifconfig_DEFAULT")
    stacked = next((one for one in found if _stands_on_another(one)), None)
    if stacked is not None:
        what = f"{stacked.name} stands on a NIC by its name, which is another on the target"
        raise EditError(what, where=f"line {stacked.line}", remedy="name the new NIC there by hand")
    fixed = [one for one in main if not _asks(one)]
    routes = [one for one in found if one.name in _GATEWAYS and one.value.upper() != "NO"] if fixed else []
    content = shellvars.drop(src, [*own, *routes], MARK)
    words = next((one.value for one in main if _asks(one) and not one.dynamic), "DHCP")
    for name in ("ifconfig_DEFAULT", f"ifconfig_{nic}0"):
        content = _asking(content, name, words)
    notes = tuple(_lost(one) for one in fixed[:8])
    return Edit(content, notes) if notes else content


def _asking(src: bytes, name: str, words: str) -> bytes:
    """Make a variable ask for DHCP: the default always, a NIC's own where it is there, as it counts though empty."""
    last = shellvars.find(src, name)
    if (last is None and name != "ifconfig_DEFAULT") or (last is not None and last.sure and _asks(last)):
        return src
    return shellvars.set_value(src, name, words)


def _lost(one: shellvars.Assignment) -> Note:
    return Note(
        "warning",
        f"{interface_of(one.name)} had settings of its own, which DHCP takes the place of: {one.value[:80]}",
        one.line,
        f"{one.name}={one.value}"[:160],
        "set them up again after the migration, or keep them: --policy network=preserve",
        "GF-NETWORK-DEVICE-LOST",
    )
