"""netplan: edited in place where one device is all there is, else one new file in place of the old ones."""

from __future__ import annotations

from guestfix.actions.network_common import Setup, begin
from guestfix.detect.network_read import netplan_files
from guestfix.editors import netplan
from guestfix.errors import EditError
from guestfix.formats.netplan import devices
from guestfix.formats.yamltree import parse
from guestfix.workbench import Workbench

NEW = "/etc/netplan/90-guestfix.yaml"


def apply(bench: Workbench, *, policy: str) -> None:
    """Apply the network policy to netplan's files."""
    setup = begin(bench, "netplan", policy)
    paths = [path for path, _ in netplan_files(bench.fs)]
    if policy == "dhcp":
        _dhcp(setup, paths)
        return
    for path in paths:
        before = setup.read(path)
        after = before
        for nic in setup.own:
            if setup.is_primary(nic) and policy == "dhcp-first":
                after = netplan.dhcp(after, name=nic.id)
            if nic.kind == "ethernet":
                after = netplan.rebind(after, name=nic.id, mac=setup.new_mac(nic), real=nic.name)
        if policy == "dhcp-first":
            others = [nic.id for nic in setup.own if setup.optional(nic)]
            after = netplan.optional(after, names=others)
        setup.write(path, before, after)


def _dhcp(setup: Setup, paths: list[str]) -> None:
    wired = [nic for nic in setup.own if setup.wired(nic)]
    if wired and all(nic.any_nic and nic.method == "dhcp" for nic in wired):
        return
    if setup.primary is None:
        if setup.in_charge and not wired and setup.manager != "networkmanager":
            _fresh(setup)
            setup.added(NEW)
        return
    if len(wired) == 1 and len(_holders(setup, paths)) == 1:
        path = setup.primary.path
        before = setup.read(path)
        try:
            setup.write(path, before, netplan.dhcp(before, name=setup.primary.id, any_nic=True))
            return
        except EditError:
            pass
    for path in _holders(setup, paths):
        setup.aside(path)
    _fresh(setup)


def _holders(setup: Setup, paths: list[str]) -> list[str]:
    """Return the files that define a wired NIC or something on one, or that can't be read at all."""
    names = {nic.id for nic in setup.own if setup.wired(nic)}
    found = []
    for path in paths:
        try:
            holds = any(name in names for _, name, _, _ in devices(parse(setup.read(path) or b"")))
        except EditError:
            holds = True
        if holds:
            found.append(path)
    return found


def _fresh(setup: Setup) -> None:
    new = netplan.FRESH
    if setup.manager == "networkmanager":
        new = new.replace(b"  version: 2\n", b"  version: 2\n  renderer: NetworkManager\n")
    setup.write(NEW, setup.read(NEW), new, mode=0o600)
