"""systemd-networkd's .network and .netdev files."""

from __future__ import annotations

from guestfix.actions.network_common import Setup, begin
from guestfix.detect.network_read import NETWORKD
from guestfix.editors import networkd
from guestfix.formats.networkd import netdev
from guestfix.workbench import Workbench

NEW = f"{NETWORKD}/80-guestfix-wired.network"


def apply(bench: Workbench, *, policy: str) -> None:
    """Apply the network policy to systemd-networkd's files."""
    setup = begin(bench, "networkd", policy)
    for nic in setup.own:
        if setup.goes(nic):
            setup.aside(nic.path)
            continue
        before = setup.read(nic.path)
        after = before
        if setup.is_primary(nic) and policy != "preserve":
            after = networkd.dhcp(before, any_nic=policy == "dhcp", flat=setup.flat)
        if setup.wired(nic) and (policy != "dhcp" or not setup.is_primary(nic)):
            after = networkd.rebind(after, mac=setup.new_mac(nic), name=nic.name)
            if setup.optional(nic):
                after = networkd.optional(after)
        setup.write(nic.path, before, after)
    if policy == "dhcp":
        _devices_aside(setup)
        if setup.primary is None and setup.in_charge:
            setup.write(NEW, setup.read(NEW), networkd.FRESH)


def _devices_aside(setup: Setup) -> None:
    """Move the .netdev files of those devices aside that are taken out."""
    gone = {nic.name for nic in setup.own if setup.goes(nic)}
    for path in setup.bench.fs.glob(f"{NETWORKD}/*.netdev"):
        if netdev(setup.read(path) or b"")[0] in gone:
            setup.aside(path)
