"""What a guest is to the rest of guestfix: a tree of files behind one read interface, and its disks.

Paths are absolute POSIX strings (``/etc/fstab``) that never leave the guest: backends resolve symbolic
links inside the guest's root, as openat2(2) does with ``RESOLVE_IN_ROOT``.
"""

from __future__ import annotations

import stat as st
from collections.abc import Iterable
from typing import IO, Literal, Protocol

from guestfix.base.record import frozen

MAX_READ = 16 * 1024 * 1024
"""Bytes that :meth:`GuestFS.read` returns at most unless told otherwise."""

Kind = Literal["file", "dir", "symlink", "other"]


def kind_of(mode: int) -> Kind:
    """Return the Kind that the type bits of a mode stand for."""
    if st.S_ISREG(mode):
        return "file"
    if st.S_ISDIR(mode):
        return "dir"
    return "symlink" if st.S_ISLNK(mode) else "other"


@frozen
class Stat:
    """What lstat(2) or stat(2) says of a path. ``other`` is a FIFO, socket or device node."""

    kind: Kind
    size: int
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    atime_ns: int
    nlink: int = 1
    device: int = 0


@frozen
class Meta:
    """What a rewritten file takes over from its original: mode bits, owner, times, extended attributes.

    A time of None is left to the backend (the time of writing).
    """

    mode: int = 0o644
    uid: int | None = None
    gid: int | None = None
    mtime_ns: int | None = None
    atime_ns: int | None = None
    xattrs: tuple[tuple[str, bytes], ...] = ()


@frozen
class Space:
    """Room on the filesystem that holds a path, in bytes and inodes; None where it can't be told.

    ``own`` is False where the filesystem holds other files of the host too, so that it isn't the guest's.
    """

    filesystem: str
    free_bytes: int
    total_bytes: int
    free_inodes: int | None = None
    own: bool = True


@frozen
class Volume:
    """A block device that can hold a filesystem: a partition, a logical volume, an md array.

    ``device`` is the name that the guest used on its old platform (``/dev/sda1``). ``unclean``: its filesystem
    says that it was not unmounted (for NTFS: the volume's dirty flag). ``lost``: a disk that it needs is not there,
    such as one of its volume group, so that nothing can open it. ``start``: where a partition begins on its disk, in
    bytes.
    """

    device: str
    aliases: tuple[str, ...] = ()
    fstype: str | None = None
    uuid: str | None = None
    label: str | None = None
    partuuid: str | None = None
    partlabel: str | None = None
    size: int | None = None
    unclean: bool = False
    lost: bool = False
    start: int | None = None


@frozen
class Disk:
    """A whole disk with its partitions. ``size`` is in bytes.

    ``table`` is ``gpt``, ``mbr``, or ``ldm`` for a Windows dynamic disk. ``id`` is the table's own: a GUID on GPT, the
    eight hex digits of the disk's signature on MBR; both in lower case. ``boot`` is what a BIOS
    would start: ``none``, ``grub``, ``coreless`` (GRUB without its second part), ``inactive`` (code that needs an
    active partition, and none is), ``other``; empty where the disk was not read.
    """

    device: str
    size: int | None = None
    table: str | None = None
    partitions: tuple[Volume, ...] = ()
    id: str | None = None
    boot: str = ""


@frozen
class Placed:
    """Where a volume is mounted though fstab has no line for it, and by what: ``type`` (of its partition), ``label``,
    ``unit`` (a mount unit), ``usr`` (it holds the /usr that the root lacks), ``root``.
    """

    mount: str
    device: str
    by: str


@frozen
class Disks:
    """All disks of a guest, in the order of the old platform, and the volumes that lie above partitions.

    ``read``: all of it was read from the disks themselves, so a label or UUID that is not given is not there either.
    ``root`` is the device that holds the guest's root, where that is known; for Windows its C:. ``mounts`` is what is
    mounted though fstab doesn't say so.
    """

    disks: tuple[Disk, ...] = ()
    volumes: tuple[Volume, ...] = ()
    read: bool = False
    root: str = ""
    mounts: tuple[Placed, ...] = ()

    def all_volumes(self) -> tuple[Volume, ...]:
        """Return partitions first, in disk order, then the volumes above them."""
        return tuple(part for disk in self.disks for part in disk.partitions) + self.volumes


class GuestFS(Protocol):
    """Read access to a guest. Every method follows symbolic links inside the guest unless it says no.

    Errors raised: :class:`~guestfix.base.errors.NotFound`, :class:`~guestfix.base.errors.Unreadable`,
    :class:`~guestfix.base.errors.TooLarge`, :class:`~guestfix.base.errors.SymlinkLoop`.
    """

    @property
    def uri(self) -> str:
        """How the user names this guest, with the backend's name: ``dir:/srv/guest``."""

    @property
    def case_insensitive(self) -> bool:
        """True where names match regardless of case (NTFS, FAT, a Windows tree)."""

    def stat(self, path: str, *, follow: bool = True) -> Stat | None:
        """Return the path's Stat, or None where nothing is there (a dangling link included)."""

    def meta(self, path: str) -> Meta:
        """Return mode, owner, times and extended attributes of the file (links are followed)."""

    def readlink(self, path: str) -> str:
        """Return the target text of the symbolic link at path, which itself is not followed."""

    def realpath(self, path: str) -> str:
        """Return the guest path with every link resolved; the last component need not exist."""

    def read(self, path: str, limit: int = MAX_READ) -> bytes:
        """Return the bytes of a regular file; TooLarge where it holds more than limit bytes."""

    def open(self, path: str) -> IO[bytes]:
        """Open a regular file for binary reading; it can seek. For files that should be streamed."""

    def list(self, path: str) -> tuple[str, ...]:
        """Return the names in a directory, sorted; empty where there is no such directory."""

    def disks(self) -> Disks | None:
        """Return the disks as the old platform named them, or None where nobody said."""

    def space(self, path: str) -> Space | None:
        """Return the room on the filesystem that holds path, or None where it can't be told."""


class GuestWriter(GuestFS, Protocol):
    """Write access; only apply and revert hold one. No method follows a link in the last component.

    Each call is on disk when it returns. Raises :class:`OSError` with its errno where writing fails.
    """

    def put(self, path: str, chunks: Iterable[bytes], meta: Meta) -> None:
        """Create the file, which must not exist, with these bytes and this metadata."""

    def put_symlink(self, path: str, target: str, meta: Meta) -> None:
        """Create a symbolic link, which must not exist."""

    def mkdir(self, path: str, meta: Meta) -> None:
        """Create one directory, which must not exist."""

    def rename(self, old: str, new: str) -> None:
        """Rename within one folder, replacing what was at new, atomically."""

    def keep(self, path: str, backup: str) -> None:
        """Make backup a second name of path: a hard link where the filesystem has them, else a copy."""

    def drop(self, path: str) -> None:
        """Remove a file, a symbolic link or an empty directory."""

    def set_times(self, path: str, atime_ns: int, mtime_ns: int) -> None:
        """Set both times of a file or directory, in nanoseconds."""
