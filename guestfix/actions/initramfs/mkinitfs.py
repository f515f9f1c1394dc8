"""What Alpine's mkinitfs puts into the next initramfs: the features in its configuration.

Source: mkinitfs(1); features.d of mkinitfs, where each NAME.modules lists paths below a kernel's folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

from guestfix.actions.workbench import Workbench
from guestfix.base.catalog.facts.boot import INITRAMFS_DRIVERS
from guestfix.base.edit import append_lines
from guestfix.base.facts import Evidence
from guestfix.detect.files import names_in, read_small
from guestfix.detect.initramfs.check import VERDICTS
from guestfix.editors.initramfs.conf import add_features
from guestfix.formats import shellvars
from guestfix.formats.initramfs.moddep import compression

CONFIG = "/etc/mkinitfs/mkinitfs.conf"
FOLDER = "/etc/mkinitfs/features.d"
OWN = "guestfix"

FEATURES: Mapping[str, tuple[str, ...]] = {
    "ata": ("kernel/drivers/ata/*", "ahci", "ata_piix"),
    "ena": ("ena",),
    "nvme": ("kernel/drivers/nvme/*", "nvme", "nvme_core"),
    "scsi": (
        "kernel/drivers/scsi/*",
        "kernel/drivers/message/fusion/*",
        "virtio_scsi",
        "vmw_pvscsi",
        "hv_storvsc",
        "sd_mod",
    ),
    "virtio": ("kernel/drivers/block/virtio*", "kernel/drivers/virtio/*", "virtio_blk", "virtio_net", "virtio_pci"),
}
"""The features that come with mkinitfs and have drivers of disks and NICs, by paths and names."""


def keep_drivers(bench: Workbench) -> None:
    """Make mkinitfs.conf name features that have the target's drivers, as far as images lack them.

    Where no feature has one, a feature of our own lists its path. A configuration that the shell computes is told,
    and stays.
    """
    modules = bench.facts.value(INITRAMFS_DRIVERS) or []
    src = bench.fs.content(CONFIG)
    if not isinstance(src, bytes) or not modules:
        return
    chosen: list[str] = []
    alone: list[str] = []
    for name in modules:
        path = _path(bench, name)
        feature = next((one for one in FEATURES if _has(bench, one, path, name)), "")
        if feature:
            chosen.append(feature)
        elif path:
            alone.append(f"{path}*")
    if alone:
        chosen.append(OWN)
    after = add_features(src, features=list(dict.fromkeys(chosen)))
    if after is None:
        summary = "the features of the next initramfs are computed by the shell, and were left as they are"
        remedy = f"add {' '.join(dict.fromkeys(chosen))} to features yourself"
        bench.find("GF-INITRAMFS-NOT-PERSISTENT", "warning", summary, Evidence(CONFIG), remedy=remedy)
        return
    if after != src:
        place = Evidence(CONFIG, *_line(src))
        names = ", ".join(modules)
        bench.find(
            "GF-INITRAMFS-NEXT-LACKS",
            "info",
            f"no feature in mkinitfs.conf has {names}, so the image of the next kernel would lack it; "
            f"features gets {' '.join(one for one in dict.fromkeys(chosen))}",
            place,
        )
        bench.fs.put(CONFIG, after)
    if alone:
        _own_feature(bench, alone)


def _line(src: bytes) -> tuple[int, str]:
    found = shellvars.find(src, "features")
    return (found.line, f"features={found.value}") if found else (0, "")


def _path(bench: Workbench, name: str) -> str:
    """Return where a kernel of the guest has a module, below its own folder; empty where none shows it."""
    for verdict in bench.facts.value(VERDICTS, []):
        known = verdict.kernel.modules.resolve(name) if verdict.kernel else []
        for one in known:
            if verdict.kernel and one in verdict.kernel.modules.paths:
                path = verdict.kernel.modules.paths[one]
                return path[max(path.find("kernel/"), 0) :].removesuffix(compression(path))
    return ""


def _has(bench: Workbench, feature: str, path: str, module: str) -> bool:
    """Tell whether a feature has a module: by what the guest's own file of it lists, else by what mkinitfs ships."""
    listed = names_in(bench.fs, FOLDER)
    if listed and f"{feature}.modules" not in listed:
        return False
    text = read_small(bench.fs, f"{FOLDER}/{feature}.modules") if listed else None
    patterns = [line.strip() for line in text.decode("utf-8", "replace").splitlines()] if text else []
    if patterns and path:
        return any(fnmatchcase(path, one) or path.startswith(one.rstrip("/") + "/") for one in patterns if one)
    return any(fnmatchcase(path, one) or module == one for one in FEATURES[feature])


def _own_feature(bench: Workbench, paths: list[str]) -> None:
    path = f"{FOLDER}/{OWN}.modules"
    content = bench.fs.content(path)
    src = content if isinstance(content, bytes) else b""
    fresh = [one.encode() for one in paths if one.encode() not in src.splitlines()]
    if fresh:
        bench.fs.put(path, append_lines(src, *fresh))
