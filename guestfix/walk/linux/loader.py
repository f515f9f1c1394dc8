"""Step 2: the loader finds its configuration."""

from __future__ import annotations

from guestfix.base.catalog.facts.boot import BOOT_CONFIGS
from guestfix.base.facts import Evidence
from guestfix.walk.scene import Ground, Look, Scene, nothing, passes, unknown


def ground(scene: Scene) -> Ground:
    """Tell which configuration the loader reads."""
    used = [one for one in scene.facts.value(BOOT_CONFIGS) or () if one.used]
    if not used:
        return unknown("no configuration of a boot loader is to be seen")
    path = used[0].path
    return passes(f"{used[0].loader} reads {path}", Evidence(path))


LOOK = Look("loader", "loader finds its configuration", ground, nothing)
