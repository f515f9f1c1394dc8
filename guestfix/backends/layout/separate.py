"""A /usr on a partition of its own, as image-based hosts have it: the root may have no more than mount points then.

Sources: systemd-gpt-auto-generator(8) and the Discoverable Partitions Specification (types of root and /usr); Flatcar's
"Disk partitions" (two /usr partitions, one of them started by the priorities in their GPT entries); the Boot Loader
Specification and kernel-command-line(7) (``mount.usr=``, ``usrhash=``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from guestfix.backends.layout.model import MAX_VOLUMES, Part, Root, View, ViewOf, device_title
from guestfix.backends.layout.system import release_name
from guestfix.backends.volumes.block import told
from guestfix.backends.volumes.names import spec_names
from guestfix.backends.volumes.partitions import BOOT_TYPES, PRIORITY_TYPES, ROOT_TYPES, USR_TYPES
from guestfix.base.errors import GuestError
from guestfix.base.patterns import regex

RELEASE = "/lib/os-release"
_ENTRIES = "/loader/entries"
_MOST_ENTRIES = 64
_ARGUMENT = regex(r"(?:^|[\s\"'])(?:mount\.usr|usr|verity\.usr|systemd\.verity_usr_data)=[\"']?([^\s\"']+)", re.M)
_VERSION = regex(r"_(\d[\w.+~-]*)$")


def shells(parts: Sequence[Part], view: ViewOf, failed: list[str]) -> Iterator[Root]:
    """Yield the roots that have an empty /usr, or none, where another volume holds a whole one.

    ``failed`` gets a sentence for each that can't be read.
    """
    trees = usr_trees(parts, view)
    if not trees:
        return
    others = [one for one in parts[:MAX_VOLUMES] if one.key not in {tree.key for tree in trees}]
    found = [(one, seen) for one in others if (seen := _seen(one, view)) is not None and _is_shell(one, seen)]
    typed = [(one, seen) for one, seen in found if one.type in ROOT_TYPES]
    for part, seen in typed or found:
        usr = usr_of(Root(part, "", "", False), parts, view)
        base = _seen(usr, view) if usr is not None else None
        if base is None:
            continue
        try:
            fstab = seen.read("/etc/fstab") if seen.stat("/etc/fstab") else b""
            yield Root(part, "", release_name(base, RELEASE), False, fstab)
        except GuestError as error:
            failed.append(told(f"{device_title(part)}: {error.what}", of=error.what))


def usr_of(root: Root, parts: Sequence[Part], view: ViewOf) -> Part | None:
    """Return the volume that is mounted at /usr where the root has none; None where it has, or where none can be told.

    Of several it is the one that a loader's entry names, else that of the highest priority in its GPT entry, else the
    newest by the version in its label, else the first on the root's disk.
    """
    base = _seen(root.part, view) if not root.subvolume else view(root.part, root.subvolume)
    if base is None or not _lacks_usr(base):
        return None
    found = [tree for tree in usr_trees(parts, view) if tree.key != root.part.key]
    if len(found) < 2:
        return found[0] if found else None
    said = _named(found, parts, view)
    if said is not None:
        return said
    kept = [one for one in found if _priority(one)] or found
    return max(kept, key=lambda one: (_priority(one), _version(one), one.disk == root.part.disk, -one.key))


def usr_trees(parts: Sequence[Part], view: ViewOf) -> list[Part]:
    """Return the volumes whose top is a whole /usr. Only volumes that can be one are looked into."""
    return [one for one in parts[:MAX_VOLUMES] if (seen := _seen(one, view)) is not None and _is_tree(seen)]


def _seen(part: Part, view: ViewOf) -> View | None:
    if part.probe is None or part.problem or part.probe.type not in ("ext2", "ext3", "ext4", "xfs", "btrfs"):
        return None
    return view(part, "")


def _is_tree(seen: View) -> bool:
    try:
        inside = all(_is_folder(seen, path) for path in ("/bin", "/lib", "/share"))
        found = seen.stat(RELEASE) if inside and seen.stat("/etc/fstab") is None else None
        return found is not None and found.kind == "file"
    except GuestError:
        return False


def _is_shell(part: Part, seen: View) -> bool:
    """Tell a root from a data volume: by its type or label, or by the folders that every root has."""
    try:
        known = part.type in ROOT_TYPES or "root" in (label.lower() for label in _labels(part))
        return _lacks_usr(seen) and (known or all(_is_folder(seen, path) for path in ("/etc", "/var", "/usr")))
    except GuestError:
        return False


def _lacks_usr(seen: View) -> bool:
    try:
        return not seen.list("/usr")
    except GuestError:
        return False


def _is_folder(seen: View, path: str) -> bool:
    found = seen.stat(path)
    return found is not None and found.kind == "dir"


def _labels(part: Part) -> list[str]:
    return [one for one in (part.partlabel, part.probe.label if part.probe else None) if one]


def _priority(part: Part) -> int:
    """Return the priority of a /usr that two take turns for; 0 for one that is switched off, or has none."""
    if part.type not in PRIORITY_TYPES:
        return 0
    priority, tries, well = (part.attributes >> at & mask for at, mask in ((48, 15), (52, 15), (56, 1)))
    return priority if well or tries else 0


def _version(part: Part) -> list[tuple[int, str]]:
    """Return the version in a partition's label (``NAME_VERSION``), as something that compares by numbers."""
    match = _VERSION.search(part.partlabel or "") if part.type in USR_TYPES else None
    words: list[str] = re.findall(r"\d{1,18}|[A-Za-z]+", match[1]) if match else []
    return [(int(word), "") if word.isdigit() else (-1, word) for word in words]


def _named(found: Sequence[Part], parts: Sequence[Part], view: ViewOf) -> Part | None:
    """Return the one that all entries of a loader's folder agree upon."""
    said: set[int] = set()
    for boot in [one for one in parts[:MAX_VOLUMES] if one.type in BOOT_TYPES and not one.problem]:
        seen = view(boot, "")
        for name in _entries(seen) if seen is not None else ():
            try:
                text = seen.read(f"{_ENTRIES}/{name}").decode("utf-8", "replace") if seen is not None else ""
            except GuestError:
                continue
            wanted = {value.lower() for value in _ARGUMENT.findall(text)}
            said |= {one.key for one in found if wanted & set(map(str.lower, _specs(one)))}
    return next((one for one in found if {one.key} == said), None)


def _entries(seen: View) -> list[str]:
    try:
        return [name for name in seen.list(_ENTRIES) if name.endswith(".conf")][:_MOST_ENTRIES]
    except GuestError:
        return []


def _specs(part: Part) -> tuple[str, ...]:
    return spec_names(part.probe, part.partuuid, part.partlabel)
