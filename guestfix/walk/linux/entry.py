"""Step 3: the loader chooses an entry."""

from __future__ import annotations

from guestfix.walk.scene import Ground, Look, Scene, entry_place, nothing, passes, unknown


def ground(scene: Scene) -> Ground:
    """Tell which entry the loader starts by itself."""
    default = scene.value("boot.default")
    if not default:
        return unknown(scene.why_unknown("boot.default") or "which entry boots by default is not to be seen")
    return passes(f"it boots {default.get('title') or default.get('id')}", entry_place(default))


LOOK = Look("entry", "an entry is chosen", ground, nothing)
