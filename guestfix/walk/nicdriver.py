"""Whether the guest can drive the target's NIC, whatever its root filesystem is on."""

from __future__ import annotations

from collections.abc import Iterable

from guestfix.base.catalog.facts.boot import BOOT_DEFAULT
from guestfix.base.catalog.facts.system import KERNEL_DEFAULT
from guestfix.base.facts import Evidence, Finding
from guestfix.detect.files import exists
from guestfix.detect.initramfs.modules import KernelModules, blocks_in_guest, kernel_modules
from guestfix.formats.initramfs.modprobe import command_line_blocks
from guestfix.walk.scene import Scene

_OTHERS = (
    *("virtio_net", "ena", "vmxnet3", "hv_netvsc", "xen_netfront", "gve", "mlx4_en", "mlx5_core", "ixgbevf", "e1000"),
    *(
        "e1000e",
        "igb",
        "ixgbe",
        "i40e",
        "ice",
        "r8169",
        "8139cp",
        "8139too",
        "tg3",
        "bnx2",
        "bnx2x",
        "bnxt_en",
        "pcnet32",
    ),
)
"""Drivers of wired NICs. A kernel whose lists have none of them was not described with its network drivers."""


def check(scene: Scene) -> Iterable[Finding]:
    """Find a driver of the target's NIC that the default kernel does not have, or that is kept from loading."""
    release = scene.facts.value(KERNEL_DEFAULT)
    drivers = [name.replace("-", "_") for name in scene.target.drivers.get("network", ())]
    if not release or not drivers:
        return
    kernel = kernel_modules(scene.guest, release)
    missing = [name for name in drivers if not _has(kernel, name)]
    listed = kernel.builtin_known or exists(scene.guest, f"{kernel.folder}/modules.builtin")
    if missing and kernel.known and listed and any(_has(kernel, name) for name in _OTHERS):
        summary = f"kernel {release} has no driver {', '.join(missing)}, which the NIC of {scene.target.id} needs"
        remedy = "install a kernel, or the package of its extra modules, that has it before the migration"
        place = Evidence(f"{kernel.folder}/modules.dep", 0, f"no {', '.join(missing)}")
        yield Finding("GF-NETWORK-DRIVER-MISSING", "warning", summary, (place,), remedy, outcome="unknown")
    loaded = [name for name in drivers if name not in kernel.modules.builtin]
    entry = scene.facts.value(BOOT_DEFAULT)
    places = [Evidence(one.path, one.line, one.text) for one in blocks_in_guest(scene.guest, loaded)]
    if entry is not None:
        blocked = command_line_blocks(tuple(entry.args))
        places += [Evidence(entry.path, entry.line, arg) for name, arg in blocked.items() if name in loaded]
    if places:
        summary = f"{', '.join(loaded)}, which the NIC of {scene.target.id} needs, is kept from being loaded"
        remedy = "take these lines out, or the driver out of them"
        yield Finding("GF-NETWORK-DRIVER-BLOCKED", "warning", summary, tuple(places), remedy, outcome="unknown")


def _has(kernel: KernelModules, name: str) -> bool:
    return bool(kernel.modules.resolve(name)) or name in kernel.modules.builtin
