"""Step 2: the loader finds its configuration."""

from __future__ import annotations

from guestfix.base.catalog.facts.boot import BOOT_CONFIGS, BOOT_DEFAULT
from guestfix.base.facts import Evidence
from guestfix.walk.scene import Ground, Look, Scene, entry_place, nothing, passes, unknown


def ground(scene: Scene) -> Ground:
    """Tell which configuration the loader reads."""
    used = [one for one in scene.facts.value(BOOT_CONFIGS) or () if one.used]
    default = scene.facts.value(BOOT_DEFAULT)
    if not used and default and default.loader in ("systemd-boot", "uki"):
        return passes("systemd-boot lists the entries of its own partition", entry_place(default))
    if not used:
        return unknown("no configuration of a boot loader is to be seen")
    path = used[0].path
    return passes(f"{used[0].loader} reads {path}", Evidence(path))


LOOK = Look("loader", "loader finds its configuration", ground, nothing)
