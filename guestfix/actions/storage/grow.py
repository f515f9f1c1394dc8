"""The root partition and its filesystem grown to the disk at the first start, by what the guest has for that.

Sources: cloud-init, modules growpart and resizefs (frequency: always; ``mode``, ``devices``; /etc/growroot-disabled).
"""

from __future__ import annotations

from guestfix.actions.workbench import Workbench
from guestfix.base.catalog.facts.storage import DISKS_UUID_BY_DEVICE, FSTAB_ENTRIES
from guestfix.base.facts import Evidence
from guestfix.detect.files import exists, read_small
from guestfix.detect.system.programs import Programs
from guestfix.formats.shellvars import decode
from guestfix.formats.storage import devices

CONFIG = "/etc/cloud/cloud.cfg"
DROP_IN = "/etc/cloud/cloud.cfg.d/99-guestfix-grow.cfg"
DISABLED = ("/etc/cloud/cloud-init.disabled", "/etc/growroot-disabled")
MODULES = ("growpart", "resizefs")
TEXT = """\
# Written by guestfix (policy grow).
growpart:
  mode: growpart
  devices: ['/']
resize_rootfs: true
"""


def grow_root(bench: Workbench) -> None:
    """Have cloud-init grow the root to its disk by growpart; a guest that lacks either is told, and stays as it is."""
    why, place = _obstacle(bench)
    if why:
        bench.find("GF-GROW-NO-TOOL", "warning", f"the root does not grow to its disk by itself: {why}", place)
    elif not exists(bench.fs, DROP_IN):
        bench.fs.put(DROP_IN, TEXT.encode())
        bench.follow_up("cloud-init grows the root to its disk at the first start, if it finds a data source there")


def _obstacle(bench: Workbench) -> tuple[str, Evidence]:
    """Return what keeps cloud-init from growing the root, and where that is seen; empty for nothing."""
    config = read_small(bench.fs, CONFIG)
    if config is None:
        return "the guest has no cloud-init", Evidence(CONFIG)
    programs = Programs(bench.fs)
    if not programs.path("growpart"):
        return "the guest has no growpart (cloud-guest-utils, cloud-utils-growpart)", Evidence("/usr/bin")
    layered = _layered_root(bench)
    if layered is not None:
        return "it is on a volume above its partition, which cloud-init does not grow", layered
    off = next((path for path in DISABLED if exists(bench.fs, path)), "")
    if off:
        return "it is switched off", Evidence(off)
    words = {line.strip().lstrip("-[ ").strip("\"' ],") for line in decode(config).splitlines()}
    lacking = next((one for one in MODULES if one not in words), "")
    return (f"cloud-init's module {lacking} is not listed" if lacking else ""), Evidence(CONFIG)


def _layered_root(bench: Workbench) -> Evidence | None:
    """Return the entry of fstab by which the root is on LVM, device-mapper or an array; None where it is not."""
    root = next((one for one in bench.facts.value(FSTAB_ENTRIES, []) if one.mount == "/"), None)
    if root is None:
        return None
    table = bench.facts.value(DISKS_UUID_BY_DEVICE, {})
    tag = devices.tag(root.spec)
    names = [root.spec, *(name for name, spec in table.items() if tag and devices.tag(spec) == tag)]
    return Evidence("/etc/fstab", root.line, root.spec) if any(map(devices.is_layered, names)) else None
