"""The backend ``uml``: read and write disk images through User-mode Linux, as an ordinary user.

Every filesystem that its kernel knows, LVM and RAID are there; journals are replayed into the overlay, and
the image itself stays untouched until ``commit``.
"""

from __future__ import annotations

import atexit
import base64
import contextlib
import os
from typing import Any

from guestfix.backends import Request
from guestfix.backends.damage import on_host
from guestfix.backends.disks.commit import open_to_write
from guestfix.backends.disks.formats import OpenDisk
from guestfix.backends.disks.hostfiles import HostFiles
from guestfix.backends.disks.overlaydisk import Overlays
from guestfix.backends.outcome import Check, ImageWriter
from guestfix.backends.remote import Listing, RemoteGuest, disk_findings
from guestfix.backends.uml.session import Session
from guestfix.backends.volumes.block import DiskError
from guestfix.backends.volumes.partitions import read_table
from guestfix.backends.volumes.probe import probe
from guestfix.base.errors import GuestError, UsageError
from guestfix.base.guest import Disk, Disks, Meta, Placed, Space, Stat, Volume

MAX_DISKS = 16
"""What the driver ubd has minor numbers for (arch/um/drivers/ubd_kern.c, MAX_DEV)."""


class UmlFar:
    """The far side of a RemoteGuest: each method is one request to the machine."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._ahead: dict[str, Any] = {}

    def lstat(self, path: str) -> Stat | None:
        """See Far."""
        found = self.session.call("lstat", path=path)
        return Stat(**found) if found else None

    def scan(self, path: str) -> Listing | None:
        """See Far."""
        if path not in self._ahead:
            self._ahead |= self.session.call("scan", path=path)
        rows = self._ahead.pop(path, None)
        return None if rows is None else {name: (Stat(**stat), link) for name, stat, link in rows}

    def _write(self, op: str, **args: Any) -> None:
        self._ahead.clear()
        self.session.write(op, **args)

    def fetch(self, path: str, to: str) -> None:
        """See Far."""
        self.session.call("fetch", path=path, name=os.path.basename(to))

    def xattrs(self, path: str) -> tuple[tuple[str, bytes], ...]:
        """See Far."""
        rows = self.session.call("xattrs", path=path)
        return tuple((name, base64.b64decode(value["base64"])) for name, value in rows)

    def space(self, path: str) -> Space | None:
        """See Far."""
        found = self.session.call("space", path=path)
        return Space(**found) if found else None

    def put(self, path: str, source: str, meta: Meta) -> None:
        """See Far."""
        self._write("put", path=path, name=os.path.basename(source), meta=meta)

    def put_symlink(self, path: str, target: str, meta: Meta) -> None:
        """See Far."""
        self._write("put_symlink", path=path, target=target, meta=meta)

    def mkdir(self, path: str, meta: Meta) -> None:
        """See Far."""
        self._write("mkdir", path=path, meta=meta)

    def rename(self, old: str, new: str) -> None:
        """See Far."""
        self._write("rename", old=old, new=new)

    def keep(self, path: str, backup: str) -> None:
        """See Far."""
        self._write("keep", path=path, backup=backup)

    def drop(self, path: str) -> None:
        """See Far."""
        self._write("drop", path=path)

    def set_times(self, path: str, atime_ns: int, mtime_ns: int) -> None:
        """See Far."""
        self._write("set_times", path=path, atime_ns=atime_ns, mtime_ns=mtime_ns)


class UmlGuest(RemoteGuest, ImageWriter):
    """A guest inside disk images, reached through User-mode Linux. Call ``close`` when done."""

    def __init__(
        self, paths: list[str], root: str = "", host: HostFiles | None = None, *, in_place: bool = False
    ) -> None:
        self.host_files = host or HostFiles()
        try:
            images, self.recovered = open_to_write(paths, self.host_files, in_place=in_place)
            self._open(images, paths, root)
        except BaseException:
            self.host_files.close()
            raise

    def _open(self, images: list[OpenDisk], paths: list[str], root: str) -> None:
        if len(images) > MAX_DISKS:
            raise DiskError(
                f"{len(images)} disks, but User-mode Linux takes {MAX_DISKS} at most (its ubda to ubdp)",
                where=paths[MAX_DISKS] if len(paths) == len(images) else "",
                remedy="write through the other backend, which takes 255: libguestfs:FILE (see: guestfix backends)",
            )
        raid = any(_needs_parity(image.block) for image in images)
        self.overlays = Overlays(images)
        self._session: Session | None = None
        atexit.register(self.close)
        try:
            self._session = Session(self.overlays, root, raid=raid)
            found = self._session.call("open")
        except BaseException:
            self.close()
            raise
        folding = [path for path, kind, _ in found["mounts"] if kind in ("vfat", "ntfs")]
        super().__init__(
            "uml:" + ",".join(paths),
            UmlFar(self._session),
            self._session.exchange,
            disks_in(found["disks"]),
            windows=found["windows"],
            folding=lambda path: any(path == one or path.startswith(one + "/") for one in folding),
            findings=disk_findings(found["problems"], found["unclean"], found["missing"], found["disorder"]),
        )

    def check(self) -> tuple[Check, ...]:
        """Unmount, check every filesystem without repairing it, and end the machine."""
        if self._session is None:
            raise GuestError("the guest was closed already")
        found = tuple(Check(*row) for row in self._session.call("check"))
        self._session.stop()
        self.overlays.stop()
        self._session = None
        return found

    def close(self) -> None:
        """End the machine and drop the overlays. What was not committed or kept before is gone."""
        if self._session is not None:
            self._session.kill()
            self._session = None
        self.overlays.close()
        self.host_files.close()
        atexit.unregister(self.close)


def _needs_parity(block: Any) -> bool:
    """Tell whether a disk holds RAID or a Btrfs over several devices, whose parity code then must be chosen."""
    from guestfix.backends.volumes.block import Window

    with contextlib.suppress(GuestError, ValueError, OSError):
        table = read_table(block)
        spans = [(part.start, min(part.size, block.size - part.start)) for part in table.partitions]
        for start, size in spans or [(0, block.size)]:
            found = probe(Window(block, start, size))
            if found is not None and found.type in ("linux_raid_member", "btrfs", "LVM2_member"):
                return True
    return False


def disks_in(data: dict[str, Any]) -> Disks:
    """Return Disks from their JSON form."""
    disks = tuple(
        Disk(**{**one, "partitions": tuple(_volume(part) for part in one["partitions"])}) for one in data["disks"]
    )
    volumes, mounts = tuple(_volume(one) for one in data["volumes"]), data.get("mounts", ())
    placed = tuple(Placed(**one) for one in mounts)
    return Disks(disks, volumes, read=True, root=data.get("root", ""), mounts=placed)


def _volume(data: dict[str, Any]) -> Volume:
    return Volume(**{**data, "aliases": tuple(data["aliases"])})


def open_place(place: str, request: Request) -> UmlGuest:
    """Open disk images as the user named them."""
    if request.disks:
        raise UsageError("--disks is for folders; an image shows its disks itself")
    host = HostFiles(request.allow_backing, request.image_types)
    with on_host("User-mode Linux can't be started over it"):
        return UmlGuest([place, *request.more], request.root, host, in_place=request.in_place)
