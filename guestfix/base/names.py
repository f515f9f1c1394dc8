"""Names that guestfix gives to files of its own inside a guest, and which paths it takes from others.

One scheme for every folder: ``.NAME.guestfix.orig``. The leading dot keeps it from shell globs,
NetworkManager, wicked and systemd; the last suffix from everything that reads by suffix (udev
``.rules``, netplan ``.yaml``, modprobe and dracut ``.conf``, BLS) and from the network-scripts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from guestfix.base.errors import GuestError
from guestfix.base.guest import GuestFS
from guestfix.base.patterns import regex

MAX_NAME = 255
MAX_PATH = 4095
"""Bytes of a path, as in the kernel (PATH_MAX, without the NUL)."""

LINUX_HOME = "/var/lib/guestfix"
WINDOWS_HOME = "/ProgramData/guestfix"
MAX_DEPTH = 64
"""Folders on the way to a path that a plan changes."""
_BACKUP = regex(r"\.(.+)\.guestfix\.(?:[1-9][0-9]{0,17}\.)?orig", re.DOTALL)


def split(path: str) -> tuple[str, str]:
    """Return the folder (``/`` for the root) and the name of a guest path."""
    folder, _, name = path.rpartition("/")
    return folder or "/", name


def beside(path: str, suffix: str) -> str:
    """Return the path of guestfix's own file for path with this suffix: ``.NAME.guestfix.SUFFIX``."""
    folder, name = split(path)
    return f"{folder.rstrip('/')}/.{name}.guestfix.{suffix}"


def backup_name(guest: GuestFS, path: str) -> str:
    """Return a path beside ``path`` where nothing is yet, for keeping its original. Raises GuestError.

    One listing of the folder tells, whatever names somebody put there.
    """
    fold = str.casefold if guest.case_insensitive else str
    taken = {fold(name) for name in guest.list(split(path)[0])}
    number = 1
    while fold(split(place := beside(path, "orig" if number == 1 else f"{number}.orig"))[1]) in taken:
        number += 1
    return place


def is_backup(place: str, path: str) -> bool:
    """Tell whether a place is one that :func:`backup_name` could have named for path."""
    match = _BACKUP.fullmatch(split(place)[1])
    return match is not None and split(place)[0] == split(path)[0] and match[1] == split(path)[1]


def fits(path: str) -> bool:
    """Tell whether path has a valid file name (NAME_MAX)."""
    return len(split(path)[1].encode("utf-8", "surrogateescape")) <= MAX_NAME


def parents(path: str) -> list[str]:
    """Return the folders above path, outermost first, without the root."""
    parts = path.strip("/").split("/")[:-1]
    return ["/" + "/".join(parts[: index + 1]) for index in range(len(parts))]


def home_of(guest: GuestFS) -> str:
    """Return the folder that holds all journals of this guest."""
    return WINDOWS_HOME if guest.case_insensitive else LINUX_HOME


def home_problem(guest: GuestFS) -> tuple[str, str] | None:
    """Return why no journal could be kept in this guest: the path that stands in the way, and how; None if nothing."""
    home, itself = home_of(guest), None
    for folder in [*parents(home), home]:
        try:
            itself, found = guest.stat(folder, follow=False), guest.stat(folder)
        except GuestError as error:
            return folder, error.what
        if itself is None:
            return None
        if found is None:
            return folder, "it is a link that leads nowhere"
        if found.kind != "dir":
            return folder, f"it is no folder but {'a file' if found.kind == 'file' else 'a special file'}"
    if itself is not None and itself.kind != "dir":
        return home, "it is a link, and guestfix keeps its journals in a folder of its own"
    try:
        guest.list(home)
    except GuestError as error:
        return home, error.what
    return None


def path_problem(path: str) -> str:
    """Return why a path can't be one that a plan changes, in a few words; empty where it can."""
    parts = path.split("/")
    if parts[0] or len(parts) < 2:
        return "not an absolute guest path"
    if any(part in ("", ".", "..") for part in parts[1:]):
        return "not an absolute guest path: it has an empty part, . or .."
    if "\0" in path:
        return "not a path: it has a NUL"
    try:
        encoded = path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return "not a path: it has half a character"
    if len(encoded) > MAX_PATH or any(len(part) > MAX_NAME for part in encoded.split(b"/")):
        return "longer than a path can be"
    if len(parts) - 2 > MAX_DEPTH:
        return f"below more than {MAX_DEPTH} folders"
    return _own_problem(path)


def _own_problem(path: str) -> str:
    """Return why a path is guestfix's own: its backups and staged files, and the home of its journals."""
    folded = path.casefold()
    if any(".guestfix." in part for part in folded.split("/")):
        return "one of guestfix's own names (*.guestfix.*)"
    for home in (LINUX_HOME.casefold(), WINDOWS_HOME.casefold()):
        if f"{folded}/".startswith(f"{home}/"):
            return f"in the home of guestfix's journals ({home})"
        if f"{home}/".startswith(f"{folded}/"):
            return "a folder that guestfix's journals are in"
    return ""


def paths_problem(paths: Iterable[str]) -> str:
    """Return why these paths can't be changed together: one twice, or one below another; empty where they can."""
    seen = set()
    for path in paths:
        if path in seen:
            return f"{path} is changed twice"
        seen.add(path)
    for path in seen:
        above = next((folder for folder in parents(path) if folder in seen), None)
        if above is not None:
            return f"{path} lies below {above}, which is changed too"
    return ""
