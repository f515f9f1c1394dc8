"""Step 1: the firmware finds a loader. Boot entries in NVRAM stay behind with the old machine (UEFI 2.10, 3.5.1.1)."""

from __future__ import annotations

from guestfix.base.catalog.facts.boot import BOOT_EFI, BOOT_FIRMWARE, BOOT_LOADERS
from guestfix.base.facts import Evidence
from guestfix.detect.limits.firmware import disks_of
from guestfix.walk.scene import Ground, Look, Scene, nothing, passes, unknown


def ground(scene: Scene) -> Ground:
    """Tell what the target's firmware starts."""
    firmware = scene.facts.value(BOOT_FIRMWARE)
    if firmware == "uefi":
        return _by_uefi(scene)
    loaders = scene.facts.value(BOOT_LOADERS)
    if firmware == "bios" and loaders:
        return _by_bios(scene, ", ".join(loaders))
    if firmware == "bios" and has_grub_code(scene):
        return _by_bios(scene, "GRUB")
    return unknown("nothing shows which firmware the guest boots by", *scene.facts.evidence(BOOT_FIRMWARE))


def has_grub_code(scene: Scene) -> bool:
    """Tell whether the first disk was read, and has GRUB's boot code with the sectors that it leads to."""
    disks = disks_of(scene.guest)
    return bool(disks) and disks[0].boot == "grub"


def _by_uefi(scene: Scene) -> Ground:
    from guestfix.detect.boot.shim import ARCHES, file_in, name_of  # a guest that boots by BIOS needs none of it

    folders = [one for one in scene.facts.value(BOOT_EFI) or () if name_of(one) == "boot"]
    path = file_in(folders[0], *(one.fallback for one in ARCHES)) if folders else ""
    if path:
        return passes("UEFI starts the fallback loader of the EFI system partition", Evidence(path))
    return unknown("the EFI system partition's files are not to be seen", *scene.facts.evidence(BOOT_FIRMWARE))


def _by_bios(scene: Scene, loaders: str) -> Ground:
    """A tree of files does not show the first sector of a disk."""
    disks = disks_of(scene.guest)
    seen = scene.facts.evidence(BOOT_LOADERS)
    if disks and disks[0].boot:
        place = Evidence("disks", 0, f"{disks[0].device}: {disks[0].boot}")
        return passes(f"a BIOS starts the boot code of {disks[0].device}, which leads to {loaders}", place, *seen)
    return unknown(f"the guest boots by BIOS, with {loaders}; its disk's first sector was not given", *seen)


LOOK = Look("firmware", "firmware finds a loader", ground, nothing)
