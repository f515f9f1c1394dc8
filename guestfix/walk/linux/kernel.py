"""Step 4: the entry's kernel is there, and runs on the target's processor."""

from __future__ import annotations

from guestfix.base.catalog.facts.boot import BOOT_DEFAULT
from guestfix.base.catalog.facts.system import KERNEL_DEFAULT, KERNELS
from guestfix.base.facts import Evidence
from guestfix.walk.scene import Ground, Look, Scene, entry_place, nothing, passes, unknown


def ground(scene: Scene) -> Ground:
    """Tell which kernel the default entry loads."""
    default, release = scene.facts.value(BOOT_DEFAULT), scene.facts.value(KERNEL_DEFAULT)
    images = {one.release: one.image or "" for one in scene.facts.value(KERNELS) or ()}
    if not default:
        return unknown("which entry boots by default is not to be seen")
    image = images.get(str(release), "")
    if not image:
        return unknown("the default entry's kernel is not to be seen", entry_place(default))
    return passes(f"kernel {release}", Evidence(image))


LOOK = Look("kernel", "the kernel starts", ground, nothing)
