"""The partition that Windows starts from, which has no place in the tree of its C: volume."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from guestfix.backends.volumes.partitions import ESP_TYPES
from guestfix.base.errors import GuestError

if TYPE_CHECKING:
    from guestfix.backends.layout.model import Part, Root, ViewOf

ESP_PATH, LEGACY_PATH = "/efi", "/system-reserved"


def system_partitions(root: Root, parts: Sequence[Part], view: ViewOf) -> Iterator[tuple[str, Part]]:
    """Yield where to show the EFI system partition, or else the one with bootmgr and a BCD.

    Nothing is shown where several could be it, or where the guest itself has something of that name.
    """
    base = view(root.part, root.subvolume)
    others = [part for part in parts if part.key != root.part.key and part.probe and not part.problem]
    esp = [part for part in others if part.type in ESP_TYPES and part.probe and part.probe.type == "vfat"]
    legacy = [] if esp else [part for part in others if _starts_windows(part, view)]
    for path, found in ((ESP_PATH, esp), (LEGACY_PATH, legacy)):
        if len(found) == 1 and base is not None and base.stat(path) is None:
            yield path, found[0]


def _starts_windows(part: Part, view: ViewOf) -> bool:
    if part.probe is None or part.probe.type not in ("ntfs", "vfat"):
        return False
    seen = view(part, "")
    try:
        return seen is not None and all(seen.stat(path) is not None for path in ("/bootmgr", "/Boot/BCD"))
    except GuestError:
        return False
