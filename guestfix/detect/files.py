"""Small reads that never raise for what a guest holds; every detector of this package may use them."""

from __future__ import annotations

from collections.abc import Iterator

from guestfix.base.errors import GuestError
from guestfix.base.globs import glob
from guestfix.base.guest import GuestFS

SMALL = 64 * 1024
"""No text file that identifies a system is larger than this."""


def read_small(guest: GuestFS, path: str, limit: int = SMALL) -> bytes | None:
    """Return the file's bytes, or None where it is missing, unreadable or larger than limit."""
    try:
        return guest.read(path, limit)
    except GuestError:
        return None


def paths_like(guest: GuestFS, pattern: str, most: int) -> tuple[str, ...]:
    """Return the first paths that a glob matches, none where its folders can't be read."""
    try:
        return glob(guest, pattern)[:most]
    except GuestError:
        return ()


def read_head(guest: GuestFS, path: str, size: int) -> bytes:
    """Return the first size bytes of a regular file; empty where it can't be read."""
    try:
        with guest.open(path) as stream:
            return stream.read(size)
    except (GuestError, OSError):
        return b""


def exists(guest: GuestFS, path: str) -> bool:
    """Tell whether something that can be looked up is at path."""
    try:
        return guest.stat(path) is not None
    except GuestError:
        return False


def is_link(guest: GuestFS, path: str) -> bool:
    """Tell whether path itself is a symbolic link, wherever it leads."""
    try:
        found = guest.stat(path, follow=False)
    except GuestError:
        return False
    return found is not None and found.kind == "symlink"


def kind_of(guest: GuestFS, path: str) -> str:
    """Return the kind of what path leads to, or an empty string where nothing can be looked up."""
    try:
        found = guest.stat(path)
    except GuestError:
        return ""
    return found.kind if found is not None else ""


def real_path(guest: GuestFS, path: str) -> str:
    """Return the path with its links resolved, or path itself where they can't be."""
    try:
        return guest.realpath(path)
    except GuestError:
        return path


def names_in(guest: GuestFS, folder: str) -> tuple[str, ...]:
    """Return the sorted names in a folder; empty where there is none or it can't be listed."""
    try:
        return guest.list(folder)
    except GuestError:
        return ()


def lines_of(data: bytes) -> Iterator[tuple[int, str]]:
    """Yield each line that isn't blank with its 1-based number, stripped, as text."""
    for number, raw in enumerate(data.decode("utf-8", "replace").split("\n"), 1):
        line = raw.strip()
        if line:
            yield number, line
