"""A backend as a third party writes it: a guest's root in a tar archive, read only, all of it in memory."""

from __future__ import annotations

import io
import tarfile
from typing import IO

from guestfix.backends import Request
from guestfix.backends.resolve import resolve
from guestfix.base.errors import NotAGuest, NotFound, TooLarge, Unreadable, UsageError
from guestfix.base.guest import MAX_READ, Disks, Meta, Space, Stat

KINDS = {tarfile.DIRTYPE: "dir", tarfile.SYMTYPE: "symlink", tarfile.REGTYPE: "file"}


class TarGuest:
    case_insensitive = False

    def __init__(self, place: str) -> None:
        self.uri = f"tinytar:{place}"
        self.members: dict[str, tarfile.TarInfo] = {}
        self.data: dict[str, bytes] = {}
        with tarfile.open(place) as archive:
            for member in archive:
                path = "/" + member.name.strip("./")
                self.members[path] = member
                if member.isreg() or member.islnk():
                    stream = archive.extractfile(member)
                    self.data[path] = stream.read() if stream else b""
        self.links = [path for path, member in self.members.items() if member.islnk()]

    def _link(self, real: str) -> str | None:
        member = self.members.get(real)
        return member.linkname if member is not None and member.issym() else None

    def realpath(self, path: str) -> str:
        return resolve(path, lambda folder, name: f"{folder.rstrip('/')}/{name}", self._link)

    def _stat(self, real: str) -> Stat | None:
        member = self.members.get(real)
        if member is None:
            return None
        targets = ["/" + self.members[path].linkname.strip("./") for path in self.links]
        links = 1 + targets.count(real)
        if member.islnk():
            target = "/" + member.linkname.strip("./")
            member, links = self.members[target], 1 + targets.count(target)
        kind = KINDS.get(member.type, "other")
        size = len(self.data.get(real, b"")) if kind == "file" else len(member.linkname)
        time = int(member.mtime * 10**9)
        return Stat(kind, size, member.mode & 0o7777, member.uid, member.gid, time, time, links, 0)

    def stat(self, path: str, *, follow: bool = True) -> Stat | None:
        try:
            real = resolve(path, lambda folder, name: f"{folder.rstrip('/')}/{name}", self._link, follow=follow)
        except NotFound:
            return None
        return self._stat(real)

    def meta(self, path: str) -> Meta:
        found = self._stat(self.realpath(path))
        if found is None:
            raise NotFound("no such file in the archive", where=path)
        return Meta(found.mode, found.uid, found.gid, found.mtime_ns, found.atime_ns)

    def readlink(self, path: str) -> str:
        found = self._link(resolve(path, lambda folder, name: f"{folder.rstrip('/')}/{name}", self._link, follow=False))
        if found is None:
            raise NotFound("no link", where=path)
        return found

    def read(self, path: str, limit: int = MAX_READ) -> bytes:
        with self.open(path) as stream:
            data = stream.read()
        if len(data) > limit:
            raise TooLarge("larger than was asked for", where=path)
        return data

    def open(self, path: str) -> IO[bytes]:
        real = self.realpath(path)
        if real not in self.members:
            raise NotFound("no such file in the archive", where=path)
        if real not in self.data:
            raise Unreadable("not a regular file", where=path)
        return io.BytesIO(self.data[real])

    def list(self, path: str) -> tuple[str, ...]:
        base = self.realpath(path).rstrip("/") + "/"
        return tuple(sorted(one[len(base) :] for one in self.members if one.startswith(base) and one != base
                            and "/" not in one[len(base) :]))  # fmt: skip

    def disks(self) -> Disks | None:
        return None

    def space(self, path: str) -> Space | None:
        return None


def open_place(place: str, request: Request) -> TarGuest:
    if request.writable:
        raise UsageError("a tar archive can only be read")
    try:
        return TarGuest(place)
    except (OSError, tarfile.TarError) as error:
        raise NotAGuest(f"no tar archive: {error}", where=place, remedy="give one") from error
