"""Step 7: the system volume can be mounted (not locked by BitLocker, not hibernated)."""

from __future__ import annotations

from guestfix.base.catalog.facts.windows import WINDOWS_BITLOCKER, WINDOWS_ROOT
from guestfix.walk.scene import Ground, Look, Scene, nothing, passes, unknown


def ground(scene: Scene) -> Ground:
    """Tell whether the system volume was read."""
    seen = scene.facts.evidence(WINDOWS_BITLOCKER)
    if scene.facts.value(WINDOWS_ROOT) is None:
        return unknown("no folder of Windows is to be seen")
    return passes("its filesystem was read", *seen)


LOOK = Look("root", "the system volume is mounted", ground, nothing)
