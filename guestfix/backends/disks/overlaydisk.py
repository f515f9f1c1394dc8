"""Disk images made writable without touching them: a qcow2 overlay over each, shown as a raw file.

qemu-storage-daemon exports the overlay through FUSE, so one raw path serves every format that QEMU reads.
Afterwards the overlay is dropped, kept, committed into the image, or converted.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from guestfix.backends.damage import MORE_FILES
from guestfix.backends.disks.formats import OpenDisk
from guestfix.backends.disks.hostfiles import HostFiles
from guestfix.backends.disks.names import stem_of
from guestfix.backends.keeper import take_down
from guestfix.backends.packages import install
from guestfix.backends.runfolder import RunFolder, die_with_parent, making
from guestfix.backends.status import find_program
from guestfix.backends.volumes.block import DiskError
from guestfix.base import stopping
from guestfix.base.errors import GuestError, UsageError
from guestfix.base.nearest import did_you_mean
from guestfix.base.record import mutable

START_SECONDS, FILE_SECONDS = 20.0, 0.05
"""How long the start may take, and how much longer for each file of the images: some have thousands of extents."""

LOOK_SECONDS = 0.2
"""How often a program that runs for long is left to look whether somebody wishes to stop."""

FULL = 1 << 20
"""Bytes of room below which a write to the overlays may have failed for want of it."""

NO_ROOM = "no space is left on the host for the overlay"
MORE_ROOM = "free some, or set TMPDIR to a folder with more"
FORMATS = ("raw", "qcow2", "vmdk", "vpc", "vhdx", "vdi")
SUFFIXES = {"vpc": "vhd"}


class HalfWritten(DiskError):
    """Some images are changed and others not; the overlays are kept, so that it can be finished."""


@mutable
class Overlay:
    """One disk: the image, its overlay file, and the raw file that shows both together."""

    image: OpenDisk
    file: str
    raw: str


class Overlays:
    """Overlays for all disks of a guest, below one private folder. Close ends the export.

    ``export`` is ``raw`` for a raw file of each (through FUSE), ``nbd`` for a socket, or nothing. QEMU is told every
    node of what it opens, with its format and by its descriptor, and never a name that stands in an image.
    """

    def __init__(self, images: Sequence[OpenDisk], *, export: str = "raw") -> None:
        self.host = images[0].host
        self.host.hold()
        self.run = RunFolder()
        self.folder = self.run.path
        self.socket = f"{self.folder}/nbd"
        self.disks: list[Overlay] = []
        self._daemon: subprocess.Popen[bytes] | None = None
        try:
            for index, image in enumerate(images):
                overlay = Overlay(image, f"{self.folder}/{index}.qcow2", f"{self.folder}/{index}.raw")
                size = -(-image.block.size // 512) * 512
                qemu_img("create", "-q", "-f", "qcow2", overlay.file, str(size))
                self.disks.append(overlay)
            if export:
                self._export(export)
        except BaseException:
            self.close()
            raise

    def _export(self, kind: str) -> None:
        program = find_program("qemu-storage-daemon")
        if program is None:
            raise DiskError(
                "qemu-storage-daemon is missing, which shows an image as a raw file",
                remedy=install("qemu-storage-daemon"),
            )
        command = [program]
        if kind == "nbd":
            command += ["--nbd-server", f"addr.type=unix,addr.path={self.socket}"]
        for index, disk in enumerate(self.disks):
            node = {"node-name": f"d{index}", **overlay_node(disk.file, disk.image.node)}
            command += ["--blockdev", json.dumps(node)]
            if kind == "nbd":
                command += ["--export", f"type=nbd,id=e{index},node-name=d{index},name=d{index},writable=on"]
            else:
                open(disk.raw, "xb").close()
                command += ["--export", f"type=fuse,id=e{index},node-name=d{index},mountpoint={disk.raw},writable=on"]
        with open(f"{self.folder}/daemon.log", "wb") as log:
            self._daemon = self.run.start(command, log, end=signal.SIGTERM, pass_fds=self.host.descriptors())
        self._wait(kind)

    def _wait(self, kind: str) -> None:
        files = sum(len(disk.image.files) for disk in self.disks)
        deadline = time.monotonic() + START_SECONDS + files * FILE_SECONDS
        while time.monotonic() < deadline:
            stopping.check()
            if self._daemon is not None and self._daemon.poll() is not None:
                break
            if kind == "nbd" and os.path.exists(self.socket):
                return
            if kind == "raw" and all(os.stat(disk.raw).st_size for disk in self.disks):
                for disk in self.disks:
                    same_size(disk.image, os.stat(disk.raw).st_size)
                return
            time.sleep(0.002)
        with open(f"{self.folder}/daemon.log", "rb") as log:
            said = log.read(2000).decode("utf-8", "replace").strip()
        fuse = "FUSE is needed: /dev/fuse and, for an ordinary user, the package fuse3"
        what = said.rpartition("}: ")[2] or "no answer from qemu-storage-daemon"
        raise DiskError(
            f"the image can't be shown as a raw file: {what}", remedy=_hint(said) if "Could not open" in said else fuse
        )

    def full(self) -> bool:
        """Tell whether the host may have had no room for what was written to the overlays."""
        return room(self.folder) < FULL

    def stop(self) -> None:
        """End the export; all data is in the overlay files when it returns."""
        if self._daemon is not None:
            self._daemon.terminate()
            try:
                self._daemon.wait(START_SECONDS)
            except subprocess.TimeoutExpired:
                self._daemon.kill()
                self._daemon.wait()
            self._daemon = None

    def close(self) -> None:
        """End the export and remove the folder with whatever overlay is still in it."""
        take_down(self.folder)
        self.stop()
        self.host.release()
        self.run.close()


def room(folder: str) -> int:
    """Return the bytes that this user may still write where a host folder lies."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def overlay_node(file: str, below: Mapping[str, object]) -> dict[str, object]:
    """Return QEMU's node for an overlay file over an image, each part of it by its own name and format."""
    return {"driver": "qcow2", "file": {"driver": "file", "filename": file}, "backing": dict(below)}


def same_size(image: OpenDisk, size: int) -> None:
    """DiskError where QEMU gives the disk another size than our own reader does."""
    if size != -(-image.block.size // 512) * 512:
        what = f"QEMU reads {size} bytes of this disk, and guestfix {image.block.size}"
        raise DiskError(what, where=image.path, remedy="convert it with the program that made it, then give that")


def backing_of(image: OpenDisk) -> str:
    """Return how an overlay's header names its image: a path, or QEMU's JSON where the image is inside a file."""
    if not image.inside:
        return image.file.path
    file = {"driver": "file", "filename": image.file.path}
    span = image.node if "offset" in image.node else image.node["file"]
    own = {"driver": "raw", "offset": span["offset"], "size": span["size"], "file": file}
    return "json:" + json.dumps(own if span is image.node else {"driver": image.format, "file": own})


def qemu_img(*args: str, host: HostFiles | None = None, also: Sequence[int] = ()) -> None:
    """Run qemu-img in a session of its own, out of reach of the terminal's Ctrl-C. A wish to stop ends it."""
    program = find_program("qemu-img")
    if program is None:
        raise DiskError("qemu-img is missing", remedy=install("qemu-img"))
    given = (*(host.descriptors() if host else ()), *also)
    with subprocess.Popen(
        [program, *args], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, pass_fds=given,
        start_new_session=True, preexec_fn=die_with_parent(deaf=True),
    ) as process:  # fmt: skip
        said = _said_by(process)
    if process.returncode:
        what = said.decode("utf-8", "replace").strip().removeprefix("qemu-img: ").rpartition("}': ")[2]
        raise DiskError(f"qemu-img {args[0]}: {what}", remedy=_hint(what))


def _said_by(process: subprocess.Popen[bytes]) -> bytes:
    """Wait for a program and return its errors. Raises Stopped, with the program ended, where that is wished."""
    try:
        while True:
            stopping.check()
            try:
                return process.communicate(timeout=LOOK_SECONDS)[1]
            except subprocess.TimeoutExpired:
                continue
    except BaseException:
        process.kill()
        raise


def _hint(said: str) -> str:
    if "Too many open files" in said:
        return MORE_FILES
    if "No space left" in said:
        return "free space on the host, or name another place: --output FILE"
    return "shut the guest down, and end what else has the image open" if " lock" in said else ""


# keeping the outcome


ELSEWHERE = "write to a new image instead: --output FILE"


def convert(disks: Sequence[Overlay], output: str, fmt: str) -> list[str]:
    """Write every disk as a new image of its own. All appear or none does; nothing is overwritten.

    Where the filesystem can share what two files have in common (XFS, Btrfs), an image of the same format does so.
    """
    if fmt not in FORMATS:
        raise GuestError(f"no image format {fmt!r}", remedy=did_you_mean(fmt, FORMATS))

    def make(disk: Overlay, place: str) -> None:
        disk.image.host.still(disk.image.file)
        if fmt == disk.image.format and _shared(disk.image, place):
            own = {"driver": fmt, "file": {"driver": "file", "filename": place}}
            qemu_img("commit", "-q", "-d", "json:" + json.dumps(overlay_node(disk.file, own)))
            return
        node = overlay_node(disk.file, disk.image.node)
        qemu_img("convert", "-O", fmt, "json:" + json.dumps(node), place, host=disk.image.host)

    return _publish(disks, output_names(disks, output, fmt), make)


WHOLE = ("raw", "qcow2")
"""Formats that are written to in place whatever made them, and in one file."""

_FICLONE = 0x40049409
"""ioctl_ficlone(2)."""


def _shared(image: OpenDisk, place: str) -> bool:
    """Make a copy that shares its data with the image; False, and no file, where that is not to be had."""
    if image.format not in WHOLE or len(image.files) != 1 or image.inside or image.file.device:
        return False
    descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        fcntl.ioctl(descriptor, _FICLONE, image.file.block.fileno())
    except OSError:
        os.unlink(place)
        return False
    finally:
        os.close(descriptor)
    return True


def keep(disks: Sequence[Overlay], output: str) -> list[str]:
    """Keep the overlays themselves as the outcome, each backed by its untouched image."""

    def make(disk: Overlay, place: str) -> None:
        image = disk.image
        image.host.still(image.file)
        qemu_img("rebase", "-q", "-u", "-f", "qcow2", "-F", image.format, "-b", backing_of(image), disk.file)
        shutil.move(disk.file, place)

    return _publish(disks, output_names(disks, output, "qcow2"), make)


def _publish(disks: Sequence[Overlay], places: list[str], make: Callable[[Overlay, str], None]) -> list[str]:
    """Make every outcome in a private folder beside its place, then give all of them their names, or none."""
    with saying(", ".join(places)):
        return _published(disks, places, make)


@contextmanager
def saying(where: str) -> Iterator[None]:
    """Turn what the host's filesystem says within the block into a DiskError."""
    try:
        yield
    except OSError as error:
        said = error.strerror or str(error)
        raise DiskError(f"the overlay can't be kept: {said}", where=where, remedy=_hint(said)) from error


def _published(disks: Sequence[Overlay], places: list[str], make: Callable[[Overlay, str], None]) -> list[str]:
    folders: list[str] = []
    made: list[str] = []
    try:
        for place in places:
            folder, name = os.path.split(os.path.abspath(place))
            folders.append(tempfile.mkdtemp(prefix=f".{name}.", suffix=".part", dir=folder))
        staged = [os.path.join(folder, os.path.basename(place)) for folder, place in zip(folders, places, strict=True)]
        with making(os.path.dirname(disks[0].file), folders):
            for disk, part in zip(disks, staged, strict=True):
                make(disk, part)
            for part, place in zip(staged, places, strict=True):
                _appear(part, place)
                made.append(place)
    except BaseException:
        for place in made:
            os.unlink(place)
        raise
    finally:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
    return places


def _appear(source: str, place: str) -> None:
    """Give a file its final name, which nothing may have yet; links that were put there meanwhile are not followed."""
    try:
        os.link(source, place, follow_symlinks=False)
    except FileExistsError as error:
        raise DiskError("this file exists already", where=place, remedy="name another one: --output FILE") from error
    except OSError:  # a filesystem without hard links
        if os.path.lexists(place):
            raise DiskError("this file exists already", where=place, remedy="name another one: --output FILE") from None
        os.rename(source, place)


def output_names(disks: Sequence[Overlay], output: str, fmt: str) -> list[str]:
    """Return where the outcome goes: ``output``, or beside each image NAME.guestfix.SUFFIX.

    Of several disks the second and further get a number before the suffix. DiskError where one exists.
    """
    suffix = SUFFIXES.get(fmt, fmt)
    stem, dot, tail = output.rpartition(".") if "." in os.path.basename(output) else (output, "", "")
    other = next((name for name in FORMATS if SUFFIXES.get(name, name) == tail.lower() and name != fmt), "")
    if other:
        raise UsageError(
            f"{output} would hold {fmt}, not {other}",
            remedy=f"name it {stem}.{suffix}; or leave out --overlay and --image-format for a whole {other} image",
        )
    names = []
    for index, disk in enumerate(disks):
        if not output:
            names.append(f"{stem_of(disk.image)}.guestfix.{suffix}")
        else:
            names.append(output if not index else f"{stem}-{index + 1}{dot}{tail}")
    for name in names:
        _can_be_made(name)
    return names


def _can_be_made(name: str) -> None:
    folder = os.path.dirname(os.path.abspath(name))
    if os.path.lexists(name):
        raise DiskError("this file exists already", where=name, remedy="name another one: --output FILE")
    if not os.path.isdir(folder):
        raise DiskError("its folder does not exist", where=name, remedy="make it, or name another one: --output FILE")
    if not os.access(folder, os.W_OK):
        raise DiskError("no permission to write there", where=name, remedy="name another place: --output FILE")
