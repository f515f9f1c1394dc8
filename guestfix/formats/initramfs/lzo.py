"""lzop files, as CONFIG_RD_LZO unpacks them: the LZO1X decompressor and a writer of stored blocks.

The stream format is described in the kernel's Documentation/staging/lzo.rst, the container in lzop's
own documentation (lib/decompress_unlzo.c reads the same subset).
"""

from __future__ import annotations

import importlib
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator

from guestfix.base.errors import Corrupt
from guestfix.base.record import frozen
from guestfix.formats.initramfs.streams import Source

MAGIC = b"\x89LZO\x00\r\n\x1a\n"
MAX_BLOCK = 64 * 1024 * 1024
_ADLER_D, _ADLER_C, _CRC_D, _CRC_C, _FILTER, _MULTIPART, _CRC_HEADER = 1, 2, 0x100, 0x200, 0x800, 0x400, 0x1000
_END = 3
_CHECKS = ((_ADLER_D, zlib.adler32), (_CRC_D, zlib.crc32))


def _extended(src: bytes, at: int, base: int) -> tuple[int, int]:
    """Read a length that continues in zero bytes: 255 for each, then one more byte."""
    start = at
    while src[at] == 0:
        at += 1
    return (at - start) * 255 + base + src[at], at + 1


def _match(src: bytes, at: int, op: int, state: int) -> tuple[int, int, int, int]:
    """Decode the instruction at ``at``: offset behind it, where its match begins, its length, literals after."""
    code = src[at]
    at += 1
    if code >= 64:
        return at + 1, op - 1 - (code >> 2 & 7) - (src[at] << 3), (code >> 5) + 1, code & 3
    if code >= 32:
        length = code & 31
        if not length:
            length, at = _extended(src, at, 31)
        word = src[at] | src[at + 1] << 8
        return at + 2, op - 1 - (word >> 2), length + 2, word & 3
    if code >= 16:
        length = code & 7
        if not length:
            length, at = _extended(src, at, 7)
        word = src[at] | src[at + 1] << 8
        return at + 2, op - ((code & 8) << 11) - (word >> 2) - 0x4000, length + 2, word & 3
    distance = (code >> 2) + (src[at] << 2) + 1
    if state == 4:
        return at + 1, op - distance - 0x800, 3, code & 3
    return at + 1, op - distance, 2, code & 3


def decompress_block(src: bytes, size: int, least: int | None = None) -> bytes:
    """Return what an LZO1X block holds. Raises ValueError unless that is exactly ``size`` bytes.

    With ``least`` it may be less than ``size``, down to that.
    """
    try:
        return _decompress(src, size, size if least is None else least)
    except IndexError:
        raise ValueError("an LZO block ends too early") from None


def _decompress(src: bytes, size: int, least: int) -> bytes:
    out = bytearray()
    at = state = 0
    if src[0] > 17:
        count = src[0] - 17
        out += src[1 : 1 + count]
        at, state = 1 + count, count if count < 4 else 4
    while len(out) <= size:
        code = src[at]
        if code < 16 and not state:
            count, at = (code, at + 1) if code else _extended(src, at + 1, 15)
            out += src[at : at + count + 3]
            at, state = at + count + 3, 4
            continue
        at, start, length, state = _match(src, at, len(out), state)
        if 16 <= code < 32 and start == len(out) - 0x4000:
            if not least <= len(out) <= size or at > len(src):
                break
            return bytes(out)
        _copy(out, start, length)
        if state:
            out += src[at : at + state]
            at += state
    raise ValueError(f"an LZO block does not hold {size} bytes")


def _copy(out: bytearray, start: int, length: int) -> None:
    """Append ``length`` bytes that begin at ``start``; they may overlap what is being written."""
    if start < 0:
        raise ValueError("an LZO match reaches before its block")
    distance = len(out) - start
    if length <= distance:
        out += out[start : start + length]
    else:
        piece = out[start:]
        out += (piece * (length // distance + 1))[:length]


def _fast() -> Callable[[bytes, int], bytes]:
    """Return the C library's decompressor where the optional module ``lzo`` is installed."""
    try:
        lzo = importlib.import_module("lzo")
    except ImportError:
        return decompress_block

    def run(src: bytes, size: int) -> bytes:
        try:
            return bytes(lzo.decompress(src, False, size))
        except lzo.error as error:
            raise ValueError(str(error)) from error

    return run


def _need(src: Source, count: int) -> bytes:
    data = src.read(count)
    if len(data) < count:
        raise Corrupt("an LZO segment ends too early", offset=src.offset)
    return data


def _header(src: Source) -> int:
    """Pass over an lzop header; return its flags."""
    _need(src, len(MAGIC))
    version, _library = struct.unpack(">HH", _need(src, 4))
    _need(src, 4 if version >= 0x0940 else 1)
    flags = int.from_bytes(_need(src, 4), "big")
    _need(src, (4 if flags & _FILTER else 0) + (12 if version >= 0x0940 else 8))
    _need(src, _need(src, 1)[0] + 4)
    return flags


@frozen
class Block:
    """One block as it lies in the file at ``offset``: ``size`` bytes once unpacked, with the check sums of those."""

    offset: int
    size: int
    sums: tuple[bytes, ...]
    data: bytes


def blocks(src: Source) -> Iterator[Block]:
    """Yield the blocks of the lzop file at the source's offset; it is left behind their end. Raises Corrupt."""
    flags = _header(src)
    while True:
        start = src.offset
        size = int.from_bytes(_need(src, 4), "big")
        if not size:
            return
        packed = int.from_bytes(_need(src, 4), "big")
        if size > MAX_BLOCK or packed > size:
            raise Corrupt(f"an LZO block says that it holds {size} bytes in {packed}", offset=src.offset)
        sums = tuple(_need(src, 4) if flags & flag else b"" for flag, _ in _CHECKS)
        for flag in (_ADLER_C, _CRC_C):
            _need(src, 4 if flags & flag and packed < size else 0)
        yield Block(start, size, sums, _need(src, packed))


def plain(block: Block, run: Callable[[bytes, int], bytes] = decompress_block) -> bytes:
    """Return what a block holds. Raises Corrupt."""
    try:
        data = block.data if len(block.data) == block.size else run(block.data, block.size)
    except ValueError as error:
        raise Corrupt(str(error), offset=block.offset + 8) from error
    for given, (_, check) in zip(block.sums, _CHECKS, strict=True):
        if given and check(data) != int.from_bytes(given, "big"):
            raise Corrupt("an LZO block's checksum is wrong", offset=block.offset + 8)
    return data


def chunks(src: Source) -> Iterator[bytes]:
    """Yield what the lzop file at the source's offset holds, block by block. Raises Corrupt."""
    run = _fast()
    return (plain(block, run) for block in blocks(src))


def stored(data: bytes) -> bytes:
    """Return an lzop file that holds data in blocks that are not compressed (the kernel copies those)."""
    header = struct.pack(">HHHBBIIIIB", 0x1030, 0x2080, 0x0940, _END, 1, _ADLER_D, 0o100644, 0, 0, 0)
    return MAGIC + header + struct.pack(">I", zlib.adler32(header)) + stored_blocks(data, (True, False))


def stored_blocks(data: bytes, sums: Iterable[object]) -> bytes:
    """Return data in blocks that are not compressed, up to the file's end, with these two check sums if true."""
    checks = [check for wanted, (_, check) in zip(sums, _CHECKS, strict=True) if wanted]
    out = []
    for at in range(0, len(data), 1 << 18):
        block = data[at : at + (1 << 18)]
        out.append(struct.pack(">II", len(block), len(block)))
        out += [struct.pack(">I", check(block)) for check in checks]
        out.append(block)
    return b"".join([*out, b"\0\0\0\0"])
