"""Every file of the host that is opened on behalf of a disk image, and the rule for which may be.

An image is hostile: it may name nothing but itself (CVE-2015-5163, CVE-2022-47951, CVE-2024-32498). What may be
opened are the files that the operator named; regular files below the folder of the image that names them, its own;
and what lies below a folder that the operator allowed. Where a file lies is asked of its descriptor, after all links,
and everything afterwards (QEMU included) uses that descriptor, so that no name can be swapped in between.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Mapping

from guestfix.backends.damage import MORE_FILES
from guestfix.backends.disks.inuse import changing, in_use, lock, unlock
from guestfix.backends.disks.names import COPY_FIRST, WORD, beside, is_afar, key_of, shown
from guestfix.backends.disks.ranges import RangeBlock
from guestfix.backends.volumes.block import DiskError, FileBlock
from guestfix.base.errors import Blocked, UsageError
from guestfix.base.nearest import did_you_mean
from guestfix.base.record import frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from guestfix.base.shapes import FileOut

CHANGING = "another guestfix is changing this image in place now"

TYPES = {"raw": "raw", "qcow2": "qcow2", "vmdk": "vmdk", "vhd": "vpc", "vhdx": "vhdx", "vdi": "vdi", "ova": "ova"}
"""What ``--image-type`` takes, and how QEMU calls it."""


@frozen
class HostFile:
    """A host file that is held open. ``path`` is as it was named, absolute; ``real`` where it lies, without links.

    ``home`` is the folder below which files may lie that this one names: that of the image which the operator named,
    or nothing. ``because`` says on whose behalf it was opened; ``named``: the operator's own, so that it may be
    written to.
    """

    path: str
    real: str
    block: FileBlock | RangeBlock
    home: str
    because: str
    key: tuple[int, int]
    state: tuple[int, int]
    device: bool
    named: bool

    @property
    def afar(self) -> bool:
        """Tell whether it is no file of this host."""
        return isinstance(self.block, RangeBlock)

    @property
    def place(self) -> str:
        """The name of its descriptor, by which a process that inherits it can open the same file.

        One from afar has only its address, which no process is given: see :meth:`HostFiles.hold`.
        """
        if self.afar:
            return self.path
        return f"/dev/fd/{self.block.fileno()}"


class HostFiles:
    """The host files of one guest. ``opened`` has all of them in the order in which they were opened.

    ``allow`` are the folders that the operator allowed; ``types`` the formats that he told, as ``--image-type`` takes
    them: ``TYPE`` for every image that he names, ``FILE=TYPE`` for one by its path or name.
    """

    def __init__(self, allow: Iterable[str] = (), types: Iterable[str] = ()) -> None:
        self._made: list[int] = []
        self.opened: list[HostFile] = []
        self._allowed: list[str] = []
        for folder in allow:
            if not os.path.isdir(folder):
                raise UsageError("--allow-backing takes a folder that is there", where=folder)
            self._allowed += [os.path.abspath(folder), os.path.realpath(folder)]
        self._types = dict(_split_type(text) for text in types)

    def close(self) -> None:
        """Let go of every file, and of the locks with them. May be called twice; ``listed`` still answers."""
        for one in self.opened:
            one.block.close()
        while self._made:
            os.close(self._made.pop())

    def again(self) -> None:
        """Let go of every file, so that they can be opened anew by the same rules."""
        self.close()
        self.opened.clear()

    def __del__(self) -> None:
        for descriptor in getattr(self, "_made", ()):
            os.close(descriptor)

    # what may be opened

    def named(self, path: str) -> HostFile:
        """Open an image that the operator named; links in its own name are followed.

        DiskError where it can't be opened, is empty, or is neither a file nor a block device.
        """
        if is_afar(path):
            return self._afar(path, "named by you", named=True)
        shown = os.path.abspath(path)
        pinned = _pin(shown, path)
        try:
            return self._keep(pinned, shown, path, "named by you", named=True)
        finally:
            os.close(pinned)

    def inside(self, asker: HostFile, name: str, role: str, missing: str = "", remedy: str = "") -> HostFile:
        """Open a file that an image names (``asker`` holds the name, ``role`` says as what).

        DiskError where it is no local file, is not there (``missing`` and ``remedy`` then), or may not be opened.
        Nothing is looked up whose name alone leads outside, so that not even its existence is told.
        """
        if asker.afar and "\0" not in name and not _has_protocol(name):
            return self._afar(beside(asker.home, name), f"{role} of {asker.path}", named=False)
        if not name or "\0" in name or _has_protocol(name):
            what = f"the image depends on {name or 'a file without a name'!r}, which is no local file"
            raise DiskError(what, where=asker.path, remedy="convert the chain to one image with qemu-img convert")
        shown = os.path.normpath(os.path.join(os.path.dirname(asker.path), name))
        folders = [*self._spellings(asker), *self._allowed]
        if not any(below(shown, folder) for folder in folders) and shown not in {one.path for one in self.opened}:
            raise _outside(asker, name, role)
        self._one_reading(asker, name)
        try:
            pinned = os.open(shown, os.O_PATH | os.O_CLOEXEC)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                what = f"can't open {shown}, its {role}: {error.strerror}"
                raise DiskError(what, where=asker.path, remedy=_OPENING.get(error.errno or 0, _COPY)) from error
            what = missing.format(shown) or f"a file that the image needs is missing: {shown}"
            raise DiskError(what, where=asker.path, remedy=remedy or _COPY) from error
        try:
            self._may_open(pinned, asker, name, role)
            return self._keep(pinned, shown, shown, f"{role} of {asker.path}", asker.home)
        finally:
            os.close(pinned)

    def _afar(self, place: str, because: str, *, named: bool) -> HostFile:
        key = key_of(place)
        known = next((one for one in self.opened if one.key == key and (one.named or not named)), None)
        if known is None:
            from guestfix.backends.disks.afar import open_afar

            block, name = open_afar(place), shown(place)
            known = HostFile(name, name, block, place, because, key, (block.size, 0), False, named)
            self.opened.append(known)
        return known

    def _spellings(self, asker: HostFile) -> list[str]:
        """Return the own folder, as it is named and without links; none that is the whole host's."""
        if asker.home in ("", "/") or below(asker.home, "/dev") or below(asker.home, "/proc"):
            return []
        return [asker.home, *(os.path.dirname(one.path) for one in self.opened if one.named and one.home == asker.home)]

    @staticmethod
    def _one_reading(asker: HostFile, name: str) -> None:
        """DiskError where the image's own name is a link elsewhere: QEMU looks beside the link, others beside it."""
        beside = os.path.realpath(os.path.dirname(asker.path))
        if not name.startswith("/") and beside != os.path.dirname(asker.real):
            what = f"it names {name}, which QEMU would look for in {beside}, because this is a link to {asker.real}"
            raise DiskError(what, where=asker.path, remedy=f"give the file itself: {asker.real}")

    def _may_open(self, pinned: int, asker: HostFile, name: str, role: str) -> None:
        found, real = os.fstat(pinned), _real(pinned)
        if any((found.st_dev, found.st_ino) == one.key for one in self.opened):
            return
        if any(below(real, folder) for folder in self._allowed):
            return
        home = asker.home if self._spellings(asker) else ""
        hidden = any(part.startswith(".") and part != "." for part in os.path.relpath(real, home or "/").split("/"))
        if not home or not below(real, home) or hidden or stat.S_ISBLK(found.st_mode):
            raise _outside(asker, name, role)

    def _keep(
        self, pinned: int, shown: str, where: str, because: str, home: str = "", *, named: bool = False
    ) -> HostFile:
        found = os.fstat(pinned)
        kind = stat.S_IFMT(found.st_mode)
        if kind not in (stat.S_IFREG, stat.S_IFBLK, stat.S_IFDIR):
            raise DiskError("this is neither a file nor a block device", where=where, remedy=_OPENING[errno.EISDIR])
        key = (found.st_dev, found.st_ino)
        for one in self.opened:
            if one.key == key and (one.named or not named):
                return one
        try:
            if kind == stat.S_IFDIR:
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            block = FileBlock(f"/proc/self/fd/{pinned}")
        except OSError as error:
            what, remedy = f"can't open the image: {error.strerror}", _OPENING.get(error.errno or 0, "")
            raise DiskError(what, where=where, remedy=remedy) from error
        if not block.size:
            raise DiskError("the image file is empty", where=where, remedy="copy or export it again")
        real, device = _real(pinned), kind == stat.S_IFBLK
        own = ("" if device else os.path.dirname(real)) if named else home
        self.opened.append(HostFile(shown, real, block, own, because, key, _state(block.fileno()), device, named))
        return self.opened[-1]

    # formats that the operator told

    def told(self, path: str, *, named: bool) -> str:
        """Return the format that the operator told for a file, or nothing; one for all counts for ``named`` ones."""
        for key in (path, os.path.abspath(path), os.path.basename(path), path.rpartition(":")[2]):
            if key in self._types:
                return self._types[key]
        return self._types.get("", "") if named else ""

    # what others are given

    def made(self, data: bytes) -> str:
        """Return the name of a descriptor that holds these bytes, for a process that inherits it."""
        descriptor = os.memfd_create("guestfix")
        self._made.append(descriptor)
        os.write(descriptor, data)
        return f"/dev/fd/{descriptor}"

    def descriptors(self) -> tuple[int, ...]:
        """Return all descriptors that a process needs which is told of them by name."""
        return (*(one.block.fileno() for one in self.opened), *self._made)

    def listed(self) -> list[FileOut]:
        """Return every opened file's path, without links, and on whose behalf; of one from afar what was read."""
        return [_listed(one) for one in self.opened]

    # while it is worked on

    def in_use(self) -> list[HostFile]:
        """Return the files that a running QEMU may write to, as far as its locks tell."""
        mine = {one.key for one in self.changing()}
        return [one for one in self.opened if not one.afar and one.key not in mine and in_use(one.block.fileno())]

    def changing(self) -> list[HostFile]:
        """Return the files that another guestfix changes in place."""
        return [one for one in self.opened if not one.afar and changing(one.block.fileno())]

    def hold(self, written: Iterable[HostFile] = ()) -> None:
        """Lock every file as QEMU does, so that none writes to it from now on, nor reads what is ``written``.

        The locks last as long as the files are open. Blocked where another guestfix changes one, DiskError where
        another program has one open against that, UsageError where one is read from afar: only guestfix itself does
        that, and only reads.
        """
        for one in self.opened:
            if one.afar:
                raise UsageError(WORD, where=one.path, remedy=COPY_FIRST)
        keys = {one.key for one in written}
        for one in self.opened:
            if changing(one.block.fileno()):
                raise Blocked(CHANGING, where=one.path, remedy="wait until it ends", code="GF-APPLY-RUNNING")
            if not lock(one.block.fileno(), write=one.key in keys):
                what = "the image is in use: a running QEMU or guestfix " + (
                    "has it open" if keys else "may write to it"
                )
                raise DiskError(what, where=one.path, remedy="shut the guest down, or wait until guestfix ends")

    def release(self) -> None:
        """Give the locks back."""
        for one in self.opened:
            if not one.block.closed:
                unlock(one.block.fileno())

    def still(self, file: HostFile) -> None:
        """DiskError where a file's name leads to another file now, or where its bytes were changed meanwhile."""
        try:
            found = os.stat(file.path)
        except OSError:
            found = None
        if found is None or (found.st_dev, found.st_ino) != file.key or _state(file.block.fileno()) != file.state:
            what = "the image was replaced or changed while guestfix worked on it"
            raise DiskError(what, where=file.path, remedy="see that nothing else uses it, then begin again")


def file_node(file: HostFile) -> dict[str, object]:
    """Return QEMU's node for a held file: its descriptor, and no locks, because they are held here."""
    return {"driver": "host_device" if file.device else "file", "filename": file.place, "locking": "off"}


def below(path: str, folder: str) -> bool:
    """Tell whether a path is a folder itself or lies below it; both absolute and without ``..``."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _has_protocol(name: str) -> bool:
    """Tell whether QEMU would take the name's begin for a protocol (path_has_protocol in its util/cutils.c)."""
    return ":" in name.partition("/")[0]


def _pin(path: str, where: str) -> int:
    try:
        return os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        code = error.errno or 0 if isinstance(error, OSError) else errno.ENOENT
        what = f"can't open the image: {os.strerror(code)}"
        raise DiskError(what, where=where, remedy=_OPENING.get(code, "")) from error


def _real(descriptor: int) -> str:
    return os.readlink(f"/proc/self/fd/{descriptor}")


def _state(descriptor: int) -> tuple[int, int]:
    found = os.fstat(descriptor)
    return (0, 0) if stat.S_ISBLK(found.st_mode) else (found.st_size, found.st_mtime_ns)


def _outside(asker: HostFile, name: str, role: str) -> DiskError:
    what = f"it names {name} as its {role}: an image may only name files below its own folder"
    remedy = "if you know that file and trust this image with it: --allow-backing FOLDER"
    return DiskError(what, where=asker.path, remedy=remedy)


def _split_type(text: str) -> tuple[str, str]:
    name, _, kind = text.rpartition("=")
    if kind not in TYPES:
        remedy = f"{did_you_mean(kind, TYPES)}; for one image: FILE=TYPE"
        raise UsageError(f"no image type {kind!r}", remedy=remedy)
    return name, TYPES[kind]


def type_name(fmt: str) -> str:
    """Return what ``--image-type`` calls a format of QEMU's."""
    return next((name for name, own in TYPES.items() if own == fmt), fmt)


_COPY = "copy it there, or name the right one with qemu-img rebase -u"
_OPENING: Mapping[int, str] = {
    errno.EACCES: "make it readable for this user, or run guestfix as one who may read it",
    errno.ENOENT: "check its name and folder",
    errno.EMFILE: MORE_FILES,
    errno.EISDIR: "give the image files in it, all disks of the guest in their order",
}


def _listed(one: HostFile) -> FileOut:
    found: FileOut = {"path": one.real, "because": one.because}
    return {**found, "read": one.block.told()} if isinstance(one.block, RangeBlock) else found
