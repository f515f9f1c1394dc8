"""Step 8: no setup that was begun waits for an answer."""

from __future__ import annotations

from guestfix.base.catalog.facts.windows import WINDOWS_IMAGE_STATE
from guestfix.walk.scene import Ground, Look, Scene, nothing, passes, unknown


def ground(scene: Scene) -> Ground:
    """Tell whether setup is over."""
    state = scene.facts.value(WINDOWS_IMAGE_STATE)
    seen = scene.facts.evidence(WINDOWS_IMAGE_STATE)
    if state is None:
        return unknown(scene.facts.why_unknown(WINDOWS_IMAGE_STATE) or "the state of setup is not to be seen", *seen)
    return passes("setup is complete", *seen)


LOOK = Look("setup", "setup is over", ground, nothing)
