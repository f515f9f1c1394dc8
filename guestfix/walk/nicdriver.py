"""Whether the guest can drive the target's NIC, whatever its root filesystem is on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from guestfix.base.catalog.facts.boot import BOOT_DEFAULT
from guestfix.base.catalog.facts.system import KERNEL_DEFAULT, KERNEL_RELEASES
from guestfix.base.facts import Evidence, Finding
from guestfix.detect.files import exists, lines_of, paths_like, read_small
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
    yield from _missing(scene, kernel, release, drivers)
    yield from _blocked(scene, [name for name in drivers if name not in kernel.modules.builtin])


def _missing(scene: Scene, kernel: KernelModules, release: str, drivers: list[str]) -> Iterable[Finding]:
    """A kernel whose lists are there, with drivers of other NICs in them, has no others."""
    missing = [name for name in drivers if not _has(kernel, name)]
    listed = kernel.builtin_known or exists(scene.guest, f"{kernel.folder}/modules.builtin")
    if not missing or not kernel.known or not listed or not any(_has(kernel, name) for name in _OTHERS):
        return
    summary = f"kernel {release} has no driver {', '.join(missing)}, which the NIC of {scene.target.id} needs"
    remedy = "install a kernel, or the package of its extra modules, that has it before the migration"
    others = [one for one in scene.facts.value(KERNEL_RELEASES) or () if one != release]
    able = [one for one in others[:8] if all(_has(kernel_modules(scene.guest, one), name) for name in missing)]
    if able:
        remedy = f"make {able[-1]}, which is installed and has it, the kernel that boots by default"
    place = Evidence(f"{kernel.folder}/modules.dep", 0, f"no {', '.join(missing)}")
    yield Finding("GF-NETWORK-DRIVER-MISSING", "warning", summary, (place,), remedy, outcome="stops")


def _blocked(scene: Scene, drivers: list[str]) -> Iterable[Finding]:
    """A driver that is on a list does not load by itself; /etc/modules may load it all the same."""
    entry = scene.facts.value(BOOT_DEFAULT)
    places = [Evidence(one.path, one.line, one.text) for one in blocks_in_guest(scene.guest, drivers)]
    if entry is not None:
        blocked = command_line_blocks(arg for arg in entry.args if not arg.startswith("rd"))
        places += [Evidence(entry.path, entry.line, arg) for name, arg in blocked.items() if name in drivers]
    if places:
        summary = f"{', '.join(drivers)}, which the NIC of {scene.target.id} needs, is kept from being loaded"
        remedy = "take these lines out, or the driver out of them"
        forced = _loaded(scene) & set(drivers)
        ends: Literal["unknown", "stops"] = "unknown" if forced else "stops"
        yield Finding("GF-NETWORK-DRIVER-BLOCKED", "warning", summary, tuple(places), remedy, outcome=ends)


def _loaded(scene: Scene) -> set[str]:
    """Return the modules that are loaded by name at boot (modules-load.d(5), /etc/modules, rc.modules)."""
    paths = ["/etc/modules", *paths_like(scene.guest, "/etc/modules-load.d/*.conf", 64)]
    rows = [line for path in paths for _, line in lines_of(read_small(scene.guest, path) or b"")]
    return {line.split()[0].replace("-", "_") for line in rows if not line.startswith(("#", ";"))}


_ONCE = {"xen_netfront": ("xennet",), "hv_netvsc": ("netvsc",)}
"""What drivers were called in older kernels."""


def _has(kernel: KernelModules, name: str) -> bool:
    names = (name, *_ONCE.get(name, ()))
    return any(kernel.modules.resolve(one) or one in kernel.modules.builtin for one in names)
