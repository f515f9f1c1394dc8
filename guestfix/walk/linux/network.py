"""Step 8: a NIC of the target gets an address."""

from __future__ import annotations

from collections.abc import Iterable

from guestfix.base.catalog.facts.network import (
    NETWORK_ACTIVE,
    NETWORK_CARRIER,
    NETWORK_CLOUD_INIT,
    NETWORK_DHCP_CLIENT,
    NETWORK_ENABLED,
    NETWORK_INTERFACES,
    NETWORK_PRIMARY,
    NETWORK_STACK,
)
from guestfix.base.catalog.facts.software import CLOUDINIT_OLD_NICS
from guestfix.base.catalog.facts.system import OS_FAMILY
from guestfix.base.catalog.records.network import Nic
from guestfix.base.facts import Evidence, Finding
from guestfix.base.text import some
from guestfix.detect.network.entrance import kept_name
from guestfix.detect.network.managed import driver_of, new_nic, refusals
from guestfix.formats.network.wired import CARRIED, wires_of
from guestfix.walk import nicdriver
from guestfix.walk.linux.mode import stops
from guestfix.walk.linux.waits import waiter
from guestfix.walk.scene import Ground, Look, Scene, passes, unknown


def ground(scene: Scene) -> Ground:
    """Tell by which profile the target's NIC comes up."""
    carrier = scene.facts.value(NETWORK_CARRIER)
    seen = scene.facts.evidence(NETWORK_CARRIER)
    if not carrier and {"dhcpcd", "connman"} & set(scene.facts.value(NETWORK_ACTIVE) or ()):
        from guestfix.walk.linux.daemons import asks  # few guests have one

        if (found := asks(scene)) is not None:
            return found
    if not carrier:
        return unknown(scene.facts.why_unknown(NETWORK_CARRIER) or "no profile for a wired NIC is to be seen", *seen)
    if not scene.facts.value(NETWORK_ENABLED, False):
        return unknown("whether the network is switched on at boot is not to be seen", *seen)
    if carrier.method == "dhcp" and (carrier.any_nic or not _bound(carrier)):
        return passes("a wired NIC asks DHCP for its address", *seen)
    if carrier.method == "dhcp" and not carrier.bound_mac and (why := kept_name(scene.guest, scene.facts, carrier)):
        return passes(f"the NIC called {carrier.name} asks DHCP for its address; {why.text}", *seen, why)
    if carrier.method == "dhcp" and carrier.kind in CARRIED and _wires_come(scene, carrier):
        return passes(f"the {carrier.kind} {carrier.name} asks DHCP for its address, over NICs that come up", *seen)
    if carrier.method == "dhcp":
        return unknown(f"a profile asks DHCP, for a NIC called {_name(carrier)} only", *seen)
    return unknown(f"the address is {carrier.method or 'not set'}, for a NIC called {_name(carrier)}", *seen)


def check(scene: Scene) -> Iterable[Finding]:
    """Find a driver that is missing or blocked, a NIC that nobody may manage, no DHCP client, and a wait in vain."""
    yield from stops(scene, "rescue")
    if scene.facts.value(OS_FAMILY) != "linux":
        return
    yield from nicdriver.check(scene)
    yield from _unmanaged(scene)
    if {"dhcpcd", "connman"} & set(scene.facts.value(NETWORK_ACTIVE) or ()):
        from guestfix.walk.linux.daemons import refused  # few guests have one

        found_refusal = refused(scene)
        yield from [found_refusal] if found_refusal else []
    yield from _no_client(scene)
    yield from _named_to_cloud_init(scene)
    if ground(scene).outcome != "passes":
        from guestfix.walk.linux.unserved import check as unserved  # a plan mostly makes a NIC come up

        yield from unserved(scene)
    if scene.facts.value(NETWORK_ENABLED) and scene.facts.value(NETWORK_CARRIER) and ground(scene).outcome != "passes":
        found = waiter(scene)
        if found is not None and found[0]:
            summary = f"the boot waits up to {found[0]} s for a network that may not come up"
            yield Finding("GF-NETWORK-WAITS", "info", summary, (found[1],), outcome="waits", seconds=found[0])


def _unmanaged(scene: Scene) -> Iterable[Finding]:
    """Where nothing but NetworkManager has the wired NICs, one that it leaves alone gets no address."""
    carrier = scene.facts.value(NETWORK_PRIMARY)
    if carrier is not None and kept_name(scene.guest, scene.facts, carrier):
        return
    alone = not {"networkd", "ifupdown", "dhcpcd", "connman"} & set(scene.facts.value(NETWORK_ACTIVE) or ())
    for one in refusals(scene.guest, scene.facts, new_nic(scene.facts, "", driver_of(scene.target)))[:1]:
        summary = f"NetworkManager may not manage a wired NIC that is new: {one.text[:200]}"
        yield Finding("GF-NETWORK-UNMANAGED", "warning", summary, (one.place,), outcome="stops" if alone else "unknown")


def _named_to_cloud_init(scene: Scene) -> Iterable[Finding]:
    """cloud-init that sets up a network by the hardware addresses of other NICs fails, and sets up none."""
    nics = scene.facts.value(CLOUDINIT_OLD_NICS)
    if not nics or scene.facts.value(NETWORK_CLOUD_INIT) != "enabled":
        return
    summary = f"cloud-init is told of NICs that the target does not have ({some(nics)}): its first service fails"
    yield Finding("GF-CLOUD-INIT-NIC", "warning", summary, scene.facts.evidence(CLOUDINIT_OLD_NICS), outcome="unknown")


def _no_client(scene: Scene) -> Iterable[Finding]:
    """A profile that asks DHCP with no program to ask by gets no address."""
    carrier = scene.facts.value(NETWORK_CARRIER)
    if scene.facts.value(NETWORK_DHCP_CLIENT) != "" or carrier is None or carrier.method != "dhcp":
        return
    stack = scene.facts.value(NETWORK_STACK, "")
    summary = f"the guest has no DHCP client that its network configuration ({stack}) could use"
    remedy = "install one (dhclient, dhcpcd or udhcpc) before the migration, or choose --policy network=preserve"
    places = (*scene.facts.evidence(NETWORK_CARRIER), Evidence("/usr/sbin", 0, "none among its programs"))
    yield Finding("GF-NETWORK-DHCP-CLIENT-MISSING", "warning", summary, places, remedy, outcome="stops")


def _wires_come(scene: Scene, carrier: Nic) -> bool:
    """Tell whether some NIC below a bond, bridge or VLAN is one that the target has, by a name that it gets."""
    wires = wires_of(carrier, scene.facts.value(NETWORK_INTERFACES) or [])
    return any(
        not one.bound_mac
        and (one.any_nic or not one.bound_name or kept_name(scene.guest, scene.facts, one) is not None)
        for one in wires
    )


def _bound(carrier: Nic) -> bool:
    return bool(carrier.bound_mac or carrier.bound_name)


def _name(carrier: Nic) -> str:
    return carrier.name or carrier.mac or "something else"


LOOK = Look("network", "the network comes up", ground, check)
