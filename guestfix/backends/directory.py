"""The default backend: a guest's root as a directory of the host. No root, no system packages.

Every look-up and every change goes through descriptors of folders beneath the root (see
:mod:`guestfix.backends.beneath`), so that links lead nowhere else, not even links that are swapped while
guestfix runs. FIFOs, sockets and device nodes are never opened.
"""

from __future__ import annotations

import errno
import io
import os
import stat as st
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO

from guestfix.backends import Request
from guestfix.backends.beneath import (
    LIST_FLAGS,
    Beneath,
    Folder,
    Place,
    by_descriptor,
    open_quietly,
    set_meta,
    sync_folder,
    told,
    unmake,
)
from guestfix.backends.damage import reader, reason_of, unreadable
from guestfix.backends.disks.naming import fold
from guestfix.backends.guestlock import GuestLock
from guestfix.base.bounds import FOLDER_NAMES
from guestfix.base.errors import GuestError, NotAGuest, NotFound, TooLarge, Unreadable
from guestfix.base.guest import MAX_READ, Disks, Meta, Space, Stat, kind_of

MAX_NAMES = FOLDER_NAMES
"""Names in one directory that are looked at; a larger directory is an error, not a hang."""

_PLACE = "name the folder that holds the guest's root, or the guest's disk images"

_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)


def _as_stat(found: os.stat_result) -> Stat:
    return Stat(
        kind_of(found.st_mode),
        found.st_size,
        st.S_IMODE(found.st_mode),
        found.st_uid,
        found.st_gid,
        found.st_mtime_ns,
        found.st_atime_ns,
        found.st_nlink,
        found.st_dev,
    )


class DirectoryGuest:
    """A guest whose root is a directory. Reads and writes; see GuestFS and GuestWriter.

    ``root`` is the host path, or a descriptor of the folder (``uri`` then names it). ``grafts`` are folders
    that are shown at names in the guest's root: name to host path. ``close`` lets go of all descriptors.
    """

    @property
    def is_running_root(self) -> bool:
        """True where the root is that of the running system: the same folder as /, by whatever path."""
        return os.path.samestat(os.fstat(self.beneath.descriptor), os.stat("/"))

    def __init__(
        self,
        root: str | int,
        disks: Disks | None = None,
        *,
        uri: str = "",
        grafts: Mapping[str, str] | None = None,
    ) -> None:
        self.uri = uri or f"dir:{root}"
        self._disks = disks
        self._names: dict[str, dict[str, str]] = {}
        self.case_insensitive = False
        try:
            self.beneath = Beneath(root, grafts)
        except OSError as error:
            what = "not a directory" if error.errno == errno.ENOTDIR else f"can't open the guest: {reason_of(error)}"
            raise NotAGuest(what, where=str(root), remedy=_PLACE) from error
        self.lock = GuestLock(self.beneath, self.uri)
        self.root = os.readlink(by_descriptor(self.beneath.descriptor))
        self.case_insensitive = self._looks_like_windows()
        if self.case_insensitive:
            self.beneath.spelled = self._spelled

    def _looks_like_windows(self) -> bool:
        try:
            names = {name.casefold() for name in self.list("/")}
        except GuestError:
            return False
        return bool(names & {"windows", "winnt"}) and "etc" not in names

    def close(self) -> None:
        """Let go of the folder, which may be unmounted then."""
        self.beneath.close()

    # resolving

    def realpath(self, path: str) -> str:
        """See :meth:`GuestFS.realpath`."""
        return self.beneath.place(path).real

    def _spelled(self, folder: Folder, name: str) -> str:
        try:
            os.stat(name, dir_fd=folder.descriptor, follow_symlinks=False)
        except OSError:
            if folder.real not in self._names:
                inside = self._scan(Place(folder.descriptor, ".", folder.real))
                self._names[folder.real] = {fold(found): found for found in inside}
            return self._names[folder.real].get(fold(name), name)
        return name

    # reading

    def stat(self, path: str, *, follow: bool = True) -> Stat | None:
        """See :meth:`GuestFS.stat`."""
        try:
            place = self.beneath.place(path, follow=follow)
            return _as_stat(os.stat(place.name, dir_fd=place.parent(path), follow_symlinks=False))
        except NotFound:
            return None
        except OSError as error:
            if error.errno in _ABSENT:
                return None
            raise unreadable(error, path, "can't be looked up") from error

    @contextmanager
    def _itself(self, path: str, *, follow: bool = True) -> Iterator[int]:
        """Open what a path leads to without reading it. Raises NotFound, Unreadable."""
        try:
            with self.beneath.place(path, follow=follow).itself(path) as descriptor:
                yield descriptor
        except OSError as error:
            if error.errno in _ABSENT:
                raise NotFound("no such file in the guest", where=path) from error
            raise unreadable(error, path, "can't be opened") from error

    def meta(self, path: str) -> Meta:
        """See :meth:`GuestFS.meta`."""
        return self._meta(path, follow=True)

    def _meta(self, path: str, *, follow: bool) -> Meta:
        with self._itself(path, follow=follow) as descriptor:
            found = os.fstat(descriptor)
            xattrs: tuple[tuple[str, bytes], ...] = ()
            try:
                place = by_descriptor(descriptor)
                xattrs = tuple((name, os.getxattr(place, name)) for name in sorted(os.listxattr(place)))
            except OSError as error:
                if error.errno != errno.ENOTSUP:
                    raise unreadable(error, path, "can't read its metadata") from error
        return Meta(st.S_IMODE(found.st_mode), found.st_uid, found.st_gid, found.st_mtime_ns, found.st_atime_ns, xattrs)

    def readlink(self, path: str) -> str:
        """See :meth:`GuestFS.readlink`."""
        place = self.beneath.place(path, follow=False)
        try:
            return os.readlink(place.name, dir_fd=place.parent(path))
        except OSError as error:
            if error.errno in (errno.EINVAL, *_ABSENT):
                raise NotFound("no symbolic link at this path", where=path) from error
            raise unreadable(error, path, "can't be looked up") from error

    def open(self, path: str) -> IO[bytes]:
        """See :meth:`GuestFS.open`."""
        with self._itself(path) as itself:
            found = os.fstat(itself)
            if not st.S_ISREG(found.st_mode):
                raise Unreadable(f"not a regular file ({kind_of(found.st_mode)})", where=path)
            return reader(open_quietly(itself), path)

    def read(self, path: str, limit: int = MAX_READ) -> bytes:
        """See :meth:`GuestFS.read`."""
        with self.open(path) as stream:
            size = stream.seek(0, io.SEEK_END)
            stream.seek(0)
            data = stream.read(limit + 1) if size <= limit else b""
        if max(size, len(data)) > limit:
            raise TooLarge(f"larger than {limit} bytes, which is all that is read of such a file", where=path)
        return data

    def list(self, path: str) -> tuple[str, ...]:
        """See :meth:`GuestFS.list`."""
        return self._scan(self.beneath.place(path))

    def _scan(self, place: Place) -> tuple[str, ...]:
        names = list(self.beneath.grafts) if place.real == "/" else []
        try:
            descriptor = os.open(place.name, LIST_FLAGS, dir_fd=place.parent(place.real))
            try:
                with os.scandir(descriptor) as entries:
                    for entry in entries:
                        names.append(entry.name)
                        if len(names) > MAX_NAMES:
                            raise TooLarge(f"more than {MAX_NAMES} names in this directory", where=place.real)
            finally:
                os.close(descriptor)
        except OSError as error:
            if error.errno in (*_ABSENT, errno.ELOOP):
                return ()
            raise unreadable(error, place.real, "can't be listed") from error
        return tuple(sorted(set(names)))

    def show(self, disks: Disks) -> None:
        """Let :meth:`disks` return these."""
        self._disks = disks

    def disks(self) -> Disks | None:
        """See :meth:`GuestFS.disks`."""
        return self._disks

    def space(self, path: str) -> Space | None:
        """See :meth:`GuestFS.space`."""
        real = self.realpath(path)
        folder = self.beneath.folder(real)
        while folder is None and real != "/":
            real = real.rpartition("/")[0] or "/"
            folder = self.beneath.folder(real)
        if folder is None:
            return None
        try:
            found = os.statvfs(folder.descriptor)
            device = os.stat(folder.descriptor).st_dev
        except OSError:
            return None
        inodes = found.f_favail if found.f_files else None
        room, total = found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
        return Space(str(device), room, total, inodes, own=device != self._host_device())

    def _host_device(self) -> int:
        """Return the device of the folder above the root: what lies on it too is not the guest's alone."""
        above = os.stat("..", dir_fd=self.beneath.descriptor)
        here = os.stat(self.beneath.descriptor)
        return -1 if (above.st_dev, above.st_ino) == (here.st_dev, here.st_ino) else above.st_dev

    # writing

    @contextmanager
    def _place(self, path: str) -> Iterator[tuple[int, str]]:
        """Give the folder for writing, resolved inside the guest as it is now, and the name in it."""
        self.beneath.forget()
        self._names.clear()
        with told(path):
            place = self.beneath.place(path, follow=False)
            with place.held(path) as folder:
                yield folder, place.name

    def put(self, path: str, chunks: Iterable[bytes], meta: Meta) -> None:
        """See :meth:`GuestWriter.put`."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with self._place(path) as (folder, name):
            with os.fdopen(os.open(name, flags, 0o600, dir_fd=folder), "wb") as stream:
                try:
                    self._fill(stream, chunks, meta)
                except (OSError, GuestError):
                    unmake(stream.fileno(), folder, name)
                    raise
            sync_folder(folder)

    def _fill(self, stream: IO[bytes], chunks: Iterable[bytes], meta: Meta) -> None:
        for chunk in chunks:
            stream.write(chunk)
        stream.flush()
        set_meta(stream.fileno(), meta)
        os.fsync(stream.fileno())

    def put_symlink(self, path: str, target: str, meta: Meta) -> None:
        """See :meth:`GuestWriter.put_symlink`."""
        with self._place(path) as (folder, name):
            os.symlink(target, name, dir_fd=folder)
            with Place(folder, name, path).itself(path) as itself:
                found, link = os.fstat(itself), by_descriptor(itself)
                if not st.S_ISLNK(found.st_mode):
                    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
                wanted = (meta.uid, meta.gid)
                if meta.uid is not None and meta.gid is not None and wanted != (found.st_uid, found.st_gid):
                    os.chown(link, meta.uid, meta.gid)
                for key, value in meta.xattrs:
                    os.setxattr(link, key, value)
            sync_folder(folder)

    def mkdir(self, path: str, meta: Meta) -> None:
        """See :meth:`GuestWriter.mkdir`."""
        with self._place(path) as (folder, name):
            os.mkdir(name, 0o700, dir_fd=folder)
            descriptor = os.open(name, LIST_FLAGS, dir_fd=folder)
            try:
                set_meta(descriptor, meta)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            sync_folder(folder)

    def rename(self, old: str, new: str) -> None:
        """See :meth:`GuestWriter.rename`."""
        with self._place(old) as (source, name), self._place(new) as (target, other):
            os.rename(name, other, src_dir_fd=source, dst_dir_fd=target)
            sync_folder(target)

    def keep(self, path: str, backup: str) -> None:
        """See :meth:`GuestWriter.keep`."""
        with self._place(path) as (source, name), self._place(backup) as (target, other):
            try:
                os.link(name, other, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)
            except OSError as error:
                if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS):
                    raise
                self._copy(path, backup)
            sync_folder(target)

    def _copy(self, path: str, backup: str) -> None:
        meta = self._meta(path, follow=False)
        found = self.stat(path, follow=False)
        if found is not None and found.kind == "symlink":
            self.put_symlink(backup, self.readlink(path), meta)
            return
        with self.open(path) as stream:
            self.put(backup, iter(lambda: stream.read(1 << 20), b""), meta)

    def drop(self, path: str) -> None:
        """See :meth:`GuestWriter.drop`."""
        with self._place(path) as (folder, name):
            if st.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                os.rmdir(name, dir_fd=folder)
            else:
                os.unlink(name, dir_fd=folder)
            sync_folder(folder)

    def set_times(self, path: str, atime_ns: int, mtime_ns: int) -> None:
        """See :meth:`GuestWriter.set_times`."""
        with self._place(path) as (folder, name):
            os.utime(name, ns=(atime_ns, mtime_ns), dir_fd=folder, follow_symlinks=False)


def open_directory(path: str, disks: Disks | None = None) -> DirectoryGuest:
    """Open a directory as a guest. Raises NotAGuest where it isn't a readable directory."""
    return _not_empty(DirectoryGuest(path, disks), path)


def _not_empty(guest: DirectoryGuest, path: str) -> DirectoryGuest:
    try:
        empty = not guest.list("/")
    except GuestError as error:
        raise NotAGuest(error.what, where=path, remedy=error.remedy) from error
    if empty:
        raise NotAGuest("the directory is empty", where=path, remedy="mount or unpack the guest's root there")
    return guest


def open_place(place: str, request: Request) -> DirectoryGuest:
    """Open a directory guest as the user named it.

    A folder that holds ``root/`` and ``disks.yaml`` and no /etc of its own, as in testdata/guests, is the
    guest in its ``root``, with those disks unless others are named. Links don't count there: a guest could
    have made them.
    """
    guest = open_directory(place)
    kinds = [
        found and found.kind for found in (guest.stat(one, follow=False) for one in ("/root", "/disks.yaml", "/etc"))
    ]
    if kinds != ["dir", "file", None]:
        return _with_disks(guest, place, request.disks)
    with guest.beneath.place("/root", follow=False).itself("/root") as root:
        inner = _not_empty(DirectoryGuest(root, uri=f"dir:{place}/root"), f"{place}/root")
    if request.disks:
        return _with_disks(inner, place, request.disks)
    from guestfix.backends.disks.sidecar import disks_from

    inner.show(disks_from(guest.read("/disks.yaml"), f"{place}/disks.yaml"))
    return inner


def _with_disks(guest: DirectoryGuest, place: str, disks: str | None) -> DirectoryGuest:
    if disks == "host":
        from guestfix.backends.disks.hostdisks import disks_of_mount

        guest.show(disks_of_mount(guest.root))
    elif disks:
        from guestfix.backends.disks.sidecar import read_disks

        guest.show(read_disks(disks))
    return guest
