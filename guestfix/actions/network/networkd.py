"""systemd-networkd's .network and .netdev files."""

from __future__ import annotations

from guestfix.actions.network.common import Setup, begin
from guestfix.actions.network.lost import tell_lost
from guestfix.actions.workbench import Workbench
from guestfix.base.catalog.records.network import Nic
from guestfix.detect.network.read import NETWORKD, drop_ins
from guestfix.editors.network import networkd
from guestfix.formats.network.networkd import netdev
from guestfix.formats.network.wired import CARRIED

NEW = f"{NETWORKD}/80-guestfix-wired.network"


def apply(bench: Workbench, *, policy: str) -> None:
    """Apply the network policy to systemd-networkd's files."""
    setup = begin(bench, "networkd", policy)
    setup.each(
        lambda src: networkd.dhcp(src, any_nic=setup.leaves_bonds, leave_bonds=setup.leaves_bonds),
        lambda src, nic: _keep(setup, src, nic),
    )
    _drop_ins(setup)
    if policy == "dhcp":
        _devices_aside(setup)
        if setup.needs_profile:
            setup.write(NEW, setup.read(NEW), networkd.FRESH)
            setup.added(NEW)
    else:
        _fresh_devices(setup)
    tell_lost(setup)


def _drop_ins(setup: Setup) -> None:
    """Treat the drop-ins of each file as the file itself."""
    for nic in setup.files():
        for path, before in drop_ins(setup.bench.fs, nic.path):
            after: bytes | None = before
            if setup.is_removed(nic):
                after = None
            elif setup.is_primary(nic) and setup.policy != "preserve":
                bonds = setup.leaves_bonds
                after = networkd.dhcp_beside(before, any_nic=bonds, leave_bonds=bonds)
            elif setup.wired(nic):
                after = networkd.rebind(before, mac=setup.new_mac(nic))
            setup.write(path, before, after)


def _fresh_devices(setup: Setup) -> None:
    """Take addresses of the old hardware off the bonds, bridges and VLANs that stay."""
    for path in setup.bench.fs.glob(f"{NETWORKD}/*.netdev"):
        before = setup.read(path)
        if netdev(before or b"")[1] in CARRIED:
            setup.write(path, before, networkd.fresh_device(before))


def _keep(setup: Setup, src: bytes | None, nic: Nic) -> bytes | None:
    bound = networkd.rebind(src, mac=setup.new_mac(nic), name=nic.name)
    return networkd.optional(bound) if setup.optional(nic) else bound


def _devices_aside(setup: Setup) -> None:
    """Move the .netdev files of those devices aside that are taken out."""
    gone = {nic.name for nic in setup.own if setup.is_removed(nic)}
    for path in setup.bench.fs.glob(f"{NETWORKD}/*.netdev"):
        if netdev(setup.read(path) or b"")[0] in gone:
            setup.aside(path)
