"""Whether a name of a block device means its volume on the target too."""

from __future__ import annotations

from typing import Literal

from guestfix.base.catalog.facts.kind import FactKind
from guestfix.base.catalog.facts.storage import (
    DISKS_COMPLETE,
    DISKS_DOUBTFUL,
    DISKS_KNOWN,
    DISKS_OLD_NAMES,
    DISKS_SPECS,
    DISKS_TAGGED,
    DISKS_UUID_BY_DEVICE,
)
from guestfix.base.patterns import regex
from guestfix.formats.storage import devices
from guestfix.formats.storage.known import Known, known
from guestfix.walk.scene import Scene

Answer = Literal["yes", "no", "unknown"]

OLD = "that name comes from the old hardware"

_KERNEL_NAME = regex(r"/dev/(sd|hd|vd|xvd|nvme)(?:[a-z]+|[0-9]+n[0-9]+p?)[0-9]*")


def answers(scene: Scene, name: str, doubtful: FactKind[list[str]] = DISKS_DOUBTFUL) -> tuple[Answer, str]:
    """Tell whether a volume answers to this name on the target, and why, as the end of a sentence.

    ``doubtful`` is the fact with the names that can't be told: ``disks.unclaimed`` for an entry of fstab.
    """
    name = devices.normal(name)
    kernel = _KERNEL_NAME.fullmatch(name)
    if kernel:
        return _by_kernel(scene, name, kernel[1])
    names = known_to(scene, doubtful)
    if not scene.facts.value(DISKS_KNOWN):
        return ("no", OLD) if names.is_old(name) else _undescribed()
    answer = names.answer(name)
    if answer == "yes" or (answer == "unnamed" and devices.is_unstable(name)):
        return ("no", OLD) if names.is_old(name) else ("yes", "a volume of the guest answers to it")
    if names.is_old(name):
        return "no", OLD
    absent: tuple[Answer, str] = "no", "no volume of the guest answers to it"
    return absent if answer == "absent" else ("unknown", "its volume was not described")


def known_to(scene: Scene, doubtful: FactKind[list[str]] = DISKS_DOUBTFUL) -> Known:
    """Return what is known of the guest's volumes; ``doubtful`` is the fact with the names that can't be told."""
    return known(
        scene.facts.value(DISKS_UUID_BY_DEVICE, {}),
        scene.facts.value(DISKS_SPECS, []),
        bool(scene.facts.value(DISKS_TAGGED)),
        bool(scene.facts.value(DISKS_COMPLETE)),
        scene.facts.value(doubtful, []),
        scene.facts.value(DISKS_OLD_NAMES, []),
    )


def _undescribed() -> tuple[Answer, str]:
    return "unknown", "the guest's disks were not described"


def _by_kernel(scene: Scene, name: str, family: str) -> tuple[Answer, str]:
    """The kernel makes these up from the driver and the order in which it finds disks."""
    prefix = scene.target.disk_prefix
    if not prefix:
        return "unknown", "the target doesn't say what the kernel calls its disks"
    if family != prefix:
        return "no", f"disks of {scene.target.id} are called /dev/{prefix}..."
    table = scene.facts.value(DISKS_UUID_BY_DEVICE, {})
    return ("yes", "the target's disks are called alike") if name in table else _undescribed()
