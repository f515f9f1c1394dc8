"""Files that NTFS packed: units of clusters, each zeros, as it is, or packed by LZNT1 ([MS-XCA] 2.5)."""

from __future__ import annotations

import struct
from bisect import bisect_right
from itertools import islice

from guestfix.backends.filesystems.node import RunFile
from guestfix.backends.volumes.block import COPY, DiskError, SeekableBlock, told

CHUNK = 4096


class PackedFile(SeekableBlock):
    """A packed file's data, of its clusters as a file; sizes in bytes, ``known``: what follows is zero."""

    def __init__(self, clusters: RunFile, unit: int, size: int, known: int) -> None:
        super().__init__()
        self.clusters, self.unit, self.size, self.known = clusters, unit, size, known
        self._ends = [at + length for at, length, _ in clusters.runs]
        self._last: tuple[int, bytes] = (-1, b"")

    def _next(self, count: int) -> bytes:
        number, within = divmod(self._at, self.unit)
        take = min(count, self.unit - within)
        data = self._unit(number) if self._at < self.known else b""
        return data[within : within + take] or bytes(take)

    def _unit(self, number: int) -> bytes:
        if self._last[0] != number:
            self._last = (number, self._read_unit(number)[: max(0, self.known - number * self.unit)])
        return self._last[1]

    def _read_unit(self, number: int) -> bytes:
        """Return a unit's bytes: one that has all its clusters is not packed, one that has none is zeros."""
        start, end = number * self.unit, (number + 1) * self.unit
        first = max(0, bisect_right(self._ends, start))
        have = 0
        for at, length, place in islice(self.clusters.runs, first, None):
            if at >= end:
                break
            have += min(at + length, end) - max(at, start) if place is not None else 0
        if not have:
            return b""
        self.clusters.seek(start)
        raw = self.clusters.read(have)
        return raw if have == self.unit else unpacked(raw, self.unit)


def unpacked(raw: bytes, most: int) -> bytes:
    """Return what LZNT1 packed, at most so many bytes; DiskError where it is damaged."""
    out, at = bytearray(), 0
    while at + 2 <= len(raw) and len(out) < most:
        (header,) = struct.unpack_from("<H", raw, at)
        if not header:
            break
        end = at + 3 + (header & 0xFFF)
        if end > len(raw):
            raise DiskError(told("a packed file is cut off", COPY))
        chunk = raw[at + 2 : end]
        out += _chunk(chunk) if header & 0x8000 else chunk
        at = end
        if at < len(raw) and len(out) % CHUNK:
            out += bytes(-len(out) % CHUNK)
    return bytes(out[:most])


def _chunk(raw: bytes) -> bytearray:
    """Unpack one chunk: a byte of eight flags, then bytes as they are, or pairs of how far back and how many."""
    out, at, end = bytearray(), 0, len(raw)
    while at < end:
        flags = raw[at]
        at += 1
        for bit in range(8):
            if at >= end:
                break
            if not flags >> bit & 1:
                out.append(raw[at])
                at += 1
                continue
            if at + 2 > end or not out:
                raise DiskError(told("a packed file is damaged", COPY))
            token = raw[at] | raw[at + 1] << 8
            at += 2
            shift = 12 - max(0, (len(out) - 1).bit_length() - 4)
            back, count = (token >> shift) + 1, (token & (1 << shift) - 1) + 3
            if back > len(out) or len(out) + count > CHUNK:
                raise DiskError(told("a packed file is damaged", COPY))
            if back >= count:
                out += out[-back : len(out) - back + count]
            else:
                piece = out[-back:]
                out += (piece * (count // back + 1))[:count]
    return out
