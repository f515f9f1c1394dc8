"""Step 4: the entry's kernel is there, and runs on the target's processor."""

from __future__ import annotations

from collections.abc import Iterable

from guestfix.base.catalog.facts.boot import BOOT_DEFAULT
from guestfix.base.catalog.facts.system import KERNEL_DEFAULT, KERNELS
from guestfix.base.errors import GuestError
from guestfix.base.facts import Evidence, Finding
from guestfix.detect.boot.kernelimage import HEAD, size_of
from guestfix.walk.scene import Ground, Look, Scene, entry_place, passes, unknown


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


def check(scene: Scene) -> Iterable[Finding]:
    """Find a kernel whose file ends before what its header says: the loader takes it, and nothing starts."""
    release = str(scene.facts.value(KERNEL_DEFAULT))
    path = next((one.image for one in scene.facts.value(KERNELS) or () if one.release == release), "")
    if not path or scene.facts.value(BOOT_DEFAULT) is None:
        return
    try:
        stat = scene.guest.stat(path)
        if stat is None or stat.size < HEAD:  # an excerpt of a guest may have a kernel by name only
            return
        with scene.guest.open(path) as stream:
            size = size_of(stream.read(HEAD))
    except GuestError:
        return
    if size is not None and stat.size < size:
        summary = f"the kernel {path} is cut off: it has {stat.size} bytes, and its header tells of {size}"
        remedy = "install the kernel's package again in the guest, or boot another entry"
        place = Evidence(path, 0, f"{stat.size} bytes")
        yield Finding("GF-WALK-KERNEL", "blocker", summary, (place,), remedy, outcome="stops")


LOOK = Look("kernel", "the kernel starts", ground, check)
