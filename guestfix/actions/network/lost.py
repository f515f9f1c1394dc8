"""What interfaces lose by a plan: what their stack's reader saw before, and no longer sees in the planned files."""

from __future__ import annotations

from guestfix.actions.network.common import Setup
from guestfix.base.catalog.records.network import Nic
from guestfix.base.facts import Evidence
from guestfix.base.patterns import regex
from guestfix.base.text import some
from guestfix.detect.network.read import READERS
from guestfix.formats.network.nic import called, is_link_local


def tell_lost(setup: Setup) -> None:
    """Record what the planned files no longer say of interfaces that are taken out, and of the one that uses DHCP.

    The files are read again, so that nothing is named that stays, and nothing that the reader knows goes unnamed.
    """
    if setup.policy not in ("dhcp", "dhcp-first") or setup.stack not in READERS:
        return
    after = READERS[setup.stack](setup.bench.fs).nics
    for nic in setup.own:
        _tell(setup, nic, [one for one in after if _key(setup, one) == _key(setup, setup.renamed(nic))])


def _key(setup: Setup, nic: Nic) -> str:
    """Return what an interface is known by before and after: its netplan id, its name, or its file."""
    if setup.stack in ("netplan", "ifupdown"):
        return nic.id or nic.name
    return nic.name if setup.stack == "ifcfg-suse" else nic.path


def _tell(setup: Setup, nic: Nic, left: list[Nic]) -> None:
    place, what = Evidence(nic.path, nic.line), _what(nic, left)
    if setup.is_removed(nic):
        if setup.primary is not None and nic.name == setup.primary.name:
            _tell_lost(setup, nic, left, place)
            return
        parts = f": {what}" if what else ""
        kind = nic.kind if nic.kind != "ethernet" else "NIC"
        summary = f"the {kind} {called(nic)} is taken out of the configuration{parts}"
        remedy = "set it up again after the migration, or choose --policy network=preserve (or dhcp-first)"
        setup.bench.find("GF-NETWORK-DEVICE-LOST", "warning", summary, place, remedy=remedy)
        setup.bench.follow_up(f"{called(nic)} ({kind}) was taken out of {nic.path}{parts}")
    elif setup.is_primary(nic) and what:
        _tell_lost(setup, nic, left, place)


def _tell_lost(setup: Setup, nic: Nic, left: list[Nic], place: Evidence) -> None:
    what = _what(nic, left)
    severity = "warning" if _more_than_dhcp_gives(nic, left) else "info"
    summary = f"{called(nic)} will take its address by DHCP and loses {what}"
    remedy = "reserve the address at the DHCP server, or choose --policy network=preserve"
    setup.bench.find("GF-NETWORK-STATIC-LOST", severity, summary, place, remedy=remedy)
    setup.bench.follow_up(f"{called(nic)} had {what}: what is still needed must come from the DHCP server")


def _what(nic: Nic, left: list[Nic]) -> str:
    """Return what an interface had and has no more, in words."""
    addresses = _gone(nic.addresses, [one.addresses for one in left])
    gateways = _gone((nic.gateway, nic.gateway6), [(one.gateway, one.gateway6) for one in left])
    mtu = [str(nic.mtu)] if nic.mtu not in (None, 1500, *(one.mtu for one in left)) else []
    below = _gone(nic.parents, [one.parents for one in left]) if nic.kind != "ethernet" else []
    parts = (
        ("address", "addresses", [one for one in addresses if ":" not in one]),
        ("IPv6 address", "IPv6 addresses", [one for one in addresses if ":" in one]),
        ("gateway", "gateways", gateways),
        ("DNS server", "DNS servers", _gone(nic.dns, [one.dns for one in left])),
        ("search domain", "search domains", _gone(nic.search, [one.search for one in left])),
        ("route", "routes", _routes(nic, left)),
        ("MTU", "", mtu),
        ("its place in", "its place in", _gone(nic.tied_to, [one.tied_to for one in left])),
        ("on", "on", below),
    )
    said = [(one if len(values) == 1 else many, values) for one, many, values in parts if values]
    return "; ".join(f"{label} {some(_short(value) for value in values)}" for label, values in said)


def _gone(before: tuple[str, ...], after: list[tuple[str, ...]]) -> list[str]:
    kept = {one for values in after for one in values}
    return [one for one in before if one and one not in kept]


def _routes(nic: Nic, left: list[Nic]) -> list[str]:
    return _gone(nic.routes, [one.routes for one in left])


def _short(text: str) -> str:
    return regex(r"\s+").sub(" ", text)[:80]


def _more_than_dhcp_gives(nic: Nic, left: list[Nic]) -> bool:
    six = any(":" in one for one in nic.addresses)
    routes = [one for one in _routes(nic, left) if not is_link_local(one)]
    return six or len(nic.addresses) > 1 or bool(routes) or bool(nic.tied_to) or nic.mtu not in (None, 1500)
