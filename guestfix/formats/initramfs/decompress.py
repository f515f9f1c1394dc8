"""The compressions that Linux unpacks an initramfs with, as streams with bounded output per step.

Kinds and magic numbers are those of the kernel's lib/decompress.c. Each function consumes one
compressed segment from a Source, leaves the source exactly behind it, and yields chunks of what it
holds; a chunk may be a view that only lasts until the next one is asked for. All raise
:class:`~guestfix.base.errors.Corrupt` with the offset in the file.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from guestfix.base.errors import Corrupt, TooLarge
from guestfix.base.inflate import ERRORS, inflater
from guestfix.base.patterns import import_kept
from guestfix.formats.initramfs import lzo
from guestfix.formats.initramfs.ending import Ending
from guestfix.formats.initramfs.streams import Piece, Source

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
ZSTD_IN = ZSTD_OUT = 1 << 17
"""Bytes read, and unpacked, at once: what the processor's second cache holds."""

LZ4_BLOCK = 8 * 1024 * 1024
LZMA2_CHUNKS = 2 << 21
"""What two chunks of LZMA2 hold at most."""


def kind_of(start: bytes) -> str:
    """Return the compression that a segment's first bytes show, or an empty string."""
    return next((kind for kind, magics in MAGICS.items() if start.startswith(magics)), "")


def chunks(kind: str, src: Source, ending: Ending | None = None) -> Iterator[Piece]:
    """Yield what the segment at the source's offset holds; ``ending`` then has what is needed to go on with it."""
    if ending is not None and kind in _WITH_ENDING:
        return _WITH_ENDING[kind](src, ending)
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


def _gzip(src: Source, ending: Ending | None = None) -> Iterator[bytes]:
    engine = inflater(31)
    while not engine.eof:
        at = src.offset
        if ending is not None:
            ending.mark(at, engine)
        data = src.read(STEP)
        if not data:
            raise _ended("gzip", src)
        try:
            out = engine.decompress(data)
        except ERRORS as error:
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


def _xz(src: Source, ending: Ending | None = None) -> Iterator[bytes]:
    import lzma

    for piece in _bounded("xz", src, lzma.LZMADecompressor(lzma.FORMAT_XZ, XZ_MEMORY)):
        if ending is not None:
            ending.keep(piece, LZMA2_CHUNKS)
        yield piece


def _lzma(src: Source) -> Iterator[bytes]:
    import lzma

    return _bounded("lzma", src, lzma.LZMADecompressor(lzma.FORMAT_ALONE, XZ_MEMORY))


def _need(kind: str, src: Source, count: int) -> bytes:
    data = src.read(count)
    if len(data) < count:
        raise _ended(kind, src)
    return data


def _zstd_header(start: bytes) -> tuple[int, int]:
    """Return how long a frame's header is, and how long the checksum at its end."""
    flags = start[4]
    single = flags >> 5 & 1
    length = (0 if single else 1) + (0, 1, 2, 4)[flags & 3] + (single, 2, 4, 8)[flags >> 6]
    return 5 + length, flags & 4


def _zstd_block(head: bytes, at: int) -> tuple[int, int]:
    """Return whether a block is the last one, and its size in the file behind its header, which begins at ``at``."""
    word = int.from_bytes(head, "little")
    sort, size = word >> 1 & 3, word >> 3
    if sort == 3 or size > 1 << 17:
        raise Corrupt("damaged zstd data: a block that can't be", offset=at)
    return word & 1, 1 if sort == 1 else size


def zstd_parts(src: Source) -> Iterator[bytes]:
    """Yield one frame's header, blocks and checksum one by one (RFC 8878): a block holds at most 128 KiB."""
    start = _need("zstd", src, 5)
    length, check = _zstd_header(start)
    yield start + _need("zstd", src, length - 5)
    last = 0
    while not last:
        at = src.offset
        head = _need("zstd", src, 3)
        last, size = _zstd_block(head, at)
        yield head + _need("zstd", src, size)
    if check:
        yield _need("zstd", src, check)


class _Frame:
    """A file for zstandard that ends with the frame, whose end only its blocks' headers tell."""

    def __init__(self, src: Source) -> None:
        self._src = src
        start = src.peek(5)
        length, self._check = _zstd_header(start) if len(start) == 5 else (5, 0)
        self._next = src.offset + length
        self._last = 0

    def read(self, _size: int = -1) -> bytes:
        if self._last and self._src.offset == self._next:
            return b""
        at = self._src.offset
        data = self._src.read(ZSTD_IN)
        while not self._last and (place := self._next - at) + 3 <= len(data):
            self._last, size = _zstd_block(data[place : place + 3], self._next)
            self._next += 3 + size + (self._check if self._last else 0)
        # What is read ends before the next header, where that is not whole, and with the frame.
        end = min(len(data), self._next - at)
        self._src.unread(data[end:])
        if not end:
            raise _ended("zstd", self._src)
        return data[:end]


def _zstd(src: Source) -> Iterator[Piece]:
    """Yield views of one buffer: a new chunk for each block would cost more than unpacking it."""
    zstandard = import_kept("zstandard")

    start = src.offset
    engine = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW).stream_reader(_Frame(src))
    view = memoryview(bytearray(ZSTD_OUT))
    while True:
        try:
            count = engine.readinto(view)
        except zstandard.ZstdError as error:
            raise Corrupt(f"damaged zstd data: {error}", offset=_zstd_damage(src, start)) from error
        if not count:
            return
        yield view[:count]


def _zstd_damage(src: Source, start: int) -> int:
    """Return where the part of a frame begins that can't be unpacked."""
    zstandard = import_kept("zstandard")

    engine = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW).decompressobj()
    again, at = src.rest(start), 0
    with suppress(zstandard.ZstdError, Corrupt):
        for part in zstd_parts(again):
            engine.decompress(part)
            at = again.offset
    return start + at


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
    from guestfix.formats.initramfs import lz4block

    try:
        return lz4block.unpacked(block, LZ4_BLOCK)
    except ValueError as error:
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

_WITH_ENDING: dict[str, Callable[[Source, Ending], Iterator[Piece]]] = {"gzip": _gzip, "xz": _xz}
