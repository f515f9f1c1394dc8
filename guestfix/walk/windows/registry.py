"""Step 5: the SYSTEM hive can be read, and names the control set in use."""

from __future__ import annotations

from guestfix.base.catalog.facts.windows import WINDOWS_CONTROL_SET
from guestfix.walk.scene import Ground, Look, Scene, nothing, passes, unknown


def ground(scene: Scene) -> Ground:
    """Tell which control set is in use."""
    current = scene.facts.value(WINDOWS_CONTROL_SET)
    seen = scene.facts.evidence(WINDOWS_CONTROL_SET)
    if current:
        return passes(f"control set {current} is in use", *seen)
    return unknown(scene.facts.why_unknown(WINDOWS_CONTROL_SET) or "the SYSTEM hive is not to be seen", *seen)


LOOK = Look("registry", "the SYSTEM hive is read", ground, nothing)
