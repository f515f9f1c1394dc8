"""Step 1: the firmware finds the boot manager."""

from __future__ import annotations

from guestfix.base.catalog.facts.boot import BOOT_FIRMWARE
from guestfix.base.catalog.facts.windows import WINDOWS_ESP
from guestfix.walk.scene import Ground, Look, Scene, nothing, passes, unknown


def ground(scene: Scene) -> Ground:
    """Tell what the target's firmware starts."""
    firmware = scene.facts.value(BOOT_FIRMWARE)
    seen = scene.facts.evidence(BOOT_FIRMWARE)
    if firmware == "uefi" and scene.facts.value(WINDOWS_ESP, ""):
        return passes("UEFI starts the boot manager of the EFI system partition", *seen)
    if firmware == "bios":
        return passes("the guest boots by BIOS", *seen)
    return unknown("nothing shows how the firmware finds the boot manager", *seen)


LOOK = Look("firmware", "firmware finds the boot manager", ground, nothing)
