"""Step 8: a NIC of the target gets an address."""

from __future__ import annotations

from guestfix.catalog.facts.network import NETWORK_CARRIER, NETWORK_ENABLED
from guestfix.catalog.records.network import Nic
from guestfix.walk.scene import Ground, Look, Scene, nothing, passes, unknown


def ground(scene: Scene) -> Ground:
    """Tell by which profile the target's NIC comes up."""
    carrier = scene.facts.value(NETWORK_CARRIER)
    seen = scene.facts.evidence(NETWORK_CARRIER)
    if not carrier:
        return unknown(scene.facts.why_unknown(NETWORK_CARRIER) or "no profile for a wired NIC is to be seen", *seen)
    if not scene.facts.value(NETWORK_ENABLED, False):
        return unknown("whether the network is switched on at boot is not to be seen", *seen)
    if carrier.method == "dhcp" and (carrier.any_nic or not _bound(carrier)):
        return passes("a wired NIC asks DHCP for its address", *seen)
    if carrier.method == "dhcp":
        return unknown(f"a profile asks DHCP, for a NIC called {_name(carrier)} only", *seen)
    return unknown(f"the address is {carrier.method or 'not set'}, for a NIC called {_name(carrier)}", *seen)


def _bound(carrier: Nic) -> bool:
    return bool(carrier.bound_mac or carrier.bound_name)


def _name(carrier: Nic) -> str:
    return carrier.name or carrier.mac or "something else"


LOOK = Look("network", "the network comes up", ground, nothing)
