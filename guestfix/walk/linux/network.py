"""Step 8: a NIC of the target gets an address."""

from __future__ import annotations

from collections.abc import Iterable

from guestfix.base.catalog.facts.network import (
    NETWORK_CARRIER,
    NETWORK_ENABLED,
    NETWORK_MANAGER,
    NETWORK_PRIMARY,
)
from guestfix.base.catalog.facts.system import OS_FAMILY
from guestfix.base.catalog.records.network import Nic
from guestfix.base.facts import Evidence, Finding
from guestfix.detect.network.entrance import kept_name
from guestfix.detect.network.managed import new_nic, refusals
from guestfix.detect.system.initsystem import Services
from guestfix.walk import nicdriver
from guestfix.walk.scene import Ground, Look, Scene, passes, unknown

_WAITERS = {
    "networkd": ("systemd-networkd-wait-online.service", 120),
    "networkmanager": ("NetworkManager-wait-online.service", 60),
}
"""Who waits for the network before the boot goes on, and for how many seconds at most (the units' own defaults)."""


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
    if carrier.method == "dhcp" and not carrier.bound_mac and (why := kept_name(scene.guest, scene.facts, carrier)):
        return passes(f"the NIC called {carrier.name} asks DHCP for its address; {why.text}", *seen, why)
    if carrier.method == "dhcp":
        return unknown(f"a profile asks DHCP, for a NIC called {_name(carrier)} only", *seen)
    return unknown(f"the address is {carrier.method or 'not set'}, for a NIC called {_name(carrier)}", *seen)


def check(scene: Scene) -> Iterable[Finding]:
    """Find a driver that is missing or blocked, a NIC that nobody may manage, and what the boot waits for in vain."""
    if scene.facts.value(OS_FAMILY) != "linux":
        return
    yield from nicdriver.check(scene)
    device = new_nic(scene.facts, "", scene.target.nic)
    carrier = scene.facts.value(NETWORK_PRIMARY)
    if carrier is None or not kept_name(scene.guest, scene.facts, carrier):
        for one in refusals(scene.guest, scene.facts, device):
            summary = f"NetworkManager may not manage a wired NIC that is new: {one.text[:200]}"
            yield Finding("GF-NETWORK-UNMANAGED", "warning", summary, (one.place,), outcome="unknown")
    yield from _waits(scene)


def _waits(scene: Scene) -> Iterable[Finding]:
    unit, seconds = _WAITERS.get(scene.facts.value(NETWORK_MANAGER, ""), ("", 0))
    if not unit or scene.facts.value(NETWORK_CARRIER) is None or ground(scene).outcome == "passes":
        return
    service = Services(scene.guest).find((unit,), ())
    if service.state == "on":
        summary = f"the boot waits up to {seconds} s for a network that may not come up"
        place = Evidence(service.path, 0, unit)
        yield Finding("GF-NETWORK-WAITS", "info", summary, (place,), outcome="waits", seconds=seconds)


def _bound(carrier: Nic) -> bool:
    return bool(carrier.bound_mac or carrier.bound_name)


def _name(carrier: Nic) -> str:
    return carrier.name or carrier.mac or "something else"


LOOK = Look("network", "the network comes up", ground, check)
