"""Let the last archive of an initramfs continue: what is added takes the place of its trailer, in the same stream.

Every program that lists or unpacks the image then sees what was added, while an archive behind it is seen by the
kernel alone: cpio(1) ends at the first trailer. The blocks before the trailer's stay as they are.
"""

from __future__ import annotations

import io
import struct
from collections import deque
from collections.abc import Callable
from typing import IO, TYPE_CHECKING

from guestfix.base.edit import Splice
from guestfix.base.errors import Corrupt
from guestfix.base.inflate import ERRORS, crc32
from guestfix.base.record import frozen, replace
from guestfix.formats.initramfs import cpio, decompress, deflate
from guestfix.formats.initramfs.compress import LZ4_MAGIC
from guestfix.formats.initramfs.compress import lz4_blocks as lz4_packed
from guestfix.formats.initramfs.decompress import ZSTD_WINDOW, lz4_blocks, lz4_plain, zstd_parts
from guestfix.formats.initramfs.ending import Ending, crc_before
from guestfix.formats.initramfs.image import Image
from guestfix.formats.initramfs.streams import Source

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
    ``reread`` is given the same content and such an end, and returns what that holds; it raises Corrupt, or an error of
    ERRORS, unless the segment ends well with it. Without ``reread`` only a reading of the whole can tell.
    """

    blocks: list[tuple[int, bytes]]
    write: Callable[[bytes, bytes], bytes]
    header: tuple[Splice, ...] = ()
    reread: Callable[[bytes, bytes], bytes] | None = None


@frozen
class Extension:
    """Changes to an image, and whether what they make was read back as far as it is new."""

    splices: tuple[Splice, ...] = ()
    proven: bool = False


def extend(stream: IO[bytes], image: Image, archive: bytes) -> Extension:
    """Return the changes to an image after which its last archive continues with ``archive``.

    There are none for a compression that this isn't done for (bzip2, lzma), nor where the trailer is not
    within the last blocks. Raises Corrupt.
    """
    segment = image.segments[-1]
    size = segment.end - segment.offset
    find = _TAILS.get(segment.compression)
    if find is None:
        return Extension()
    tail = find(Source(stream, segment.offset, size), _Known(image, segment.offset))
    if tail is None:
        return Extension()
    content = b"".join(data for _, data in tail.blocks)
    cut = _trailer(content)
    if cut < 0:
        return Extension()
    archive = archive[: _trailer(archive) + _TRAILER]
    whole = segment.unpacked - len(content) + cut + len(archive)
    start, first = tail.blocks[-1][0], len(content) - len(tail.blocks[-1][1])
    if cut < first:
        start, first = tail.blocks[0][0], 0
    plain = content[first:cut] + archive + bytes(-whole % _CPIO_BLOCK)
    data = tail.write(content[:first], plain)
    if tail.reread is not None and not _holds(tail.reread, content[:first], data, plain):
        return Extension()
    splices = [*tail.header, Splice(start, size - start, data)]
    moved = tuple(replace(one, offset=one.offset + segment.offset) for one in splices)
    return Extension(moved, tail.reread is not None)


def _holds(reread: Callable[[bytes, bytes], bytes], kept: bytes, data: bytes, plain: bytes) -> bool:
    try:
        return reread(kept, data) == plain
    except Corrupt:
        return False
    except ERRORS:
        return False


class _Known:
    """What the first reading of the segment left; where it left nothing (its image was put together) it is read again.

    Offsets are those of the segment.
    """

    def __init__(self, image: Image, start: int) -> None:
        self._ending, self._start = image.ending, start

    def ending(self, kind: str, src: Source) -> tuple[Ending, int]:
        """Return it, with the offset of the segment in its own offsets."""
        if self._ending is not None:
            return self._ending, self._start
        ending = Ending()
        deque(decompress.chunks(kind, src.rest(0), ending), 0)
        return ending, 0


def _trailer(content: bytes) -> int:
    """Return where the trailer begins that ends the content, but for zero bytes; -1 if there is none."""
    at = content.rfind(cpio.TRAILER.encode() + b"\0") - cpio.HEADER
    ends = content[at + cpio.HEADER + len(cpio.TRAILER) :].strip(b"\0") == b""
    return at if at >= 0 and ends and content[at : at + 6] in cpio.MAGICS else -1


def _plain(src: Source, _known: _Known) -> _Tail | None:
    at = max(0, src.size - 4096)
    src.skip(at)
    return _Tail([(at, src.read(4096))], lambda kept, data: data, reread=lambda kept, data: data)


def _lz4(src: Source, _known: _Known) -> _Tail | None:
    last = deque(lz4_blocks(src), 2)
    if not last:
        return None

    def reread(_kept: bytes, data: bytes) -> bytes:
        return b"".join(decompress.chunks("lz4", Source(io.BytesIO(LZ4_MAGIC + data))))

    return _Tail([(at, lz4_plain(at, block)) for at, block in last], lambda kept, data: lz4_packed(data), (), reread)


def _lzo(src: Source, _known: _Known) -> _Tail | None:
    from guestfix.formats.initramfs import lzo

    blocks = lzo.blocks(src)
    first = next(blocks, None)
    if first is None:
        return None
    last = deque((first, *blocks), 2)
    header = src.again(0, first.offset)
    sums = first.sums

    def reread(_kept: bytes, data: bytes) -> bytes:
        return b"".join(decompress.chunks("lzo", Source(io.BytesIO(header + data))))

    blocks_of = [(one.offset, lzo.plain(one)) for one in last]
    return _Tail(blocks_of, lambda kept, data: lzo.stored_blocks(data, sums), (), reread)


def _gzip(src: Source, known: _Known) -> _Tail | None:
    ending, shift = known.ending("gzip", src)
    spot = ending.spot(shift + src.size - _GZIP_FOOTER)
    if spot is None:
        return None
    engine, start = spot[1], spot[0] - shift
    packed = src.again(start, src.size - start)
    at = max(0, len(packed) - _GZIP_FOOTER - deflate.MAX_PACKED)
    plain = _inflated(engine, packed[:at])
    before, packed, footer, start = engine.copy(), packed[at:-_GZIP_FOOTER], packed[-_GZIP_FOOTER:], start + at
    plain += _inflated(engine, packed)
    cut = _trailer(plain)
    if cut < 0 or len(plain) >= deflate.MAX_PLAIN:
        return None
    blocks = deflate.last_blocks(before, packed, plain, len(plain) - cut)
    if blocks is None:
        return None
    whole, size = struct.unpack("<II", footer)
    check, size = crc_before(whole, crc32(blocks.data), len(blocks.data)), size - len(blocks.data)

    def write(_kept: bytes, data: bytes) -> bytes:
        end = struct.pack("<II", crc32(data, check), (size + len(data)) & 0xFFFFFFFF)
        return deflate.continued(blocks, packed[blocks.offset], data) + end

    def reread(_kept: bytes, data: bytes) -> bytes:
        engine = before.copy()
        stays = len(engine.copy().decompress(packed)) - len(blocks.data)
        held = engine.decompress(packed[: blocks.offset] + data)
        if not engine.eof or engine.unused_data:
            raise Corrupt("the gzip stream has no end", offset=start)
        return held[stays:]

    return _Tail([(start + blocks.offset, blocks.data)], write, (), reread)


def _inflated(engine: _Decompress, packed: bytes) -> bytes:
    """Return what comes next of a stream that was read before, at most MAX_PLAIN bytes."""
    try:
        return engine.decompress(packed, deflate.MAX_PLAIN)
    except ERRORS as error:
        raise Corrupt(f"damaged gzip data: {error}", offset=0) from error


def _xz(src: Source, known: _Known) -> _Tail | None:
    from guestfix.formats.initramfs import xz

    block = xz.last_block(src)
    if block is None:
        return None
    ending, _ = known.ending("xz", src)
    plain = ending.tail()
    sizes = [size for _, size in block.chunks]
    if len(plain) < sum(sizes):
        return None
    last = [plain[len(plain) - sum(sizes[number:]) :][:size] for number, size in enumerate(sizes)]
    check = crc_before(block.sum, crc32(b"".join(last)), sum(sizes))
    size = block.holds - sum(sizes)

    def write(kept: bytes, data: bytes) -> bytes:
        start = block.chunks[-1 if kept else 0][0]
        return xz.continued(block, start, data, size + len(kept) + len(data), crc32(kept + data, check))

    def reread(kept: bytes, data: bytes) -> bytes:
        return xz.read_end(block, block.chunks[-1 if kept else 0][0], data, size + len(kept))

    header = Splice(block.offset, len(block.header), block.fresh_header)
    blocks = [(at, data) for (at, _), data in zip(block.chunks, last, strict=True)]
    return _Tail(blocks, write, (header,) if header.data != block.header else (), reread)


def _zstd(src: Source, _known: _Known) -> _Tail | None:
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


_TAILS: dict[str, Callable[[Source, _Known], _Tail | None]] = {
    "none": _plain,
    "gzip": _gzip,
    "xz": _xz,
    "lzo": _lzo,
    "lz4": _lz4,
    "zstd": _zstd,
}
