"""Which of a guest's volumes is its root, and what its fstab mounts where. Shared by all disk backends.

Nothing here asks: one root is taken, of several none is unless the user names it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from guestfix.backends.damage import REPAIR
from guestfix.backends.layout.fstab import fstab_entries
from guestfix.backends.layout.given import family_elsewhere, name_arrays
from guestfix.backends.layout.system import system_of
from guestfix.backends.layout.windows import system_partitions
from guestfix.backends.volumes.block import CURES, told
from guestfix.backends.volumes.names import Names, disk_names, family_of, scsi_name, spec_names
from guestfix.backends.volumes.partitions import ESP_TYPES, LDM_TYPES
from guestfix.backends.volumes.probe import Probe
from guestfix.base.errors import GuestError, NotAGuest, UsageError
from guestfix.base.facts import Evidence, Finding
from guestfix.base.guest import Disk, Disks, Stat, Volume
from guestfix.base.patterns import regex
from guestfix.base.record import field, frozen

MAX_VOLUMES = 256
MAX_MOUNTS = 64
TABLE_REMEDY = "compare the disk with the old platform's, and copy it again where it differs"
FILESYSTEMS = ("ext2", "ext3", "ext4", "xfs", "btrfs", "jfs", "reiserfs", "vfat", "ntfs", "exfat", "f2fs")
_SKIPPED_TYPES = ("swap", "proc", "sysfs", "tmpfs", "devpts", "iso9660", "udf", "nfs", "nfs4", "cifs", "none", "ignore")
_RESCUE = regex(r"\b(rescue|recovery|livecd|live-cd|systemrescue|memtest)", re.I)


class View(Protocol):
    """The files of one filesystem by itself, as far as the search for a root needs them."""

    def stat(self, path: str, *, follow: bool = True) -> Stat | None:
        """See GuestFS."""

    def read(self, path: str, limit: int = ...) -> bytes:
        """See GuestFS."""

    def list(self, path: str) -> tuple[str, ...]:
        """See GuestFS."""


@frozen
class Part:
    """A block device of the guest. ``disk`` and ``number`` are set for partitions (and 0 for a whole disk).

    ``names`` are the names of volumes above partitions; ``key`` is the backend's own handle. ``snapshot``: a
    logical volume that was made from another one, and so has that one's UUID and label. ``lost``: a disk that it lies
    on is not there.
    """

    key: int
    probe: Probe | None = None
    disk: int = -1
    number: int = 0
    names: tuple[str, ...] = ()
    size: int = 0
    partuuid: str | None = None
    partlabel: str | None = None
    type: str = ""
    problem: str = ""
    snapshot: bool = False
    lost: bool = False
    start: int | None = None


@frozen
class DiskInfo:
    """A whole disk as found: bytes, its partition table's kind and id, and what a BIOS would start (bootcode)."""

    size: int
    table: str
    id: str = ""
    boot: str = ""


@frozen
class Subvolume:
    """A Btrfs subvolume: its path from the top, and whether it was made as a snapshot."""

    path: str
    snapshot: bool = False
    default: bool = False


@frozen
class Root:
    """A place that holds an operating system: a volume, for Btrfs with a subvolume."""

    part: Part
    subvolume: str
    system: str
    rescue: bool
    fstab: bytes = b""


@frozen
class Mount:
    """What is mounted where; ``subvolume`` is a path or ``subvolid:N``, empty for the default one.

    ``added``: the guest has no folder at this path. Windows keeps its system partition without a place in
    its tree; guestfix shows it at one.
    """

    path: str
    part: Part
    subvolume: str = ""
    added: bool = False


@frozen
class Layout:
    """The outcome: the root and all mounts (``/`` first), the disks under the guest's own names."""

    root: Root
    mounts: tuple[Mount, ...]
    disks: Disks
    names: Names = field(default_factory=Names)
    missing: tuple[str, ...] = ()

    def disorder(self) -> str:
        """Return a sentence where fstab has the root on another volume than the one that holds the system."""
        here = self.root.part.key
        for entry in fstab_entries(self.root.fstab):
            key = self.names.find(entry.spec) if entry.mount == "/" and family_of(entry.spec.encode()) else here
            if key not in (None, here):
                return f"the guest's fstab has / on {entry.spec}, but its system is on {self.names.primary(here)}"
        return ""

    def replayed(self) -> tuple[str, ...]:
        """Return where mounting replays a journal; on NTFS the driver only looks whether it may write."""
        unclean = (one for one in self.mounts if one.part.probe is not None and one.part.probe.unclean)
        return tuple(one.path for one in unclean if one.part.probe and one.part.probe.type != "ntfs")


def order_findings(disorder: str) -> tuple[Finding, ...]:
    """Return a blocker where the disks are in another order than the guest knew them: every name would mislead."""
    if not disorder:
        return ()
    return (Finding("GF-DISK-ORDER", "blocker", disorder, (Evidence("/etc/fstab"),)),)


def table_finding(problem: str) -> Finding:
    """Return the finding for a damaged partition table or volume group."""
    return Finding("GF-DISK-TABLE", "warning", problem, (Evidence("disks", 0, problem),), TABLE_REMEDY)


ViewOf = Callable[[Part, str], View | None]
SubvolumesOf = Callable[[Part], Sequence[Subvolume]]


def lay_out(
    disks: Sequence[DiskInfo],
    parts: Sequence[Part],
    view: ViewOf,
    subvolumes: SubvolumesOf,
    wanted: str = "",
    problems: Sequence[str] = (),
) -> Layout:
    """Find the root and what its fstab mounts. ``problems`` is what the backend, by then, found wrong.

    Raises NotAGuest where no volume holds a system, GuestError where several do and ``wanted`` names none.
    """
    failed: list[str] = []
    roots = list(_roots(parts, view, subvolumes, failed))
    if not roots:
        why = [*problems, *filter(None, failed)]
        raise _nothing(parts, _named(parts, len(disks), ""), why, REPAIR if failed else _ALL)
    root = _choose(roots, parts, disks, wanted)
    names = _named(parts, len(disks), family_of(root.fstab) or family_elsewhere(view(root.part, root.subvolume)))
    name_arrays(names, parts, view(root.part, root.subvolume))
    mounts, missing = _mounts(root, parts, names, view)
    return Layout(root, mounts, _disks(disks, parts, names, names.all(root.part.key)[0]), names, missing)


# roots


def _roots(parts: Sequence[Part], view: ViewOf, subvolumes: SubvolumesOf, failed: list[str]) -> Iterator[Root]:
    """Yield what holds a system; ``failed`` gets a sentence for what can't be read, an empty one for no mount."""
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
    named = {_fstab_subvolume(root.fstab) for _, root in found} - {""}
    kept = [root for one, root in found if one.path in named and not _below_snapshots(one.path)]
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


def _choose(roots: list[Root], parts: Sequence[Part], disks: Sequence[DiskInfo], wanted: str) -> Root:
    names = _named(parts, len(disks), "")
    if wanted:
        return _wanted(roots, names, wanted)
    usual = [root for root in roots if not root.rescue] or roots
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


def _nothing(parts: Sequence[Part], names: Names, problems: Sequence[str], advice: str) -> NotAGuest:
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
    open_journal = any(part.probe and part.probe.unclean for part in parts)
    remedy = "read it through uml:, which replays journals, or shut the guest down cleanly" if open_journal else _ALL
    return NotAGuest(f"{text} ({', '.join(seen)})", remedy=remedy)


def _content(part: Part) -> str:
    if part.probe is None:
        return "nothing known"
    return f"{part.probe.type}{', with a journal that was not closed' if part.probe.unclean else ''}"


_ALL = "see that these are disk images, all of the guest's, in their order"


def device_title(part: Part) -> str:
    """Return a volume's name for messages, before the guest's own names are known."""
    return part.names[0] if part.names else disk_names(part.disk, part.number, "sd")[0]


# names and mounts


def _named(parts: Sequence[Part], disks: int, family: str) -> Names:
    names = Names()
    for part in parts:
        if part.disk >= 0:
            names.add(part.key, disk_names(part.disk, part.number, family or "sd"))
        else:
            names.add(part.key, part.names)
    for part in sorted(parts, key=lambda part: part.snapshot):  # a snapshot does not answer for its origin
        names.add_specs(part.key, spec_names(part.probe, part.partuuid, part.partlabel))
    return names


def _mounts(root: Root, parts: Sequence[Part], names: Names, view: ViewOf) -> tuple[tuple[Mount, ...], tuple[str, ...]]:
    by_key = {part.key: part for part in parts}
    found = {"/": Mount("/", root.part, root.subvolume)}
    missing = []
    for entry in fstab_entries(root.fstab):
        path = "/" + "/".join(piece for piece in entry.mount.split("/") if piece)
        if path == "/" or not entry.mount.startswith("/") or ".." in path.split("/") or entry.type in _SKIPPED_TYPES:
            continue
        if "noauto" in entry.options and not path.startswith(("/boot", "/efi")):
            continue
        key = names.find(entry.spec)
        if key is None or len(found) >= MAX_MOUNTS:
            continue
        part = by_key[key]
        if part.problem or part.probe is None or view(part, entry.subvolume) is None:
            missing.append(f"{path} ({entry.spec}): {part.problem or 'its filesystem can not be read here'}")
            continue
        found.setdefault(path, Mount(path, part, entry.subvolume))
    if root.system == "Windows":
        for path, part in system_partitions(root, parts, view):
            found[path] = Mount(path, part, added=True)
    else:
        _add_esp(root, found, parts, view)
    return tuple(found[path] for path in sorted(found)), tuple(missing)


def _add_esp(root: Root, found: dict[str, Mount], parts: Sequence[Part], view: ViewOf) -> None:
    """Mount the EFI system partition where the guest has an empty folder for it but no fstab line.

    systemd-gpt-auto-generator(8) does so on /efi or /boot; here /boot/efi counts too.
    """
    esp = [part for part in parts if part.type in ESP_TYPES and part.probe and part.probe.type == "vfat"]
    if len(esp) != 1 or any(mount.part.key == esp[0].key for mount in found.values()):
        return
    base = view(root.part, root.subvolume)
    for path in ("/boot/efi", "/efi"):
        if base is not None and "/boot" not in found and base.stat(path) is not None and not base.list(path):
            found[path] = Mount(path, esp[0])
            return


def _disks(disks: Sequence[DiskInfo], parts: Sequence[Part], names: Names, root: str = "") -> Disks:
    family = names.family
    whole = []
    for index, disk in enumerate(disks):
        volumes = tuple(_volume(part, names) for part in parts if part.disk == index and part.number)
        dynamic = any(part.disk == index and part.type in LDM_TYPES for part in parts)
        table = "ldm" if dynamic else disk.table or None
        whole.append(Disk(disk_names(index, 0, family)[0], disk.size, table, volumes, disk.id or None, disk.boot))
    above = tuple(_volume(part, names) for part in parts if part.disk < 0 or not part.number)
    return Disks(tuple(whole), above, read=True, root=root)


def _volume(part: Part, names: Names) -> Volume:
    every = names.all(part.key)
    probe = part.probe or Probe("")
    return Volume(
        every[0],
        every[1:],
        probe.type or None,
        probe.uuid,
        probe.label,
        part.partuuid,
        part.partlabel,
        part.size or None,
        probe.unclean,
        part.lost,
        part.start,
    )
