"""Step 2: the loader finds its configuration."""

from __future__ import annotations

from collections.abc import Iterable

from guestfix.base.catalog.facts.boot import BOOT_CONFIGS, BOOT_DEFAULT, BOOT_FIRMWARE, BOOT_SIGNED
from guestfix.base.facts import Evidence, Finding
from guestfix.base.overlay import Overlay
from guestfix.walk.linux.firmware import has_grub_code
from guestfix.walk.scene import Ground, Look, Scene, all_in_sight, entry_place, passes, unknown


def ground(scene: Scene) -> Ground:
    """Tell which configuration the loader reads."""
    used = [one for one in scene.facts.value(BOOT_CONFIGS) or () if one.used]
    default = scene.facts.value(BOOT_DEFAULT)
    if not used and default and default.loader in ("systemd-boot", "uki"):
        return passes("systemd-boot lists the entries of its own partition", entry_place(default))
    if not used:
        return unknown("no configuration of a boot loader is to be seen", Evidence("/boot"))
    path = used[0].path
    return passes(f"{used[0].loader} reads {path}", Evidence(path))


def check(scene: Scene) -> Iterable[Finding]:
    """Find a GRUB that a BIOS starts, whose menu is on none of the guest's filesystems; and what has to be signed."""
    yield from _signed(scene)
    bios = scene.facts.value(BOOT_FIRMWARE) == "bios" and has_grub_code(scene)
    if bios and ground(scene).outcome != "passes" and all_in_sight(scene):
        summary = "the first disk has GRUB's boot code, and no filesystem of the guest has a menu for it"
        places = (Evidence("/boot/grub/grub.cfg", 0, "not there"), Evidence("/boot/grub2/grub.cfg", 0, "not there"))
        remedy = (
            "make the menu again in the guest: grub-mkconfig -o /boot/grub/grub.cfg (grub2-mkconfig), or update-grub"
        )
        yield Finding("GF-BOOT-NO-CONFIG", "warning", summary, places, remedy, outcome="stops")


def _signed(scene: Scene) -> Iterable[Finding]:
    """Find what a plan changes of a loader that checks signatures: only who has the key can sign it again."""
    default = scene.facts.value(BOOT_DEFAULT)
    if not scene.facts.value(BOOT_SIGNED) or default is None or not isinstance(scene.guest, Overlay):
        return
    used = [one.path for one in scene.facts.value(BOOT_CONFIGS) or () if one.used]
    changed = [one for one in dict.fromkeys((*used, default.path, *default.initrd)) if scene.guest.is_changed(one)]
    if changed:
        summary = f"GRUB checks signatures (check_signatures=enforce), and the plan changes {', '.join(changed)}"
        places = (*scene.facts.evidence(BOOT_SIGNED), *(Evidence(one) for one in changed))
        yield Finding("GF-BOOT-SIGNED", "blocker", summary, places, outcome="stops")


LOOK = Look("loader", "loader finds its configuration", ground, check)
