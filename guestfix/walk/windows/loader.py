"""Step 2: the boot manager finds its store (BCD, or boot.ini on old systems)."""

from __future__ import annotations

from guestfix.base.catalog.facts.windows import WINDOWS_BCD
from guestfix.walk.scene import Ground, Look, Scene, nothing, passes, unknown


def ground(scene: Scene) -> Ground:
    """Tell whether the store of boot entries was read."""
    store = scene.facts.value(WINDOWS_BCD)
    seen = scene.facts.evidence(WINDOWS_BCD)
    if store:
        return passes("the store of boot entries can be read", *seen)
    return unknown(scene.facts.why_unknown(WINDOWS_BCD) or "no store of boot entries is to be seen", *seen)


LOOK = Look("loader", "the boot manager finds its store", ground, nothing)
