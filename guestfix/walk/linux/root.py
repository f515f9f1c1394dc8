"""Step 6: the kernel or its initramfs finds the root filesystem that the default entry names."""

from __future__ import annotations

from collections.abc import Iterable

from guestfix.base.catalog.facts.boot import BOOT_DEFAULT
from guestfix.base.facts import Finding
from guestfix.walk.names import answers
from guestfix.walk.scene import Ground, Look, Scene, entry_place, passes, unknown


def root_of(scene: Scene) -> str:
    """Return what the default entry's root= says, empty where there is none."""
    default = scene.facts.value(BOOT_DEFAULT)
    roots = [arg.removeprefix("root=") for arg in (default.args if default else ()) if arg.startswith("root=")]
    return roots[-1] if roots else ""


def ground(scene: Scene) -> Ground:
    """Tell which volume is the root."""
    default, root = scene.facts.value(BOOT_DEFAULT), root_of(scene)
    if not default:
        return unknown("which entry boots by default is not to be seen")
    place = entry_place(default)
    if not root:
        return unknown("the default entry names no root filesystem", place)
    if not root.startswith(("/dev/", "UUID=", "LABEL=", "PARTUUID=", "PARTLABEL=")):
        return unknown(f"root={root} is not a volume that guestfix can look up", place)
    answer, why = answers(scene, root)
    return passes(f"root={root}: {why}", place) if answer == "yes" else unknown(f"root={root}: {why}", place)


def check(scene: Scene) -> Iterable[Finding]:
    """Find a root that the target does not have by this name."""
    default, root = scene.facts.value(BOOT_DEFAULT), root_of(scene)
    if not default or not root.startswith(("/dev/", "UUID=", "LABEL=", "PARTUUID=", "PARTLABEL=")):
        return
    answer, why = answers(scene, root)
    if answer == "no":
        yield Finding(
            "GF-WALK-ROOT",
            "blocker",
            f"the default entry looks for its root at {root}, and {why}",
            (entry_place(default),),
            "name the root by the UUID of its filesystem; describe the guest's disks with --disks, so that it is known",
            outcome="stops",
        )


LOOK = Look("root", "the root filesystem is found", ground, check)
