"""Go on with an .xz file in the place of its last LZMA2 chunks (the .xz file format, version 1.2.1).

Chunks say how much they hold, so they are found without unpacking; the index at the end says where blocks are.
"""

from __future__ import annotations

import io
import struct
from collections import deque
from collections.abc import Iterator

from guestfix.base.errors import Corrupt
from guestfix.base.inflate import crc32
from guestfix.base.record import frozen
from guestfix.formats.initramfs.streams import Source

_ENDS = 12
"""Bytes of the stream's header, and of its footer."""

_LZMA2 = 0x21
_CHECKS = {0: 0, 1: 4}
"""Bytes of the checks that every kernel knows: none, and CRC-32."""

_WINDOW = 1 << 20
MAX_BLOCKS = 1 << 16


@frozen
class LastBlock:
    """A stream's last block: ``offset`` in the file, ``header`` bytes, where its last chunks are and what they hold.

    ``before`` are the index's records for the blocks before it, each its bytes and what they hold; ``holds`` is how
    much this one does, ``sum`` its CRC-32, where ``check`` says that there is one.
    """

    offset: int
    header: bytes
    chunks: list[tuple[int, int]]
    before: list[tuple[int, int]]
    check: int
    holds: int
    sum: int

    @property
    def fresh_header(self) -> bytes:
        """What takes the place of the block's header, so that it no longer foretells sizes."""
        if not self.header[1] & 0xC0:
            return self.header
        head = bytes([2, 0, _LZMA2, 1, _props(self.header)]) + bytes(3)
        return head + crc32(head).to_bytes(4, "little")


def last_block(src: Source) -> LastBlock | None:
    """Return the last block of the one stream that is the source; None where it has filters before LZMA2.

    Raises Corrupt.
    """
    records, check = _index(src)
    offset = _ENDS + sum(-(-size // 4) * 4 for size, _ in records[:-1])
    header = src.again(offset, (src.again(offset, 1)[0] + 1) * 4) if records else b""
    if len(header) < 12 or header[1] & 3 or check not in _CHECKS or _props(header) < 0:
        return None
    chunks = deque(_chunks(src, offset + len(header)), 2)
    size, holds = records[-1]
    behind = offset + -(-(size - _CHECKS[check]) // 4) * 4
    total = int.from_bytes(src.again(behind, _CHECKS[check]), "little")
    return LastBlock(offset, header, list(chunks), records[:-1], check, holds, total) if chunks else None


def _props(header: bytes) -> int:
    """Return the byte that says how large a window LZMA2 takes, -1 where the filter is another one."""
    at = 2
    for flag in (0x40, 0x80):
        at = _number(header, at)[1] if header[1] & flag else at
    return header[at + 2] if header[at : at + 2] == bytes([_LZMA2, 1]) else -1


def _index(src: Source) -> tuple[list[tuple[int, int]], int]:
    footer = src.again(src.size - _ENDS, _ENDS)
    if footer[-2:] != b"YZ":
        raise Corrupt("no xz footer where one has to be", offset=src.size - _ENDS)
    size = (int.from_bytes(footer[4:8], "little") + 1) * 4
    if size > src.size - 2 * _ENDS:
        raise Corrupt("an xz index that is longer than its file", offset=src.size - _ENDS)
    data = src.again(src.size - _ENDS - size, size)
    count, at = _number(data, 1)
    records = []
    for _ in range(min(count, MAX_BLOCKS)):
        packed, at = _number(data, at)
        plain, at = _number(data, at)
        records.append((packed, plain))
    return records, footer[9] & 15


def _number(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 63 and at < len(data):
        value |= (data[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 128:
            return value, at
    raise Corrupt("an xz number without an end", offset=at)


def _written(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _chunks(src: Source, at: int) -> Iterator[tuple[int, int]]:
    """Yield each chunk's offset and how much it holds."""
    while (head := src.again(at, 5)) and head[0]:
        if len(head) < 5 or 2 < head[0] < 128:
            raise Corrupt("no LZMA2 chunk where one has to be", offset=at)
        plain = int.from_bytes(head[1:3], "big") + 1
        if head[0] < 128:
            yield at, plain
            at += 3 + plain
        else:
            yield at, plain + ((head[0] & 31) << 16)
            at += 5 + (head[0] >= 0xC0) + int.from_bytes(head[3:5], "big") + 1


def continued(block: LastBlock, start: int, data: bytes, plain: int, check: int) -> bytes:
    """Return what takes the place of the file from the chunk at ``start`` on: ``data``, and all that ends a stream.

    ``plain`` bytes are in the block then, and ``check`` is their CRC-32.
    """
    import lzma

    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": _window(block)}]
    chunks = lzma.compress(data, lzma.FORMAT_RAW, filters=filters)
    kept = start - block.offset - len(block.header)
    size = len(block.fresh_header) + kept + len(chunks) + _CHECKS[block.check]
    sums = check.to_bytes(4, "little") if block.check else b""
    records = [*block.before, (size, plain)]
    index = b"\0" + b"".join(_written(number) for number in (len(records), *(n for one in records for n in one)))
    index += bytes(-len(index) % 4)
    index += crc32(index).to_bytes(4, "little")
    flags = struct.pack("<IBB", len(index) // 4 - 1, 0, block.check)
    footer = crc32(flags).to_bytes(4, "little") + flags + b"YZ"
    return chunks + bytes(-(size - _CHECKS[block.check]) % 4) + sums + index + footer


def read_end(block: LastBlock, start: int, data: bytes, kept: int) -> bytes:
    """Return what the chunks hold that :func:`continued` put at ``start``, read from the file's new end.

    ``kept`` bytes of the block come before them. Raises Corrupt where the chunks, the index or the footer are damaged
    or don't fit together. The CRC-32 of a whole block can't be told from its end.
    """
    import lzma

    engine = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": _window(block)}])
    try:
        plain = engine.decompress(data)
    except lzma.LZMAError as error:
        raise Corrupt(f"damaged LZMA2 chunks: {error}", offset=start) from error
    src = Source(io.BytesIO(data))
    records, check = _index(src)
    size = len(block.fresh_header) + start - block.offset - len(block.header) + len(data) - len(engine.unused_data)
    wanted = [*block.before, (size + _CHECKS[check], kept + len(plain))]
    if not engine.eof or check != block.check or records != wanted or not _sound(data):
        raise Corrupt("the end of the xz stream does not fit its block", offset=start)
    return plain


def _sound(data: bytes) -> bool:
    """Tell whether the CRC-32 of the index and of the footer are right at the end of a file."""
    footer = data[-_ENDS:]
    index = data[-_ENDS - (int.from_bytes(footer[4:8], "little") + 1) * 4 : -_ENDS]
    sums = crc32(index[:-4]).to_bytes(4, "little") + crc32(footer[4:10]).to_bytes(4, "little")
    return sums == index[-4:] + footer[:4]


def _window(block: LastBlock) -> int:
    """Return the window that new chunks take: the smallest that a header can ask for has 4096 bytes."""
    bits = _props(block.header)
    return min(_WINDOW, (2 | bits & 1) << bits // 2 + 11)
