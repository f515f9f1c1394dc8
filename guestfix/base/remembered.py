"""A guest that answers a question the second time as it did the first: for one plan, which asks each up to four times.

What is planned then rests on one state of each file, also where a guest changes while it is looked at: the digest of
what was there and the edit of it come of the same bytes.
"""

from __future__ import annotations

import io
from typing import IO, TypeVar

from guestfix.base.errors import NotFound
from guestfix.base.guest import MAX_READ, Disks, GuestFS, Meta, Space, Stat

T = TypeVar("T")

MOST_ANSWERS = 100_000
"""States, names and paths that are kept."""
MOST_BYTES, LARGEST = 16 << 20, 1 << 20
"""Bytes of files that are kept, in all and of one."""


class Remembered:
    """Reads as the guest below does, each place once, within bounds; nobody may write to it meanwhile.

    Errors are not kept, but that a file is not there.
    """

    def __init__(self, guest: GuestFS) -> None:
        self._guest = guest
        self.uri = guest.uri
        self.case_insensitive = guest.case_insensitive
        self._stats: dict[tuple[str, bool], Stat | None] = {}
        self._real: dict[str, str] = {}
        self._lists: dict[str, tuple[str, ...]] = {}
        self._bytes: dict[str, bytes] = {}
        self._absent: dict[str, str] = {}
        self._answers = MOST_ANSWERS
        self._room = MOST_BYTES

    def _keep(self, known: dict[str, T], path: str, answer: T, size: int = 1) -> None:
        if self._answers >= size:
            self._answers -= size
            known[path] = answer

    def stat(self, path: str, *, follow: bool = True) -> Stat | None:
        """See :meth:`GuestFS.stat`."""
        key = (path, follow)
        if key not in self._stats:
            found = self._guest.stat(path, follow=follow)
            if not self._answers:
                return found
            self._answers -= 1
            self._stats[key] = found
        return self._stats[key]

    def realpath(self, path: str) -> str:
        """See :meth:`GuestFS.realpath`."""
        found = self._real.get(path)
        if found is None:
            found = self._guest.realpath(path)
            self._keep(self._real, path, found)
        return found

    def list(self, path: str) -> tuple[str, ...]:
        """See :meth:`GuestFS.list`."""
        found = self._lists.get(path)
        if found is None:
            found = self._guest.list(path)
            self._keep(self._lists, path, found, 1 + len(found))
        return found

    def read(self, path: str, limit: int = MAX_READ) -> bytes:
        """See :meth:`GuestFS.read`."""
        kept = self._kept(path)
        if kept is not None and len(kept) <= limit:
            return kept
        try:
            data = self._guest.read(path, limit)
        except NotFound as error:
            self._keep(self._absent, path, error.what)
            raise
        if len(data) <= min(LARGEST, self._room):
            self._room -= len(data)
            self._keep(self._bytes, path, data)
        return data

    def open(self, path: str) -> IO[bytes]:
        """See :meth:`GuestFS.open`."""
        kept = self._kept(path)
        return io.BytesIO(kept) if kept is not None else self._guest.open(path)

    def _kept(self, path: str) -> bytes | None:
        if path in self._absent:
            raise NotFound(self._absent[path], where=path)
        return self._bytes.get(path)

    def __getattr__(self, name: str) -> object:
        """Return what else the guest's backend offers."""
        return getattr(self._guest, name)

    def meta(self, path: str) -> Meta:
        """See :meth:`GuestFS.meta`."""
        return self._guest.meta(path)

    def readlink(self, path: str) -> str:
        """See :meth:`GuestFS.readlink`."""
        return self._guest.readlink(path)

    def disks(self) -> Disks | None:
        """See :meth:`GuestFS.disks`."""
        return self._guest.disks()

    def space(self, path: str) -> Space | None:
        """See :meth:`GuestFS.space`."""
        return self._guest.space(path)
