"""What an error of the kernel says of a guest's files, and what to do next (errno(3)).

A damaged filesystem has many errors: EUCLEAN, EBADMSG, EIO, ESTALE, ELOOP, EOVERFLOW and whatever a driver makes of a
wild number. So every error that has no other remedy is taken for damage.
"""

from __future__ import annotations

import errno
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from guestfix.base.errors import GuestError, GuestfixError, Packed, Unreadable

REPAIR = "if this is a damaged filesystem, check and repair it in a copy (fsck), then try again"
MORE_FILES = "allow more open files (ulimit -n 8192), or make one image of its many files: qemu-img convert"
_OTHERS = {
    errno.EACCES: "run as a user who may read and write the guest's files",
    errno.EPERM: "run as a user who may read and write the guest's files",
    errno.ENOSPC: "free some room there, then try again",
    errno.EDQUOT: "free some room there, then try again",
    errno.EMFILE: MORE_FILES,
    errno.ENFILE: "end programs that have many files open, then try again",
    errno.ENOMEM: "end other programs, then try again",
    errno.EROFS: "mount it writable; a damaged filesystem becomes read-only by itself: check it in a copy (fsck)",
    errno.EEXIST: "see what has this name already, then try again",
}


def remedy_of(error: BaseException | None) -> str:
    """Return what to do about an error of the kernel; of guestfix's own errors the remedy that they have."""
    if isinstance(error, OSError):
        return _OTHERS.get(error.errno or 0, REPAIR)
    return error.remedy if isinstance(error, GuestfixError) else ""


def reason_of(error: OSError) -> str:
    """Return the kernel's words."""
    return error.strerror or str(error) or type(error).__name__


@contextmanager
def on_host(what: str) -> Iterator[None]:
    """Turn an error of the kernel within the block into GuestError: it is the host's, not the guest's."""
    try:
        yield
    except OSError as error:
        remedy = _OTHERS.get(error.errno or 0, "see that TMPDIR is a folder where you may write; guestfix backends")
        raise GuestError(f"{what}: {reason_of(error)}", where=str(error.filename or ""), remedy=remedy) from error


def unreadable(error: OSError, where: str, what: str = "can't be read") -> Unreadable:
    """Return the error that a guest's reader is shown, with a remedy."""
    kind = Packed if error.errno == errno.EOPNOTSUPP else Unreadable  # what ntfs3 says of such a file
    return kind(f"{what}: {reason_of(error)}", where=where, remedy=remedy_of(error))


class _File(io.FileIO):
    """An open file of the guest; an error met while reading is Unreadable."""

    def __init__(self, descriptor: int, path: str) -> None:
        super().__init__(descriptor, "rb")
        self._path = path

    def readinto(self, buffer: Any) -> int | None:
        try:
            return super().readinto(buffer)
        except OSError as error:
            raise unreadable(error, self._path) from error

    def readall(self) -> bytes:
        try:
            return super().readall()
        except OSError as error:
            raise unreadable(error, self._path) from error


def reader(descriptor: int, path: str) -> IO[bytes]:
    """Return a stream over an open file of the guest; reading raises Unreadable, never OSError. Close closes both."""
    return io.BufferedReader(_File(descriptor, path))
