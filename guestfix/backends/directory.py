"""The default backend: a guest's root as a directory of the host. No root, no system packages.

Links are resolved one component at a time inside the root, as openat2(2) does with RESOLVE_IN_ROOT, so
the host path that is finally opened has no link left in it; O_NOFOLLOW guards the last step. FIFOs,
sockets and device nodes are never opened.
"""

from __future__ import annotations

import errno
import os
import stat as st
from collections.abc import Iterable
from typing import IO, cast

from guestfix.backends import Request
from guestfix.backends.disks.naming import fold
from guestfix.backends.resolve import resolve
from guestfix.base.errors import GuestError, NotAGuest, NotFound, TooLarge, Unreadable
from guestfix.base.guest import MAX_READ, Disks, Meta, Space, Stat, kind_of

MAX_NAMES = 100_000
"""Names in one directory that are looked at; a larger directory is an error, not a hang."""

_PLACE = "name the folder that holds the guest's root, or the guest's disk images"

_READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY


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


def _open_quietly(host: str) -> int:
    """Open for reading without a new access time where the user may ask for that (O_NOATIME, open(2))."""
    try:
        return os.open(host, _READ_FLAGS | os.O_NOATIME)
    except PermissionError:
        return os.open(host, _READ_FLAGS)


class DirectoryGuest:
    """A guest whose root is a directory. Reads and writes; see GuestFS and GuestWriter."""

    def __init__(self, root: str, disks: Disks | None = None) -> None:
        self.root = os.path.realpath(root)
        self.uri = f"dir:{root}"
        self._disks = disks
        self._folders: dict[str, str] = {}
        self._names: dict[str, dict[str, str]] = {}
        try:
            mode = os.stat(self.root).st_mode
        except OSError as error:
            raise NotAGuest(f"can't open the guest: {error.strerror}", where=root, remedy=_PLACE) from error
        if not st.S_ISDIR(mode):
            raise NotAGuest("not a directory", where=root, remedy=_PLACE)
        self.case_insensitive = self._looks_like_windows()

    def _looks_like_windows(self) -> bool:
        names = {name.casefold() for name in os.listdir(self.root)} if os.access(self.root, os.R_OK) else set()
        return bool(names & {"windows", "winnt"}) and "etc" not in names

    # resolving

    def _host(self, real: str) -> str:
        return self.root + real if real != "/" else self.root

    def realpath(self, path: str) -> str:
        """See :meth:`GuestFS.realpath`."""
        return self._resolve(path, follow=True)

    def _resolve(self, path: str, *, follow: bool) -> str:
        """Resolve a path; the folder's own resolution is remembered until something is written."""
        folder, _, name = path.rpartition("/")
        if not folder.startswith("/") or name in ("", ".", "..") or "\0" in path:
            return resolve(path, self._child, self._link_target, follow=follow)
        real = self._folders.get(folder)
        if real is None:
            real = self._folders[folder] = resolve(folder, self._child, self._link_target)
        place = self._child(real, name)
        if not follow or self._link_target(place) is None:
            return place
        return resolve(path, self._child, self._link_target)

    def _child(self, folder: str, name: str) -> str:
        base = folder.rstrip("/")
        if self.case_insensitive and not os.path.lexists(self._host(f"{base}/{name}")):
            if folder not in self._names:
                self._names[folder] = {fold(found): found for found in self._scan(folder)}
            name = self._names[folder].get(fold(name), name)
        return f"{base}/{name}"

    def _link_target(self, real: str) -> str | None:
        try:
            return os.readlink(self._host(real))
        except OSError as error:
            if error.errno == errno.EINVAL:
                return None
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
                return None
            raise Unreadable(f"can't be looked up: {error.strerror}", where=real) from error

    # reading

    def stat(self, path: str, *, follow: bool = True) -> Stat | None:
        """See :meth:`GuestFS.stat`."""
        try:
            return _as_stat(os.lstat(self._host(self._resolve(path, follow=follow))))
        except NotFound:
            return None
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
                return None
            raise Unreadable(f"can't be looked up: {error.strerror}", where=path) from error

    def meta(self, path: str) -> Meta:
        """See :meth:`GuestFS.meta`."""
        host = self._host(self.realpath(path))
        try:
            found = os.lstat(host)
            names = sorted(os.listxattr(host, follow_symlinks=False))
            xattrs = tuple((name, os.getxattr(host, name, follow_symlinks=False)) for name in names)
        except FileNotFoundError as error:
            raise NotFound("no such file in the guest", where=path) from error
        except OSError as error:
            if error.errno != errno.ENOTSUP:
                raise Unreadable(f"can't read its metadata: {error.strerror}", where=path) from error
            xattrs = ()
        return Meta(st.S_IMODE(found.st_mode), found.st_uid, found.st_gid, found.st_mtime_ns, found.st_atime_ns, xattrs)

    def readlink(self, path: str) -> str:
        """See :meth:`GuestFS.readlink`."""
        target = self._link_target(self._resolve(path, follow=False))
        if target is None:
            raise NotFound("no symbolic link at this path", where=path)
        return target

    def open(self, path: str) -> IO[bytes]:
        """See :meth:`GuestFS.open`."""
        real = self.realpath(path)
        found = self.stat(real, follow=False)
        if found is None:
            raise NotFound("no such file in the guest", where=path)
        if found.kind != "file":
            raise Unreadable(f"not a regular file ({found.kind})", where=path)
        try:
            descriptor = _open_quietly(self._host(real))
        except OSError as error:
            raise Unreadable(
                f"can't be opened: {error.strerror}", where=path, remedy="run as a user who may read the guest's files"
            ) from error
        if not st.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise Unreadable("not a regular file", where=path)
        return cast(IO[bytes], os.fdopen(descriptor, "rb"))

    def read(self, path: str, limit: int = MAX_READ) -> bytes:
        """See :meth:`GuestFS.read`."""
        with self.open(path) as stream:
            try:
                data = stream.read(limit + 1)
            except OSError as error:
                raise Unreadable(f"can't be read: {error.strerror}", where=path) from error
        if len(data) > limit:
            raise TooLarge(f"larger than {limit} bytes, which is all that is read of such a file", where=path)
        return data

    def list(self, path: str) -> tuple[str, ...]:
        """See :meth:`GuestFS.list`."""
        return self._scan(self.realpath(path))

    def _scan(self, real: str) -> tuple[str, ...]:
        names: list[str] = []
        try:
            with os.scandir(self._host(real)) as entries:
                for entry in entries:
                    names.append(entry.name)
                    if len(names) > MAX_NAMES:
                        raise TooLarge(f"more than {MAX_NAMES} names in this directory", where=real)
        except (FileNotFoundError, NotADirectoryError):
            return ()
        except OSError as error:
            raise Unreadable(f"can't be listed: {error.strerror}", where=real) from error
        return tuple(sorted(names))

    def disks(self) -> Disks | None:
        """See :meth:`GuestFS.disks`."""
        return self._disks

    def space(self, path: str) -> Space | None:
        """See :meth:`GuestFS.space`."""
        real = self.realpath(path)
        while real != "/" and not os.path.isdir(self._host(real)):
            real = real.rpartition("/")[0] or "/"
        try:
            found = os.statvfs(self._host(real))
            device = os.stat(self._host(real)).st_dev
        except OSError:
            return None
        inodes = found.f_favail if found.f_files else None
        room, total = found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
        return Space(str(device), room, total, inodes, own=device != self._host_device())

    def _host_device(self) -> int:
        """Return the device of the folder above the root: what lies on it too is not the guest's alone."""
        return os.stat(os.path.dirname(self.root)).st_dev if self.root != "/" else -1

    # writing

    def _place(self, path: str) -> str:
        """Return the host path for writing: its folder resolved inside the guest, its name kept."""
        self._folders.clear()
        self._names.clear()
        return self._host(self._resolve(path, follow=False))

    def put(self, path: str, chunks: Iterable[bytes], meta: Meta) -> None:
        """See :meth:`GuestWriter.put`."""
        host = self._place(path)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(host, flags, 0o600), "wb") as stream:
            for chunk in chunks:
                stream.write(chunk)
            stream.flush()
            self._set_meta(stream.fileno(), meta)
            os.fsync(stream.fileno())
        self._sync_folder(host)

    def _set_meta(self, descriptor: int, meta: Meta) -> None:
        found = os.fstat(descriptor)
        wanted = (found.st_uid if meta.uid is None else meta.uid, found.st_gid if meta.gid is None else meta.gid)
        if wanted != (found.st_uid, found.st_gid):
            os.fchown(descriptor, *wanted)
        for name, value in meta.xattrs:
            self._set_xattr(descriptor, name, value)
        os.fchmod(descriptor, meta.mode)
        if meta.mtime_ns is not None:
            atime = meta.mtime_ns if meta.atime_ns is None else meta.atime_ns
            os.utime(descriptor, ns=(atime, meta.mtime_ns))

    @staticmethod
    def _set_xattr(descriptor: int, name: str, value: bytes) -> None:
        try:
            if os.getxattr(descriptor, name) == value:
                return
        except OSError:
            pass
        os.setxattr(descriptor, name, value)

    def put_symlink(self, path: str, target: str, meta: Meta) -> None:
        """See :meth:`GuestWriter.put_symlink`."""
        host = self._place(path)
        os.symlink(target, host)
        found = os.lstat(host)
        if meta.uid is not None and meta.gid is not None and (meta.uid, meta.gid) != (found.st_uid, found.st_gid):
            os.lchown(host, meta.uid, meta.gid)
        for name, value in meta.xattrs:
            os.setxattr(host, name, value, follow_symlinks=False)
        self._sync_folder(host)

    def mkdir(self, path: str, meta: Meta) -> None:
        """See :meth:`GuestWriter.mkdir`."""
        host = self._place(path)
        os.mkdir(host, meta.mode)
        descriptor = os.open(host, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            self._set_meta(descriptor, meta)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self._sync_folder(host)

    def rename(self, old: str, new: str) -> None:
        """See :meth:`GuestWriter.rename`."""
        source, place = self._place(old), self._place(new)
        os.rename(source, place)
        self._sync_folder(place)

    def keep(self, path: str, backup: str) -> None:
        """See :meth:`GuestWriter.keep`."""
        source, place = self._place(path), self._place(backup)
        try:
            os.link(source, place, follow_symlinks=False)
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS):
                raise
            self._copy(path, backup)
        self._sync_folder(place)

    def _copy(self, path: str, backup: str) -> None:
        found = self.stat(path, follow=False)
        if found is not None and found.kind == "symlink":
            self.put_symlink(backup, self.readlink(path), self.meta_nofollow(path))
            return
        with self.open(path) as stream:
            self.put(backup, iter(lambda: stream.read(1 << 20), b""), self.meta(path))

    def meta_nofollow(self, path: str) -> Meta:
        """Return mode, owner and times of the path itself."""
        found = os.lstat(self._place(path))
        return Meta(st.S_IMODE(found.st_mode), found.st_uid, found.st_gid, found.st_mtime_ns, found.st_atime_ns)

    def drop(self, path: str) -> None:
        """See :meth:`GuestWriter.drop`."""
        host = self._place(path)
        if st.S_ISDIR(os.lstat(host).st_mode):
            os.rmdir(host)
        else:
            os.unlink(host)
        self._sync_folder(host)

    def set_times(self, path: str, atime_ns: int, mtime_ns: int) -> None:
        """See :meth:`GuestWriter.set_times`."""
        os.utime(self._place(path), ns=(atime_ns, mtime_ns), follow_symlinks=False)

    @staticmethod
    def _sync_folder(host: str) -> None:
        descriptor = os.open(os.path.dirname(host), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno != errno.EINVAL:  # a filesystem without directory sync, such as some FUSE ones
                raise
        finally:
            os.close(descriptor)


def open_directory(path: str, disks: Disks | None = None) -> DirectoryGuest:
    """Open a directory as a guest. Raises NotAGuest where it isn't a readable directory."""
    guest = DirectoryGuest(path, disks)
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
    guest in its ``root``, with those disks unless others are named.
    """
    from guestfix.backends.disks.sidecar import read_disks

    disks = request.disks
    bundle = os.path.isdir(os.path.join(place, "root")) and os.path.isfile(os.path.join(place, "disks.yaml"))
    if bundle and not os.path.isdir(os.path.join(place, "etc")):
        disks = disks or os.path.join(place, "disks.yaml")
        place = os.path.join(place, "root")
    guest = open_directory(place)
    if disks == "host":
        from guestfix.backends.disks.hostdisks import disks_of_mount

        return open_directory(place, disks_of_mount(guest.root))
    return open_directory(place, read_disks(disks)) if disks else guest
