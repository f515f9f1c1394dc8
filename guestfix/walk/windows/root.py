"""Step 7: the system volume can be mounted (not locked by BitLocker, not hibernated)."""

from __future__ import annotations

from guestfix.walk.scene import Ground, Look, Scene, nothing, passes, unknown


def ground(scene: Scene) -> Ground:
    """Tell whether the system volume was read."""
    seen = scene.facts.evidence("windows.bitlocker")
    if scene.value("windows.root") is None:
        return unknown("no folder of Windows is to be seen")
    return passes("its filesystem was read", *seen)


LOOK = Look("root", "the system volume is mounted", ground, nothing)
