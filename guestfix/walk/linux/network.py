"""Step 8: a NIC of the target gets an address."""

from __future__ import annotations

from guestfix.walk.scene import Ground, Look, Scene, nothing, passes, unknown


def ground(scene: Scene) -> Ground:
    """Tell by which profile the target's NIC comes up."""
    carrier = scene.value("network.carrier")
    seen = scene.facts.evidence("network.carrier")
    if not carrier:
        return unknown(scene.why_unknown("network.carrier") or "no profile for a wired NIC is to be seen", *seen)
    if not scene.value("network.enabled", False):
        return unknown("whether the network is switched on at boot is not to be seen", *seen)
    if carrier.get("method") == "dhcp" and (carrier.get("any_nic") or not _bound(carrier)):
        return passes("a wired NIC asks DHCP for its address", *seen)
    if carrier.get("method") == "dhcp":
        return unknown(f"a profile asks DHCP, for a NIC called {_name(carrier)} only", *seen)
    return unknown(f"the address is {carrier.get('method') or 'not set'}, for a NIC called {_name(carrier)}", *seen)


def _bound(carrier: dict[str, object]) -> bool:
    return bool(carrier.get("bound_mac") or carrier.get("bound_name"))


def _name(carrier: dict[str, object]) -> object:
    return carrier.get("name") or carrier.get("mac") or "something else"


LOOK = Look("network", "the network comes up", ground, nothing)
