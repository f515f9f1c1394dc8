"""Which of a guest's volumes holds its operating system.

Nothing here asks: one root is taken, of several none is unless the user names it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from guestfix.backends.layout.fstab import fstab_entries
from guestfix.backends.layout.model import (
    MAX_VOLUMES,
    Part,
    Root,
    Subvolume,
    SubvolumesOf,
    View,
    ViewOf,
    device_title,
    named,
)
from guestfix.backends.layout.separate import shells
from guestfix.backends.layout.system import system_of
from guestfix.backends.volumes.block import CURES, told
from guestfix.backends.volumes.names import Names, scsi_name, spec_names
from guestfix.base.errors import GuestError, NotAGuest, UsageError
from guestfix.base.patterns import regex

FILESYSTEMS = ("ext2", "ext3", "ext4", "xfs", "btrfs", "jfs", "reiserfs", "vfat", "ntfs", "exfat", "f2fs")
_RESCUE = regex(r"\b(rescue|recovery|livecd|live-cd|systemrescue|memtest)", re.I)


def roots(parts: Sequence[Part], view: ViewOf, subvolumes: SubvolumesOf, failed: list[str]) -> list[Root]:
    """Return what holds a system, or else what is the root of one whose /usr is elsewhere.

    ``failed`` gets a sentence for each volume that can't be read, an empty one where it can't be mounted.
    """
    return list(_whole(parts, view, subvolumes, failed)) or list(shells(parts, view, failed))


def _whole(parts: Sequence[Part], view: ViewOf, subvolumes: SubvolumesOf, failed: list[str]) -> Iterator[Root]:
    for part in parts[:MAX_VOLUMES]:
        if part.probe is None or part.probe.type not in FILESYSTEMS or part.problem:
            continue
        found = []
        for one in _places(part, subvolumes):
            seen = view(part, one.path)
            root = _root(part, one, seen, failed)
            if root is not None:
                found.append((one, root))
        yield from _without_snapshots(found)


def _places(part: Part, subvolumes: SubvolumesOf) -> Sequence[Subvolume]:
    if part.probe is not None and part.probe.type == "btrfs":
        return list(subvolumes(part))[:MAX_VOLUMES]
    return [Subvolume("", default=True)]


def _without_snapshots(found: list[tuple[Subvolume, Root]]) -> Iterator[Root]:
    """Drop snapshots: of several roots on one Btrfs, those made as snapshots, unless the default is one.

    A system that was rolled back runs from a writable snapshot that is the default subvolume (openSUSE).
    """
    told_of = {_fstab_subvolume(root.fstab) for _, root in found} - {""}
    kept = [root for one, root in found if one.path in told_of and not _below_snapshots(one.path)]
    default = [root for one, root in found if one.default]
    plain = [root for one, root in found if not one.snapshot]
    yield from (kept if len(kept) == 1 else default or plain or [root for _, root in found])


def _below_snapshots(path: str) -> bool:
    return bool(re.search(r"(^|/)(\.snapshots|snapshots?|timeshift(-btrfs)?)/", path))


def _fstab_subvolume(fstab: bytes) -> str:
    for entry in fstab_entries(fstab):
        if entry.mount == "/":
            return entry.subvolume.strip("/")
    return ""


def _root(part: Part, place: Subvolume, view: View | None, failed: list[str]) -> Root | None:
    if view is None:
        failed.append("")
        return None
    try:
        system = system_of(view)
        if not system:
            return None
        fstab = view.read("/etc/fstab") if view.stat("/etc/fstab") else b""
    except GuestError as error:
        failed.append(told(f"{device_title(part)}: {error.what}", of=error.what))
        return None
    label = (part.probe.label or "") if part.probe else ""
    rescue = bool(_RESCUE.search(" ".join((system, label, *part.names))))
    return Root(part, place.path, system, rescue, fstab)


def choose(found: list[Root], parts: Sequence[Part], wanted: str) -> Root:
    """Return the root that is meant; GuestError where several may be, UsageError where ``wanted`` is none of them."""
    names = named(parts, "")
    if wanted:
        return _wanted(found, names, wanted)
    usual = [root for root in found if not root.rescue] or found
    usual = [root for root in usual if not root.part.snapshot] or usual
    if len(usual) == 1:
        return usual[0]
    lines = "\n  ".join(f"{_title(root, names)}: {root.system}" for root in usual)
    raise GuestError(
        f"{len(usual)} operating systems found, and only one can be repaired at a time:\n  {lines}",
        remedy=f"name one, for example --root {_title(usual[0], names)}",
        code="GF-OS-SEVERAL-ROOTS",
    )


def _title(root: Root, names: Names) -> str:
    device = names.primary(root.part.key)
    return f"{device}:{root.subvolume}" if root.subvolume else device


def _wanted(roots: list[Root], names: Names, wanted: str) -> Root:
    device, _, subvolume = wanted.partition(":")
    scsi = scsi_name(device)
    matching = [
        root
        for root in roots
        if device in names.all(root.part.key)
        or (scsi and scsi in names.all(root.part.key))
        or device in spec_names(root.part.probe, root.part.partuuid, root.part.partlabel)
    ]
    if subvolume:
        matching = [root for root in matching if root.subvolume == subvolume.strip("/")]
    if len(matching) == 1:
        return matching[0]
    found = ", ".join(_title(root, names) for root in roots) or "none"
    raise UsageError(
        f"--root {wanted} names {len(matching)} of the systems found", remedy=f"the systems found are: {found}"
    )


def nothing(parts: Sequence[Part], problems: Sequence[str], advice: str = "") -> NotAGuest:
    """Return the error that no volume holds a system, with all that is in the way and what to do next."""
    names, advice = named(parts, ""), advice or _ALL
    text = "no operating system was found on the disks"
    said = [told(f"{names.primary(part.key)}: {part.problem}", of=part.problem) for part in parts if part.problem]
    said = list(dict.fromkeys([*said, *(told(one, of=one) for one in problems)]))
    if said:
        cures = {one.cure for one in said}
        remedy = next((cure for one, cure in CURES.items() if one in cures), advice)
        return NotAGuest("; ".join([text, *said]), remedy=remedy)
    if not any(part.probe for part in parts):
        return NotAGuest(f"{text}: there is neither a partition table nor a filesystem on them", remedy=_ALL)
    seen = [f"{names.primary(part.key)}: {_content(part)}" for part in parts[:21]]
    elsewhere = next((_UNREAD[part.probe.type] for part in parts if part.probe and part.probe.type in _UNREAD), "")
    if elsewhere:
        return NotAGuest(f"{text} that are read here ({', '.join(seen)})", remedy=elsewhere)
    open_journal = any(part.probe and part.probe.unclean for part in parts)
    remedy = (
        "read it through uml: or qemu:, which replay journals, or shut the guest down cleanly" if open_journal else _ALL
    )
    return NotAGuest(f"{text} ({', '.join(seen)})", remedy=remedy)


def _content(part: Part) -> str:
    if part.probe is None:
        return "nothing known"
    return f"{part.probe.type}{', with a journal that was not closed' if part.probe.unclean else ''}"


_UNREAD = {
    "ufs": "no backend reads UFS: mount it on the BSD that it is of, and name that folder, with --disks; for a report, "
    "Linux reads it: mount -t ufs -o ro,ufstype=ufs2",
    "zfs_member": "no backend reads ZFS: import the pool elsewhere (zpool import -R FOLDER), and name that folder",
}
"""Filesystems that are known by their first bytes, and who reads them instead."""

_ALL = "see that these are disk images, all of the guest's, in their order"
