"""Step 3: an entry is chosen, and its device is a partition of the guest."""

from __future__ import annotations

from guestfix.base.catalog.facts.windows import WINDOWS_BCD
from guestfix.walk.scene import Ground, Look, Scene, nothing, passes, unknown


def ground(scene: Scene) -> Ground:
    """Tell which entry the boot manager starts by itself."""
    store = scene.facts.value(WINDOWS_BCD)
    seen = scene.facts.evidence(WINDOWS_BCD)
    return passes("the default entry starts Windows", *seen) if store else unknown("no boot entry is to be seen", *seen)


LOOK = Look("entry", "an entry is chosen", ground, nothing)
