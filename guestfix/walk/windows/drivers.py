"""Step 6: the boot-start drivers reach the target's disks."""

from __future__ import annotations

from guestfix.walk.scene import Ground, Look, Scene, nothing, passes, unknown


def ground(scene: Scene) -> Ground:
    """Tell whether the drivers of the target's disks were looked at."""
    drivers = scene.value("windows.storage_drivers")
    seen = scene.facts.evidence("windows.storage_drivers")
    if drivers is None:
        return unknown(scene.why_unknown("windows.storage_drivers") or "no driver is to be seen", *seen)
    return passes(f"a driver for disks of {scene.target.id} starts at boot", *seen)


LOOK = Look("drivers", "drivers reach the disks", ground, nothing)
