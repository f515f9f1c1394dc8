"""The programs of a guest by name, and whether a tree has enough of them to say that one is missing."""

from __future__ import annotations

from guestfix.base.guest import GuestFS
from guestfix.detect.files import names_in

FOLDERS = ("/usr/sbin", "/sbin", "/usr/bin", "/bin", "/usr/local/sbin")
ENOUGH = 40
"""A whole system has hundreds; a tree with fewer is an excerpt, which says nothing about what it lacks."""


class Programs:
    """The names in a guest's program folders."""

    def __init__(self, guest: GuestFS) -> None:
        self._places: dict[str, str] = {}
        for folder in FOLDERS:
            for name in names_in(guest, folder):
                self._places.setdefault(name, f"{folder}/{name}")

    @property
    def complete(self) -> bool:
        """Tell whether this looks like a whole system."""
        return len(self._places) >= ENOUGH

    def path(self, *names: str) -> str:
        """Return the path of the first of these programs that is there, or an empty text."""
        return next((self._places[name] for name in names if name in self._places), "")
