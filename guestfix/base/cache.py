"""What was compiled from text and may be kept between runs: JSON in the user's cache folder.

XDG base directory specification. It holds data only, named by a digest of what it was made from, so a stale
or broken file is at worst ignored and rewritten; a folder that can't be written is no reason to fail.

What another user could have written is not read: folder and file must belong to this user, with no right to write
for anybody else, and be no links; the file begins with the SHA-256 of what it holds.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

KEPT = 100
LARGEST = 64 * 1024 * 1024
"""Bytes of a kept file that are read."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def _home() -> str:
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):  # "should be ignored", as the specification says
        base = os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "guestfix")


def _is_ours(fd: int) -> bool:
    found = os.fstat(fd)
    return found.st_uid == os.geteuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


@contextmanager
def _folder(*, tighten: bool = False) -> Iterator[int]:
    """Open the cache folder. Raises OSError where there is none, or where it is not this user's alone.

    ``tighten``: takes the right to write from others where the folder is this user's.
    """
    fd = os.open(_home(), _FOLDER)
    try:
        if tighten and not _is_ours(fd):
            os.fchmod(fd, 0o700)
        if not _is_ours(fd):
            raise PermissionError("the cache folder is not this user's alone")
        yield fd
    finally:
        os.close(fd)


def read(name: str) -> Any:
    """Return what was kept under this name, or None."""
    try:
        with _folder() as folder, os.fdopen(os.open(f"{name}.json", _FILE, dir_fd=folder), "rb") as stream:
            found = os.fstat(stream.fileno())
            if not stat.S_ISREG(found.st_mode) or not _is_ours(stream.fileno()) or found.st_size > LARGEST:
                return None
            digest, _, body = stream.read().partition(b"\n")
        return json.loads(body) if digest.decode("ascii") == hashlib.sha256(body).hexdigest() else None
    except (OSError, ValueError, RecursionError):
        return None


def write(name: str, data: object) -> None:
    """Keep data under this name."""
    body = json.dumps(data).encode()
    new = f".{name}.{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(_home()), mode=0o700, exist_ok=True)
        with suppress(FileExistsError):
            os.mkdir(_home(), 0o700)
        with _folder(tighten=True) as folder:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with suppress(FileNotFoundError):
                os.unlink(new, dir_fd=folder)  # of a run that was killed, whose process id is ours now
            with os.fdopen(os.open(new, flags, 0o600, dir_fd=folder), "wb") as stream:
                stream.write(hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
            os.replace(new, f"{name}.json", src_dir_fd=folder, dst_dir_fd=folder)
            _forget_oldest(folder)
    except OSError:
        return


def _forget_oldest(folder: int) -> None:
    """Keep at most KEPT files: a host that imports thousands of guests should not collect them here."""
    with os.scandir(folder) as entries:
        found = [(entry.stat(follow_symlinks=False).st_mtime, entry.name) for entry in entries]
    for _, name in sorted(one for one in found if one[1].endswith(".json"))[:-KEPT]:
        os.unlink(name, dir_fd=folder)
