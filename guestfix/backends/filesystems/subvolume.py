"""How a Btrfs subvolume is named in mount options, where a comma ends an option and nothing escapes it (mount(2))."""

from __future__ import annotations

from guestfix.backends.volumes.block import DiskError
from guestfix.base.patterns import regex

BY_NUMBER = "subvolid:"
_PLAIN = regex(r"[^,\x00-\x1f\x7f]+")


def name_of(path: str, number: str | int) -> str:
    """Return a subvolume's path, or ``subvolid:N`` where its path can't be an option."""
    return path if _PLAIN.fullmatch(path) and not path.startswith(BY_NUMBER) else f"{BY_NUMBER}{number}"


def option_for(subvolume: str) -> str:
    """Return the mount option for a path or ``subvolid:N``. Raises DiskError for what would be more than one option."""
    number = subvolume.removeprefix(BY_NUMBER)
    if number != subvolume and number.isdecimal():
        return f"subvolid={number}"
    if number != subvolume or not _PLAIN.fullmatch(subvolume):
        remedy = "name it by its number: --root DEVICE:subvolid:N (btrfs subvolume list)"
        raise DiskError(f"the subvolume {subvolume[:80]!r} can't be a mount option", remedy=remedy)
    return f"subvol=/{subvolume}"
