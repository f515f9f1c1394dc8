"""Step 8: no setup that was begun waits for an answer."""

from __future__ import annotations

from guestfix.walk.scene import Ground, Look, Scene, nothing, passes, unknown


def ground(scene: Scene) -> Ground:
    """Tell whether setup is over."""
    state = scene.value("windows.image_state")
    seen = scene.facts.evidence("windows.image_state")
    if state is None:
        return unknown(scene.why_unknown("windows.image_state") or "the state of setup is not to be seen", *seen)
    return passes("setup is complete", *seen)


LOOK = Look("setup", "setup is over", ground, nothing)
