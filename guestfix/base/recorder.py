"""A guest that remembers what was looked at: for a case that holds just that, and for what a plan may change."""

from __future__ import annotations

from typing import IO

from guestfix.base.guest import MAX_READ, Disks, GuestFS, Meta, Space, Stat


class Recorder:
    """A guest that remembers which paths were read, looked at and listed."""

    def __init__(self, base: GuestFS) -> None:
        self.base = base
        self.uri = base.uri
        self.case_insensitive = base.case_insensitive
        self.was_read: set[str] = set()
        self.was_seen: set[str] = set()
        self.was_listed: set[str] = set()
        self._known: dict[int, tuple[int, frozenset[str]]] = {}

    def _see(self, path: str) -> None:
        self.was_seen.add(path)

    def stat(self, path: str, *, follow: bool = True) -> Stat | None:
        """See :meth:`GuestFS.stat`."""
        self._see(path)
        return self.base.stat(path, follow=follow)

    def meta(self, path: str) -> Meta:
        """See :meth:`GuestFS.meta`."""
        self._see(path)
        return self.base.meta(path)

    def readlink(self, path: str) -> str:
        """See :meth:`GuestFS.readlink`."""
        self._see(path)
        return self.base.readlink(path)

    def realpath(self, path: str) -> str:
        """See :meth:`GuestFS.realpath`."""
        self._see(path)
        return self.base.realpath(path)

    def read(self, path: str, limit: int = MAX_READ) -> bytes:
        """See :meth:`GuestFS.read`."""
        self._see(path)
        data = self.base.read(path, limit)
        self.was_read.add(path)
        return data

    def open(self, path: str) -> IO[bytes]:
        """See :meth:`GuestFS.open`."""
        self._see(path)
        stream = self.base.open(path)
        self.was_read.add(path)
        return stream

    def refuse(self, path: str, what: str) -> None:
        """Tell the guest below what was left out, where it remembers such."""
        getattr(self.base, "refuse", lambda *_: None)(path, what)

    def list(self, path: str) -> tuple[str, ...]:
        """See :meth:`GuestFS.list`."""
        self.was_listed.add(path)
        names = self.base.list(path)
        for name in names:
            self._see(f"{path.rstrip('/')}/{name}")
        return names

    def disks(self) -> Disks | None:
        """See :meth:`GuestFS.disks`."""
        return self.base.disks()

    def space(self, path: str) -> Space | None:
        """See :meth:`GuestFS.space`."""
        return self.base.space(path)

    def concerns(self, path: str) -> bool:
        """Tell whether a change at path may change what was seen here.

        The last two names of a path decide, since a folder may have been reached by another name (/lib for /usr/lib).
        """
        folder = path.rpartition("/")[0]
        return _tail(path) in self._tails(self.was_seen) or _tail(folder) in self._tails(self.was_listed)

    def _tails(self, paths: set[str]) -> frozenset[str]:
        size, tails = self._known.get(id(paths), (-1, frozenset[str]()))
        if size != len(paths):
            tails = frozenset(map(_tail, paths))
            self._known[id(paths)] = (len(paths), tails)
        return tails


def _tail(path: str) -> str:
    return "/".join(path.rstrip("/").rsplit("/", 2)[-2:])
