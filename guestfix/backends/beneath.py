"""What lies beneath one folder of the host, reached by descriptors, so that no link ever leads out of it.

The kernel is never given a path in which it could follow a link of the guest freely: it resolves a whole path
with RESOLVE_IN_ROOT (openat2(2), Linux 5.6), or, where it lacks that or can't tell, folders are opened one
after another with O_NOFOLLOW and the text of links is resolved here. Both mean the same, and both hold while
somebody swaps folders and links: a descriptor once opened stays that of a folder beneath the root.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

from guestfix.backends.damage import unreadable
from guestfix.backends.resolve import MAX_LINKS, pieces
from guestfix.base.errors import NotFound, SymlinkLoop
from guestfix.base.guest import Meta
from guestfix.base.record import frozen

_SYS_OPENAT2 = 437  # the same number on every architecture that has it, but Alpha
_NO_MAGICLINKS, _IN_ROOT = 0x02, 0x10
_ITSELF = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = _ITSELF | os.O_DIRECTORY
LIST_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)
MAX_OPEN = 128
"""Folders whose descriptors are kept for the next look-up."""


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_libc = ctypes.CDLL(None, use_errno=True)


def openat2(descriptor: int, path: str) -> int:
    """Open a folder with O_PATH, the descriptor's folder being the root for every link and ``..``. Raises OSError."""
    how = _How(os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, 0, _IN_ROOT | _NO_MAGICLINKS)
    name = ctypes.c_char_p(os.fsencode(path))
    number, size = ctypes.c_long(_SYS_OPENAT2), ctypes.c_size_t(ctypes.sizeof(how))
    found: int = _libc.syscall(number, ctypes.c_int(descriptor), name, ctypes.byref(how), size)
    if found < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), path)
    return found


@frozen
class Folder:
    """An open folder: its descriptor, and its path without links."""

    descriptor: int
    real: str


@frozen
class Place:
    """A name in an open folder; no folder (None) where there is none by that path. ``real`` has no link."""

    folder: int | None
    name: str
    real: str

    def parent(self, path: str) -> int:
        """Return the folder's descriptor. Raises FileNotFoundError, naming path, where there is none."""
        if self.folder is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return self.folder

    @contextmanager
    def held(self, path: str) -> Iterator[int]:
        """Give a descriptor of the folder that stays open whatever is looked up meanwhile."""
        descriptor = os.dup(self.parent(path))
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    @contextmanager
    def itself(self, path: str) -> Iterator[int]:
        """Open what is there, a link itself too, without reading from it (O_PATH)."""
        descriptor = os.open(self.name, _ITSELF, dir_fd=self.parent(path))
        try:
            yield descriptor
        finally:
            os.close(descriptor)


def by_descriptor(descriptor: int) -> str:
    """Return a path of this process that stands for exactly what a descriptor holds (proc(5))."""
    return f"/proc/self/fd/{descriptor}"


def _can_be_named(path: str) -> bool:
    """Tell whether the kernel can be given this text as a path: no NUL, and encodable (no lone surrogate)."""
    if path.isascii():
        return "\0" not in path
    try:
        return b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        return False


def join(folder: str, name: str) -> str:
    """Return the path of a name in a folder."""
    return f"{folder.rstrip('/')}/{name}"


class Beneath:
    """Look-ups beneath a folder. ``grafts`` shows other folders at names in its root (name to host path).

    ``spelled(folder, name)`` may give the name as it is spelled in the folder, where case does not matter.
    Raises OSError where the folder can't be opened.
    """

    def __init__(self, root: str | int, grafts: Mapping[str, str] | None = None) -> None:
        above = root if isinstance(root, int) else None
        name = "." if isinstance(root, int) else root
        self.descriptor = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=above)
        self._grafts: dict[str, int] = {}
        self._open: dict[str, int] = {}
        self._asked: dict[str, Folder | None] = {}
        self._lost: dict[str, str] = {}
        try:
            self._host = os.readlink(by_descriptor(self.descriptor)).rstrip("/")
        except OSError as error:
            raise OSError(errno.ENOSYS, "/proc is not mounted on this host, and files are opened through it") from error
        self.spelled: Callable[[Folder, str], str] | None = None
        for shown, place in (grafts or {}).items():
            self._grafts[f"/{shown}"] = os.open(place, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    @property
    def grafts(self) -> tuple[str, ...]:
        """The names in the root that stand for other folders."""
        return tuple(path[1:] for path in self._grafts)

    def forget(self) -> None:
        """Let go of every folder but the root: what was looked up may have changed."""
        for descriptor in self._open.values():
            os.close(descriptor)
        self._open.clear()
        self._asked.clear()
        self._lost.clear()

    def close(self) -> None:
        """Let go of everything; may be called twice."""
        self.forget()
        for descriptor in (*self._grafts.values(), self.descriptor):
            if descriptor >= 0:
                os.close(descriptor)
        self._grafts.clear()
        self.descriptor = -1

    def __del__(self) -> None:
        if getattr(self, "descriptor", -1) >= 0:
            self.close()

    def place(self, path: str, *, follow: bool = True) -> Place:
        """Return where a path leads, as openat2(2) has it with RESOLVE_IN_ROOT; it need not exist.

        What comes after a missing component is kept as it is. With ``follow=False`` a link in the last
        component stays. Raises NotFound, SymlinkLoop, Unreadable.
        """
        if len(self._open) > MAX_OPEN:
            self.forget()
        above, _, name = path.rpartition("/")
        if not path.startswith("/") or name in ("", ".", "..") or not _can_be_named(path):
            return self._walk(path, follow=follow)
        folder = self.folder(above)
        if folder is None:
            if above not in self._lost:
                self._lost[above] = self._walk(above or "/").real
            return self._at(None, name, join(self._lost[above], name))
        spelled = self._spelled(folder, name)
        real = join(folder.real, spelled)
        if follow and self._link(folder.descriptor, spelled, real) is not None:
            return self._walk(path, follow=True)
        return self._at(folder.descriptor, spelled, real)

    def folder(self, path: str) -> Folder | None:
        """Return the folder that a path leads to, None where it leads to none."""
        if path not in self._asked:
            self._asked[path] = self._by_kernel(path) or self._by_steps(path)
        return self._asked[path]

    def _by_kernel(self, path: str) -> Folder | None:
        """Return the folder in one call; None where the kernel finds none, or can't tell where it is."""
        if self._grafts:
            return None
        try:
            descriptor = openat2(self.descriptor, path.lstrip("/") or ".")
        except OSError:
            return None
        text = os.readlink(by_descriptor(descriptor))
        if not f"{text}/".startswith(f"{self._host}/") or text.endswith(" (deleted)"):
            os.close(descriptor)  # the root was moved meanwhile, or the folder is gone
            return None
        real = text.removeprefix(self._host) or "/"
        if real in self._open:
            os.close(descriptor)
        return Folder(self._open.setdefault(real, descriptor), real)

    def _by_steps(self, path: str) -> Folder | None:
        place = self._walk(path)
        if place.name == ".":
            return None if place.folder is None else Folder(place.folder, place.real)
        descriptor = self._into(place.folder, place.name, place.real)
        return None if descriptor is None else Folder(descriptor, place.real)

    def _walk(self, path: str, *, follow: bool = True) -> Place:
        if not _can_be_named(path):
            raise NotFound("a path can't hold a NUL byte or half a character", where=ascii(path)[1:-1])
        todo = pieces(path)[::-1]
        at, links = "/", 0
        descriptor: int | None = self.descriptor
        while todo:
            part = todo.pop()
            if part == "..":
                at = at.rpartition("/")[0] or "/"
                descriptor = self._enter(at)
                continue
            name = part if descriptor is None else self._spelled(Folder(descriptor, at), part)
            step = join(at, name)
            target = None
            if descriptor is not None and (follow or todo):
                target = self._link(descriptor, name, step)
            if target is None:
                if not todo:
                    return self._at(descriptor, name, step)
                descriptor, at = self._into(descriptor, name, step), step
                continue
            links += 1
            if links > MAX_LINKS:
                raise SymlinkLoop("too many symbolic links", where=path)
            if target.startswith("/"):
                at, descriptor = "/", self.descriptor
            todo += pieces(target)[::-1]
        return Place(descriptor, ".", at)

    def _at(self, descriptor: int | None, name: str, real: str) -> Place:
        return Place(self._grafts[real], ".", real) if real in self._grafts else Place(descriptor, name, real)

    def _spelled(self, folder: Folder, name: str) -> str:
        return name if self.spelled is None else self.spelled(folder, name)

    def _enter(self, real: str) -> int | None:
        """Open the folder at a path that has no link; a link that is there by now is no folder."""
        descriptor: int | None = self.descriptor
        at = "/"
        for name in pieces(real):
            at = join(at, name)
            descriptor = self._into(descriptor, name, at)
        return descriptor

    def _into(self, descriptor: int | None, name: str, real: str) -> int | None:
        """Open a folder by its name in another; None where it is none."""
        if descriptor is None or real in self._grafts:
            return self._grafts.get(real)
        if real not in self._open:
            try:
                self._open[real] = os.open(name, _FOLDER, dir_fd=descriptor)
            except OSError as error:
                if error.errno in _ABSENT:
                    return None
                raise unreadable(error, real, "can't be looked up") from error
        return self._open[real]

    def _link(self, descriptor: int, name: str, real: str) -> str | None:
        """Return the text of a link, None for anything else."""
        if real in self._grafts:
            return None
        try:
            if not stat.S_ISLNK(os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode):
                return None  # asked first: most are no links, and an error costs more than a second call
            return os.readlink(name, dir_fd=descriptor)
        except OSError as error:
            if error.errno == errno.EINVAL or error.errno in _ABSENT:
                return None
            raise unreadable(error, real, "can't be looked up") from error


# on descriptors


@contextmanager
def told(path: str) -> Iterator[None]:
    """Name the guest's path in an OSError."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno or errno.EIO, error.strerror or str(error), path) from error


def open_quietly(descriptor: int) -> int:
    """Open what an O_PATH descriptor holds for reading, without a new access time where the user may ask for that."""
    try:
        return os.open(by_descriptor(descriptor), _READ | os.O_NOATIME)
    except PermissionError:
        return os.open(by_descriptor(descriptor), _READ)


def set_meta(descriptor: int, meta: Meta) -> None:
    """Give an open file or folder owner, attributes, mode and times, in this order. Raises OSError."""
    found = os.fstat(descriptor)
    wanted = (found.st_uid if meta.uid is None else meta.uid, found.st_gid if meta.gid is None else meta.gid)
    if wanted != (found.st_uid, found.st_gid):
        os.fchown(descriptor, *wanted)
    for name, value in meta.xattrs:
        _set_xattr(descriptor, name, value)
    os.fchmod(descriptor, meta.mode)
    if meta.mtime_ns is not None:
        atime = meta.mtime_ns if meta.atime_ns is None else meta.atime_ns
        os.utime(descriptor, ns=(atime, meta.mtime_ns))


def _set_xattr(descriptor: int, name: str, value: bytes) -> None:
    try:
        if os.getxattr(descriptor, name) == value:
            return
    except OSError:
        pass
    os.setxattr(descriptor, name, value)


def unmake(descriptor: int, folder: int, name: str) -> None:
    """Remove a file that could not be written whole, unless another has taken its name by now."""
    with suppress(OSError):
        if os.path.samestat(os.fstat(descriptor), os.stat(name, dir_fd=folder, follow_symlinks=False)):
            os.unlink(name, dir_fd=folder)


def sync_folder(folder: int) -> None:
    """Write the names in a folder to disk."""
    descriptor = os.open(".", LIST_FLAGS, dir_fd=folder)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a filesystem without directory sync, such as some FUSE ones
            raise
    finally:
        os.close(descriptor)
