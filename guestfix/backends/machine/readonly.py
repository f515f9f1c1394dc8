"""Btrfs subvolumes that are marked read-only, as the root of a system with transactional updates is.

Such a mark is no mount option: who owns the filesystem takes it off for a change and puts it back (btrfs-property(8),
BTRFS_IOC_SUBVOL_GETFLAGS and _SETFLAGS in linux/btrfs.h).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable

_GET, _SET, _READ_ONLY = 0x80089419, 0x4008941A, 2
_ROOT_INODE = 256


class Subvolumes:
    """The marks that were taken off. ``open`` does so, ``close`` puts every one back."""

    def __init__(self) -> None:
        self._opened: list[str] = []

    def open(self, places: Iterable[str]) -> None:
        """Take the mark off the subvolumes that are mounted at these places; others are passed over."""
        for place in places:
            if os.stat(place).st_ino == _ROOT_INODE and place not in self._opened and _change(place, on=False):
                self._opened.append(place)

    def close(self) -> None:
        """Put the marks back; the subvolumes are still mounted."""
        while self._opened:
            _change(self._opened[-1], on=True)
            self._opened.pop()


def _change(place: str, *, on: bool) -> bool:
    """Set or clear the mark; False where it is so already, or where this is no Btrfs. OSError where that fails."""
    import fcntl

    folder = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            flags = struct.unpack("Q", fcntl.ioctl(folder, _GET, bytes(8)))[0]
        except OSError:
            return False
        if bool(flags & _READ_ONLY) == on:
            return False
        fcntl.ioctl(folder, _SET, struct.pack("Q", flags | _READ_ONLY if on else flags & ~_READ_ONLY))
        return True
    finally:
        os.close(folder)
