"""Let the last archive of an initramfs continue: what is added takes the place of its trailer, in the same stream.

Every program that lists or unpacks the image then sees what was added, while an archive behind it is seen by the
kernel alone: cpio(1) ends at the first trailer. The blocks before the trailer's stay as they are.
"""

from __future__ import annotations

import struct
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import IO, TYPE_CHECKING

from guestfix.base.edit import Splice
from guestfix.base.errors import Corrupt
from guestfix.base.record import frozen, replace
from guestfix.formats.initramfs import cpio, decompress, deflate, lzo, xz
from guestfix.formats.initramfs.compress import lz4_blocks as lz4_packed
from guestfix.formats.initramfs.decompress import ZSTD_WINDOW, lz4_blocks, lz4_plain, zstd_parts
from guestfix.formats.initramfs.image import Image
from guestfix.formats.initramfs.streams import Piece, Source

if TYPE_CHECKING:
    from zlib import _Decompress

_CPIO_BLOCK = 512
"""What cpio(1) reads at once: an archive that ends inside is an error to it, and what is behind that is never read."""

_TRAILER = 124
"""Bytes of a trailer, with its name."""

_GZIP_FOOTER = 8
"""Bytes of the CRC-32 and the size that end a gzip file (RFC 1952)."""

_ZSTD_BLOCK = 1 << 17


@frozen
class _Tail:
    """A segment's last two blocks: where each begins in it and what it holds.

    ``write`` is given the content of those that stay, and what comes then, and returns the latter as the segment's end.
    """

    blocks: list[tuple[int, bytes]]
    write: Callable[[bytes, bytes], bytes]
    header: tuple[Splice, ...] = ()


def extend(stream: IO[bytes], image: Image, archive: bytes) -> list[Splice]:
    """Return the changes to an image after which its last archive continues with ``archive``.

    Nothing is returned for a compression that this isn't done for (bzip2, lzma), nor where the trailer is not
    within the last blocks. Raises Corrupt.
    """
    segment = image.segments[-1]
    size = segment.end - segment.offset
    find = _TAILS.get(segment.compression)
    tail = find(Source(stream, segment.offset, size)) if find is not None else None
    if tail is None:
        return []
    content = b"".join(data for _, data in tail.blocks)
    cut = _trailer(content)
    if cut < 0:
        return []
    archive = archive[: _trailer(archive) + _TRAILER]
    whole = segment.unpacked - len(content) + cut + len(archive)
    start, first = tail.blocks[-1][0], len(content) - len(tail.blocks[-1][1])
    if cut < first:
        start, first = tail.blocks[0][0], 0
    data = tail.write(content[:first], content[first:cut] + archive + bytes(-whole % _CPIO_BLOCK))
    splices = [*tail.header, Splice(start, size - start, data)]
    return [replace(one, offset=one.offset + segment.offset) for one in splices]


def _trailer(content: bytes) -> int:
    """Return where the trailer begins that ends the content, but for zero bytes; -1 if there is none."""
    at = content.rfind(cpio.TRAILER.encode() + b"\0") - cpio.HEADER
    ends = content[at + cpio.HEADER + len(cpio.TRAILER) :].strip(b"\0") == b""
    return at if at >= 0 and ends and content[at : at + 6] in cpio.MAGICS else -1


def _plain(src: Source) -> _Tail | None:
    at = max(0, src.size - 4096)
    src.skip(at)
    return _Tail([(at, src.read(4096))], lambda kept, data: data)


def _lz4(src: Source) -> _Tail | None:
    last = deque(lz4_blocks(src), 2)
    if not last:
        return None
    return _Tail([(at, lz4_plain(at, block)) for at, block in last], lambda kept, data: lz4_packed(data))


def _lzo(src: Source) -> _Tail | None:
    last = deque(lzo.blocks(src), 2)
    if not last:
        return None
    sums = last[-1].sums
    return _Tail([(one.offset, lzo.plain(one)) for one in last], lambda kept, data: lzo.stored_blocks(data, sums))


def _end(pieces: Iterable[Piece], least: int, skip: int = 0) -> tuple[bytes, int, int]:
    """Return the last ``least`` bytes or more of what there is behind ``skip``; CRC-32 and size of the others."""
    check = size = held = passed = 0
    last: deque[bytes] = deque()
    for piece in pieces:
        last.append(bytes(piece[max(0, skip - passed) :]))
        passed += len(piece)
        held += len(last[-1])
        while held - len(last[0]) >= least:
            first = last.popleft()
            check, size, held = zlib.crc32(first, check), size + len(first), held - len(first)
    return b"".join(last), check, size


def _gzip(src: Source) -> _Tail | None:
    engine = zlib.decompressobj(wbits=31)
    at = max(0, src.size - _GZIP_FOOTER - deflate.MAX_PACKED)
    plain, check, size = _end(_inflated(engine, src, at), deflate.MAX_BLOCKS + deflate.WINDOW)
    before = engine.copy()
    packed = src.again(at, src.size - _GZIP_FOOTER - at)
    plain += b"".join(_inflated(engine, src, at + len(packed)))
    cut = _trailer(plain)
    blocks = deflate.last_blocks(before, packed, plain, len(plain) - cut) if cut >= 0 else None
    if blocks is None:
        return None
    kept = plain[: len(plain) - len(blocks.data)]
    check, size = zlib.crc32(kept, check), size + len(kept)

    def write(_kept: bytes, data: bytes) -> bytes:
        footer = struct.pack("<II", zlib.crc32(data, check), (size + len(data)) & 0xFFFFFFFF)
        return deflate.continued(blocks, packed[blocks.offset], data) + footer

    return _Tail([(at + blocks.offset, blocks.data)], write)


def _inflated(engine: _Decompress, src: Source, end: int) -> Iterator[bytes]:
    while src.offset < end:
        try:
            yield engine.decompress(src.read(min(decompress.STEP, end - src.offset)))
        except zlib.error as error:
            raise Corrupt(f"damaged gzip data: {error}", offset=src.offset) from error


def _xz(src: Source) -> _Tail | None:
    block = xz.last_block(src)
    if block is None:
        return None
    least = sum(size for _, size in block.chunks)
    plain, check, size = _end(decompress.chunks("xz", src), least, sum(plain for _, plain in block.before))
    first = len(plain) - least
    check, size = zlib.crc32(plain[:first], check), size + first

    def write(kept: bytes, data: bytes) -> bytes:
        start = block.chunks[-1 if kept else 0][0]
        return xz.continued(block, start, data, size + len(kept) + len(data), zlib.crc32(kept + data, check))

    blocks = []
    for at, count in block.chunks:
        blocks.append((at, plain[first : first + count]))
        first += count
    header = Splice(block.offset, len(block.header), block.fresh_header)
    return _Tail(blocks, write, (header,) if header.data != block.header else ())


def _zstd(src: Source) -> _Tail | None:
    """Blocks are written as they are, and the header no longer foretells a size or a checksum (RFC 8878, 3.1.1)."""
    import zstandard

    engine = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW).decompressobj()
    last: deque[tuple[int, bytes]] = deque(maxlen=2)
    parts = zstd_parts(src)
    head = next(parts)
    try:
        engine.decompress(head)
        at = src.offset
        for part in parts:
            if (data := engine.decompress(part)) or not last:
                last.append((at, data))
            at = src.offset
    except zstandard.ZstdError as error:
        raise Corrupt(f"damaged zstd data: {error}", offset=src.offset) from error
    descriptor = head[4]
    if descriptor & 3 or not last:
        return None
    window = zstandard.get_frame_parameters(head).window_size
    fresh = head[:4] + bytes([0, head[5] if not descriptor & 32 and window >= _ZSTD_BLOCK else _window(window)])
    return _Tail(list(last), lambda kept, data: _zstd_blocks(data), (Splice(0, len(head), fresh),))


def _window(size: int) -> int:
    """Return the descriptor of the smallest window that holds ``size`` bytes, and a whole block."""
    size = max(size, _ZSTD_BLOCK)
    power = size.bit_length() - 1
    eighths = -(-(size - (1 << power)) // (1 << power - 3))
    return (power - 10 << 3) + eighths


def _zstd_blocks(data: bytes) -> bytes:
    out = []
    for at in range(0, len(data), _ZSTD_BLOCK):
        block = data[at : at + _ZSTD_BLOCK]
        out += [(len(block) << 3 | (at + _ZSTD_BLOCK >= len(data))).to_bytes(3, "little"), block]
    return b"".join(out)


_TAILS: dict[str, Callable[[Source], _Tail | None]] = {
    "none": _plain,
    "gzip": _gzip,
    "xz": _xz,
    "lzo": _lzo,
    "lz4": _lz4,
    "zstd": _zstd,
}
