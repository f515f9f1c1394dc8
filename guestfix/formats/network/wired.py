"""Which configured interfaces stand on a wired NIC, and which of them carries the default route."""

from __future__ import annotations

from collections.abc import Sequence

from guestfix.base.catalog.records.network import Nic
from guestfix.base.patterns import regex
from guestfix.formats.network.nic import kind_of_name

CARRIED = frozenset({"bond", "vlan", "bridge", "team", "alias"})
"""Kinds that stand on other interfaces."""


def is_wired(nic: Nic) -> bool:
    """Tell whether this is a wired NIC itself."""
    return nic.kind == "ethernet"


def ports_of(nic: Nic, nics: Sequence[Nic]) -> list[Nic]:
    """Return what a bond, bridge, team, VLAN or alias stands on, one level down.

    A wired NIC that is only named, and configured nowhere, is made up with the same path.
    """
    names = {nic.name, nic.id, nic.uuid} - {""}
    below = [one for one in nics if one.name in nic.parents or (one.id and one.id in nic.parents)]
    below += [one for one in nics if set(one.tied_to) & names and one not in below and one is not nic]
    known = {name for one in nics for name in (one.name, one.id)}
    unnamed = [name for name in nic.parents if name and name not in known and kind_of_name(name) == "ethernet"]
    return below + [Nic(name, nic.path, nic.line, nic.stack, id=name) for name in unnamed]


def wires_of(nic: Nic, nics: Sequence[Nic]) -> list[Nic]:
    """Return the wired NICs that an interface stands on, at any depth; the NIC itself where it is one."""
    found, todo, seen = [], [nic], set()
    while todo:
        one = todo.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        if is_wired(one):
            found.append(one)
        elif one.kind in CARRIED:
            todo += ports_of(one, nics)
    return found


def stands_on_wire(nic: Nic, nics: Sequence[Nic]) -> bool:
    """Tell whether the interface, or what it stands on, is a wired NIC."""
    return bool(wires_of(nic, nics))


def route_of(nics: Sequence[Nic], chosen: str = "", *, wild: bool = True) -> tuple[Nic, Nic] | None:
    """Return the interface that carries the default route, and the wired NIC that it is or stands on.

    That is the one that an earlier run chose; else (``wild``) one that serves any NIC by DHCP, one with a gateway;
    else the first that uses DHCP and comes up at boot, then the first with an address, the first that comes up, the
    first at all. First is by name (eth2 before eth10).
    """
    reachable = sorted((one for one in nics if stands_on_wire(one, nics)), key=lambda one: natural(one.name))
    for test in (
        lambda one: chosen and one.name == chosen,
        lambda one: wild and one.any_nic and one.method == "dhcp" and one.auto,
        lambda one: one.gateway and one.auto,
        lambda one: one.gateway6 and one.auto,
        lambda one: one.method == "dhcp" and one.auto,
        lambda one: one.addresses and one.auto,
        lambda one: one.gateway,
        lambda one: one.gateway6,
        lambda one: one.auto,
        lambda one: True,
    ):
        for one in reachable:
            wires = wires_of(one, nics) if test(one) else []
            if wires:
                return one, wires[0]
    return None


def natural(name: str) -> list[tuple[int, str]]:
    """Return a sort key by which ens9 comes before ens10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in regex(r"(\d{1,9})").split(name)]
