"""Limits of room: free space and inodes on / and /boot, before anything is planned.

Judged where the numbers are those of the guest's own filesystems: an image, or a mounted tree, but not a
copy of files in a folder of the host. Apply checks again, everywhere, for exactly what it writes.
"""

from __future__ import annotations

from collections.abc import Iterator

from guestfix.base.catalog.facts.system import KERNEL_DEFAULT, KERNELS, OS_FAMILY
from guestfix.base.errors import GuestError
from guestfix.base.facts import Evidence, Facts, Finding
from guestfix.base.guest import GuestFS, Space
from guestfix.pack.model import Target

MIB = 1024 * 1024
ROOT_BYTES = 250 * MIB
BOOT_BYTES = 20 * MIB
WINDOWS_BYTES = 6 * 1024 * MIB
INODES = 200


def check(guest: GuestFS, facts: Facts, target: Target) -> list[Finding]:
    """Report a filesystem that is nearly full."""
    if facts.value(OS_FAMILY) == "windows":
        return list(_short(guest, "/", WINDOWS_BYTES, "drivers and their packages"))
    root = list(_short(guest, "/", ROOT_BYTES, "originals, drivers and the journal"))
    if _same(_space(guest, "/"), _space(guest, "/boot")):
        return root
    needed = max(BOOT_BYTES, _initrd(guest, facts))
    return [*root, *_short(guest, "/boot", needed, "a new initramfs beside the old one")]


def _space(guest: GuestFS, path: str) -> Space | None:
    try:
        return guest.space(path)
    except GuestError:
        return None


def _same(one: Space | None, other: Space | None) -> bool:
    return one is None or other is None or one.filesystem == other.filesystem


def _initrd(guest: GuestFS, facts: Facts) -> int:
    """Return the size of the default kernel's initramfs, 0 where it isn't known."""
    default = facts.value(KERNEL_DEFAULT)
    path = next((one.initrd for one in facts.value(KERNELS) or () if one.release == default), None)
    try:
        found = guest.stat(path) if path else None
    except GuestError:
        return 0
    return found.size if found is not None else 0


def _short(guest: GuestFS, path: str, needed: int, what: str) -> Iterator[Finding]:
    space = _space(guest, path)
    if space is None or not space.own:
        return
    name = "ROOT" if path == "/" else "BOOT"
    if space.free_bytes < needed:
        free = f"{space.free_bytes // MIB} MiB free of {space.total_bytes // MIB} MiB"
        summary = f"the filesystem of {path} has only {free}; {needed // MIB} MiB are wanted for {what}"
        remedy = "free some space, or enlarge the filesystem, before the migration"
        yield Finding(f"GF-SPACE-{name}", "warning", summary, (Evidence(path, 0, free),), remedy)
    if space.free_inodes is not None and space.free_inodes < INODES:
        summary = f"the filesystem of {path} has only {space.free_inodes} free inodes; each new or kept file needs one"
        remedy = "remove files that are not needed, such as old kernels and caches"
        evidence = (Evidence(path, 0, f"{space.free_inodes} free inodes"),)
        yield Finding(f"GF-SPACE-{name}-INODES", "warning", summary, evidence, remedy)
