"""Step 4: winload and the kernel are there."""

from __future__ import annotations

from guestfix.walk.scene import Ground, Look, Scene, nothing, passes, unknown


def ground(scene: Scene) -> Ground:
    """Tell where Windows lies."""
    root = scene.value("windows.root")
    seen = scene.facts.evidence("windows.root")
    return passes(f"Windows lies in {root}", *seen) if root else unknown("no folder of Windows is to be seen", *seen)


LOOK = Look("kernel", "winload starts the kernel", ground, nothing)
