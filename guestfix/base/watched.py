"""A guest that remembers which files were not read because they are too large, so that none is left out silently."""

from __future__ import annotations

from typing import IO

from guestfix.base.errors import TooLarge
from guestfix.base.facts import Evidence, Finding
from guestfix.base.guest import MAX_READ, Disks, GuestFS, Meta, Space, Stat

MAX_TOLD = 20
"""Files that are named; more are counted by the last one's finding."""


class Watched:
    """Reads as the guest below does; :meth:`told` gives what was too large since it was asked last."""

    def __init__(self, guest: GuestFS) -> None:
        self._guest = guest
        self.uri = guest.uri
        self.case_insensitive = guest.case_insensitive
        self._refused: dict[str, str] = {}
        self._said: set[str] = set()

    def read(self, path: str, limit: int = MAX_READ) -> bytes:
        """See :meth:`GuestFS.read`."""
        try:
            return self._guest.read(path, limit)
        except TooLarge:
            self.refuse(path, f"{path} is larger than {limit} bytes, so nothing of it was read")
            raise

    def told(self) -> list[Finding]:
        """Return a finding for each path that was refused since the last call."""
        fresh = {path: what for path, what in self._refused.items() if path not in self._said}
        self._said.update(fresh)
        shown = list(fresh.items())[:MAX_TOLD]
        left = len(fresh) - len(shown)
        return [
            Finding(
                "GF-FILE-TOO-LARGE",
                "warning",
                what + (f"; and {left} others are too large" if left and path == shown[-1][0] else ""),
                (Evidence(path),),
            )
            for path, what in shown
        ]

    def list(self, path: str) -> tuple[str, ...]:
        """See :meth:`GuestFS.list`."""
        try:
            return self._guest.list(path)
        except TooLarge as error:
            self.refuse(path, f"{path} was not listed: {error.what}")
            raise

    def refuse(self, path: str, what: str) -> None:
        """Remember what was left out of a path or pattern, as a sentence."""
        self._refused.setdefault(path, what)

    def __getattr__(self, name: str) -> object:
        """Return what else the guest's backend offers."""
        return getattr(self._guest, name)

    def stat(self, path: str, *, follow: bool = True) -> Stat | None:
        """See :meth:`GuestFS.stat`."""
        return self._guest.stat(path, follow=follow)

    def meta(self, path: str) -> Meta:
        """See :meth:`GuestFS.meta`."""
        return self._guest.meta(path)

    def readlink(self, path: str) -> str:
        """See :meth:`GuestFS.readlink`."""
        return self._guest.readlink(path)

    def realpath(self, path: str) -> str:
        """See :meth:`GuestFS.realpath`."""
        return self._guest.realpath(path)

    def open(self, path: str) -> IO[bytes]:
        """See :meth:`GuestFS.open`."""
        return self._guest.open(path)

    def disks(self) -> Disks | None:
        """See :meth:`GuestFS.disks`."""
        return self._guest.disks()

    def space(self, path: str) -> Space | None:
        """See :meth:`GuestFS.space`."""
        return self._guest.space(path)
