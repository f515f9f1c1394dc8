"""Block devices as seekable files: windows into other files, and exact reads at an offset."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Protocol

from guestfix.base.errors import GuestError


class DiskError(GuestError):
    """A disk image, partition table, volume or filesystem can't be read as it is."""

    CODE = "GF-DISK-IMAGE"


COPY, BACKEND = "copy", "backend"
"""What helps against a fault of a disk: copying the image again, or reading it through another backend."""
CURES = {COPY: "copy the image again", BACKEND: "see which backends can be used here: guestfix backends"}
"""How that is said, in the order of what is likelier to help."""


class Told(str):
    """A sentence about a disk for the user that also has, as a field, what helps (``cure``; empty: nothing known)."""

    cure: str = ""


def told(text: str, cure: str = "", *, of: object = None) -> Told:
    """Return a sentence with its cure, by default that of another sentence, which it tells in more words."""
    made = Told(text)
    made.cure = cure or (of.cure if isinstance(of, Told) else "")
    return made


def uuid_text(raw: bytes) -> str:
    """Return 16 bytes as a UUID is written (RFC 4122). The standard library's module costs more than a disk's rows."""
    text = raw.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def mixed(raw: bytes) -> bytes:
    """Return a GUID of Microsoft's, whose first three fields are little-endian, as a UUID's bytes."""
    return raw[3::-1] + raw[5:3:-1] + raw[7:5:-1] + raw[8:]


class Block(Protocol):
    """A seekable run of bytes. ``size`` is its length in bytes."""

    size: int

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """As io.IOBase.seek."""

    def read(self, size: int = -1, /) -> bytes:
        """As io.RawIOBase.read; fewer bytes come only at the end."""


class SeekableBlock(io.RawIOBase):
    """What every Block that is computed has in common: its ``size``, its position, seeking, and reading by pieces."""

    size: int
    _at = 0

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that it can seek."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move the position and return it."""
        self._at = max(0, (0, self._at, self.size)[whence] + offset)
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        """Return up to size bytes; all that remain where size is negative."""
        left = max(0, self.size - self._at)
        count = left if size is None or size < 0 else min(size, left)
        parts = []
        while count and (data := self._next(count)):
            parts.append(data)
            count -= len(data)
            self._at += len(data)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _next(self, count: int) -> bytes:
        """Return at most so many bytes from the position, at least one; none where nothing more can be had."""
        raise NotImplementedError

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill buffer and return how many bytes there were."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class Window(SeekableBlock):
    """A part of a Block as a file of its own: ``size`` bytes from ``start``.

    Reads beyond the parent's end give zeros up to ``size`` where ``pad`` is set, so that a short backing
    file reads as QEMU reads it; otherwise they are short.
    """

    def __init__(self, parent: Block, start: int, size: int, *, pad: bool = False) -> None:
        super().__init__()
        self.parent, self.start, self.size, self.pad = parent, start, size, pad

    def read(self, size: int | None = -1) -> bytes:
        """Return up to size bytes; all that remain where size is negative."""
        left = max(0, self.size - self._at)
        count = left if size is None or size < 0 else min(size, left)
        if not count:
            return b""
        self.parent.seek(self.start + self._at)
        data = self.parent.read(count)
        if len(data) < count and self.pad:
            data += bytes(count - len(data))
        self._at += len(data)
        return data


class Pieces(SeekableBlock):
    """Pieces of several blocks, one after the other: (block, start, length). DiskError where one ends too early.

    ``what`` is said of a piece there.
    """

    def __init__(self, pieces: Sequence[tuple[Block, int, int]], what: str = "a piece of a volume") -> None:
        super().__init__()
        ends = list(accumulate(length for _, _, length in pieces))
        self._pieces, self._ends, self._what = pieces, ends, what
        self.size = ends[-1] if ends else 0

    def _next(self, count: int) -> bytes:
        index = bisect_right(self._ends, self._at)
        block, start, length = self._pieces[index]
        left = self._ends[index] - self._at
        return read_exact(block, start + length - left, min(count, left), self._what)


class FileBlock(io.BufferedReader):
    """A host file as a Block."""

    def __init__(self, path: str) -> None:
        super().__init__(io.FileIO(path, "r"), buffer_size=1 << 16)
        self.size = self.seek(0, io.SEEK_END)
        self.seek(0)


ELSEWHERE = "uml, qemu and libguestfs can read it"
"""Said of what the backend image leaves to others."""


def read_at(block: Block, offset: int, count: int) -> bytes:
    """Return count bytes at offset, fewer only where the block ends before."""
    if offset < 0 or offset >= block.size:
        return b""
    block.seek(offset)
    return block.read(count)


def read_exact(block: Block, offset: int, count: int, what: str) -> bytes:
    """Return count bytes at offset; DiskError where the block ends before, with ``what`` in the message."""
    data = read_at(block, offset, count)
    if len(data) < count:
        raise DiskError(
            told(f"{what} lies beyond the end: byte {offset + count} of {block.size}; the image is truncated", COPY),
            remedy="copy or export it again",
        )
    return data
