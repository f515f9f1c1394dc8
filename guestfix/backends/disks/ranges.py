"""A disk image that is read from afar, a range at a time: what is kept, how far ahead is read, what is tried again.

A report reads a few per cent of a disk: many small reads of metadata, most of them near one another, and the long
ones of each initramfs. So each miss fetches at least PIECE bytes, and twice as many where reading goes on.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import Protocol

from guestfix.backends.volumes.block import DiskError, SeekableBlock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from guestfix.base.shapes import ReadOut

PIECE = 1 << 18
"""Bytes that are kept, and fetched, as one."""

AHEAD = 32
"""Pieces that one request fetches at most."""

KEPT = 256
"""Pieces that are held in memory: 64 MiB."""

PAUSES = (0.5, 1.0, 2.0)
"""Seconds before each further try."""


class Ranges(Protocol):
    """Where an image lies: ``size`` in bytes, and ranges of it."""

    size: int

    def fetch(self, start: int, count: int) -> bytes:
        """Return these bytes, all of which exist. OSError where that fails and may go well later; DiskError else."""

    def close(self) -> None:
        """Let go of the connection."""


class RangeBlock(SeekableBlock):
    """An image from afar as a Block. ``fetched`` bytes were read of it in ``requests``; ``shown`` is its name."""

    def __init__(self, ranges: Ranges, shown: str) -> None:
        super().__init__()
        self.ranges, self.shown, self.size = ranges, shown, ranges.size
        self.fetched = self.requests = 0
        self._pieces: OrderedDict[int, bytes] = OrderedDict()
        self._runs: OrderedDict[int, int] = OrderedDict()  # where a request ended: how many pieces it fetched

    def read(self, size: int | None = -1) -> bytes:
        """Return up to size bytes; all that remain where size is negative. Raises DiskError."""
        left = max(0, self.size - self._at)
        count = left if size is None or size < 0 else min(size, left)
        if not count:
            return b""
        first, last = self._at // PIECE, (self._at + count - 1) // PIECE
        parts = [self._piece(number, last) for number in range(first, last + 1)]
        start = self._at - first * PIECE
        self._at += count
        return b"".join(parts)[start : start + count]

    def _piece(self, number: int, last: int) -> bytes:
        """Return a piece; where it is not held, it is fetched with those up to ``last`` and some ahead."""
        if number in self._pieces:
            self._pieces.move_to_end(number)
            return self._pieces[number]
        ahead = max(min(AHEAD, 2 * self._runs.pop(number, 0)), min(AHEAD, last - number + 1), 1)
        end = -(-self.size // PIECE)
        count = next((n for n in range(1, ahead) if number + n in self._pieces or number + n >= end), ahead)
        data = self._fetch(number * PIECE, min(count * PIECE, self.size - number * PIECE))
        for index in range(count):
            self._pieces[number + index] = data[index * PIECE : (index + 1) * PIECE]
        self._runs[number + count] = count
        while len(self._pieces) > KEPT:
            self._pieces.popitem(last=False)
        while len(self._runs) > KEPT:
            self._runs.popitem(last=False)
        return data[:PIECE]

    def _fetch(self, start: int, count: int) -> bytes:
        for pause in (*PAUSES, None):
            self.requests += 1
            try:
                data = self.ranges.fetch(start, count)
            except OSError as error:
                if pause is None:
                    raise self._lost(start, str(error) or type(error).__name__) from error
            else:
                if len(data) == count:
                    self.fetched += count
                    return data
                if pause is None:
                    raise self._lost(start, f"{len(data)} bytes came instead of {count}")
            time.sleep(pause or 0)
        raise AssertionError("the last try returns or raises")

    def _lost(self, start: int, why: str) -> DiskError:
        what = f"can't read the image at byte {start} after {len(PAUSES) + 1} tries: {why}"
        return DiskError(what, where=self.shown, remedy="see that its server is reachable, then run guestfix again")

    def told(self) -> ReadOut:
        """Return how many bytes were read so far, of how many, in how many requests."""
        return {"bytes": self.fetched, "of": self.size, "requests": self.requests}

    def close(self) -> None:
        """Let go of the connection and of all that is held."""
        if not self.closed:
            self._pieces.clear()
            self.ranges.close()
        super().close()
