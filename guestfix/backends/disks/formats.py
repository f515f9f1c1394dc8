"""Disk image containers as block devices: which format a file has, and the whole chain behind it.

VDI after VirtualBox's VDICore.h.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import struct
import zlib
from collections.abc import Callable, Mapping
from typing import Any

from guestfix.backends.volumes.block import Block, DiskError, FileBlock, SeekableBlock, Window, read_at, read_exact
from guestfix.base.record import frozen

MAX_CHAIN = 32
"""Images in one backing chain."""

MAX_SIZE = 1 << 60
MAX_TABLE = 256 << 20
"""Bytes of a mapping table that are held in memory."""

Piece = int | bytes | None
"""Where a chunk's data is: offset in the data file, the bytes themselves, or None: not here (see parent)."""


@frozen
class OpenDisk:
    """One disk: its raw bytes, how QEMU would open it (a blockdev node), and every file it is read from."""

    path: str
    format: str
    block: Block
    node: Mapping[str, Any]
    files: tuple[str, ...] = ()


class Chunked(SeekableBlock):
    """A disk kept in chunks of equal size. What ``find`` knows nothing of comes from the parent or is zero."""

    def __init__(
        self, data: Block, size: int, chunk: int, find: Callable[[int], Piece], parent: Block | None = None
    ) -> None:
        super().__init__()
        if not 0 < size <= MAX_SIZE or not 512 <= chunk <= 1 << 32:
            raise DiskError(f"the image's header gives an impossible size: {size} bytes in chunks of {chunk}")
        self.data, self.size, self.chunk, self.find, self.parent = data, size, chunk, find, parent
        self._last: tuple[int, Piece] = (-1, None)

    def read(self, size: int | None = -1) -> bytes:
        """Return up to size bytes; all that remain where size is negative."""
        left = max(0, self.size - self._at)
        count = left if size is None or size < 0 else min(size, left)
        parts = []
        while count:
            index, within = divmod(self._at, self.chunk)
            take = min(count, self.chunk - within)
            parts.append(self._piece(index, within, take))
            self._at += take
            count -= take
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _piece(self, index: int, within: int, take: int) -> bytes:
        if self._last[0] != index:
            self._last = (index, self.find(index))
        where = self._last[1]
        if where is None:
            if self.parent is None:
                return bytes(take)
            return read_at(self.parent, index * self.chunk + within, take).ljust(take, b"\0")
        if isinstance(where, bytes):
            return where[within : within + take].ljust(take, b"\0")
        return read_exact(self.data, where + within, take, "a data block of the image")


ZERO = b""
"""A chunk that is zero whatever the parent holds."""


def table(block: Block, offset: int, count: int, code: str) -> tuple[int, ...]:
    """Return count numbers (struct codes such as ``>Q``) from a mapping table; DiskError where it is cut off."""
    length = count * struct.calcsize(code)
    if length > MAX_TABLE:
        raise DiskError(f"a mapping table of {length} bytes is larger than any real image has")
    raw = read_exact(block, offset, length, "a mapping table of the image")
    return struct.unpack(f"{code[0]}{count}{code[1]}", raw)


def holds(block: Block, end: int) -> None:
    """DiskError where an image's file ends before ``end``, the last byte that its tables give a place."""
    if end > block.size:
        raise DiskError(
            f"the image is truncated: its data goes up to byte {end}, but the file has {block.size}",
            remedy="copy or export it again",
        )


# which format


def detect(block: Block) -> str:
    """Return qcow2, vmdk, vmdk-text, vhdx, vpc, vdi, ova or raw. DiskError for packed or foreign containers."""
    head = read_at(block, 0, 512)
    for magic, name in _MAGICS:
        if head.startswith(magic):
            return name
    if head.lstrip().startswith(b"# Disk DescriptorFile"):
        return "vmdk-text"
    if head[64:68] == b"\x7f\x10\xda\xbe":
        return "vdi"
    if head[257:262] == b"ustar":
        return "ova"
    if head[:8] == b"conectix" or read_at(block, block.size - 512, 8) == b"conectix":
        return "vpc"
    for magic, name in _FOREIGN:
        if head.startswith(magic):
            raise DiskError(f"the file is {name}", remedy="unpack it or convert it with qemu-img convert first")
    if read_at(block, 16 * 2048 + 1, 5) == b"CD001":
        raise DiskError(
            "the file is an ISO 9660 image, a CD or DVD", remedy="leave it out, and give the disks of the guest"
        )
    return "raw"


_MAGICS = ((b"QFI\xfb", "qcow2"), (b"KDMV", "vmdk"), (b"COWD", "vmdk"), (b"vhdxfile", "vhdx"))
_FOREIGN = (
    (b"\x1f\x8b", "compressed with gzip"),
    (b"\xfd7zXZ", "compressed with xz"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd"),
    (b"BZh", "compressed with bzip2"),
    (b"PK\3\4", "a ZIP archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"QED\0", "a QED image, which QEMU itself has given up"),
    (b"WithoutFreeSpace", "a Parallels image"),
    (b"WithouFreSpacExt", "a Parallels image"),
    (b"EVF\t", "an EnCase evidence file"),
    (b"\xfe\xed\xfe\xed", "a split sparse image of another kind"),
)


def open_chain(path: str, fmt: str = "", seen: tuple[str, ...] = ()) -> OpenDisk:
    """Open an image file and everything behind it. ``fmt`` is its format where a parent names it.

    DiskError where a file of the chain is missing, damaged, named twice, or of a kind that can't be read.
    """
    real = os.path.realpath(path)
    if real in seen:
        raise DiskError("the backing chain runs in a circle: this file is its own ancestor", where=path, remedy=_REBASE)
    if len(seen) >= MAX_CHAIN:
        raise DiskError(f"the backing chain has more than {MAX_CHAIN} images", where=path)
    block = open_file(path)
    try:
        kind = _kind(block, fmt, seen)
        opener = _openers().get(kind)
        if opener is None:
            raise DiskError(f"images of format {kind} can't be read", remedy="convert it with qemu-img convert")
        return opener(path, block, (*seen, real))
    except DiskError as error:
        raise error if error.where else DiskError(error.what, where=path, remedy=error.remedy) from error
    except (struct.error, ValueError, OverflowError, OSError, zlib.error) as error:
        raise DiskError(f"the image is damaged: {error}", where=path, remedy="run qemu-img check on it") from error


def _kind(block: Block, fmt: str, seen: tuple[str, ...]) -> str:
    """Return the format to read an image as: ``fmt``, which the image above it names, where that can be.

    An image that is named as raw is never opened as what its first bytes say, for a guest may have written
    them (CVE-2006-3597 and its like); where the two disagree, that is an error.
    """
    if fmt in ("", "vmdk"):
        found = detect(block)
        if fmt and not found.startswith("vmdk"):
            raise DiskError(f"this should be a vmdk image, as {seen[-1]} says, but it is {found}", remedy=_REBASE)
        return found
    magic = next((name for head, name in _MAGICS if read_at(block, 0, 8).startswith(head)), "raw")
    if (fmt == "raw") != (magic == "raw") and fmt in ("raw", "qcow2", "vhdx"):
        raise DiskError(f"this should be a {fmt} image, as {seen[-1]} says, but it is {magic}", remedy=_REBASE)
    return fmt


_REBASE = "give the image above it the right backing file and format: qemu-img rebase -u -F FORMAT -b FILE"


def open_file(path: str) -> FileBlock:
    """Open a host file or block device for reading. DiskError where it can't be opened or is empty."""
    try:
        if stat.S_IFMT(os.stat(path).st_mode) not in (stat.S_IFREG, stat.S_IFBLK, stat.S_IFDIR):
            raise DiskError("this is neither a file nor a block device", where=path, remedy=_OPENING[errno.EISDIR])
        block = FileBlock(path)
    except OSError as error:
        raise DiskError(
            f"can't open the image: {error.strerror}", where=path, remedy=_OPENING.get(error.errno or 0, "")
        ) from error
    if not block.size:
        raise DiskError("the image file is empty", where=path, remedy="copy or export it again")
    return block


_OPENING = {
    errno.EACCES: "make it readable for this user, or run guestfix as one who may read it",
    errno.ENOENT: "check its name and folder",
    errno.EISDIR: "give the image files in it, all disks of the guest in their order",
}


Opener = Callable[[str, Block, tuple[str, ...]], OpenDisk]


def _openers() -> dict[str, Opener]:
    from guestfix.backends.disks import hyperv as image_hyperv
    from guestfix.backends.disks import qcow2 as image_qcow2
    from guestfix.backends.disks import vmdk as image_vmdk

    vmdk = {"vmdk": image_vmdk.open_sparse, "vmdk-text": image_vmdk.open_text}
    return {"raw": _open_raw, "qcow2": image_qcow2.open_qcow2, "vdi": open_vdi, **vmdk, **image_hyperv.OPENERS}


def file_node(path: str) -> dict[str, Any]:
    """Return QEMU's node for a host file."""
    return {"driver": "file", "filename": os.path.abspath(path)}


def disk(path: str, fmt: str, block: Block, files: tuple[str, ...]) -> OpenDisk:
    """Return an OpenDisk over a plain file of this QEMU format."""
    return OpenDisk(path, fmt, block, {"driver": fmt, "file": file_node(path)}, files)


def _open_raw(path: str, block: Block, seen: tuple[str, ...]) -> OpenDisk:
    return disk(path, "raw", block, seen)


# VDI


def open_vdi(path: str, block: Block, seen: tuple[str, ...]) -> OpenDisk:
    """Open a VirtualBox image, dynamic or fixed."""
    head = read_exact(block, 0, 392, "the VDI header")
    kind = struct.unpack_from("<I", head, 76)[0]
    map_at, data_at = struct.unpack_from("<II", head, 340)
    size, chunk, extra, count = struct.unpack_from("<QIII", head, 368)
    if kind not in (1, 2):
        raise DiskError("a VDI that depends on another image", remedy="clone it in VirtualBox to a full image first")
    if count * chunk < size:
        raise DiskError("the VDI header's block count doesn't cover the disk")
    blocks = table(block, map_at, count, "<I")
    last = max((place for place in blocks if place < 0xFFFFFFFE), default=-1)
    holds(block, data_at + (last + 1) * (chunk + extra))

    def find(index: int) -> Piece:
        place = blocks[index]
        return None if place >= 0xFFFFFFFE else data_at + place * (chunk + extra) + extra

    return disk(path, "vdi", Chunked(block, size, chunk, find), seen)


# other files that an image names


def open_inside(path: str, name: str, seen: tuple[str, ...]) -> OpenDisk:
    """Open a disk inside another file, as guestfix's overlays over an OVA name it; no other JSON is followed."""
    try:
        node = json.loads(name.removeprefix("json:"))
        span = node if "offset" in node else node["file"]
        start, size, file = int(span["offset"]), int(span["size"]), str(span["file"]["filename"])
        kind = str(node["driver"])
        known = span["driver"] == "raw" and span["file"]["driver"] == "file" and start >= 0 < size
    except (ValueError, KeyError, TypeError, RecursionError):
        known = False
    if not known or kind not in ("raw", "vmdk", "vpc", "vhdx"):
        beside(path, "json:")  # raises
    outer = open_file(beside(path, file))
    if start + size > outer.size:
        raise DiskError("the file that holds this disk was cut off or changed", where=file)
    inner = _openers()[kind](file, Window(outer, start, size), (*seen, os.path.realpath(file)))
    return OpenDisk(file, kind, inner.block, node, inner.files)


def beside(path: str, name: str) -> str:
    """Return the host path of a file that an image names: absolute, or beside the image."""
    name = name.removeprefix("file:")
    if not name or name.startswith(("json:", "nbd:", "http:", "https:", "ssh:", "rbd:")) or "\0" in name:
        raise DiskError(
            f"the image depends on {name or 'a file without a name'!r}, which is no local file",
            where=path,
            remedy="convert the chain to one image with qemu-img convert",
        )
    found = os.path.join(os.path.dirname(os.path.abspath(path)), name)
    if not os.path.exists(found):
        raise DiskError(
            f"a file that the image needs is missing: {found}",
            where=path,
            remedy="copy it there, or name the right one with qemu-img rebase -u",
        )
    return found
