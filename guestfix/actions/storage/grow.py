"""The root partition and its filesystem grown to the disk at the first start, by what the guest has for that.

Sources: cloud-init, modules growpart and resizefs (frequency: always; ``mode``, ``devices``; /etc/growroot-disabled);
systemd-repart(8), repart.d(5) (GPT alone; the partition of a definition's ``Type=`` grows up to ``SizeMaxBytes=``);
systemd.mount(5), ``x-systemd.growfs``, of which systemd makes systemd-growfs-root.service (ext4, XFS, Btrfs).
"""

from __future__ import annotations

from guestfix.actions.workbench import Workbench
from guestfix.base.catalog.facts.storage import DISKS_LAYOUT, DISKS_UUID_BY_DEVICE, FSTAB_ENTRIES
from guestfix.base.catalog.records.storage import Mount
from guestfix.base.edit import apply_splices
from guestfix.base.facts import Evidence
from guestfix.base.patterns import regex
from guestfix.detect.files import exists, paths_like, read_small, real_path
from guestfix.detect.system.programs import Programs
from guestfix.editors.storage.fstab import add_options, fits
from guestfix.formats.shellvars import decode
from guestfix.formats.storage import devices, fstab

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
REPART = ("/etc/repart.d/*.conf", "/usr/local/lib/repart.d/*.conf", "/usr/lib/repart.d/*.conf", "/lib/repart.d/*.conf")
"""Where definitions stand; of two of the same name the first counts, and an empty file or /dev/null is none."""

GROWFS = ("/usr/lib/systemd/systemd-growfs", "/lib/systemd/systemd-growfs")
GROWFS_ROOT = tuple(f"{one}/systemd/system/*.wants/systemd-growfs-root.service" for one in ("/etc", "/usr/lib", "/lib"))
GROWN = ("ext4", "xfs", "btrfs")
REPART_UNIT = "/etc/systemd/system/systemd-repart.service"
MOST_DEFINITIONS = 64
_ROOT_TYPE = regex(rb"^[ \t]*+Type[ \t]*+=[ \t]*+root(?:-[a-z0-9-]{1,30})?[ \t\r]*$", 8)
_LIMIT = regex(rb"^[ \t]*+(?:SizeMaxBytes[ \t]*+=[ \t]*+[0-9]|Weight[ \t]*+=[ \t]*+0[ \t\r]*$)", 8)


def grow_root(bench: Workbench) -> None:
    """Have systemd or cloud-init grow the root to its disk; a guest that has neither is told, and stays as it is.

    systemd does where a definition of the guest's own lets systemd-repart grow the partition; what the filesystem
    lacks for it is added to fstab. Else cloud-init does by growpart.
    """
    if _grown_by_systemd(bench):
        return
    why, place = _obstacle(bench)
    if why:
        bench.find("GF-GROW-NO-TOOL", "warning", f"the root does not grow to its disk by itself: {why}", place)
    elif not exists(bench.fs, DROP_IN):
        bench.fs.put(DROP_IN, TEXT.encode())
        bench.follow_up("cloud-init grows the root to its disk at the first start, if it finds a data source there")


def _grown_by_systemd(bench: Workbench) -> bool:
    """Have systemd grow the root's filesystem where it grows its partition; tell whether it grows both then."""
    definition, root = _definition(bench), _root(bench)
    if not definition or _layered_root(bench) is not None:
        return False
    by = f"systemd-repart grows the root's partition at the start, as {definition} says"
    wanted = any(paths_like(bench.fs, one, 1) for one in GROWFS_ROOT)
    if wanted or (root is not None and "x-systemd.growfs" in root.options.split(",")):
        bench.follow_up(f"{by}, and systemd-growfs its filesystem: nothing was changed")
        return True
    if root is None or root.type not in GROWN or not any(exists(bench.fs, one) for one in GROWFS):
        return False
    before = read_small(bench.fs, "/etc/fstab") or b""
    entry = next((one for one in fstab.readable(before) if one.number == root.line), None)
    splices = [] if entry is None else add_options(entry, "x-systemd.growfs")
    if entry is None or not splices or not fits(entry, splices):
        return False
    bench.fs.put("/etc/fstab", apply_splices(before, splices))
    bench.follow_up(f"{by}; systemd-growfs now grows its filesystem")
    return True


def _definition(bench: Workbench) -> str:
    """Return the definition by which systemd-repart grows a root partition to its disk; empty where none does."""
    tables = {one.table for one in bench.facts.value(DISKS_LAYOUT, []) if one.table}
    if not Programs(bench.fs).path("systemd-repart") or (tables and "gpt" not in tables):
        return ""
    if real_path(bench.fs, REPART_UNIT) == "/dev/null":
        return ""
    seen: dict[str, str] = {}
    for path in (path for one in REPART for path in paths_like(bench.fs, one, MOST_DEFINITIONS)):
        seen.setdefault(path.rpartition("/")[2], path)
    for path in seen.values():
        parts = [path, *paths_like(bench.fs, f"{path}.d/*.conf", MOST_DEFINITIONS)]
        text = b"\n".join(read_small(bench.fs, one) or b"" for one in parts)
        if _ROOT_TYPE.search(text) and not _LIMIT.search(text):
            return path
    return ""


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


def _root(bench: Workbench) -> Mount | None:
    return next((one for one in bench.facts.value(FSTAB_ENTRIES, []) if one.mount == "/"), None)


def _layered_root(bench: Workbench) -> Evidence | None:
    """Return the entry of fstab by which the root is on LVM, device-mapper or an array; None where it is not."""
    root = _root(bench)
    if root is None:
        return None
    table = bench.facts.value(DISKS_UUID_BY_DEVICE, {})
    tag = devices.tag(root.spec)
    names = [root.spec, *(name for name, spec in table.items() if tag and devices.tag(spec) == tag)]
    return Evidence("/etc/fstab", root.line, root.spec) if any(map(devices.is_layered, names)) else None
