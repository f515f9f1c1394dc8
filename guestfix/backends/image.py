"""The backend ``image``: a guest inside disk images, read only, without root, appliance or mounting.

ext2/3/4, XFS, Btrfs, NTFS, FAT, LVM, RAID and all containers are read by guestfix itself.
"""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING, Literal

from guestfix.backends import Request
from guestfix.backends.disks.formats import OpenDisk
from guestfix.backends.disks.hostfiles import HostFiles
from guestfix.backends.disks.names import shown
from guestfix.backends.disks.naming import fold
from guestfix.backends.disks.ova import open_images
from guestfix.backends.filesystems.node import Node, Tree, guarded
from guestfix.backends.layout.findings import order_findings, table_finding
from guestfix.backends.layout.model import Layout, Mount, Part, View, device_title
from guestfix.backends.layout.mounts import lay_out
from guestfix.backends.resolve import resolve
from guestfix.backends.volumes.assemble import Volumes
from guestfix.backends.volumes.block import told
from guestfix.base.bounds import FOLDER_NAMES
from guestfix.base.errors import GuestError, NotFound, TooLarge, Unreadable, UsageError
from guestfix.base.facts import Evidence, Finding
from guestfix.base.guest import MAX_READ, Disks, Meta, Space, Stat

if TYPE_CHECKING:
    from guestfix.backends.volumes.keys import Keys

MAX_CACHED = 50_000
MAX_NAMES = FOLDER_NAMES


class _Guarded(io.RawIOBase):
    """A file of the guest; damage met while reading is Unreadable, as everywhere."""

    def __init__(self, inner: IO[bytes], path: str) -> None:
        super().__init__()
        self.inner, self.path = inner, path

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return self.inner.seek(offset, whence)

    def tell(self) -> int:
        return self.inner.tell()

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        with guarded(self.path):
            data = self.inner.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class MountedTree:
    """One or several mounted filesystems as a GuestFS: looks names up, follows links across mounts."""

    def __init__(self, uri: str, mounts: dict[str, tuple[Tree, Node]]) -> None:
        self.uri = uri
        self._mounts = mounts
        self.case_insensitive = mounts["/"][0].case_insensitive
        self._nodes: OrderedDict[str, Node | None] = OrderedDict()
        self._folded: dict[str, dict[str, str]] = {}

    # looking up

    def _tree_at(self, real: str) -> tuple[int, Tree]:
        best = max((path for path in self._mounts if _below(real, path)), key=len)
        return list(self._mounts).index(best), self._mounts[best][0]

    def _node(self, real: str) -> Node | None:
        if real in self._nodes:
            return self._nodes[real]
        if real in self._mounts:
            found: Node | None = self._mounts[real][1]
        else:
            folder, _, name = real.rpartition("/")
            parent = self._node(folder or "/")
            with guarded(folder or "/"):
                found = parent.child(name) if parent is not None else None
        if len(self._nodes) >= MAX_CACHED:
            self._nodes.popitem(last=False)
        self._nodes[real] = found
        return found

    def _child(self, folder: str, name: str) -> str:
        base = folder.rstrip("/")
        if self._tree_at(folder)[1].case_insensitive and self._node(f"{base}/{name}") is None:
            if folder not in self._folded:
                node = self._node(folder)
                names = node.names() if node is not None else ()
                self._folded[folder] = {fold(found): found for found in names}
            name = self._folded[folder].get(fold(name), name)
        return f"{base}/{name}"

    def _link_target(self, real: str) -> str | None:
        node = self._node(real)
        return node.link() if node is not None and node.stat().kind == "symlink" else None

    def realpath(self, path: str) -> str:
        """See :meth:`GuestFS.realpath`."""
        return resolve(path, self._child, self._link_target)

    def _found(self, path: str) -> Node:
        node = self._node(self.realpath(path))
        if node is None:
            raise NotFound("no such file in the guest", where=path)
        return node

    # reading

    def stat(self, path: str, *, follow: bool = True) -> Stat | None:
        """See :meth:`GuestFS.stat`."""
        try:
            real = resolve(path, self._child, self._link_target, follow=follow)
        except NotFound:
            return None
        node = self._node(real)
        if node is None:
            return None
        s, device = node.stat(), self._tree_at(real)[0]
        return Stat(s.kind, s.size, s.mode, s.uid, s.gid, s.mtime_ns, s.atime_ns, s.nlink, device)

    def meta(self, path: str) -> Meta:
        """See :meth:`GuestFS.meta`."""
        node = self._found(path)
        s = node.stat()
        return Meta(s.mode, s.uid, s.gid, s.mtime_ns, s.atime_ns, node.xattrs())

    def readlink(self, path: str) -> str:
        """See :meth:`GuestFS.readlink`."""
        target = self._link_target(resolve(path, self._child, self._link_target, follow=False))
        if target is None:
            raise NotFound("no symbolic link at this path", where=path)
        return target

    def open(self, path: str) -> IO[bytes]:
        """See :meth:`GuestFS.open`."""
        node = self._found(path)
        if node.stat().kind != "file":
            raise Unreadable(f"not a regular file but a {node.stat().kind}", where=path)
        try:
            return io.BufferedReader(_Guarded(node.open(), path), 1 << 17)
        except GuestError as error:
            raise type(error)(error.what, where=error.where or path, remedy=error.remedy) from error

    def read(self, path: str, limit: int = MAX_READ) -> bytes:
        """See :meth:`GuestFS.read`."""
        node = self._found(path)
        if node.stat().kind == "file" and node.stat().size > limit:
            raise TooLarge(f"larger than {limit} bytes, which is all that is read of such a file", where=path)
        with self.open(path) as stream:
            return stream.read(limit)

    def list(self, path: str) -> tuple[str, ...]:
        """See :meth:`GuestFS.list`."""
        real = self.realpath(path)
        node = self._node(real)
        names = list(node.names()) if node is not None else []
        if real == "/":
            names += [mount[1:] for mount in self._mounts if mount.count("/") == 1 and mount[1:] not in ("", *names)]
        if len(names) > MAX_NAMES:
            raise TooLarge(f"more than {MAX_NAMES} names in this directory", where=path)
        return tuple(sorted(names))

    def disks(self) -> Disks | None:
        """See :meth:`GuestFS.disks`."""
        return None

    def space(self, path: str) -> Space | None:
        """See :meth:`GuestFS.space`."""
        index, tree = self._tree_at(self.realpath(path))
        found = tree.space()
        return found and Space(str(index), found.free_bytes, found.total_bytes, found.free_inodes)


def _below(path: str, folder: str) -> bool:
    return folder == "/" or path == folder or path.startswith(folder + "/")


class ImageGuest(MountedTree):
    """A guest inside disk images. ``findings`` is what was seen on the disks; ``layout`` what is mounted.

    ``images`` are those of ``paths`` where somebody has them open already, and closes them.
    """

    def __init__(
        self,
        paths: list[str],
        root: str = "",
        host: HostFiles | None = None,
        images: Sequence[OpenDisk] | None = None,
        keys: Keys | None = None,
    ) -> None:
        self.host_files = host or HostFiles()
        try:
            self._open(paths, root, images, keys)
        except BaseException:
            self.close()
            raise

    def _open(self, paths: list[str], root: str, images: Sequence[OpenDisk] | None, keys: Keys | None) -> None:
        self.images = list(images) if images is not None else open_images(paths, self.host_files)
        self.volumes = Volumes(self.images, keys)
        self.layout: Layout = lay_out(
            self.volumes.disks,
            self.volumes.parts,
            self._view,
            self.volumes.subvolumes,
            root,
            self.volumes.problems,
        )
        mounts = {mount.path: self._mounted(mount) for mount in self.layout.mounts}
        super().__init__("image:" + ",".join(shown(path) for path in paths), mounts)

    def close(self) -> None:
        """Let go of the images: what is read of the guest afterwards raises. May be called twice."""
        self.host_files.close()

    def _mounted(self, mount: Mount) -> tuple[Tree, Node]:
        tree = self.volumes.tree(mount.part)
        return tree, tree.root(mount.subvolume)

    def _view(self, part: Part, subvolume: str) -> View | None:
        try:
            tree = self.volumes.tree(part)
            return MountedTree("", {"/": (tree, tree.root(subvolume))})
        except GuestError as error:
            self.volumes.problems.append(told(f"{device_title(part)}: {error.what}", of=error.what))
            return None

    def disks(self) -> Disks | None:
        """See :meth:`GuestFS.disks`. The names are those that the guest's own fstab uses."""
        return self.layout.disks

    def findings(self) -> tuple[Finding, ...]:
        """Return what is wrong with the disks, in a form that the report shows."""
        trees = {mount.path: self._mounts[mount.path][0] for mount in self.layout.mounts}
        return used_findings(self.host_files) + image_findings(self.layout, self.volumes, trees)


def used_findings(host: HostFiles) -> tuple[Finding, ...]:
    """Return a finding for each image that something writes to while it is read."""
    return tuple(
        Finding(
            "GF-DISK-IN-USE",
            "warning",
            f"{file.real}: a running QEMU or guestfix may write to it, so what was read may be half of two states",
            (Evidence("disks", 0, file.real),),
            remedy="shut the guest down, then run guestfix again",
        )
        for file in host.in_use()
    )


def image_findings(layout: Layout, volumes: Volumes, trees: dict[str, Tree]) -> tuple[Finding, ...]:
    """Turn the state of disks, volumes and filesystems into findings."""
    problems = dict.fromkeys(volumes.problems)
    found = [table_finding(problem) for problem in problems]
    found += [degraded_finding(*one) for one in volumes.degraded]
    found += order_findings(layout.disorder())
    told = layout.mounts if layout.root.system != "Windows" else ()  # its own detector says what its states mean
    for mount in told:
        for text in trees[mount.path].warnings:
            found.append(
                Finding(
                    "GF-DISK-UNCLEAN-FILESYSTEM",
                    "warning",
                    f"{mount.path}: {text}",
                    (Evidence(mount.path),),
                    remedy="start the guest and shut it down cleanly; or use uml: or qemu:, which replay journals",
                )
            )
    for text in layout.missing:
        place = (Evidence("disks", 0, text),)
        found.append(Finding("GF-DISK-MOUNT-UNREADABLE", "warning", f"not mounted: {text}", place, "use uml: or qemu:"))
    mounted = {mount.part.key for mount in layout.mounts}
    for part in volumes.parts:
        if part.problem and part.key not in mounted:
            name = layout.names.primary(part.key)
            place = (Evidence("disks", 0, name),)
            found.append(Finding("GF-DISK-VOLUME-UNREADABLE", "info", f"{name}: {part.problem}", place))
    return tuple(found)


def degraded_finding(name: str, missing: int, disks: int, lost: bool) -> Finding:
    """Return the finding for an array that lacks disks: mdadm waits for them, and starts without where it can."""
    what = "so it can't start" if lost else "so the boot waits some 30 s for them and starts it without"
    place = Evidence("disks", 0, name)
    summary = f"the RAID array {name} has lost {missing} of its {disks} disks, {what}"
    outcome: Literal["", "waits"] = "" if lost else "waits"
    return Finding("GF-DISK-DEGRADED", "warning", summary, (place,), outcome=outcome, seconds=0 if lost else 30)


def open_image(paths: list[str], root: str = "", host: HostFiles | None = None, keys: Keys | None = None) -> ImageGuest:
    """Open disk images as one guest, disks in the order of the old platform.

    Raises DiskError for images that can't be read or that name what they may not (see HostFiles), NotAGuest where they
    hold no system, and GuestError where they hold several and ``root`` doesn't say which.
    """
    with guarded(paths[0] if paths else "the image"):
        return ImageGuest(paths, root, host, keys=keys)


def open_place(place: str, request: Request) -> ImageGuest:
    """Open disk images as the user named them. Raises as open_image, and UsageError for writing."""
    if request.writable:
        raise UsageError("the backend image only reads", remedy="write through uml:, qemu: or libguestfs:")
    if request.disks:
        raise UsageError("--disks is for folders; an image shows its disks itself")
    host = HostFiles(request.allow_backing, request.image_types)
    return open_image([place, *request.more], request.root, host, request.keys)
