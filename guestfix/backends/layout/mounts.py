"""What is mounted where in a guest: by its fstab, and by what it goes by without. Shared by all disk backends."""

from __future__ import annotations

from collections.abc import Sequence

from guestfix.backends.damage import REPAIR
from guestfix.backends.layout.fstab import fstab_entries
from guestfix.backends.layout.given import family_elsewhere, name_arrays, name_opened
from guestfix.backends.layout.model import DiskInfo, Layout, Mount, Part, Root, SubvolumesOf, ViewOf, named
from guestfix.backends.layout.roots import choose, nothing, roots
from guestfix.backends.layout.separate import usr_of
from guestfix.backends.layout.untabled import Tree, loader_partition, untabled
from guestfix.backends.layout.windows import system_partitions
from guestfix.backends.volumes.names import Names, disk_names, family_of
from guestfix.backends.volumes.partitions import DISCOVERED_ROOTS, LDM_TYPES
from guestfix.backends.volumes.probe import Probe
from guestfix.base.guest import Disk, Disks, Placed, Volume
from guestfix.base.record import replace

MAX_MOUNTS = 64
_SKIPPED_TYPES = ("swap", "proc", "sysfs", "tmpfs", "devpts", "iso9660", "udf", "nfs", "nfs4", "cifs", "none", "ignore")


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
    found = roots(parts, view, subvolumes, failed)
    if not found:
        why = [*problems, *filter(None, failed)]
        raise nothing(parts, why, REPAIR if failed else "")
    root = choose(found, parts, wanted)
    names = named(parts, family_of(root.fstab) or family_elsewhere(view(root.part, root.subvolume)))
    name_arrays(names, parts, view(root.part, root.subvolume))
    name_opened(names, parts, view(root.part, root.subvolume))
    mounts, missing, more = _mounts(root, parts, names, view)
    seen = replace(_disks(disks, parts, names, names.all(root.part.key)[0]), mounts=more)
    return Layout(root, mounts, seen, names, missing)


def _mounts(
    root: Root, parts: Sequence[Part], names: Names, view: ViewOf
) -> tuple[tuple[Mount, ...], tuple[str, ...], tuple[Placed, ...]]:
    """Return all mounts, what can't be mounted, and the path and device of each mount that fstab does not have."""
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
        return _sorted(found), tuple(missing), ()
    _add_more(root, found, parts, names, view)
    return _sorted(found), tuple(missing), _placed(root, found, names)


def _placed(root: Root, found: dict[str, Mount], names: Names) -> tuple[Placed, ...]:
    more = [Placed(path, names.primary(one.part.key), one.by) for path, one in found.items() if one.by]
    if _has_root(root) or not (more or root.part.type in DISCOVERED_ROOTS):
        return tuple(more)
    by = "type" if root.part.type in DISCOVERED_ROOTS else "root"
    return (Placed("/", names.primary(root.part.key), by), *more)


def _has_root(root: Root) -> bool:
    return any(entry.mount == "/" for entry in fstab_entries(root.fstab))


def _sorted(found: dict[str, Mount]) -> tuple[Mount, ...]:
    return tuple(found[path] for path in sorted(found))


def _add_more(root: Root, found: dict[str, Mount], parts: Sequence[Part], names: Names, view: ViewOf) -> None:
    """Mount what a Linux guest goes by without a line in fstab: its /usr, its loader's partitions, all else."""
    tree = Tree(root, view)
    for path, one in found.items():
        tree.add(path, one.part, one.subvolume)
    usr = usr_of(root, parts, view) if "/usr" not in found else None
    if usr is not None:
        found["/usr"] = Mount("/usr", usr, added=tree.list("/usr") is None, by="usr")
        tree.add("/usr", usr)
    taken = {one.part.key for one in found.values()}
    near = sorted(parts, key=lambda part: part.disk != root.part.disk)
    more = loader_partition(tree, near, taken) if _has_root(root) else untabled(tree, near, names, taken)
    for one in more:
        if len(found) < MAX_MOUNTS:
            found[one.path] = one
            tree.add(one.path, one.part)


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
