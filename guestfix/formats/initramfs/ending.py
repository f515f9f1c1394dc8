"""What the reading of a compressed segment leaves for whoever goes on with it, so that nothing is inflated twice."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zlib import _Decompress

EVERY = 1 << 16
"""Compressed bytes between the places in a deflate stream from which reading can be taken up again."""

BACK = 3 * EVERY
"""Compressed bytes before the stream's end that one of those places is at least away, where there are as many."""

_SPOTS = BACK // EVERY + 2
_CRC32 = 0xEDB88320
_ORDER = (1 << 32) - 1


class Ending:
    """Decompressors as they stood at some of the last offsets of the file, or the last bytes that came out."""

    def __init__(self) -> None:
        self._spots: deque[tuple[int, _Decompress]] = deque(maxlen=_SPOTS)
        self._tail: deque[bytes] = deque()
        self._held = 0

    def mark(self, offset: int, engine: _Decompress) -> None:
        """Keep how a decompressor stands that has read up to an offset; of those close together only the first."""
        if not self._spots or offset - self._spots[-1][0] >= EVERY:
            self._spots.append((offset, engine.copy()))

    def spot(self, end: int) -> tuple[int, _Decompress] | None:
        """Return the last place that is BACK away from ``end``, else the first of all, with a decompressor for it."""
        far = [one for one in self._spots if one[0] <= end - BACK] or list(self._spots)[:1]
        return (far[-1][0], far[-1][1].copy()) if far else None

    def keep(self, piece: bytes, least: int) -> None:
        """Keep at least the last ``least`` bytes of what came out."""
        self._tail.append(piece)
        self._held += len(piece)
        while self._held - len(self._tail[0]) >= least:
            self._held -= len(self._tail.popleft())

    def tail(self) -> bytes:
        """Return what is kept of what came out."""
        return b"".join(self._tail)


def _times(one: int, other: int) -> int:
    """Multiply two polynomials over GF(2) modulo that of CRC-32, their bits reflected."""
    product = 0
    for bit in range(31, -1, -1):
        if one >> bit & 1:
            product ^= other
        other = other >> 1 ^ (_CRC32 if other & 1 else 0)
    return product


def crc_before(whole: int, last: int, size: int) -> int:
    """Return the CRC-32 of what stands before ``size`` bytes whose own is ``last``, where that of all is ``whole``.

    To append n bytes multiplies by x to the power of 8n; x has the order 2**32 - 1, so a power takes that back.
    """
    power, factor, result = -8 * size % _ORDER, 1 << 30, whole ^ last
    while power:
        if power & 1:
            result = _times(factor, result)
        factor, power = _times(factor, factor), power >> 1
    return result
