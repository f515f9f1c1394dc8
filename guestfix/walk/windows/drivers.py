"""Step 6: the boot-start drivers reach the target's disks."""

from __future__ import annotations

from guestfix.catalog.facts.windows import WINDOWS_STORAGE_DRIVERS
from guestfix.walk.scene import Ground, Look, Scene, nothing, passes, unknown


def ground(scene: Scene) -> Ground:
    """Tell whether the drivers of the target's disks were looked at."""
    drivers = scene.facts.value(WINDOWS_STORAGE_DRIVERS)
    seen = scene.facts.evidence(WINDOWS_STORAGE_DRIVERS)
    if drivers is None:
        return unknown(scene.facts.why_unknown(WINDOWS_STORAGE_DRIVERS) or "no driver is to be seen", *seen)
    return passes(f"a driver for disks of {scene.target.id} starts at boot", *seen)


LOOK = Look("drivers", "drivers reach the disks", ground, nothing)
