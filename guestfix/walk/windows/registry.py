"""Step 5: the SYSTEM hive can be read, and names the control set in use."""

from __future__ import annotations

from guestfix.walk.scene import Ground, Look, Scene, nothing, passes, unknown


def ground(scene: Scene) -> Ground:
    """Tell which control set is in use."""
    current = scene.value("windows.control_set")
    seen = scene.facts.evidence("windows.control_set")
    if current:
        return passes(f"control set {current} is in use", *seen)
    return unknown(scene.why_unknown("windows.control_set") or "the SYSTEM hive is not to be seen", *seen)


LOOK = Look("registry", "the SYSTEM hive is read", ground, nothing)
