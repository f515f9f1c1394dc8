"""A file as it is once splices are done, read on demand."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Sequence
from typing import IO

from guestfix.base.edit import Splice


class _Spliced(io.RawIOBase):
    def __init__(self, base: IO[bytes], splices: Sequence[Splice]) -> None:
        super().__init__()
        self._base = base
        self._starts: list[int] = []
        self._pieces: list[int | bytes] = []  # where a piece begins in the base, or what it is
        self._size = self._at = at = 0
        for splice in sorted(splices, key=lambda one: one.offset):
            self._add(at, splice.offset - at)
            self._add(splice.data, len(splice.data))
            at = splice.offset + splice.length
        self._add(at, base.seek(0, io.SEEK_END) - at)

    def _add(self, piece: int | bytes, size: int) -> None:
        if size > 0:
            self._starts.append(self._size)
            self._pieces.append(piece)
            self._size += size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, (0, self._at, self._size)[whence] + offset)
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self._at >= self._size:
            return 0
        number = bisect_right(self._starts, self._at) - 1
        end = self._starts[number + 1] if number + 1 < len(self._starts) else self._size
        count, inside, piece = min(len(buffer), end - self._at), self._at - self._starts[number], self._pieces[number]
        if isinstance(piece, bytes):
            data = piece[inside : inside + count]
        else:
            self._base.seek(piece + inside)
            data = self._base.read(count)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def open_spliced(base: IO[bytes], splices: Sequence[Splice]) -> IO[bytes]:
    """Return a file that reads as ``base`` with the splices done; they must not overlap. ``base`` stays open."""
    return io.BufferedReader(_Spliced(base, splices), 1 << 16)
