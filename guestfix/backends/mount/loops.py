"""Loop devices over a guest's disks: one for each partition, which goes with the process that made it.

The kernel never looks at a partition table here, and udev at none of these devices: an exclusive lock on a block device
keeps it from that for as long as it is held (https://systemd.io/BLOCK_DEVICE_LOCKING/).
Source: loop(4), linux/loop.h.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import time

_SET_FD, _CLR_FD, _SET_STATUS, _CONFIGURE, _GET_FREE = 0x4C00, 0x4C01, 0x4C04, 0x4C0A, 0x4C82
_AUTOCLEAR = 4
_INFO = struct.Struct("=5Q4I64s64s32s2Q")
_CONFIG = struct.Struct(f"=2I{_INFO.size}s8Q")
_OLD = (errno.ENOTTY, errno.EINVAL)
LOCK_SECONDS = 10.0
"""How long udev may hold a loop device that it is still looking at."""
_TRIES = 64


class Loop:
    """A loop device over a span of a file. It is there until it is closed and nothing uses it any more."""

    def __init__(self, file: int, start: int, size: int) -> None:
        """``file`` is open for reading and writing. OSError where the kernel has no loop device or refuses the span."""
        for _ in range(_TRIES):
            self.path = f"/dev/loop{_free()}"
            self._held = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                _lock(self._held)
                _attach(self.path, file, start, size)
                return
            except OSError as error:
                os.close(self._held)
                if error.errno != errno.EBUSY:  # another program took it meanwhile
                    raise
        raise OSError(errno.EBUSY, "no free loop device is to be had", "/dev/loop-control")

    def close(self) -> None:
        """Write all out and let go of it; the kernel detaches what nothing else uses."""
        try:
            os.fsync(self._held)
        finally:
            os.close(self._held)


def _free() -> int:
    control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
    try:
        return fcntl.ioctl(control, _GET_FREE)
    finally:
        os.close(control)


def _lock(descriptor: int) -> None:
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise OSError(errno.EBUSY, os.strerror(errno.EBUSY)) from None
            time.sleep(0.01)


def _attach(path: str, file: int, start: int, size: int) -> None:
    """Let a loop device show a span; open for writing only meanwhile, for some kernels mount nothing that is."""
    info = _INFO.pack(0, 0, 0, start, size, 0, 0, 0, _AUTOCLEAR, b"guestfix", b"", b"", 0, 0)
    device = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        try:
            fcntl.ioctl(device, _CONFIGURE, _CONFIG.pack(file, 0, info, *(0,) * 8))
        except OSError as error:
            if error.errno not in _OLD:
                raise
            attach_by_steps(device, file, info)
    finally:
        os.close(device)


def attach_by_steps(device: int, file: int, info: bytes) -> None:
    """Do what Linux before 5.8 has no single call for."""
    fcntl.ioctl(device, _SET_FD, file)
    try:
        fcntl.ioctl(device, _SET_STATUS, info)
    except OSError:
        fcntl.ioctl(device, _CLR_FD)
        raise
