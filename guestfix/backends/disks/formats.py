"""Disk image containers as block devices: which format a file has, and the whole chain behind it.

VDI after VirtualBox's VDICore.h.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from guestfix.backends.disks.hostfiles import HostFile, HostFiles, file_node
from guestfix.backends.disks.types import REBASE, settle, settle_below
from guestfix.backends.volumes.block import Block, DiskError, SeekableBlock, Window, read_at, read_exact
from guestfix.base.bounds import IMAGE_CHAIN
from guestfix.base.record import frozen, replace

MAX_CHAIN = IMAGE_CHAIN
"""Images in one backing chain."""

MAX_SIZE = 1 << 60
MAX_TABLE = 256 << 20
"""Bytes of a mapping table that are held in memory."""

Piece = int | bytes | None
"""Where a chunk's data is: offset in the data file, the bytes themselves, or None: not here (see parent)."""


@frozen
class OpenDisk:
    """One disk: its raw bytes, how QEMU opens it (a blockdev node), and every file it is read from.

    The node names no file but descriptors that ``host`` holds. ``file`` is the image's own; ``fixed`` says why the
    image can't be changed in place, where that is so.
    """

    path: str
    format: str
    block: Block
    node: Mapping[str, Any]
    files: tuple[str, ...]
    file: HostFile
    host: HostFiles
    fixed: str = ""

    @property
    def inside(self) -> bool:
        """Tell whether it is a part of its file, as an OVA's disk is."""
        return "offset" in self.node or "offset" in self.node["file"]


class Chunked(SeekableBlock):
    """A disk kept in chunks of equal size. What ``find`` knows nothing of comes from the parent or is zero."""

    def __init__(
        self, data: Block, size: int, chunk: int, find: Callable[[int], Piece], parent: Block | None = None
    ) -> None:
        super().__init__()
        if not 0 < size <= MAX_SIZE or not 512 <= chunk <= 1 << 32:
            what = f"the image's header gives an impossible size: {size} bytes in chunks of {chunk}"
            raise DiskError(what, remedy="copy or export it again")
        self.data, self.size, self.chunk, self.find, self.parent = data, size, chunk, find, parent
        self._last: tuple[int, Piece] = (-1, None)

    def _next(self, count: int) -> bytes:
        index, within = divmod(self._at, self.chunk)
        return self._piece(index, within, min(count, self.chunk - within))

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


# which image


@frozen
class Source:
    """An image that is about to be opened: ``path`` as it is shown, the file and the bytes in it that are the image.

    ``node`` is how QEMU reaches those bytes, ``header`` how an overlay names them, ``above`` the images that have led
    here, this one last.
    """

    path: str
    file: HostFile
    host: HostFiles
    node: Mapping[str, object]
    above: tuple[HostFile, ...]

    @property
    def seen(self) -> tuple[str, ...]:
        """The files that the image is read from so far, without links."""
        return tuple(one.real for one in self.above)


Opener = Callable[[Source, Block], OpenDisk]


def open_chain(path: str, host: HostFiles | None = None) -> OpenDisk:
    """Open an image file that the operator named, and everything behind it.

    DiskError where a file of the chain is missing, damaged, named twice, of a kind that can't be read, or one that
    the image may not name.
    """
    host = host or HostFiles()
    return open_held(host, host.named(path), path)


def open_held(host: HostFiles, file: HostFile, path: str) -> OpenDisk:
    """Open an image file that is held already. Raises as :func:`open_chain`."""
    with told_at(path):
        kind = settle(host, path, file.block, named=file.named)
        return open_as(kind, Source(path, file, host, file_node(file), (file,)), file.block)


def open_backing(source: Source, file: HostFile, fmt: str) -> OpenDisk:
    """Open the image below ``source``, which says that its format is ``fmt``. Raises as :func:`open_chain`."""
    with told_at(file.path):
        if any(file.key == one.key for one in source.above):
            raise DiskError("the backing chain runs in a circle: this file is its own ancestor", remedy=REBASE)
        if len(source.above) >= MAX_CHAIN:
            raise DiskError(f"the backing chain has more than {MAX_CHAIN} images")
        kind = settle_below(source.host, file, fmt, source.path)
        below = Source(file.path, file, source.host, file_node(file), (*source.above, file))
        return open_as(kind, below, file.block)


def open_as(kind: str, source: Source, block: Block) -> OpenDisk:
    """Open an image of this format. DiskError where there is no reader for it."""
    opener = _openers().get(kind)
    if opener is None:
        raise DiskError(f"images of format {kind} can't be read", remedy="convert it with qemu-img convert")
    return opener(source, block)


@contextmanager
def told_at(path: str) -> Iterator[None]:
    """Say of an error in which file it is; whatever damage does to a reader is a DiskError too."""
    try:
        yield
    except DiskError as error:
        raise error if error.where else DiskError(error.what, where=path, remedy=error.remedy) from error
    except (struct.error, ValueError, OverflowError, OSError, zlib.error) as error:
        raise DiskError(f"the image is damaged: {error}", where=path, remedy="run qemu-img check on it") from error


def _openers() -> dict[str, Opener]:
    from guestfix.backends.disks import hyperv as image_hyperv
    from guestfix.backends.disks import qcow2 as image_qcow2
    from guestfix.backends.disks import vmdk as image_vmdk

    return {
        "raw": _open_raw,
        "qcow2": image_qcow2.open_qcow2,
        "vdi": open_vdi,
        "vmdk": image_vmdk.open_vmdk,
        **image_hyperv.OPENERS,
    }


def disk(source: Source, fmt: str, block: Block, files: tuple[str, ...] = (), **children: object) -> OpenDisk:
    """Return an OpenDisk of this QEMU format; ``children`` are its other nodes, read from ``files``."""
    node = {"driver": fmt, "read-only": True, "file": source.node, **children}
    if fmt == "raw" and source.node["driver"] == "raw":
        node = {**source.node, "read-only": True}
    read_from = tuple(dict.fromkeys((*files, *source.seen)))
    return OpenDisk(source.path, fmt, block, node, read_from, source.file, source.host)


def _open_raw(source: Source, block: Block) -> OpenDisk:
    return disk(source, "raw", block)


# VDI


def open_vdi(source: Source, block: Block) -> OpenDisk:
    """Open a VirtualBox image, dynamic or fixed."""
    head = read_exact(block, 0, 456, "the VDI header")
    kind = struct.unpack_from("<I", head, 76)[0]
    map_at, data_at = struct.unpack_from("<II", head, 340)
    size, chunk, extra, count = struct.unpack_from("<QIII", head, 368)
    if head[64:68] != b"\x7f\x10\xda\xbe":
        raise DiskError("this is no VDI: its magic number is missing")
    if map_at % 512 or struct.unpack_from("<I", head, 360)[0] != 512:
        raise DiskError("the VDI header gives sectors or a map that can't be", remedy="copy or export it again")
    if kind not in (1, 2) or any(head[424:456]):
        raise DiskError("a VDI that depends on another image", remedy="clone it in VirtualBox to a full image first")
    if count * chunk < size:
        raise DiskError("the VDI header's block count doesn't cover the disk")
    blocks = table(block, map_at, count, "<I")
    last = max((place for place in blocks if place < 0xFFFFFFFE), default=-1)
    holds(block, data_at + (last + 1) * (chunk + extra))

    def find(index: int) -> Piece:
        place = blocks[index]
        return None if place >= 0xFFFFFFFE else data_at + place * (chunk + extra) + extra

    return disk(source, "vdi", Chunked(block, size, chunk, find))


# a disk inside another file


def open_inside(source: Source, name: str) -> OpenDisk:
    """Open a disk inside another file, as guestfix's overlays over an OVA name it; no other JSON is followed."""
    try:
        node = json.loads(name.removeprefix("json:"))
        span = node if "offset" in node else node["file"]
        start, size, path = int(span["offset"]), int(span["size"]), str(span["file"]["filename"])
        kind = str(node["driver"])
        known = span["driver"] == "raw" and span["file"]["driver"] == "file" and start >= 0 < size
    except (ValueError, KeyError, TypeError, RecursionError):
        known = False
    if not known or kind not in ("raw", "vmdk", "vpc", "vhdx") or not path.startswith("/"):
        source.host.inside(source.file, "json:", "backing file")  # raises
    outer = source.host.inside(source.file, path, "backing file")
    if start + size > outer.block.size:
        raise DiskError("the file that holds this disk was cut off or changed", where=path)
    return open_window(source.host, outer, path, kind, (start, size), source.above)


def open_window(
    host: HostFiles, outer: HostFile, path: str, kind: str, span: tuple[int, int], above: tuple[HostFile, ...] = ()
) -> OpenDisk:
    """Open the image of this format that lies in a file from ``span``'s first byte on, of so many bytes."""
    node = {"driver": "raw", "offset": span[0], "size": span[1], "file": file_node(outer)}
    opened = open_as(kind, Source(path, outer, host, node, (*above, outer)), Window(outer.block, *span))
    return replace(opened, fixed="a disk inside an OVA can't be changed in place")
