"""One at a time: a lock by which apply and revert keep each other off a guest in a folder.

It is flock(2) on the folder itself, so nothing is left in the guest, and the kernel lets go of it however guestfix
ends. The kernel keeps such a lock of a folder for itself even where files are on another host (NFS, CIFS): it holds
against every process of this host, not against other hosts. There, the journal that an apply writes first is what
stops a second one. Where a filesystem knows no locks, there is none.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress

from guestfix.backends.beneath import Beneath
from guestfix.base.errors import Blocked
from guestfix.base.guest import GuestFS

PATIENCE = 0.5
"""Seconds that a lock is waited for: a report looks whether it is held by holding it for a moment."""

_TAKEN = (errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK)


class GuestLock:
    """The lock of a guest's folder. It belongs to this object: the same process can't hold it twice by two of them."""

    def __init__(self, folder: Beneath, uri: str) -> None:
        self._folder, self._uri = folder, uri
        self._depth = 0

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock within the block, which may stand in another such. Blocked where somebody else has it."""
        descriptor = self._take() if not self._depth else -1
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if descriptor >= 0:
                os.close(descriptor)

    def busy(self) -> bool:
        """Tell whether somebody else holds the lock."""
        if self._depth:
            return False
        with suppress(OSError):
            descriptor = self._open()
            try:
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError as error:
                return error.errno in _TAKEN
            finally:
                os.close(descriptor)
        return False

    def _open(self) -> int:
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._folder.descriptor)

    def _take(self) -> int:
        try:
            descriptor = self._open()
        except PermissionError:  # who may not read the folder can't lock it
            return -1
        end = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return descriptor
            except OSError as error:
                if error.errno not in _TAKEN:
                    return descriptor
            if time.monotonic() > end:
                who = _holder(descriptor)
                os.close(descriptor)
                raise Blocked(
                    f"another guestfix is changing this guest{who}, so nothing was done",
                    where=self._uri,
                    remedy="wait until it ends; guestfix status GUEST tells",
                    code="GF-APPLY-RUNNING",
                )
            time.sleep(0.02)


def alone(guest: GuestFS) -> AbstractContextManager[None]:
    """Return a context within which no other guestfix of this host changes the guest. Blocked where one does.

    Disk images have locks of their own from the moment they are opened (:mod:`guestfix.backends.disks.inuse`).
    """
    lock = getattr(guest, "lock", None)
    return lock.held() if isinstance(lock, GuestLock) else nullcontext()


def busy(guest: GuestFS) -> bool:
    """Tell whether another guestfix of this host changes the guest now: its folder, or its images in place."""
    lock = getattr(guest, "lock", None)
    if isinstance(lock, GuestLock):
        return lock.busy()
    changing = getattr(getattr(guest, "host_files", None), "changing", None)
    return changing is not None and bool(changing())


def _holder(descriptor: int) -> str:
    """Return the process that has the lock, in words, as far as this process may see it (proc(5), locks)."""
    found = os.fstat(descriptor)
    place = (os.major(found.st_dev), os.minor(found.st_dev), found.st_ino)
    with suppress(OSError), open("/proc/locks", encoding="ascii", errors="replace") as rows:
        for row in rows:
            match = re.search(r"FLOCK +\S+ +\S+ +(\d+) +([0-9a-f]+):([0-9a-f]+):(\d+) ", row)
            if match and (int(match[2], 16), int(match[3], 16), int(match[4])) == place:
                return f" (process {match[1]})"
    return ""
