"""Step 4: the entry's kernel is there, and runs on the target's processor."""

from __future__ import annotations

from collections.abc import Iterable

from guestfix.base.catalog.facts.boot import BOOT_DEFAULT
from guestfix.base.catalog.facts.system import KERNEL_DEFAULT, KERNELS
from guestfix.base.errors import GuestError
from guestfix.base.facts import Evidence, Finding
from guestfix.detect.files import kind_of
from guestfix.formats.boot.kernelimage import HEAD, size_of
from guestfix.walk.scene import Ground, Look, Scene, all_in_sight, entry_place, passes, unknown


def ground(scene: Scene) -> Ground:
    """Tell which kernel the default entry loads."""
    default, release = scene.facts.value(BOOT_DEFAULT), scene.facts.value(KERNEL_DEFAULT)
    images = {one.release: one.image or "" for one in scene.facts.value(KERNELS) or ()}
    if not default:
        return unknown("which entry boots by default is not to be seen")
    image = images.get(str(release), "")
    if kind_of(scene.guest, default.kernel) == "file":
        return passes(
            f"kernel {release}" if image else f"the kernel {default.kernel} is there", Evidence(default.kernel)
        )
    if image and str(release) in default.kernel:
        return passes(f"kernel {release}", Evidence(image))
    return unknown(f"the default entry's kernel {default.kernel} is not to be seen", entry_place(default))


def check(scene: Scene) -> Iterable[Finding]:
    """Find a kernel that is not there, and one whose file ends before what its header says: nothing starts then."""
    yield from _gone(scene)
    yield from _cut_off(scene)


def _gone(scene: Scene) -> Iterable[Finding]:
    """No filesystem of the guest has a file of the name that the default entry loads as its kernel."""
    default = scene.facts.value(BOOT_DEFAULT)
    if default is None or not default.kernel or ground(scene).outcome == "passes" or not all_in_sight(scene):
        return
    name, images = default.kernel.rpartition("/")[2], [one.image or "" for one in scene.facts.value(KERNELS) or ()]
    if any(one.endswith(f"/{name}") for one in images):  # on a subvolume, or by another path: which one can't be told
        return
    summary = f"the default entry loads {default.kernel}, which is on none of the guest's filesystems"
    remedy = "install the kernel's package again in the guest, or boot another entry"
    yield Finding("GF-KERNEL-IMAGE-MISSING", "warning", summary, (entry_place(default),), remedy, outcome="stops")


def _cut_off(scene: Scene) -> Iterable[Finding]:
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
