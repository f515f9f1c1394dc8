"""The compressions that Linux unpacks an initramfs with, as streams with bounded output per step.

Kinds and magic numbers are those of the kernel's lib/decompress.c. Each function consumes one
compressed segment from a Source, leaves the source exactly behind it, and yields chunks of what it
holds; a chunk may be a view that only lasts until the next one is asked for. All raise
:class:`~guestfix.errors.Corrupt` with the offset in the file.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from guestfix.errors import Corrupt, TooLarge
from guestfix.formats import lzo
from guestfix.formats.streams import Piece, Source

if TYPE_CHECKING:
    import bz2
    import lzma

MAGICS = {
    "gzip": (b"\x1f\x8b", b"\x1f\x9e"),
    "bzip2": (b"BZh",),
    "xz": (b"\xfd7zXZ\0",),
    "lzma": (b"\x5d\0",),
    "lzo": (lzo.MAGIC,),
    "lz4": (b"\x02\x21\x4c\x18",),
    "zstd": (b"\x28\xb5\x2f\xfd",),
}
"""Compression by what a segment begins with."""

STEP = 16 * 1024
"""Compressed bytes that are handed to zlib at once; they hold at most about 16 MiB."""

MAX_STEP = 1 << 20
XZ_MEMORY = 100 * 1024 * 1024
"""What liblzma may take: enough for ``xz -9``."""

ZSTD_WINDOW = 1 << 27
ZSTD_OUT = 1 << 17
"""Bytes unpacked at once: what the processor's second cache holds."""

LZ4_BLOCK = 8 * 1024 * 1024


def kind_of(start: bytes) -> str:
    """Return the compression that a segment's first bytes show, or an empty string."""
    return next((kind for kind, magics in MAGICS.items() if start.startswith(magics)), "")


def chunks(kind: str, src: Source) -> Iterator[Piece]:
    """Yield what the segment at the source's offset holds."""
    return _ENGINES[kind](src)


def unpacked(kind: str, data: bytes, limit: int) -> bytes:
    """Return what the segment at the start of data holds. Raises Corrupt, TooLarge beyond ``limit`` bytes."""
    out = bytearray()
    for chunk in chunks(kind, Source(io.BytesIO(data))):
        if len(out) + len(chunk) > limit:
            raise TooLarge(f"unpacks to more than {limit} bytes")
        out += chunk
    return bytes(out)


def _ended(kind: str, src: Source) -> Corrupt:
    return Corrupt(f"the file ends inside a {kind} segment", offset=src.offset)


def _gzip(src: Source) -> Iterator[bytes]:
    engine = zlib.decompressobj(wbits=31)
    while not engine.eof:
        at = src.offset
        data = src.read(STEP)
        if not data:
            raise _ended("gzip", src)
        try:
            out = engine.decompress(data)
        except zlib.error as error:
            raise Corrupt(f"damaged gzip data: {error}", offset=at) from error
        if out:
            yield out
    src.unread(engine.unused_data)


def _bounded(kind: str, src: Source, engine: bz2.BZ2Decompressor | lzma.LZMADecompressor) -> Iterator[bytes]:
    from lzma import LZMAError

    while not engine.eof:
        at = src.offset
        data = src.read(STEP) if engine.needs_input else b""
        if engine.needs_input and not data:
            raise _ended(kind, src)
        try:
            out = engine.decompress(data, MAX_STEP)
        except (OSError, LZMAError, EOFError, ValueError, MemoryError) as error:
            raise Corrupt(f"damaged {kind} data: {error}", offset=at) from error
        if out:
            yield out
    src.unread(engine.unused_data)


def _bzip2(src: Source) -> Iterator[bytes]:
    import bz2

    return _bounded("bzip2", src, bz2.BZ2Decompressor())


def _xz(src: Source) -> Iterator[bytes]:
    import lzma

    return _bounded("xz", src, lzma.LZMADecompressor(lzma.FORMAT_XZ, XZ_MEMORY))


def _lzma(src: Source) -> Iterator[bytes]:
    import lzma

    return _bounded("lzma", src, lzma.LZMADecompressor(lzma.FORMAT_ALONE, XZ_MEMORY))


def _need(kind: str, src: Source, count: int) -> bytes:
    data = src.read(count)
    if len(data) < count:
        raise _ended(kind, src)
    return data


def zstd_parts(src: Source) -> Iterator[bytes]:
    """Yield one frame's header, blocks and checksum one by one (RFC 8878): a block holds at most 128 KiB."""
    start = _need("zstd", src, 5)
    flags = start[4]
    single = flags >> 5 & 1
    length = (0 if single else 1) + (0, 1, 2, 4)[flags & 3] + (single, 2, 4, 8)[flags >> 6]
    yield start + _need("zstd", src, length)
    last = 0
    while not last:
        head = _need("zstd", src, 3)
        word = int.from_bytes(head, "little")
        last, sort, size = word & 1, word >> 1 & 3, word >> 3
        if sort == 3 or size > 1 << 17:
            raise Corrupt("damaged zstd data: a block that can't be", offset=src.offset - 3)
        yield head + _need("zstd", src, 1 if sort == 1 else size)
    if flags & 4:
        yield _need("zstd", src, 4)


class _Fed:
    """A file of a frame's parts for zstandard, which tells where the part began that it read last."""

    def __init__(self, src: Source) -> None:
        self.at = src.offset
        self._src = src
        self._parts = zstd_parts(src)

    def read(self, _size: int = -1) -> bytes:
        self.at = self._src.offset
        return next(self._parts, b"")


def _zstd(src: Source) -> Iterator[Piece]:
    """Yield views of one buffer: a new chunk for each block would cost more than unpacking it."""
    import zstandard

    fed = _Fed(src)
    engine = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW).stream_reader(fed)  # type: ignore[arg-type]
    view = memoryview(bytearray(ZSTD_OUT))
    while True:
        try:
            count = engine.readinto(view)
        except zstandard.ZstdError as error:
            raise Corrupt(f"damaged zstd data: {error}", offset=fed.at) from error
        if not count:
            return
        yield view[:count]


def lz4_blocks(src: Source) -> Iterator[tuple[int, bytes]]:
    """Yield where each block's length is and the block: a zero length, the file's end or no length ends them."""
    magic = _need("lz4", src, 4)
    while True:
        head = src.read(4)
        size = int.from_bytes(head, "little")
        if len(head) < 4 or not size:
            src.unread(head)
            return
        if head == magic:
            continue
        at = src.offset - 4
        if size > LZ4_BLOCK + LZ4_BLOCK // 255 + 16:
            raise Corrupt("damaged lz4 data: no block length and no zero that ends the segment", offset=at)
        yield at, _need("lz4", src, size)


def lz4_plain(at: int, block: bytes) -> bytes:
    """Return what a block of :func:`lz4_blocks` holds."""
    import lz4.block

    try:
        return bytes(lz4.block.decompress(block, uncompressed_size=LZ4_BLOCK))
    except (lz4.block.LZ4BlockError, ValueError, MemoryError) as error:
        raise Corrupt(f"damaged lz4 data: {error}", offset=at + 4) from error


def _lz4(src: Source) -> Iterator[bytes]:
    return (lz4_plain(at, block) for at, block in lz4_blocks(src))


_ENGINES: dict[str, Callable[[Source], Iterator[Piece]]] = {
    "gzip": _gzip,
    "bzip2": _bzip2,
    "xz": _xz,
    "lzma": _lzma,
    "lzo": lzo.chunks,
    "lz4": _lz4,
    "zstd": _zstd,
}
