"""Files of the host put together for an initramfs, at the paths that they have on the host.

A link on the way is copied as a link, so merged folders and alternatives are as on the host. A program brings its
loader and libraries, which are looked for where its distribution keeps them: ld.so(8)'s order, for glibc and musl.
"""

from __future__ import annotations

import glob
import os
import platform
import stat
from collections.abc import Iterator

from guestfix.base.errors import GuestError
from guestfix.base.patterns import regex
from guestfix.formats import elf
from guestfix.formats.initramfs import cpio

LINKS = 40
_DEFAULTS = ("/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib", "/usr/local/lib64")
_INCLUDE = regex(r"\s*include\s+(\S.*)")


class Tree:
    """Entries of an initramfs, from the host's tree at ``root``."""

    def __init__(self, root: str = "/") -> None:
        self.root = root.rstrip("/")
        self.entries: dict[str, tuple[int, bytes]] = {}
        self.missing: list[str] = []
        self._folders = (*self._configured(), *_DEFAULTS, *self._multiarch())

    def write(self) -> bytes:
        """Return the archive."""
        rows = [(path[1:], mode, data) for path, (mode, data) in sorted(self.entries.items())]
        return cpio.write(rows)

    def put(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """Add a file that the host has not, with the folders on the way."""
        self._above(path)
        self.entries[path] = (cpio.FILE | mode, data)

    def device(self, path: str, major: int, minor: int) -> None:
        """Add a character device."""
        self._above(path)
        self.entries[path] = (cpio.DEVICE | 0o666, bytes((major, minor)))

    def _above(self, path: str) -> None:
        parts = path.split("/")[1:-1]
        for index in range(len(parts)):
            self.entries.setdefault("/" + "/".join(parts[: index + 1]), (cpio.DIR | 0o755, b""))

    def copy(self, path: str) -> bytes:
        """Add a file of the host with the links that lead to it; return its bytes. GuestError where that fails."""
        try:
            real = self._walk(path)
            with open(self.root + real, "rb") as stream:
                data = stream.read()
            mode = stat.S_IMODE(os.stat(self.root + real).st_mode) & 0o755
        except OSError as error:
            raise GuestError(f"can't be read: {error.strerror}", where=path) from error
        self.put(real, data, mode)
        return data

    def _walk(self, path: str) -> str:
        """Add the links on the way; return the path without them."""
        todo, at, links = path.split("/")[::-1], "", 0
        while todo:
            part = todo.pop()
            if part in ("", "."):
                continue
            if part == "..":
                at = at.rpartition("/")[0]
                continue
            here = f"{at}/{part}"
            if not os.path.islink(self.root + here):
                at = here
                continue
            links += 1
            if links > LINKS:
                raise OSError(40, "too many symbolic links", path)
            target = os.readlink(self.root + here)
            self._above(here)
            self.entries[here] = (cpio.LINK | 0o777, os.fsencode(target))
            at = "" if target.startswith("/") else at
            todo += target.split("/")[::-1]
        return at

    # programs

    def program(self, path: str) -> bool:
        """Add a program or library with all that its loader will look for; False where it is no ELF file.

        Libraries that are not found are in ``missing``. GuestError where the file itself can't be read.
        """
        return self._program(path, None, set()) is not None

    def _program(self, path: str, machine: tuple[int, int, int] | None, seen: set[str]) -> elf.Program | None:
        found = elf.read(self.copy(path))
        if found is None:
            return None
        if found.interpreter and found.interpreter not in seen:
            seen.add(found.interpreter)
            self.copy(found.interpreter)
        origin = os.path.dirname(os.path.realpath(self.root + path)).removeprefix(self.root)
        own = [one.replace("$ORIGIN", origin).replace("${ORIGIN}", origin) for one in found.folders]
        for name in found.needed:
            if name in seen:
                continue
            seen.add(name)
            place = self._library(name, own, found.machine)
            if place is None:
                self.missing.append(name)
            else:
                self._program(place, found.machine, seen)
        return found

    def _library(self, name: str, own: list[str], machine: tuple[int, int, int]) -> str | None:
        for folder in [""] if "/" in name else [*own, *self._folders]:
            place = os.path.normpath(f"{folder}/{name}")
            if place in self.entries or self._fits(place, machine):
                return place
        return None

    def _fits(self, place: str, machine: tuple[int, int, int]) -> bool:
        try:
            with open(self.root + self._inside(place), "rb") as stream:
                return elf.machine_of(stream.read(20)) == machine
        except OSError:
            return False

    def _inside(self, place: str) -> str:
        """Return a path without links that would lead out of the root."""
        if not self.root:
            return place
        kept = dict(self.entries)
        real = self._walk(place)
        self.entries = kept
        return real

    def _multiarch(self) -> list[str]:
        kind = platform.machine()
        return [f"{base}/{kind}-linux-{libc}" for libc in ("gnu", "musl") for base in ("/lib", "/usr/lib")]

    def _configured(self) -> list[str]:
        found = list(self._conf("/etc/ld.so.conf", 0))
        for place in glob.glob(f"{self.root}/etc/ld-musl-*.path"):
            with open(place, encoding="utf-8", errors="replace") as stream:
                found += [one for one in stream.read().replace(":", "\n").split("\n") if one.startswith("/")]
        return found

    def _conf(self, path: str, depth: int) -> Iterator[str]:
        try:
            with open(self.root + path, encoding="utf-8", errors="replace") as stream:
                lines = stream.read().splitlines()
        except OSError:
            return
        for line in lines:
            line = line.partition("#")[0].strip()
            if match := _INCLUDE.fullmatch(line):
                pattern = os.path.join(os.path.dirname(path), match[1])
                for place in sorted(glob.glob(self.root + pattern)) if depth < 4 else ():
                    yield from self._conf(place.removeprefix(self.root), depth + 1)
            elif line.startswith("/"):
                yield line.partition("=")[0].rstrip("/")
