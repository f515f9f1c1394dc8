"""Backends: how a guest's files are reached. ``open_guest`` picks one by the URI's scheme.

A backend is a function ``open(place: str, request: Request) -> GuestFS``. Others can add one through the
entry-point group ``guestfix.backends``; the name of the entry point is the scheme.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from guestfix.errors import UsageError
from guestfix.guest import Disks, GuestFS, GuestWriter

BACKENDS: dict[str, str] = {
    "dir": "directory:open_place",
}
"""Scheme to ``module:function`` below this package."""

GROUP = "guestfix.backends"


@dataclass(frozen=True, slots=True)
class Request:
    """What the user asked for besides the place.

    ``disks`` is the path of a disks description, ``host`` to ask the host, or None.
    """

    disks: str | None = None
    writable: bool = False


_SCHEME = re.compile(r"([a-z][a-z0-9+-]*):(.+)", re.DOTALL)


def open_guest(uri: str, *, disks: str | Disks | None = None, writable: bool = False) -> GuestFS:
    """Return the guest at ``dir:PATH`` or at a plain path.

    ``disks`` is the path of a disks description (``--disks``), ``host``, or a Disks value. Raises
    NotAGuest where the place can't be opened, UsageError for an unknown scheme.
    """
    scheme, place = split_uri(uri)
    if isinstance(disks, Disks):
        from guestfix.backends.directory import open_directory

        return open_directory(place, disks)
    return _function(scheme)(place, Request(disks, writable))


def open_writable(uri: str, *, disks: str | Disks | None = None) -> GuestWriter:
    """Return the guest for writing. Raises UsageError where its backend only reads."""
    guest = open_guest(uri, disks=disks, writable=True)
    if not hasattr(guest, "put"):
        raise UsageError(f"{guest.uri} can only be read", remedy="see: guestfix backends")
    return cast(GuestWriter, guest)


def split_uri(uri: str) -> tuple[str, str]:
    """Return the scheme and the place of a guest's URI; a plain path is a ``dir``."""
    match = _SCHEME.fullmatch(uri)
    return (match[1], match[2]) if match else ("dir", uri)


def _function(scheme: str) -> Callable[[str, Request], GuestFS]:
    if scheme in BACKENDS:
        module, _, name = BACKENDS[scheme].partition(":")
        found: Callable[[str, Request], GuestFS] = getattr(importlib.import_module(f"{__name__}.{module}"), name)
        return found
    from importlib.metadata import entry_points

    for point in entry_points(group=GROUP, name=scheme):
        loaded: Callable[[str, Request], GuestFS] = point.load()
        return loaded
    raise UsageError(f"there is no backend {scheme!r}", remedy=f"one of: {', '.join(BACKENDS)}")
