"""Whether a name of a block device means its volume on the target too."""

from __future__ import annotations

from typing import Literal

from guestfix.base.patterns import regex
from guestfix.catalog.facts.storage import DISKS_COMPLETE, DISKS_KNOWN, DISKS_SPECS, DISKS_TAGGED, DISKS_UUID_BY_DEVICE
from guestfix.formats.storage import devices
from guestfix.walk.scene import Scene

Answer = Literal["yes", "no", "unknown"]

_KERNEL_NAME = regex(r"/dev/(sd|hd|vd|xvd|nvme)(?:[a-z]+|[0-9]+n[0-9]+p?)[0-9]*")


def answers(scene: Scene, name: str) -> tuple[Answer, str]:
    """Tell whether a volume answers to this name on the target, and why, as the end of a sentence."""
    name = devices.normal(name)
    kernel = _KERNEL_NAME.fullmatch(name)
    if kernel:
        return _by_kernel(scene, name, kernel[1])
    if not scene.facts.value(DISKS_KNOWN):
        return ("no", "that name comes from the old hardware") if devices.is_unstable(name) else _undescribed()
    wanted = devices.tag(name) or name
    if wanted in devices.known_tags(scene.facts.value(DISKS_SPECS, [])):
        return "yes", "a volume of the guest answers to it"
    if devices.is_unstable(name):
        return "no", "that name comes from the old hardware"
    whole = scene.facts.value(DISKS_COMPLETE if devices.is_layered(name) else DISKS_TAGGED)
    whole = whole and ("=" not in wanted or _is_told(scene, wanted.partition("=")[0]))
    return ("no", "no volume of the guest answers to it") if whole else ("unknown", "its volume was not described")


def _is_told(scene: Scene, key: str) -> bool:
    """Tell whether the description gives this key at all: one that it leaves out is unknown, not absent."""
    return any(spec.startswith(f"{key}=") for spec in scene.facts.value(DISKS_SPECS, []))


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
