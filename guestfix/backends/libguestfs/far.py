"""Files inside the libguestfs appliance, and the start of it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from guestfix.backends.damage import unreadable
from guestfix.backends.disks.naming import letters
from guestfix.backends.remote import Listing
from guestfix.backends.runfolder import RunFolder
from guestfix.backends.volumes.block import DiskError, SeekableBlock
from guestfix.base.guest import Meta, Space, Stat, kind_of

BATCH = 500
LABEL = "guestfix"
"""How disks are labelled, with their letter: the appliance's own programs find them below /dev/disk/guestfs.

Its kernel may have them in another order than the API, which calls them sda, sdb ... whatever that is.
"""

_ERRNO = {os.strerror(code): code for code in errno.errorcode}
"""The words of every error, as libguestfs ends its messages with them."""

_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)


def kernel_error(error: RuntimeError, path: str) -> OSError:
    """Return what a call's message tells as an OSError; EIO where it tells no error of the kernel."""
    said = str(error).strip()
    return OSError(_ERRNO.get(said.rpartition(": ")[2], errno.EIO), said, path)


def new_handle() -> Any:
    """Return a handle with libguestfs's calls as methods: the binding's, or guestfish's."""
    try:
        import guestfs
    except ImportError:
        from guestfix.backends.libguestfs.fish import Fish

        return Fish()
    handle = guestfs.GuestFS(python_return_dict=True)
    handle.set_recovery_proc(False)  # a fork of this process, which would hold the run's lock
    return handle


def launch(socket: str, count: int, run: RunFolder) -> Any:
    """Start the appliance over the disks d0, d1 ... that a server offers at a socket (NBD), as raw bytes.

    So its QEMU opens no image and no file that one names. Emulation is taken where KVM is there but does not work.
    DiskError where it does not start.
    """
    for settings in dict.fromkeys([os.environ.get("LIBGUESTFS_BACKEND_SETTINGS", ""), "force_tcg"]):
        with _environment(run, settings):
            handle = new_handle()
            try:
                _count(count, int(handle.max_disks()))
                for index in range(count):
                    label, server = f"{LABEL}{letters(index)}", [f"unix:{socket}"]
                    handle.add_drive(f"d{index}", format="raw", protocol="nbd", server=server, label=label)
                handle.launch()
                return handle
            except RuntimeError as error:
                handle.close()
                said = str(error)
    raise DiskError(f"the libguestfs appliance does not start: {said}", remedy="run: libguestfs-test-tool")


def _count(disks: int, most: int) -> None:
    if disks > most:
        raise DiskError(
            f"{disks} disks, but the libguestfs appliance takes {most} at most",
            remedy="leave out disks that hold nothing of the system (an LVM or RAID needs all of its own)",
        )


@contextmanager
def _environment(run: RunFolder, settings: str) -> Iterator[None]:
    """Within the block, libguestfs keeps its files in the run's folder, but for its appliance; its programs are marked.

    The library reads this process' own environment, and hands it on.
    """
    before = dict(os.environ)
    found = {"LIBGUESTFS_BACKEND": "direct", "LIBGUESTFS_CACHEDIR": before.get("TMPDIR", "/var/tmp")}
    found |= {name: before[name] for name in found if name in before}
    os.environ.update(run.environment({**found, "LIBGUESTFS_BACKEND_SETTINGS": settings, "TMPDIR": run.path}))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


class DeviceBlock(SeekableBlock):
    """A block device of the appliance."""

    def __init__(self, handle: Any, device: str) -> None:
        super().__init__()
        self.g, self.device = handle, device
        self.size = int(handle.blockdev_getsize64(device))

    def _next(self, count: int) -> bytes:
        return bytes(self.g.pread_device(self.device, min(count, 1 << 20), self._at))


class GuestfsFar:
    """The far side of a RemoteGuest, below one folder of the appliance.

    ``added`` are folders beside that one which are shown in the guest's root: guest path to where they are.
    """

    def __init__(self, handle: Any, prefix: str = "", added: Mapping[str, str] | None = None) -> None:
        self.g, self.prefix, self.added = handle, prefix, added or {}

    def _at(self, path: str) -> str:
        for shown, place in self.added.items():
            if path == shown or path.startswith(shown + "/"):
                return place + path[len(shown) :]
        return f"{self.prefix}{path}".rstrip("/") or "/"

    def _read(self, path: str, name: str, *args: Any) -> Any:
        try:
            return getattr(self.g, name)(*args)
        except RuntimeError as error:
            raise unreadable(kernel_error(error, path), path) from error

    def _write(self, path: str, name: str, *args: Any, **options: Any) -> Any:
        try:
            return getattr(self.g, name)(*args, **options)
        except RuntimeError as error:
            raise kernel_error(error, path) from error

    def lstat(self, path: str) -> Stat | None:
        """See Far."""
        try:
            return _stat(self.g.lstatns(self._at(path)))
        except RuntimeError as error:
            found = kernel_error(error, path)
            if found.errno in _ABSENT:
                return None
            raise unreadable(found, path, "can't be looked up") from error

    def scan(self, path: str) -> Listing | None:
        """See Far."""
        place = self._at(path)
        found = self.lstat(path)
        if found is None or found.kind != "dir":
            return None
        names = [name for name in self._read(path, "ls", place) if name and "\n" not in name]
        listing: Listing = {}
        for at in range(0, len(names), BATCH):
            some = names[at : at + BATCH]
            for name, row in zip(some, self._read(path, "lstatnslist", place, some), strict=True):
                if row["st_ino"] != -1:
                    listing[name] = (_stat(row), None)
        links = [name for name, (stat, _) in listing.items() if stat.kind == "symlink"]
        for at in range(0, len(links), BATCH):
            some = links[at : at + BATCH]
            for name, text in zip(some, self._read(path, "readlinklist", place, some), strict=True):
                listing[name] = (listing[name][0], text)
        if path == "/":
            shown = {one[1:]: self.lstat(one) for one in self.added}
            listing |= {name: (stat, None) for name, stat in shown.items() if stat is not None}
        return listing

    def fetch(self, path: str, to: str) -> None:
        """See Far."""
        self._read(path, "download", self._at(path), to)

    def xattrs(self, path: str) -> tuple[tuple[str, bytes], ...]:
        """See Far."""
        place = self._at(path)
        try:
            names = [row["attrname"] for row in self.g.lgetxattrs(place)]
        except RuntimeError as error:
            found = kernel_error(error, path)
            if found.errno in (errno.ENOTSUP, errno.ENOSYS) or "not available" in str(error):
                return ()  # a filesystem, or an appliance, without them
            raise unreadable(found, path, "can't read its metadata") from error
        values = ((name, self._read(path, "lgetxattr", place, name)) for name in sorted(names))
        return tuple((name, value if isinstance(value, bytes) else value.encode()) for name, value in values)

    def space(self, path: str) -> Space | None:
        """See Far."""
        found = self._read(path, "statvfs", self._at(path))
        inodes = found["favail"] if found["files"] else None
        size = found["frsize"]
        return Space(str(found["fsid"]), found["bavail"] * size, found["blocks"] * size, inodes)

    # writing

    def _absent(self, path: str) -> None:
        if self.lstat(path) is not None:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)

    def put(self, path: str, source: str, meta: Meta) -> None:
        """See Far."""
        self._absent(path)
        place = self._at(path)
        self._write(path, "upload", source, place)
        self._owner(path, meta)
        for name, value in meta.xattrs:
            self._set_xattr(path, name, value)
        self._write(path, "chmod", meta.mode, place)
        if meta.mtime_ns is not None:
            atime = meta.mtime_ns if meta.atime_ns is None else meta.atime_ns
            self.set_times(path, atime, meta.mtime_ns)
        self._write(path, "sync")

    def _owner(self, path: str, meta: Meta) -> None:
        if meta.uid is not None and meta.gid is not None:
            self._write(path, "lchown", meta.uid, meta.gid, self._at(path))

    def _set_xattr(self, path: str, name: str, value: bytes) -> None:
        """Set an attribute; the appliance's own setfattr takes any bytes, the API only text."""
        place = "/sysroot" + self._at(path)
        said = self._write(path, "debug", "sh", [f"setfattr -n {quoted(name)} -v 0x{value.hex()} {quoted(place)}"])
        if str(said).strip():
            raise OSError(errno.EIO, str(said).strip(), path)

    def put_symlink(self, path: str, target: str, meta: Meta) -> None:
        """See Far."""
        self._absent(path)
        self._write(path, "ln_s", target, self._at(path))
        self._owner(path, meta)
        self._write(path, "sync")

    def mkdir(self, path: str, meta: Meta) -> None:
        """See Far."""
        self._write(path, "mkdir_mode", self._at(path), meta.mode)
        self._owner(path, meta)
        self._write(path, "chmod", meta.mode, self._at(path))
        for name, value in meta.xattrs:
            self._set_xattr(path, name, value)
        self._write(path, "sync")

    def rename(self, old: str, new: str) -> None:
        """See Far."""
        self._write(old, "rename", self._at(old), self._at(new))
        self._write(old, "sync")

    def keep(self, path: str, backup: str) -> None:
        """See Far."""
        try:
            self._write(path, "ln", self._at(path), self._at(backup))
        except OSError as error:
            if error.errno == errno.EEXIST:
                raise
            self._absent(backup)
            self._write(path, "cp_a", self._at(path), self._at(backup))
        self._write(path, "sync")

    def drop(self, path: str) -> None:
        """See Far."""
        found = self.lstat(path)
        self._write(path, "rmdir" if found is not None and found.kind == "dir" else "rm", self._at(path))
        self._write(path, "sync")

    def set_times(self, path: str, atime_ns: int, mtime_ns: int) -> None:
        """See Far."""
        self._write(path, "utimens", self._at(path), *divmod(atime_ns, 10**9), *divmod(mtime_ns, 10**9))


def quoted(text: str) -> str:
    """Return text as one word of a shell command."""
    return "'" + text.replace("'", "'\\''") + "'"


def _stat(row: dict[str, Any]) -> Stat:
    mode = row["st_mode"]
    mtime, atime = (row[f"st_{which}time_sec"] * 10**9 + row[f"st_{which}time_nsec"] for which in "ma")
    return Stat(
        kind_of(mode), row["st_size"], mode & 0o7777, row["st_uid"], row["st_gid"], mtime, atime, row["st_nlink"],
        row["st_dev"],
    )  # fmt: skip
