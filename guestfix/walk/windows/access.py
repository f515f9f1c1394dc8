"""Step 10: somebody can log in from afar."""

from __future__ import annotations

from guestfix.base.catalog.facts.windows import WINDOWS_RDP_ENABLED
from guestfix.walk.scene import Ground, Look, Scene, nothing, passes, unknown


def ground(scene: Scene) -> Ground:
    """Tell by which way an administrator comes in."""
    enabled = scene.facts.value(WINDOWS_RDP_ENABLED)
    seen = scene.facts.evidence(WINDOWS_RDP_ENABLED)
    if not enabled:
        return unknown("Remote Desktop is off, or not to be seen", *seen)
    return passes("Remote Desktop is on", *seen)


LOOK = Look("access", "an administrator can log in", ground, nothing)
