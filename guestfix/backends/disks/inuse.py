"""Whether another program has a disk image open for writing, as far as QEMU's locks tell."""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterable, Iterator

_OFD_GETLK = 36
_SHARED_WRITE = 100 + 1
"""The byte that QEMU locks while it may write: 100 plus the bit of BLK_PERM_WRITE (block/file-posix.c)."""

_FLOCK = "hhqqi4x"


def files_in_use(paths: Iterable[str]) -> Iterator[str]:
    """Yield the files that :func:`in_use` holds for; each is looked at only when it is its turn."""
    return filter(in_use, paths)


def in_use(path: str) -> bool:
    """Tell whether a QEMU, here or on this file's other hosts where locks reach, may write to the file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        wanted = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, _SHARED_WRITE, 1, 0)
        found: int = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, _OFD_GETLK, wanted))[0]
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return found != fcntl.F_UNLCK
