"""Disk images read and written through a throw-away machine, as an ordinary user.

Every filesystem that its kernel knows, LVM and RAID are there; journals are replayed into the overlay, and
the image itself stays untouched until ``commit``.
"""

from __future__ import annotations

import atexit
import base64
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from guestfix.backends import Request
from guestfix.backends.damage import on_host
from guestfix.backends.disks.commit import open_to_write
from guestfix.backends.disks.formats import OpenDisk
from guestfix.backends.disks.hostfiles import HostFiles
from guestfix.backends.disks.overlaydisk import Overlays
from guestfix.backends.image import ImageGuest
from guestfix.backends.machine.session import Kind, Session
from guestfix.backends.outcome import Check, ImageWriter
from guestfix.backends.remote import Listing, RemoteGuest, disk_findings
from guestfix.backends.volumes.assemble import Volumes
from guestfix.backends.volumes.block import Block, DiskError
from guestfix.backends.volumes.partitions import read_table
from guestfix.backends.volumes.probe import probe
from guestfix.base.errors import GuestError, UsageError
from guestfix.base.guest import Disk, Disks, Meta, Placed, Space, Stat, Volume

if TYPE_CHECKING:
    from guestfix.backends.volumes.keys import Keys

AHEAD = frozenset({"ext2", "ext3", "ext4", "xfs", "vfat"})
"""Filesystems that guestfix reads itself; the packages that read others tell less of what they don't know."""


class MachineFar:
    """The far side of a RemoteGuest: each method is one request to the machine.

    ``deep``: a listing below /etc or /boot brings those of the folders in it.
    """

    def __init__(self, session: Session, *, deep: bool = True) -> None:
        self.session = session
        self._deep = deep
        self._ahead: dict[str, Any] = {}

    def lstat(self, path: str) -> Stat | None:
        """See Far."""
        found = self.session.call("lstat", path=path)
        return Stat(**found) if found else None

    def scan(self, path: str) -> Listing | None:
        """See Far."""
        if path not in self._ahead:
            self._ahead |= self.session.call("scan", path=path, deep=self._deep)
        rows = self._ahead.pop(path, None)
        return None if rows is None else {name: (Stat(**stat), link) for name, stat, link in rows}

    def _write(self, op: str, **args: Any) -> None:
        self._ahead.clear()
        self.session.write(op, **args)

    def fetch(self, path: str, to: str) -> None:
        """See Far."""
        self.session.call("fetch", into=to, path=path)

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
        self._write("put", source=source, path=path, meta=meta)

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


class _NotYet:
    """The far side of a machine that nobody has asked anything: the first question opens the guest there."""

    def __init__(self, guest: MachineGuest) -> None:
        self._guest = guest

    def __getattr__(self, name: str) -> Any:
        self._guest.begin()
        return getattr(self._guest.far, name)


READING = ("stat", "meta", "readlink", "realpath", "open", "read", "list", "disks", "space", "findings")
"""What the backend ``image`` answers for a machine that is still starting."""


class MachineGuest(RemoteGuest, ImageWriter):
    """A guest inside disk images, reached through a throw-away machine. Call ``close`` when done.

    ``to_write``: where the backend ``image`` reads all that is on the disks, it does so until something is to be
    written (``begin``): it reads in place what the machine would have to hand over, and the machine starts meanwhile.
    """

    def __init__(
        self,
        kind: Kind,
        paths: list[str],
        root: str = "",
        host: HostFiles | None = None,
        *,
        in_place: bool = False,
        to_write: bool = False,
        keys: Keys | None = None,
    ) -> None:
        self.kind, self.host_files = kind, host or HostFiles()
        try:
            images, self.recovered = open_to_write(paths, self.host_files, in_place=in_place)
            self._ahead = _readable(paths, root, images, keys) if to_write else None
            read = self._ahead.volumes if self._ahead else Volumes(images, keys) if keys is not None else None
            self._crypts = read.crypts if read else {}
            self._open(images, paths, root)
        except BaseException:
            self.host_files.close()
            raise

    def _open(self, images: list[OpenDisk], paths: list[str], root: str) -> None:
        most = self.kind.max_disks
        if len(images) > most:
            raise DiskError(
                f"{len(images)} disks, but {self.kind.title} takes {most} at most",
                where=paths[most] if len(paths) == len(images) else "",
                remedy="write through the other backend, which takes 255: libguestfs:FILE (see: guestfix backends)",
            )
        kinds = frozenset(kind for image in images for kind in kinds_of(image.block))
        raid = self._ahead is None and not kinds.isdisjoint(PARITY)
        self.overlays = Overlays(images, export=self.kind.export)
        self._session: Session | None = None
        atexit.register(self.close)
        try:
            self._session = Session(self.kind, self.overlays, root, kinds=kinds, raid=raid)
            self.uri = f"{self.kind.scheme}:" + ",".join(paths)
            if self._ahead is None:
                self._mount()
            else:
                self._read_by(self._ahead)
        except BaseException:
            self.close()
            raise

    def _mount(self) -> list[str]:
        """Let the machine open the guest; return where filesystems are mounted."""
        if self._session is None:
            raise GuestError("the guest was closed already")
        for uuid, (crypt, version) in self._crypts.items():
            self._session.call("unlock", uuid=uuid, version=version, table=crypt.table("{}"))
        found = self._session.call("open")
        folding = [path for path, kind, _ in found["mounts"] if kind in ("vfat", "ntfs")]
        super().__init__(
            self.uri,
            MachineFar(self._session, deep=self._ahead is None),  # who plans looks at most of /etc
            self._session.exchange,
            disks_in(found["disks"]),
            windows=found["windows"],
            folding=lambda path: any(path == one or path.startswith(one + "/") for one in folding),
            findings=disk_findings(found["problems"], found["unclean"], found["missing"], found["disorder"]),
        )
        return [path for path, _, _ in found["mounts"]]

    def _read_by(self, ahead: ImageGuest) -> None:
        super().__init__(self.uri, _NotYet(self), "", Disks(), windows=ahead.case_insensitive)
        for name in READING:
            setattr(self, name, getattr(ahead, name))

    def begin(self) -> None:
        """Read from now on where is written. Raises GuestError where the machine doesn't have what was read."""
        if self._ahead is None:
            return
        read = sorted(one.path for one in self._ahead.layout.mounts)
        mounted = sorted(self._mount())
        self._ahead = None
        for name in READING:
            delattr(self, name)
        if mounted != read:
            what = f"{self.kind.title} mounts {', '.join(mounted)}, and {', '.join(read)} was read"
            raise DiskError(what, remedy="write through libguestfs: (guestfix backends)")

    def check(self) -> tuple[Check, ...]:
        """Unmount, check every filesystem without repairing it, and end the machine."""
        self.begin()
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


def _readable(paths: list[str], root: str, images: list[OpenDisk], keys: Keys | None) -> ImageGuest | None:
    """Return the guest as ``image`` reads it, None where that leaves anything out or has doubts of it."""
    try:
        found = ImageGuest(paths, root, HostFiles(), images, keys)
        kinds = {one.part.probe.type for one in found.layout.mounts if one.part.probe}
        return found if not found.findings() and kinds <= AHEAD else None
    except (GuestError, UsageError, OSError):
        return None


HOLDERS = frozenset({"linux_raid_member", "LVM2_member", "crypto_LUKS"})
"""What has further volumes in it."""

PARITY = HOLDERS | {"btrfs"}
"""What may be RAID, or be on one, whose parity code then must be chosen."""


UNTOLD = "untold"
"""The kind of a volume that can't be read from outside."""


def kinds_of(block: Block) -> Iterator[str]:
    """Yield what a disk or its partitions are; UNTOLD for what can't be read, nothing for what nobody knows."""
    from guestfix.backends.volumes.block import Window

    unread = (GuestError, ValueError, OSError, struct.error)
    try:
        table = read_table(block)
    except unread:
        yield UNTOLD
        return
    spans = [(part.start, min(part.size, block.size - part.start)) for part in table.partitions]
    for start, size in spans or [(0, block.size)]:
        try:
            found = probe(Window(block, start, size))
        except unread:
            yield UNTOLD
            continue
        if found is not None:
            yield found.type


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


def open_by(kind: Kind, place: str, request: Request) -> MachineGuest:
    """Open disk images as the user named them, through a machine of this kind."""
    if request.disks:
        raise UsageError("--disks is for folders; an image shows its disks itself")
    host = HostFiles(request.allow_backing, request.image_types)
    with on_host(f"{kind.title} can't be started over it"):
        return MachineGuest(
            kind,
            [place, *request.more],
            request.root,
            host,
            in_place=request.in_place,
            to_write=request.writable,
            keys=request.keys,
        )
