"""Step 4: winload and the kernel are there."""

from __future__ import annotations

from guestfix.base.catalog.facts.windows import WINDOWS_ROOT
from guestfix.walk.scene import Ground, Look, Scene, nothing, passes, unknown


def ground(scene: Scene) -> Ground:
    """Tell where Windows lies."""
    root = scene.facts.value(WINDOWS_ROOT)
    seen = scene.facts.evidence(WINDOWS_ROOT)
    return passes(f"Windows lies in {root}", *seen) if root else unknown("no folder of Windows is to be seen", *seen)


LOOK = Look("kernel", "winload starts the kernel", ground, nothing)
