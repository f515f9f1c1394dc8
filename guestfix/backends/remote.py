"""A guest whose files another machine reaches (User-mode Linux, the libguestfs appliance), as GuestFS and GuestWriter.

Links are resolved here, folder listings are asked for once, and after a writing call just what it made untrue is
asked for again; so the far side needs few and simple requests, all on paths without links.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import IO, Protocol

from guestfix.backends.damage import on_host
from guestfix.backends.disks.naming import fold
from guestfix.backends.layout.findings import order_findings, table_finding
from guestfix.backends.resolve import resolve
from guestfix.base.bounds import FOLDER_NAMES
from guestfix.base.errors import NotFound, TooLarge, Unreadable
from guestfix.base.facts import Evidence, Finding
from guestfix.base.guest import MAX_READ, Disks, Meta, Space, Stat

MAX_FOLDERS = 4000
MAX_NAMES = FOLDER_NAMES
MAX_KEPT = 64
"""Fetched files that stay on the host for the next reading."""

Listing = dict[str, tuple[Stat, str | None]]
"""Name to what lstat(2) says, and the text of a symbolic link."""


class Far(Protocol):
    """The far side. Paths hold no links. Reading raises GuestError, writing OSError with an errno."""

    def lstat(self, path: str) -> Stat | None:
        """Return the Stat of the path itself."""

    def scan(self, path: str) -> Listing | None:
        """Return a folder's entries, or None where it is no folder."""

    def fetch(self, path: str, to: str) -> None:
        """Copy a regular file to a new host file."""

    def xattrs(self, path: str) -> tuple[tuple[str, bytes], ...]:
        """Return a file's extended attributes."""

    def space(self, path: str) -> Space | None:
        """Return the room on the filesystem that holds a folder."""

    def put(self, path: str, source: str, meta: Meta) -> None:
        """Create a file from a host file's bytes, with its metadata, on disk when it returns."""

    def put_symlink(self, path: str, target: str, meta: Meta) -> None:
        """Create a symbolic link."""

    def mkdir(self, path: str, meta: Meta) -> None:
        """Create a folder."""

    def rename(self, old: str, new: str) -> None:
        """Rename within one folder."""

    def keep(self, path: str, backup: str) -> None:
        """Give the file a second name, or copy it."""

    def drop(self, path: str) -> None:
        """Remove a file, link or empty folder."""

    def set_times(self, path: str, atime_ns: int, mtime_ns: int) -> None:
        """Set both times."""


class RemoteGuest:
    """GuestFS and GuestWriter over a Far. ``folder`` is a private host folder for copies of files."""

    def __init__(
        self,
        uri: str,
        far: Far,
        folder: str,
        disks: Disks,
        *,
        windows: bool = False,
        folding: Callable[[str], bool] = lambda path: False,
        findings: tuple[Finding, ...] = (),
    ) -> None:
        self.uri, self.far, self.folder = uri, far, folder
        self.case_insensitive = windows
        self._disks, self._folding, self._findings = disks, folding, findings
        self._listings: OrderedDict[str, Listing | None] = OrderedDict()
        self._stale: set[str] = set()
        self._kept: OrderedDict[str, str] = OrderedDict()
        self._folded: dict[str, dict[str, str]] = {}
        self._root: Stat | None = None

    # looking up

    def _listing(self, folder: str) -> Listing | None:
        if folder not in self._listings:
            if len(self._listings) >= MAX_FOLDERS:
                self._listings.popitem(last=False)
            self._listings[folder] = self._scan(folder)
        elif self._stale:
            for one in [one for one in self._stale if (one.rpartition("/")[0] or "/") == folder]:
                self._look_again(one, folder)
        return self._listings[folder] if folder in self._listings else self._listing(folder)

    def _look_again(self, path: str, folder: str) -> None:
        """Correct what a folder's listing says of one name in it."""
        self._stale.discard(path)
        listing, name = self._listings.get(folder), path.rpartition("/")[2]
        found = self.far.lstat(path) if listing is not None else None
        if listing is None or (found is not None and found.kind == "symlink"):
            self._listings.pop(folder, None)  # what a link says comes with a listing
        elif found is None:
            listing.pop(name, None)
        else:
            listing[name] = (found, None)

    def _scan(self, folder: str) -> Listing | None:
        """Ask for a listing, unless the folder above already shows that this is none."""
        if folder != "/":
            found = self._entry(folder)
            if found is None or found[0].kind != "dir":
                return None
        return self.far.scan(folder)

    def _entry(self, real: str) -> tuple[Stat, str | None] | None:
        if real == "/":
            self._root = self._root or self.far.lstat("/")
            return (self._root, None) if self._root else None
        folder, _, name = real.rpartition("/")
        listing = self._listing(folder or "/")
        return listing.get(name) if listing else None

    def _child(self, folder: str, name: str) -> str:
        base = folder.rstrip("/")
        if (self.case_insensitive or self._folding(folder)) and self._entry(f"{base}/{name}") is None:
            if folder not in self._folded:
                self._folded[folder] = {fold(found): found for found in self._listing(folder) or {}}
            name = self._folded[folder].get(fold(name), name)
        return f"{base}/{name}"

    def _link_target(self, real: str) -> str | None:
        found = self._entry(real)
        return found[1] if found else None

    def realpath(self, path: str) -> str:
        """See :meth:`GuestFS.realpath`."""
        return resolve(path, self._child, self._link_target)

    def _place(self, path: str) -> str:
        return resolve(path, self._child, self._link_target, follow=False)

    def _file(self, path: str) -> tuple[str, Stat]:
        real = self.realpath(path)
        found = self._entry(real)
        if found is None:
            raise NotFound("no such file in the guest", where=path)
        if found[0].kind != "file":
            raise Unreadable(f"not a regular file but a {found[0].kind}", where=path)
        return real, found[0]

    # reading

    def stat(self, path: str, *, follow: bool = True) -> Stat | None:
        """See :meth:`GuestFS.stat`."""
        try:
            found = self._entry(self.realpath(path) if follow else self._place(path))
        except NotFound:
            return None
        return found[0] if found else None

    def meta(self, path: str) -> Meta:
        """See :meth:`GuestFS.meta`."""
        real = self.realpath(path)
        found = self._entry(real)
        if found is None:
            raise NotFound("no such file in the guest", where=path)
        s = found[0]
        return Meta(s.mode, s.uid, s.gid, s.mtime_ns, s.atime_ns, self.far.xattrs(real))

    def readlink(self, path: str) -> str:
        """See :meth:`GuestFS.readlink`."""
        target = self._link_target(self._place(path))
        if target is None:
            raise NotFound("no symbolic link at this path", where=path)
        return target

    def open(self, path: str) -> IO[bytes]:
        """See :meth:`GuestFS.open`."""
        real, _ = self._file(path)
        if real not in self._kept:
            while len(self._kept) >= MAX_KEPT:
                os.unlink(self._kept.popitem(last=False)[1])
            with on_host("a copy of this file can't be made on the host"):
                place = self._new_name()
            self.far.fetch(real, place)
            self._kept[real] = place
        self._kept.move_to_end(real)
        with on_host("a copy of this file can't be opened on the host"):
            return open(self._kept[real], "rb")

    def _new_name(self) -> str:
        descriptor, place = tempfile.mkstemp(dir=self.folder)
        os.close(descriptor)
        os.unlink(place)
        return place

    def read(self, path: str, limit: int = MAX_READ) -> bytes:
        """See :meth:`GuestFS.read`."""
        if self._file(path)[1].size > limit:
            raise TooLarge(f"larger than {limit} bytes, which is all that is read of such a file", where=path)
        with self.open(path) as stream:
            return stream.read(limit)

    def list(self, path: str) -> tuple[str, ...]:
        """See :meth:`GuestFS.list`."""
        names = self._listing(self.realpath(path)) or {}
        if len(names) > MAX_NAMES:
            raise TooLarge(f"more than {MAX_NAMES} names in this directory", where=path)
        return tuple(sorted(names))

    def disks(self) -> Disks | None:
        """See :meth:`GuestFS.disks`."""
        return self._disks

    def space(self, path: str) -> Space | None:
        """See :meth:`GuestFS.space`."""
        real = self.realpath(path)
        while real != "/" and self._listing(real) is None:
            real = real.rpartition("/")[0] or "/"
        return self.far.space(real)

    def findings(self) -> tuple[Finding, ...]:
        """Return what was seen on the disks."""
        return self._findings

    # writing

    def _forget(self, *paths: str) -> None:
        """Drop what is remembered of these paths, and look again at them and at the folders that hold them."""
        for path in paths:
            inside = f"{path}/"  # a folder moves with all that is in it
            for one in [one for one in self._kept if one == path or one.startswith(inside)]:
                os.unlink(self._kept.pop(one))
            folder = path.rpartition("/")[0] or "/"
            for one in [one for one in self._listings if one == path or one.startswith(inside)]:
                self._listings.pop(one)
            for one in (folder, path):
                self._folded.pop(one, None)
            self._stale |= {path, folder} - {"/"}
        self._root = None

    def put(self, path: str, chunks: Iterable[bytes], meta: Meta) -> None:
        """See :meth:`GuestWriter.put`."""
        real, source = self._place(path), self._new_name()
        try:
            with open(source, "xb") as stream:
                for chunk in chunks:
                    stream.write(chunk)
            self.far.put(real, source, meta)
        finally:
            if os.path.exists(source):
                os.unlink(source)
            self._forget(real)

    def put_symlink(self, path: str, target: str, meta: Meta) -> None:
        """See :meth:`GuestWriter.put_symlink`."""
        real = self._place(path)
        self.far.put_symlink(real, target, meta)
        self._forget(real)

    def mkdir(self, path: str, meta: Meta) -> None:
        """See :meth:`GuestWriter.mkdir`."""
        real = self._place(path)
        self.far.mkdir(real, meta)
        self._forget(real)

    def rename(self, old: str, new: str) -> None:
        """See :meth:`GuestWriter.rename`."""
        source, target = self._place(old), self._place(new)
        self.far.rename(source, target)
        self._forget(source, target)

    def keep(self, path: str, backup: str) -> None:
        """See :meth:`GuestWriter.keep`."""
        source, target = self._place(path), self._place(backup)
        self.far.keep(source, target)
        self._forget(source, target)

    def drop(self, path: str) -> None:
        """See :meth:`GuestWriter.drop`."""
        real = self._place(path)
        if self._entry(real) is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        self.far.drop(real)
        self._forget(real)

    def set_times(self, path: str, atime_ns: int, mtime_ns: int) -> None:
        """See :meth:`GuestWriter.set_times`."""
        real = self._place(path)
        self.far.set_times(real, atime_ns, mtime_ns)
        self._forget(real)


def disk_findings(
    problems: Iterable[str], unclean: Iterable[str], missing: Iterable[str], disorder: str
) -> tuple[Finding, ...]:
    """Turn what a machine that mounts filesystems said of the disks into findings."""
    rows = [table_finding(text) for text in dict.fromkeys(problems)]
    rows += order_findings(disorder)
    for path in unclean:
        text = f"{path}: the guest was not shut down cleanly; the journal was replayed into the overlay"
        rows.append(Finding("GF-DISK-UNCLEAN-FILESYSTEM", "info", text, (Evidence(path),)))
    for text in missing:
        place = (Evidence("disks", 0, text),)
        rows.append(Finding("GF-DISK-MOUNT-UNREADABLE", "warning", f"not mounted: {text}", place))
    return tuple(rows)
