"""What can't be told of a guest that was read from its disks, although no boot goes on without it.

Of a tree of files much can't be told: it may be an excerpt. An image has everything, so what was looked for there and
not understood is a doubt about the boot itself: a menu that can't be followed, an initramfs in a form that nobody
knows, a ``root=`` that no volume of the guest surely answers to. Where there is nothing to boot by (no loader, no
kernel, no boot code) nothing was looked for in vain: who starts such a disk brings the kernel along.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from guestfix.base.catalog.facts.boot import BOOT_DEFAULT, BOOT_LOADERS
from guestfix.base.catalog.facts.system import KERNELS
from guestfix.base.facts import Evidence, Finding
from guestfix.detect.limits.firmware import disks_of
from guestfix.walk.linux.initramfs import is_left_out
from guestfix.walk.linux.root import is_elsewhere
from guestfix.walk.model import Step
from guestfix.walk.scene import Scene, is_whole

VITAL = ("firmware", "loader", "entry", "kernel", "initramfs", "root")
"""Steps that no boot goes on without."""

_FOLLOWS = {
    "loader": ("firmware",),
    "entry": ("loader",),
    "kernel": ("loader", "entry"),
    "initramfs": ("loader", "entry"),
    "root": ("entry",),
}
"""Steps that can't be told either where these can't."""


def untold(scene: Scene, steps: Sequence[Step]) -> Iterator[Finding]:
    """Yield a blocker for each vital step that can't be told, save where that follows from one before it."""
    if not is_whole(scene) or not _boots_itself(scene):
        return
    amiss = {one.id for one in steps if one.outcome in ("unknown", "stops")}
    for step in steps:
        if step.id not in VITAL or step.outcome != "unknown" or amiss & set(_FOLLOWS.get(step.id, ())):
            continue
        if (step.id == "root" and is_elsewhere(scene)) or (step.id == "initramfs" and is_left_out(scene)):
            continue
        places = {one.path for one in step.evidence}
        told = next((one for one in _of_step(scene, step.id) if places & {seen.path for seen in one.evidence}), None)
        code = f"GF-UNTOLD-{step.id.upper()}"
        known = step.evidence or scene.facts.evidence(BOOT_DEFAULT) or (Evidence("/boot", 0, step.because),)
        remedy = f"{told.remedy}; where it is known to be right: --accept {code}" if told else ""
        yield Finding(
            code, "blocker", f"it can't be told whether {step.title}: {step.because}", known, remedy, outcome="unknown"
        )


def _of_step(scene: Scene, step: str) -> Iterator[Finding]:
    """Yield the warnings of detectors about a step."""
    return (one for one in scene.findings if one.step == step and one.severity == "warning" and not one.settled_by)


def _boots_itself(scene: Scene) -> bool:
    disks = disks_of(scene.guest)
    code = bool(disks) and disks[0].boot in ("grub", "coreless")
    return code or bool(scene.facts.value(BOOT_LOADERS)) or any(one.image for one in scene.facts.value(KERNELS) or ())
