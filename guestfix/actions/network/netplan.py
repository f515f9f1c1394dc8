"""netplan: edited in place; where that can't be done surely, a new file in place of the old one."""

from __future__ import annotations

from guestfix.actions.network import refusals
from guestfix.actions.network.common import Setup, begin
from guestfix.actions.network.lost import tell_lost
from guestfix.actions.workbench import Workbench
from guestfix.base.catalog.records.network import Nic
from guestfix.base.errors import EditError
from guestfix.base.facts import Evidence
from guestfix.detect.network.read import netplan_files
from guestfix.editors.network import netplan
from guestfix.formats.network.netplan import devices
from guestfix.formats.yamltree import parse

NEW = "/etc/netplan/90-guestfix.yaml"


def apply(bench: Workbench, *, policy: str) -> None:
    """Apply the network policy to netplan's files."""
    setup = begin(bench, "netplan", policy)
    paths = [path for path, _ in netplan_files(bench.fs)]
    if policy == "dhcp":
        _dhcp(setup, paths)
    else:
        _keep(setup, paths)
    tell_lost(setup)


def _keep(setup: Setup, paths: list[str]) -> None:
    for path in paths:
        before = setup.read(path)
        try:
            setup.write(path, before, _kept(setup, before))
        except EditError as error:
            summary = f"{path} is not changed: {error}"
            setup.bench.find(
                "GF-NETWORK-CONFIG-UNREADABLE", "warning", summary, Evidence(path), remedy="correct the file"
            )


def _kept(setup: Setup, src: bytes | None) -> bytes | None:
    """Return the file with the devices tied to the new NICs; policy ``dhcp-first``: with DHCP on the main one."""
    first = setup.policy == "dhcp-first"
    for nic in setup.own:
        if first and setup.is_primary(nic):
            src = netplan.dhcp(src, name=nic.id)
        if nic.kind == "ethernet" and nic.bound_mac:
            src = netplan.rebind(src, name=nic.id, mac=setup.new_mac(nic), real=nic.name)
    wired = [nic.id for nic in setup.own if setup.wired(nic)]
    macs = {nic.id: setup.new_mac(nic) for nic in setup.own}
    src = netplan.fresh_addresses(src, names=wired, macs=macs)
    return netplan.optional(src, names=[nic.id for nic in setup.own if setup.optional(nic)]) if first else src


def _dhcp(setup: Setup, paths: list[str]) -> None:
    before = list(paths)
    paths = refusals.mended(setup, paths)
    wired = [nic for nic in setup.own if setup.wired(nic)]
    if wired and all(nic.any_nic and nic.method == "dhcp" for nic in wired):
        refusals.left_out(setup, paths)
        return
    if setup.primary is None and not wired:
        if setup.in_charge and setup.manager != "networkmanager":
            _fresh(setup)
            if paths == before:
                setup.added(NEW)
        return
    name = setup.primary.id if setup.primary is not None else ""
    gone = {nic.id for nic in setup.own if setup.is_removed(nic)}
    kept = setup.primary is None
    for path in paths if name or gone else ():
        now = setup.read(path)
        try:
            after = _edited(now, name, gone)
            kept = kept or _defines(after, name)
            setup.write(path, now, after)
        except EditError:
            _tell_beside(setup, path)
            setup.aside(path)
    for path in paths:
        now = setup.read(path)
        setup.write(path, now, netplan.optional(now, names=[nic.id for nic in wired if _waits(setup, nic)]))
    refusals.left_out(setup, paths)
    if not kept:
        _fresh(setup)


def _waits(setup: Setup, nic: Nic) -> bool:
    """Tell whether the boot would wait for a NIC that stays in the file and may not be on the target."""
    return setup.optional(nic) and not setup.is_removed(nic)


def _defines(src: bytes | None, name: str) -> bool:
    return src is not None and any(known == name for _, known, _, _ in devices(parse(src)))


def _edited(before: bytes | None, name: str, gone: set[str]) -> bytes | None:
    return netplan.dhcp(netplan.without(before, names=gone), name=name, any_nic=True)


def _tell_beside(setup: Setup, path: str) -> None:
    """Name what a file that is moved aside sets up beside wired NICs."""
    names = {nic.id for nic in setup.own if setup.wired(nic)}
    try:
        others = [name for _, name, _, _ in devices(parse(setup.read(path) or b"")) if name not in names]
    except EditError:
        return
    if others:
        summary = f"{path} can't be changed in place and is moved aside, with {', '.join(others[:20])} in it"
        remedy = "set these up again after the migration"
        setup.bench.find("GF-NETWORK-DEVICE-LOST", "warning", summary, Evidence(path), remedy=remedy)


def _fresh(setup: Setup) -> None:
    new = netplan.FRESH
    if setup.manager == "networkmanager":
        new = new.replace(b"  version: 2\n", b"  version: 2\n  renderer: NetworkManager\n")
    setup.write(NEW, setup.read(NEW), new, mode=0o600)
