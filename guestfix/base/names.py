"""Names that guestfix gives to files of its own inside a guest.

One scheme for every folder: ``.NAME.guestfix.orig``. The leading dot keeps it from shell globs,
NetworkManager, wicked and systemd; the last suffix from everything that reads by suffix (udev
``.rules``, netplan ``.yaml``, modprobe and dracut ``.conf``, BLS) and from the network-scripts.
"""

from __future__ import annotations

from guestfix.base.guest import GuestFS

MAX_NAME = 255


def split(path: str) -> tuple[str, str]:
    """Return the folder (``/`` for the root) and the name of a guest path."""
    folder, _, name = path.rpartition("/")
    return folder or "/", name


def beside(path: str, suffix: str) -> str:
    """Return the path of guestfix's own file for path with this suffix: ``.NAME.guestfix.SUFFIX``."""
    folder, name = split(path)
    return f"{folder.rstrip('/')}/.{name}.guestfix.{suffix}"


def backup_name(guest: GuestFS, path: str) -> str:
    """Return a path beside ``path`` where nothing is yet, for keeping its original."""
    number = 1
    while guest.stat(place := beside(path, "orig" if number == 1 else f"{number}.orig"), follow=False) is not None:
        number += 1
    return place


def fits(path: str) -> bool:
    """Tell whether guestfix's longest name for path is a valid file name (NAME_MAX)."""
    return len(split(beside(path, "999.orig"))[1].encode("utf-8", "surrogateescape")) <= MAX_NAME


def parents(path: str) -> list[str]:
    """Return the folders above path, outermost first, without the root."""
    parts = path.strip("/").split("/")[:-1]
    return ["/" + "/".join(parts[: index + 1]) for index in range(len(parts))]
