"""Changing disk images in place, so that whatever cuts it off, the next run can finish it.

The overlays of all disks first go into one folder beside the first image, NAME.guestfix.commit, which appears there
whole, by one rename, with a record of the images; links beside the further images lead to it. From then on the images
may be half written. The folder goes when all of them are written. A later run finds it, sees that each image still is
what this commit made of it so far (every piece is as it was before, or as it is to be), and writes all of it once more.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import stat
import struct
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence

from guestfix import __version__
from guestfix.backends.disks.formats import OpenDisk
from guestfix.backends.disks.hostfiles import CHANGING, HostFiles
from guestfix.backends.disks.names import commit_place
from guestfix.backends.disks.ova import open_images
from guestfix.backends.disks.overlaydisk import (
    ELSEWHERE,
    HalfWritten,
    Overlay,
    output_names,
    overlay_node,
    qemu_img,
    saying,
)
from guestfix.backends.disks.qcow2 import allocated
from guestfix.backends.runfolder import making
from guestfix.backends.volumes.block import DiskError, read_at
from guestfix.base.errors import Blocked
from guestfix.base.record import replace
from guestfix.base.text import to_json

RECORD = "commit.json"
SCHEMA = 1
MAX_RECORD = 1 << 20
PIECE, DIGEST = 4096, 8
"""Bytes that are told apart, and bytes of a piece's digest: what is compared is our own, so chance is all there is."""

_OWN = re.compile(r"[0-9]+\.(qcow2|sums)")
"""What is in the folder besides the record."""

CODE, RUNNING = "GF-APPLY-UNFINISHED", "GF-APPLY-RUNNING"


def can_commit(disks: Sequence[Overlay]) -> None:
    """Lock the images for writing. DiskError where one can't be changed in place."""
    for disk in disks:
        image = disk.image
        if image.fixed:
            raise DiskError(image.fixed, where=image.path, remedy=ELSEWHERE)
        _writable(image)
        image.host.still(image.file)
        if os.path.lexists(commit_place(image)) and not _is_left(commit_place(image)):
            what = "something has the name under which the changes are kept while the image is written"
            raise DiskError(
                what, where=commit_place(image), remedy="move it away, or write to a new image: --output FILE"
            )
    output_names(disks, "", "qcow2")  # an overlay of an earlier apply would be of no use any more
    disks[0].image.host.hold(disk.image.file for disk in disks)


def _writable(image: OpenDisk) -> None:
    if not image.file.named:
        raise DiskError("only what you named is changed in place", where=image.path, remedy=ELSEWHERE)
    if not os.access(f"/proc/self/fd/{image.file.block.fileno()}", os.W_OK):
        raise DiskError("no permission to change the image", where=image.path, remedy=ELSEWHERE)


def commit(disks: Sequence[Overlay]) -> list[str]:
    """Write every overlay into its image, which the operator named.

    Raises DiskError with the images as they were, or HalfWritten, after which another run finishes it.
    """
    can_commit(disks)
    for disk in disks:
        disk.image.host.still(disk.image.file)
    images = [disk.image for disk in disks]
    folder = _prepared(disks)
    try:
        for index, image in enumerate(images):
            _write(image, f"{folder}/{index}.qcow2")
    except DiskError as error:
        raise HalfWritten(
            f"{error.what}; the changes of all disks are kept in {folder}",
            where=images[0].path,
            remedy="fix the cause, then run the same again: it begins with finishing this",
        ) from error
    _remove(folder, images)
    return [image.path for image in images]


def _write(image: OpenDisk, place: str) -> None:
    overlay = os.open(place, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        below = {key: value for key, value in image.node.items() if key != "read-only"}
        node = overlay_node(f"/dev/fd/{overlay}", below)
        qemu_img("commit", "-q", "-d", "json:" + json.dumps(node), host=image.host, also=[overlay])
        with saying(image.path):
            os.fsync(image.file.block.fileno())
    finally:
        os.close(overlay)


def _prepared(disks: Sequence[Overlay]) -> str:
    """Move the overlays beside the first image, with all that a later run needs; nothing is written to an image."""
    images = [disk.image for disk in disks]
    place = os.path.abspath(commit_place(images[0]))
    parent, name = os.path.split(place)
    with saying(place):
        part = tempfile.mkdtemp(prefix=f".{name}.", suffix=".part", dir=parent)
        try:
            with making(os.path.dirname(disks[0].file), [part]):
                for index, disk in enumerate(disks):
                    shutil.move(disk.file, f"{part}/{index}.qcow2")
                    _keep(f"{part}/{index}.sums", b"".join(_sums(disk.image, f"{part}/{index}.qcow2")))
                told = [os.path.relpath(image.file.real, parent) for image in images]
                record = {"schema": SCHEMA, "guestfix": __version__, "images": told}
                _keep(f"{part}/{RECORD}", to_json(record).encode())
                _sync(part)
                _link(images, place)
                os.rename(part, place)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            _unlink(_places(images))
            raise
    with contextlib.suppress(OSError):
        _sync(parent)
    return place


def _keep(place: str, data: bytes) -> None:
    with open(place, "xb") as stream:
        stream.write(data)


def _sync(folder: str) -> None:
    """Put a folder on the disk, and the files in it."""
    names = [entry.path for entry in os.scandir(folder) if entry.is_file(follow_symlinks=False)]
    for name in [*(names if folder.endswith(".part") else ()), folder]:
        descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _link(images: Sequence[OpenDisk], place: str) -> None:
    """Let links beside the images lead to the folder, in place of those that a finished commit left."""
    _unlink(_places(images))
    named = [os.path.abspath(commit_place(image)) for image in images[1:]]
    for link in named:
        os.symlink(os.path.relpath(place, os.path.dirname(link)), link)
    for link in set(_places(images)) - {
        place,
        *named,
    }:  # who names an image otherwise is to find it too, if that can be
        with contextlib.suppress(OSError):
            os.symlink(os.path.relpath(place, os.path.dirname(link)), link)


def _places(images: Sequence[OpenDisk]) -> list[str]:
    """Return where the folder, or a link to it, is looked for: beside each image as it is named, and where it lies."""
    real = [replace(image, path=image.file.real) for image in images if not image.inside]
    return [os.path.abspath(commit_place(image)) for image in (*images, *real)]


def _unlink(places: Iterable[str]) -> None:
    """Clear what a commit leaves that had come to its end: a link, or a folder without its record."""
    for place in places:
        if os.path.islink(place):
            os.unlink(place)
        elif _is_left(place):
            shutil.rmtree(place)


def _is_left(place: str) -> bool:
    """Tell whether a name is what a commit leaves that had come to its end."""
    if os.path.islink(place):
        return not os.path.exists(place)
    found = os.path.isdir(place) and not os.path.exists(f"{place}/{RECORD}")
    return found and os.stat(place).st_uid == os.geteuid() and all(map(_OWN.fullmatch, os.listdir(place)))


def _remove(folder: str, images: Sequence[OpenDisk]) -> None:
    """Take the folder away, its record first: without that it is none."""
    with contextlib.suppress(OSError):
        os.unlink(f"{folder}/{RECORD}")
        _sync(os.path.dirname(folder))
        _unlink([folder, *_places(images)])


# what was where


def _sums(image: OpenDisk, overlay: str) -> Iterator[bytes]:
    """Yield where the overlay has data, and the digests of what the image has there."""
    for offset, data, _ in _changed(image, overlay):
        yield struct.pack(">QI", offset, len(data))
        yield from _digests(data)


def _digests(data: bytes) -> Iterator[bytes]:
    for at in range(0, len(data), PIECE):
        yield hashlib.blake2b(data[at : at + PIECE], digest_size=DIGEST).digest()


def _changed(image: OpenDisk, overlay: str) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield each place where an overlay has data: its offset, what the image has there, and what it is to have."""
    host = HostFiles(types=["qcow2"])
    try:
        opened = _alone(host, overlay)
        for offset, length in allocated(opened):
            count = min(length, opened.block.size - offset)
            yield offset, read_at(image.block, offset, count).ljust(count, b"\0"), read_at(opened.block, offset, count)
    finally:
        host.close()


def _alone(host: HostFiles, overlay: str) -> OpenDisk:
    from guestfix.backends.disks.formats import open_held

    opened = open_held(host, host.named(overlay), overlay)
    if len(host.opened) != 1:
        raise DiskError("this overlay names other files, which none of guestfix's does", where=overlay)
    return opened


# finishing what was cut off


def unfinished(images: Sequence[OpenDisk]) -> str:
    """Return the folder of a commit into one of these images that was cut off; empty where there is none."""
    found = (place for place in _places(images) if os.path.lexists(place) and os.path.isfile(f"{place}/{RECORD}"))
    return next(map(os.path.realpath, found), "")


def refuse_unfinished(images: Sequence[OpenDisk]) -> None:
    """Raise Blocked where a commit into one of these images runs, or was cut off: it is half of two states."""
    folder = unfinished(images)
    if folder and images[0].host.changing():
        raise Blocked(CHANGING, where=folder, remedy="wait until it ends", code=RUNNING)
    if folder:
        raise Blocked(
            "a change of this image in place was cut off, so it is half written; the rest of it is kept",
            where=folder,
            remedy="run the same apply or revert --in-place again: it begins with finishing this",
            code=CODE,
        )


def finish(images: Sequence[OpenDisk]) -> tuple[str, ...]:
    """Finish the commit that was cut off. Return the images that were written; none where nothing was cut off.

    The images' own blocks are of no use afterwards: open them again. Raises DiskError with nothing written where the
    folder is not this user's, images are lacking, or one is not what the commit made of it, and HalfWritten.
    """
    folder = unfinished(images)
    if not folder:
        with contextlib.suppress(OSError):
            _unlink(_places(images))
        return ()
    ours = [_named_by(folder, images, one) for one in _record(folder)]
    for image in ours:
        _writable(image)
    images[0].host.hold(image.file for image in ours)
    for index, image in enumerate(ours):
        _half_of(image, f"{folder}/{index}")
    try:
        for index, image in enumerate(ours):
            _write(image, f"{folder}/{index}.qcow2")
    except DiskError as error:
        raise HalfWritten(error.what, where=folder, remedy=error.remedy or "fix the cause, then try again") from error
    _remove(folder, ours)
    return tuple(image.path for image in ours)


def _record(folder: str) -> list[str]:
    """Return the images of a commit, as the folder above names them. DiskError where it is none of this user's."""
    found = os.stat(folder)
    if found.st_uid not in (0, os.geteuid()) or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        what = "others may have written what is kept of a commit here, so it is not used"
        raise DiskError(what, where=folder, remedy="look at it, then make it your own (chown, chmod go-w) or remove it")
    try:
        with open(f"{folder}/{RECORD}", "rb") as stream:
            told = json.loads(stream.read(MAX_RECORD))
    except (OSError, ValueError, RecursionError):
        told = None
    names = told.get("images") if isinstance(told, Mapping) and told.get("schema") == SCHEMA else None
    if not isinstance(names, list) or not names or not all(isinstance(one, str) for one in names):
        raise DiskError("what is kept of a commit here can't be read", where=folder, remedy=_BY_HAND)
    return names


_BY_HAND = "if the image was copied again since, remove this folder; else put a copy of the image in its place"


def _named_by(folder: str, images: Sequence[OpenDisk], name: str) -> OpenDisk:
    real = os.path.realpath(os.path.join(os.path.dirname(folder), name))
    for image in images:
        if image.file.real == real:
            return image
    what = f"the commit that was cut off is of {real} too"
    raise DiskError(what, where=folder, remedy="give all disks of the guest, as it was done then")


def _half_of(image: OpenDisk, kept: str) -> None:
    """DiskError unless each piece of the image is as it was before the commit, or as it makes it."""
    other = DiskError(
        "this image was changed since its commit was cut off, so that is not finished", where=image.path,
        remedy=f"if it was copied again, remove {os.path.dirname(kept)}; else put a copy of it in its place",
    )  # fmt: skip
    with open(f"{kept}.sums", "rb") as stream:
        for offset, now, new in _changed(image, f"{kept}.qcow2"):
            head = stream.read(12)
            if head != struct.pack(">QI", offset, len(now)):
                raise other
            for index, mine in enumerate(_digests(now)):
                at = index * PIECE
                if stream.read(DIGEST) != mine and now[at : at + PIECE] != new[at : at + PIECE]:
                    raise other


def open_to_write(paths: list[str], host: HostFiles, *, in_place: bool) -> tuple[list[OpenDisk], tuple[str, ...]]:
    """Open disk images that are to be changed; return them, and those whose commit was finished first.

    Only who writes ``in_place`` finishes one; Blocked for others.
    """
    images = open_images(paths, host, halves=in_place)
    done = finish(images) if in_place else ()
    if done:
        host.again()
        images = open_images(paths, host)
    return images, done
