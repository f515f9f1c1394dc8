"""Folders of the host that a stranger may have made, such as a rule pack: no link followed, all of it bounded.

Everything is opened below a descriptor of the root and without following links (``O_NOFOLLOW``), so that
neither a link nor a folder that is swapped meanwhile leads to another file of the host.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator

from guestfix.base.errors import GuestfixError
from guestfix.base.record import frozen

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
CHUNK = 1 << 20


@frozen
class Bounds:
    """What a tree may hold: bytes of one file and of all, entries, levels of folders; and what to call it."""

    what: str
    file: int
    total: int
    entries: int
    depth: int


@frozen
class Item:
    """One entry: its path below the root, ``kind`` file, dir or link."""

    path: str
    kind: str


class Tree:
    """A folder of the host, held open. Use as a context manager. ``root`` itself is named by the operator."""

    def __init__(self, root: str, bounds: Bounds) -> None:
        self.root = root
        self.bounds = bounds
        self._entries = self._total = 0
        self._within: tuple[str, int] | None = None
        try:
            self._fd = os.open(root, _FOLDER & ~os.O_NOFOLLOW)
        except OSError as error:
            raise self._unreadable("", error) from error

    def __enter__(self) -> Tree:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def refusal(self, path: str, what: str, remedy: str = "") -> GuestfixError:
        """Return the error that refuses an entry."""
        return GuestfixError(what, where=os.path.join(self.root, path) if path else self.root, remedy=remedy)

    def _unreadable(self, path: str, error: OSError) -> GuestfixError:
        return self.refusal(path, f"can't read {self.bounds.what}: {error.strerror}")

    def _open(self, path: str, flags: int) -> int:
        """Open a path below the root, no component of which may be a link."""
        if self._within is not None and path.rpartition("/")[0] == self._within[0]:
            return os.open(path.rpartition("/")[2], flags, dir_fd=self._within[1])
        folder = os.dup(self._fd)
        try:
            *parents, name = path.split("/")
            for part in parents:
                inner = os.open(part, _FOLDER, dir_fd=folder)
                os.close(folder)
                folder = inner
            return os.open(name, flags, dir_fd=folder)
        finally:
            os.close(folder)

    def _folder(self, path: str) -> int:
        """Open a folder; "" is the root. Raises GuestfixError where there is none (any more)."""
        try:
            return self._open(path, _FOLDER) if path else os.dup(self._fd)
        except OSError as error:
            raise self._unreadable(path, error) from error

    def walk(self, into: Callable[[str], bool], *, links: bool = False, below: str = "") -> Iterator[Item]:
        """Yield every entry, sorted by name in each folder; a folder is entered where ``into`` agrees to its path.

        Raises GuestfixError for a device, a socket, a FIFO, for a link unless ``links``, and beyond a bound.
        """
        fd = self._folder(below)
        try:
            yield from self._walk(fd, below, into, links, 1)
        finally:
            os.close(fd)

    def _walk(self, fd: int, folder: str, into: Callable[[str], bool], links: bool, depth: int) -> Iterator[Item]:
        if depth > self.bounds.depth:
            raise self.refusal(folder, f"{self.bounds.what} has folders deeper than {self.bounds.depth} levels")
        for entry in self._entries_of(fd, folder):
            name = entry.name
            path = f"{folder}/{name}" if folder else name
            item = self._item(entry, path, links)
            self._within = folder, fd  # what is opened while the walk stands here is opened from here
            try:
                yield item
            finally:
                self._within = None
            if item.kind == "dir" and into(path):
                try:
                    inner = os.open(name, _FOLDER, dir_fd=fd)
                except OSError as error:
                    raise self._unreadable(path, error) from error
                try:
                    yield from self._walk(inner, path, into, links, depth + 1)
                finally:
                    os.close(inner)

    def _entries_of(self, fd: int, folder: str) -> list[os.DirEntry[str]]:
        found = []
        try:
            with os.scandir(fd) as entries:
                for entry in entries:
                    self._entries += 1
                    if self._entries > self.bounds.entries:
                        raise self.refusal(folder, f"{self.bounds.what} has more than {self.bounds.entries} entries")
                    found.append(entry)
        except OSError as error:
            raise self._unreadable(folder, error) from error
        return sorted(found, key=lambda entry: entry.name)

    def _item(self, entry: os.DirEntry[str], path: str, links: bool) -> Item:
        """Return what an entry is, as its folder says, mostly without asking for the entry itself."""
        try:
            if entry.is_dir(follow_symlinks=False):
                return Item(path, "dir")
            if entry.is_file(follow_symlinks=False):
                return Item(path, "file")
            link = entry.is_symlink()
        except OSError as error:
            raise self._unreadable(path, error) from error
        if link and links:
            return Item(path, "link")
        kind = "a link" if link else "a device, a pipe or a socket"
        remedy = "put the file itself there" if link else "remove it"
        raise self.refusal(path, f"{self.bounds.what} may hold only files and folders, and this is {kind}", remedy)

    def has(self, path: str) -> bool:
        """Tell whether anything is at this path, a link included."""
        folder, _, name = path.rpartition("/")
        try:
            fd = self._open(folder, _FOLDER) if folder else os.dup(self._fd)
        except OSError:
            return False
        try:
            os.stat(name, dir_fd=fd, follow_symlinks=False)
        except OSError:
            return False
        finally:
            os.close(fd)
        return True

    def read(self, path: str) -> bytes:
        """Return a file's bytes. Raises GuestfixError for what is no plain file, and beyond a bound."""
        return b"".join(self._chunks(path, None))

    def _chunks(self, path: str, out: int | None) -> Iterator[bytes]:
        """Yield a file's bytes; where ``out`` is a descriptor, mode and times are copied to it at the end."""
        try:
            fd = self._open(path, _FILE)
        except OSError as error:
            raise self._unreadable(path, error) from error
        try:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):
                raise self.refusal(path, f"{self.bounds.what} may hold only files and folders")
            self._count(path, found.st_size)
            left = found.st_size
            while left and (chunk := os.read(fd, min(left, CHUNK))):
                left -= len(chunk)
                yield chunk
            if out is not None:
                os.fchmod(out, stat.S_IMODE(found.st_mode))
                os.utime(out, ns=(found.st_atime_ns, found.st_mtime_ns))
        except OSError as error:
            raise self._unreadable(path, error) from error
        finally:
            os.close(fd)

    def _count(self, path: str, size: int) -> None:
        if size > self.bounds.file:
            raise self.refusal(path, f"larger than {self.bounds.file} bytes, the most that is read of one file here")
        self._total += size
        if self._total > self.bounds.total:
            raise self.refusal("", f"{self.bounds.what} is larger than {self.bounds.total} bytes in all")

    def copy(self, below: str, to: str) -> None:
        """Copy the file or folder at ``below`` to the new host path ``to``; links in it stay what they are.

        Modes and times are kept, owners are not. Raises GuestfixError as :meth:`walk` and :meth:`read` do.
        """
        folder, _, name = below.rpartition("/")
        parent = self._folder(folder)
        try:
            entry = next((one for one in self._entries_of(parent, folder) if one.name == name), None)
            if entry is None:
                raise self.refusal(below, f"can't read {self.bounds.what}: there is no such file")
            kind = self._item(entry, below, False).kind
        finally:
            os.close(parent)
        if kind == "file":
            self._copy_file(below, to)
            return
        os.mkdir(to)
        folders = [(below, to)]
        for item in self.walk(lambda _: True, links=True, below=below):
            place = os.path.join(to, item.path[len(below) + 1 :])
            if item.kind == "dir":
                os.mkdir(place)
                folders.append((item.path, place))
            elif item.kind == "link":
                os.symlink(self._target(item.path), place)
            else:
                self._copy_file(item.path, place)
        for path, place in reversed(folders):
            self._like(path, place)

    def _copy_file(self, path: str, place: str) -> None:
        out = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            for chunk in self._chunks(path, out):
                os.write(out, chunk)
        finally:
            os.close(out)

    def _target(self, path: str) -> str:
        folder, _, name = path.rpartition("/")
        fd = self._folder(folder)
        try:
            return os.readlink(name, dir_fd=fd)
        except OSError as error:
            raise self._unreadable(path, error) from error
        finally:
            os.close(fd)

    def _like(self, path: str, place: str) -> None:
        fd = self._folder(path)
        try:
            found = os.fstat(fd)
        finally:
            os.close(fd)
        os.chmod(place, stat.S_IMODE(found.st_mode) | 0o700)
        os.utime(place, ns=(found.st_atime_ns, found.st_mtime_ns))
