"""Disk images made writable without touching them: a qcow2 overlay over each, shown as a raw file.

qemu-storage-daemon exports the overlay through FUSE, so one raw path serves every format that QEMU reads.
Afterwards the overlay is dropped, kept, committed into the image, or converted.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Any

from guestfix.backends.disks.formats import OpenDisk
from guestfix.backends.disks.inuse import files_in_use
from guestfix.backends.runfolder import RunFolder, die_with_parent, making
from guestfix.backends.status import find_program
from guestfix.backends.volumes.block import DiskError
from guestfix.base.errors import GuestError, UsageError
from guestfix.base.record import mutable

START_SECONDS = 20.0
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
    """Overlays for all disks of a guest, below one private folder. Close ends the export."""

    def __init__(self, images: Sequence[OpenDisk], *, export: bool = True) -> None:
        for file in files_in_use(file for image in images for file in image.files):
            what = "the image is in use: a running QEMU may write to it"
            raise DiskError(what, where=file, remedy="shut the guest down first")
        self.run = RunFolder()
        self.folder = self.run.path
        self.disks: list[Overlay] = []
        self._daemon: subprocess.Popen[bytes] | None = None
        try:
            for index, image in enumerate(images):
                overlay = Overlay(image, f"{self.folder}/{index}.qcow2", f"{self.folder}/{index}.raw")
                _qemu_img("create", "-q", "-f", "qcow2", "-F", image.format, "-b", backing_of(image), overlay.file)
                self.disks.append(overlay)
            if export:
                self._export()
        except BaseException:
            self.close()
            raise

    def _export(self) -> None:
        program = find_program("qemu-storage-daemon")
        if program is None:
            raise DiskError(
                "qemu-storage-daemon is missing, which shows an image as a raw file",
                remedy="apt-get install qemu-system-common",
            )
        command = [program]
        for index, disk in enumerate(self.disks):
            open(disk.raw, "xb").close()
            node = {"driver": "qcow2", "node-name": f"d{index}", "file": {"driver": "file", "filename": disk.file}}
            command += ["--blockdev", json.dumps(node)]
            command += ["--export", f"type=fuse,id=e{index},node-name=d{index},mountpoint={disk.raw},writable=on"]
        with open(f"{self.folder}/daemon.log", "wb") as log:
            self._daemon = self.run.start(command, log, end=signal.SIGTERM)
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._daemon is not None and self._daemon.poll() is not None:
                break
            if all(os.stat(disk.raw).st_size for disk in self.disks):
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
        self.stop()
        self.run.close()


def room(folder: str) -> int:
    """Return the bytes that this user may still write where a host folder lies."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def backing_of(image: OpenDisk) -> str:
    """Return how an overlay names its backing image: a path, or QEMU's JSON where the image is inside a file."""
    node: Mapping[str, Any] = image.node["file"]
    return str(node["filename"]) if _is_plain(image) else "json:" + json.dumps(image.node)


def _is_plain(image: OpenDisk) -> bool:
    """Tell an image that is a file by itself from one inside another file, such as an OVA's disk."""
    return bool(image.node["file"]["driver"] == "file") and "offset" not in image.node


def _qemu_img(*args: str) -> None:
    program = find_program("qemu-img")
    if program is None:
        raise DiskError("qemu-img is missing", remedy="apt-get install qemu-utils")
    done = subprocess.run(
        [program, *args], capture_output=True, stdin=subprocess.DEVNULL, check=False, preexec_fn=die_with_parent()
    )
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().removeprefix("qemu-img: ")
        raise DiskError(f"qemu-img {args[0]}: {said}", remedy=_hint(said))


def _hint(said: str) -> str:
    if "No space left" in said:
        return "free space on the host, or name another place: --output FILE"
    return "shut the guest down, and end what else has the image open" if " lock" in said else ""


# keeping the outcome


def commit(disks: Sequence[Overlay]) -> list[str]:
    """Write every overlay into its image.

    The overlays first move beside the images (NAME.guestfix.qcow2) and go when all are committed; so after
    an interruption the same commits can be done again. Raises DiskError, naming them.
    """
    can_commit(disks)
    places = keep(disks, "")
    for place in places:
        try:
            _qemu_img("commit", "-q", "-d", "-f", "qcow2", os.path.abspath(place))
        except DiskError as error:
            raise HalfWritten(
                f"{error.what}; the changes of all disks are kept in {', '.join(places)}",
                where=place,
                remedy="mend the cause, then run qemu-img commit on each of them",
            ) from error
    for place in places:
        os.unlink(place)
    return [disk.image.path for disk in disks]


def can_commit(disks: Sequence[Overlay]) -> None:
    """Raise DiskError where an image can't be changed in place."""
    for disk in disks:
        if not _is_plain(disk.image):
            raise DiskError("a disk inside an OVA can't be changed in place", where=disk.image.path, remedy=_OUTPUT)
        if not os.access(str(disk.image.node["file"]["filename"]), os.W_OK):
            raise DiskError("no permission to change the image", where=disk.image.path, remedy=_OUTPUT)
        if disk.image.format not in ("raw", "qcow2", "vdi", "vmdk", "vpc", "vhdx"):
            raise DiskError(f"{disk.image.format} can't be changed in place", where=disk.image.path, remedy=_OUTPUT)
    output_names(disks, "", "qcow2")


_OUTPUT = "write to a new image instead: --output FILE"


def convert(disks: Sequence[Overlay], output: str, fmt: str) -> list[str]:
    """Write every disk as a new image of its own. All appear or none does; nothing is overwritten."""
    if fmt not in FORMATS:
        raise GuestError(f"no image format {fmt!r}", remedy=f"one of: {', '.join(FORMATS)}")
    places = output_names(disks, output, fmt)
    parts = [f"{place}.part" for place in places]
    with making(os.path.dirname(disks[0].file), parts):
        for disk, part in zip(disks, parts, strict=True):
            _qemu_img("convert", "-f", "qcow2", "-O", fmt, disk.file, os.path.abspath(part))
        for part, place in zip(parts, places, strict=True):
            os.rename(part, place)
    return places


def keep(disks: Sequence[Overlay], output: str) -> list[str]:
    """Keep the overlays themselves as the outcome, each backed by its untouched image."""
    places = output_names(disks, output, "qcow2")
    parts = [f"{place}.part" for place in places]
    try:
        with making(os.path.dirname(disks[0].file), parts):
            for disk, part in zip(disks, parts, strict=True):
                shutil.move(disk.file, part)
            for place, part in zip(places, parts, strict=True):
                os.rename(part, place)
    except OSError as error:
        raise DiskError(
            f"the overlay can't be kept: {error.strerror}", where=", ".join(places), remedy=_hint(error.strerror or "")
        ) from error
    return places


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
            remedy=f"make a new image: --image-format {other}; or name it {stem}.{suffix}",
        )
    names = []
    for index, disk in enumerate(disks):
        if not output:
            names.append(f"{_stem(disk.image)}.guestfix.{suffix}")
        else:
            names.append(output if not index else f"{stem}-{index + 1}{dot}{tail}")
    for name in names:
        _can_be_made(name)
    return names


def _stem(image: OpenDisk) -> str:
    """Return where the outcome of an image goes, without suffix: beside it, or here where it is a device.

    A disk inside an OVA is called OVA:NAME, and NAME may have folders.
    """
    if image.path.startswith("/dev/"):
        return os.path.basename(image.path)
    outer, _, name = image.path.rpartition(":")
    if not _is_plain(image) and os.path.isfile(outer):
        return f"{outer}-{os.path.splitext(os.path.basename(name))[0]}"
    folder, name = os.path.split(os.path.splitext(image.path)[0])
    return os.path.join(folder, name.replace(":", "-"))


def _can_be_made(name: str) -> None:
    folder = os.path.dirname(os.path.abspath(name))
    if os.path.lexists(name) and not stat.S_ISBLK(os.lstat(name).st_mode):
        raise DiskError("this file exists already", where=name, remedy="name another one: --output FILE")
    if not os.path.isdir(folder):
        raise DiskError("its folder does not exist", where=name, remedy="make it, or name another one: --output FILE")
    if not os.access(folder, os.W_OK):
        raise DiskError("no permission to write there", where=name, remedy="name another place: --output FILE")
