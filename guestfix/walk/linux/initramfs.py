"""Step 5: the initramfs has what the kernel lacks to reach the root filesystem on the target's disks."""

from __future__ import annotations

from guestfix.base.catalog.facts.boot import BOOT_DEFAULT
from guestfix.base.catalog.records.boot import MenuEntry
from guestfix.base.facts import Evidence
from guestfix.detect.initramfs.check import VERDICTS
from guestfix.walk.scene import Ground, Look, Scene, entry_place, nothing, passes, unknown


def ground(scene: Scene) -> Ground:
    """Tell whether the default entry's initramfs was judged."""
    default = scene.facts.value(BOOT_DEFAULT)
    paths = list(default.initrd) if default else []
    if default and not paths:
        return _alone(scene, default)
    if is_left_out(scene):
        return unknown("not looked at: no rule that was chosen asks what is in it", *(Evidence(path) for path in paths))
    for image in scene.facts.value(VERDICTS) or ():
        if image.path in paths or not paths:
            path = Evidence(image.path)
            if image.problem:
                return unknown(f"the initramfs can't be judged: {image.problem}", path)
            return passes(f"the initramfs has all drivers that {scene.target.id} needs", path)
    return unknown("no initramfs of the default entry is to be seen", *(Evidence(path) for path in paths))


def is_left_out(scene: Scene) -> bool:
    """Tell whether no image was read since the administrator left out all rules that ask for it."""
    return VERDICTS.name not in scene.facts


def _alone(scene: Scene, default: MenuEntry) -> Ground:
    from guestfix.detect.initramfs.bare import bare  # few entries load none

    alone = bare(scene.guest, scene.facts, scene.target, default)
    if alone is not None and alone.told and not alone.stops:
        place = Evidence(f"{alone.folder}/modules.builtin")
        none = "its initramfs is in the same file" if alone.inside else "it loads none"
        return passes(f"{none}, and kernel {alone.release} has all built in", entry_place(default), place)
    if alone is not None and alone.inside:
        because = "this system's kernels have their initramfs in the same file, where its drivers are not to be seen"
        return unknown(because, entry_place(default))
    return unknown("the default entry has no initramfs; whether the kernel has all built in can't be told")


LOOK = Look("initramfs", "the initramfs has the drivers", ground, nothing)
