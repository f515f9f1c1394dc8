"""Step 9: a NIC of the target gets an address."""

from __future__ import annotations

from guestfix.base.catalog.facts.windows import WINDOWS_STATIC_ADDRESSES
from guestfix.walk.scene import Ground, Look, Scene, nothing, passes, unknown


def ground(scene: Scene) -> Ground:
    """Tell how adapters get their addresses."""
    addresses = scene.facts.value(WINDOWS_STATIC_ADDRESSES)
    seen = scene.facts.evidence(WINDOWS_STATIC_ADDRESSES)
    if addresses is None:
        return unknown(scene.facts.why_unknown(WINDOWS_STATIC_ADDRESSES) or "no adapter is to be seen", *seen)
    if addresses:
        return unknown("a static address is bound to the old adapter", *seen)
    return passes("adapters ask DHCP for their addresses", *seen)


LOOK = Look("network", "the network comes up", ground, nothing)
