"""Step 1: the firmware finds a loader. Boot entries in NVRAM stay behind with the old machine (UEFI 2.10, 3.5.1.1)."""

from __future__ import annotations

from guestfix.base.facts import Evidence
from guestfix.walk.scene import Ground, Look, Scene, nothing, passes, unknown


def ground(scene: Scene) -> Ground:
    """Tell what the target's firmware starts."""
    firmware = scene.value("boot.firmware")
    folders = [one for one in scene.value("boot.efi") or () if str(one.get("path", "")).lower().endswith("/efi/boot")]
    if firmware == "uefi" and folders:
        path = str(folders[0]["path"])
        return passes("UEFI starts the fallback loader of the EFI system partition", Evidence(path))
    if firmware == "uefi":
        return unknown("the EFI system partition's files are not to be seen", *scene.facts.evidence("boot.firmware"))
    if firmware == "bios" and scene.value("boot.loaders"):
        loaders = ", ".join(scene.value("boot.loaders"))
        return passes(f"the guest boots by BIOS, with {loaders}", *scene.facts.evidence("boot.loaders"))
    return unknown("nothing shows which firmware the guest boots by")


LOOK = Look("firmware", "firmware finds a loader", ground, nothing)
