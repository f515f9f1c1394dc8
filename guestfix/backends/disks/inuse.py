"""The locks by which QEMU tells who has an image open, and for what (block/file-posix.c, block/block-int.h)."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct

_OFD_GETLK, _OFD_SETLK = 36, 37
_HELD, _REFUSED = 100, 200
"""The byte of a permission that is held, and of one that nobody else may hold: these plus the permission's bit."""

_OURS = 300
"""A byte of none of QEMU's, which a guestfix holds that changes the file in place."""

_READ, _WRITE, _RESIZE = 0, 1, 3
"""The bits of BLK_PERM_CONSISTENT_READ, BLK_PERM_WRITE and BLK_PERM_RESIZE."""

_FLOCK = "hhqqi4x"
_CONFLICT = (errno.EAGAIN, errno.EACCES)


def in_use(file: str | int) -> bool:
    """Tell whether a QEMU, here or on this file's other hosts where locks reach, may write to a file or descriptor."""
    if isinstance(file, int):
        return _taken(file, _HELD + _WRITE)
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        return _taken(descriptor, _HELD + _WRITE)
    finally:
        os.close(descriptor)


def changing(descriptor: int) -> bool:
    """Tell whether another guestfix changes a file in place."""
    return _taken(descriptor, _OURS)


def lock(descriptor: int, *, write: bool) -> bool:
    """Lock a file as a QEMU does that reads it, or writes to it; False where another one stands against that.

    The locks belong to the open file and go with it. Where the filesystem knows no locks there are none, as in QEMU.
    """
    held = (_READ, _WRITE, _RESIZE) if write else (_READ,)
    bytes_ = [
        *(_HELD + bit for bit in held),
        *(_REFUSED + bit for bit in (_WRITE, _RESIZE)),
        *((_OURS,) if write else ()),
    ]
    for byte in bytes_:
        try:
            fcntl.fcntl(descriptor, _OFD_SETLK, struct.pack(_FLOCK, fcntl.F_RDLCK, os.SEEK_SET, byte, 1, 0))
        except OSError as error:
            return error.errno not in _CONFLICT
    against = [_HELD + _WRITE, _HELD + _RESIZE, *(_REFUSED + bit for bit in held)]
    return not any(_taken(descriptor, byte) for byte in against)


def unlock(descriptor: int) -> None:
    """Give back every lock of an open file."""
    with contextlib.suppress(OSError):
        fcntl.fcntl(descriptor, _OFD_SETLK, struct.pack(_FLOCK, fcntl.F_UNLCK, os.SEEK_SET, 0, 0, 0))


def _taken(descriptor: int, byte: int) -> bool:
    wanted = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, byte, 1, 0)
    try:
        found: int = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, _OFD_GETLK, wanted))[0]
    except OSError:
        return False
    return found != fcntl.F_UNLCK
