"""Step 1: the firmware finds a loader. Boot entries in NVRAM stay behind with the old machine (UEFI 2.10, 3.5.1.1)."""

from __future__ import annotations

from guestfix.base.catalog.facts.boot import BOOT_EFI, BOOT_FIRMWARE, BOOT_LOADERS
from guestfix.base.facts import Evidence
from guestfix.detect.boot.shim import ARCHES, file_in, name_of
from guestfix.walk.scene import Ground, Look, Scene, nothing, passes, unknown


def ground(scene: Scene) -> Ground:
    """Tell what the target's firmware starts."""
    firmware = scene.facts.value(BOOT_FIRMWARE)
    folders = [one for one in scene.facts.value(BOOT_EFI) or () if name_of(one) == "boot"]
    path = file_in(folders[0], *(one.fallback for one in ARCHES)) if folders else ""
    if firmware == "uefi" and path:
        return passes("UEFI starts the fallback loader of the EFI system partition", Evidence(path))
    if firmware == "uefi":
        return unknown("the EFI system partition's files are not to be seen", *scene.facts.evidence(BOOT_FIRMWARE))
    loaders = scene.facts.value(BOOT_LOADERS)
    if firmware == "bios" and loaders:
        return passes(f"the guest boots by BIOS, with {', '.join(loaders)}", *scene.facts.evidence(BOOT_LOADERS))
    return unknown("nothing shows which firmware the guest boots by")


LOOK = Look("firmware", "firmware finds a loader", ground, nothing)
