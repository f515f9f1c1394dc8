"""A file's data on Btrfs: pieces within the tree, on the devices, or packed by zlib, LZO or zstd."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable

from guestfix.backends.filesystems.btrfstree import Key, Volume
from guestfix.backends.filesystems.node import MAX_RUNS, SpanFile
from guestfix.backends.volumes.block import COPY, DiskError, told
from guestfix.base.errors import TooLarge, Unreadable
from guestfix.base.record import frozen

_INLINE, _REGULAR, _PREALLOCATED = 0, 1, 2
_ZLIB, _LZO, _ZSTD = 1, 2, 3
_MAX_PACKED = 1 << 20
"""Bytes of one packed extent; Btrfs makes none above 128 KiB."""
_CUT = "a Btrfs file's extent is cut off"


@frozen
class Extent:
    """A piece of a file: where it begins and how long it is, and its bytes or their address (0: zeros).

    Of a packed one ``held`` bytes at the address make ``whole``, in which the piece begins at ``within``.
    """

    start: int
    length: int
    packing: int
    whole: int
    within: int = 0
    address: int = 0
    held: int = 0
    inline: bytes | None = None


def extent_of(start: int, raw: bytes) -> Extent:
    """Return the extent of an item. Raises DiskError, and Unreadable for one that is encrypted."""
    if len(raw) < 21:
        raise DiskError(told(_CUT, COPY))
    _, whole, packing, encryption, _, kind = struct.unpack_from("<QQBBHB", raw)
    if encryption or packing > _ZSTD:
        raise Unreadable("it is packed or encrypted in a way that isn't known here")
    if kind == _INLINE:
        return Extent(start, whole, packing, whole, inline=raw[21:])
    if len(raw) < 53 or kind not in (_REGULAR, _PREALLOCATED):
        raise DiskError(told(_CUT, COPY))
    address, held, within, length = struct.unpack_from("<QQQQ", raw, 21)
    if start + length >> 63 or within + length > max(whole, held):
        raise DiskError(told("a Btrfs file's extent can't be", COPY))
    return Extent(start, length, packing, whole, within, 0 if kind == _PREALLOCATED else address, held)


class BtrfsFile(SpanFile):
    """A file's bytes."""

    def __init__(self, volume: Volume, items: Iterable[tuple[Key, bytes]], size: int) -> None:
        self.volume = volume
        self.extents: list[Extent] = []
        for key, raw in items:
            self.extents.append(extent_of(key[2], raw))
            if len(self.extents) > MAX_RUNS:
                raise TooLarge("the file has too many pieces")
        super().__init__(((one.start, one.length) for one in self.extents), size)
        self._last: tuple[Extent | None, bytes] = (None, b"")

    def _of(self, index: int, within: int, count: int) -> bytes:
        one = self.extents[index]
        if one.packing or one.inline is not None:
            if self._last[0] is not one:
                self._last = (one, self._whole(one))
            at = one.within + within
            return self._last[1][at : at + count].ljust(count, b"\0")
        if not one.address:
            return bytes(count)
        return self.volume.read(one.address + one.within + within, min(count, _MAX_PACKED))

    def _whole(self, one: Extent) -> bytes:
        if max(one.whole, one.held) > _MAX_PACKED:
            raise DiskError(told("a packed Btrfs extent is larger than there are any", COPY))
        if one.inline is None and not one.address:
            return b""
        raw = one.inline if one.inline is not None else self.volume.read(one.address, one.held)
        return unpacked(raw, one.packing, one.whole, self.volume.sb.sector) if one.packing else raw


def unpacked(raw: bytes, packing: int, size: int, sector: int) -> bytes:
    """Return what was packed, at most ``size`` bytes. Raises DiskError where it is damaged."""
    try:
        if packing == _ZLIB:
            return zlib.decompressobj().decompress(raw, size)
        if packing == _ZSTD:
            import zstandard

            with zstandard.ZstdDecompressor().stream_reader(raw) as stream:
                return stream.read(size)
        return _lzo(raw, size, sector)
    except (zlib.error, ValueError, struct.error) as error:
        raise DiskError(told(f"a packed Btrfs extent is damaged: {error}", COPY)) from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] == "zstd" or type(error).__name__ == "ZstdError":
            raise DiskError(told(f"a packed Btrfs extent is damaged: {error}", COPY)) from error
        raise


def _lzo(raw: bytes, size: int, sector: int) -> bytes:
    """Unpack LZO segments, each with its length, which never lies across the end of a sector."""
    from guestfix.formats.initramfs.lzo import decompress_block

    (total,) = struct.unpack_from("<I", raw)
    out, at, end = bytearray(), 4, min(total, len(raw))
    while at + 4 <= end and len(out) < size:
        if at % sector > sector - 4:
            at += -at % sector
            continue
        (length,) = struct.unpack_from("<I", raw, at)
        if at + 4 + length > len(raw) or not length:
            raise ValueError("a segment is cut off")
        out += decompress_block(raw[at + 4 : at + 4 + length], min(sector, size - len(out)), 1)
        at += 4 + length
    return bytes(out[:size])
