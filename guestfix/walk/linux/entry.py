"""Step 3: the loader chooses an entry."""

from __future__ import annotations

from guestfix.base.catalog.facts.boot import BOOT_DEFAULT
from guestfix.walk.scene import Ground, Look, Scene, entry_place, nothing, passes, unknown


def ground(scene: Scene) -> Ground:
    """Tell which entry the loader starts by itself."""
    default = scene.facts.value(BOOT_DEFAULT)
    if not default:
        return unknown(scene.facts.why_unknown(BOOT_DEFAULT) or "which entry boots by default is not to be seen")
    return passes(f"it boots {default.title or default.id}", entry_place(default))


LOOK = Look("entry", "an entry is chosen", ground, nothing)
