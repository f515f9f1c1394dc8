"""Go on with a deflate stream in the place of its last blocks (RFC 1951).

zlib doesn't tell where blocks begin. Their begin is looked for from the end: it is the nearest bit from which the
rest unpacks to what the stream is known to end with, and at which what comes before lets another block begin.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from guestfix.base.inflate import ERRORS, inflater
from guestfix.base.patterns import regex
from guestfix.base.record import frozen

if TYPE_CHECKING:
    from zlib import _Decompress

WINDOW = 1 << 15
MAX_PACKED = 1 << 17
"""Bytes of a file in which its last blocks are looked for: zlib's have some ten thousand."""

MAX_BLOCKS = 1 << 20
"""Bytes that the last blocks may hold."""

MAX_PLAIN = 1 << 24
"""Bytes that MAX_PACKED bytes may unpack to; those that hold more are left as they are."""

MAX_FIXED = 1 << 14
"""Bytes in which a block of the fixed codes is looked for: it is short, since other codes are better for a long one."""

_STEP = 1 << 12
_TWICE = regex(rb"(?=\xff\xff)")
_FIXED, _DYNAMIC = 1, 2
_COMPLETE = 1 << 7
"""What the codes of a complete set add up to, each 1 at its longest, of 7 bits."""
_ONE = [0, *(_COMPLETE >> length for length in range(1, 8))]
_THREE = bytes(third + second + first for third in _ONE for second in _ONE for first in _ONE)
"""What three codes add up to, by their lengths: 3 bits each, the first one in the lowest."""
_LENGTHS = [(1 << 3 * (codes + 4)) - 1 for codes in range(16)]
"""Which bits are lengths of codes, by what a header says of their number."""
_EIGHT = struct.Struct("<Q").unpack_from
_HEAD = 16
"""Bytes, and some more, in which a header has these lengths: from bit 17 on."""


@frozen
class LastBlocks:
    """The last block, or the last few: from ``bits`` into the byte at ``offset`` on they hold ``data``."""

    offset: int
    bits: int
    data: bytes


def last_blocks(before: _Decompress, packed: bytes, plain: bytes, least: int) -> LastBlocks | None:
    """Return the blocks that hold the last ``least`` bytes of a deflate stream or some more, if they are in ``packed``.

    ``packed`` is the stream's end, ``before`` a decompressor that has read what comes before it, and ``plain`` the
    end of what the stream holds: as much as the window and MAX_BLOCKS.
    """
    size = len(before.copy().decompress(packed, MAX_PLAIN))
    if size == MAX_PLAIN:
        return None
    stored = _stored(packed)
    if stored is not None and least <= len(stored.data) and _begins(before, packed, stored, size - len(stored.data)):
        return stored
    for at, bits, rest in _candidates(packed):
        count = len(_unpacked(rest, plain[-WINDOW:]))
        # What the window holds doesn't change how much a block holds, by which the right window is found.
        if least <= count <= min(size, len(plain)):
            start = len(plain) - count
            blocks = LastBlocks(at, bits, plain[start:])
            window = plain[max(0, start - WINDOW) : start]
            if _unpacked(rest, window) == blocks.data and _begins(before, packed, blocks, size - count):
                return blocks
    return None


def _stored(packed: bytes) -> LastBlocks | None:
    """Return the block that isn't compressed, tells its length twice, and fills the rest of the stream."""
    number = int.from_bytes(packed, "little")
    for match in _TWICE.finditer((number ^ number >> 16).to_bytes(len(packed), "little")):
        start = match.start()
        if start and int.from_bytes(packed[start : start + 2], "little") == len(packed) - start - 4:
            # Between the three bits 1, 0, 0 of its header and the length there are only zero bits.
            at = start - 1 if packed[start - 1] else max(0, start - 2)
            bits = packed[at].bit_length() - 1
            return LastBlocks(at, bits, packed[start + 4 :]) if bits >= 0 else None
    return None


def _candidates(packed: bytes) -> Iterator[tuple[int, int, memoryview]]:
    """Yield where a block's header may be, with the stream from there: likely ones first, then from the end on."""
    size, number = len(packed), int.from_bytes(packed, "little")
    shifted = [(number >> bits).to_bytes(size + _HEAD, "little") for bits in range(8)]
    near = max(0, size - MAX_FIXED)
    for final in (1, 0):
        for kind, start in ((_DYNAMIC, 0), (_FIXED, near)):
            pattern = _headers(final, kind)
            for end in range(size, start, -_STEP):
                found = [
                    (match.start(), bits)
                    for bits, text in enumerate(shifted)
                    for match in pattern.finditer(text, max(start, end - _STEP), end + 1)
                    if kind == _FIXED or _has_codes(text, match.start())
                ]
                for at, bits in sorted(found, reverse=True):
                    yield at, bits, memoryview(shifted[bits])[at:size]


def _headers(final: int, kind: int) -> re.Pattern[bytes]:
    """Return what finds the first bytes of headers: a dynamic block has at most 286 and 30 codes."""
    most = 30 if kind == _DYNAMIC else 32
    first = [kind << 1 | final | codes << 3 for codes in range(most)]
    second = [byte for byte in range(256) if byte & 31 < most]
    return regex(b"(?s)(?=[%b][%b])" % (re.escape(bytes(first)), re.escape(bytes(second))))


def _has_codes(text: bytes, at: int) -> bool:
    """Tell whether the lengths of the codes for code lengths, as a dynamic block begins with them, are complete."""
    number: int = _EIGHT(text, at + 2)[0]
    left = number >> 1 & _LENGTHS[text[at + 1] >> 5 | (number & 1) << 3]
    total = 0
    while left and total < _COMPLETE:
        total += _THREE[left & 511]
        left >>= 9
    return total == _COMPLETE and not left


def _unpacked(rest: memoryview, window: bytes) -> bytes:
    """Return what a stream holds that ends with ``rest``; nothing for anything else."""
    engine = inflater(-15, window)
    try:
        data = engine.decompress(rest, MAX_BLOCKS)
    except ERRORS:
        return b""
    # Taking bits away in front may leave a byte of zero bits at the end.
    return data if engine.eof and len(engine.unused_data) < 2 else b""


def _begins(before: _Decompress, packed: bytes, blocks: LastBlocks, size: int) -> bool:
    """Tell whether a block may begin there, after ``size`` bytes: not so inside a block of the same fixed codes."""
    engine = before.copy()
    mark = b"a block of its own"
    try:
        data = engine.decompress(packed[: blocks.offset] + continued(blocks, packed[blocks.offset], mark))
    except ERRORS:
        return False
    return len(data) == size + len(mark) and data.endswith(mark)


def continued(blocks: LastBlocks, first: int, data: bytes) -> bytes:
    """Return what takes the place of last blocks that begin in the byte ``first``, up to the stream's end.

    An empty stored block leads to a whole byte, from which a stream of its own can follow.
    """
    engine = zlib.compressobj(9, zlib.DEFLATED, -15)
    kept = bytes([first & ((1 << blocks.bits) - 1)]) + (b"\0" if blocks.bits > 5 else b"")
    return kept + b"\0\0\xff\xff" + engine.compress(data) + engine.flush()
