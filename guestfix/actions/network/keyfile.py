"""NetworkManager's connection profiles."""

from __future__ import annotations

from guestfix.actions.network.common import begin
from guestfix.actions.network.lost import tell_lost
from guestfix.actions.network.zones import zone_to_keep
from guestfix.actions.workbench import Workbench
from guestfix.base.catalog.facts.network import NETWORK_NO_AUTO_DEFAULT
from guestfix.detect.network.read import PROFILES
from guestfix.editors.network import keyfile

NEW = f"{PROFILES}/guestfix-wired.nmconnection"
UUID = "5c2a9d0e-6b1f-5f39-9d55-9d4f1f0a7c11"
"""The same in every guest: profiles of different machines never meet."""


def apply(bench: Workbench, *, policy: str) -> None:
    """Apply the network policy to NetworkManager's keyfiles."""
    setup = begin(bench, "networkmanager", policy)
    zone = zone_to_keep(setup)
    setup.each(
        lambda src: keyfile.in_zone(
            keyfile.dhcp(src, any_nic=setup.leaves_bonds, leave_bonds=setup.leaves_bonds), zone=zone
        ),
        lambda src, nic: keyfile.rebind(src, mac=setup.new_mac(nic)),
    )
    if setup.needs_profile and (setup.unconfigured or bench.facts.value(NETWORK_NO_AUTO_DEFAULT)):
        setup.write(NEW, setup.read(NEW), keyfile.fresh(UUID), mode=0o600)
        setup.added(NEW)
    tell_lost(setup)
