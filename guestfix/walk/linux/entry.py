"""Step 3: the loader chooses an entry."""

from __future__ import annotations

from collections.abc import Iterable

from guestfix.base.catalog.facts.boot import BOOT_CONFIGS, BOOT_DEFAULT, BOOT_ENTRIES
from guestfix.base.facts import Evidence, Finding
from guestfix.walk.scene import Ground, Look, Scene, all_in_sight, entry_place, passes, unknown


def ground(scene: Scene) -> Ground:
    """Tell which entry the loader starts by itself."""
    default = scene.facts.value(BOOT_DEFAULT)
    if not default:
        why = scene.facts.why_unknown(BOOT_DEFAULT) or "which entry boots by default is not to be seen"
        return unknown(why, *scene.facts.evidence(BOOT_DEFAULT))
    return passes(f"it boots {default.title or default.id}", entry_place(default))


def check(scene: Scene) -> Iterable[Finding]:
    """Find a menu of GRUB that was followed to its end and lists nothing: GRUB asks for commands then."""
    used = next((one for one in scene.facts.value(BOOT_CONFIGS) or () if one.used), None)
    listed = scene.facts.value(BOOT_ENTRIES) or ()
    if used is None or used.loader != "grub2" or listed or not all_in_sight(scene):
        return
    if not any(one.code == "GF-BOOT-MENU-LEFT" for one in scene.findings):
        summary = f"GRUB's menu {used.path} has no entry, so GRUB asks for commands on a console that nobody sees"
        remedy = "make the menu again in the guest: update-grub, or grub2-mkconfig -o with this file's name"
        place = Evidence(used.path, 0, "no menuentry")
        yield Finding("GF-BOOT-DEFAULT-UNKNOWN", "warning", summary, (place,), remedy, outcome="stops")


LOOK = Look("entry", "an entry is chosen", ground, check)
