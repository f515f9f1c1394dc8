"""Forward reading with a known offset: from a file, and from what a decompressor yields."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Protocol

from guestfix.base.errors import Corrupt, Unreadable

Piece = bytes | memoryview
"""What a decompressor yields: a view lasts until the next piece is asked for."""


class Flow(Protocol):
    """Bytes that are read or passed over in order. Short results mean the end."""

    @property
    def offset(self) -> int:
        """Bytes read or passed over so far."""

    def read(self, count: int) -> bytes:
        """Return the next ``count`` bytes, fewer at the end."""

    def peek(self, count: int) -> bytes:
        """Return what :meth:`read` would, without moving."""

    def skip(self, count: int) -> int:
        """Pass over ``count`` bytes; return how many there were."""

    def fail(self, what: str, offset: int) -> Corrupt:
        """Return the error for a mistake at this offset of the flow, placed in the file."""


class Source:
    """A file that can seek, read from its start. Raises Unreadable where the system refuses a read."""

    def __init__(self, stream: IO[bytes], start: int = 0, size: int | None = None) -> None:
        self._stream = stream
        self._start = start
        try:
            end = stream.seek(0, 2) - start
            stream.seek(start)
        except OSError as error:
            raise Unreadable(f"can't be read: {error.strerror}") from error
        self.size = max(0, end if size is None else min(size, end))
        self._back = b""
        self._at = 0

    @property
    def offset(self) -> int:
        """See :class:`Flow`; bytes given back don't count."""
        return self._at - len(self._back)

    def read(self, count: int) -> bytes:
        """See :class:`Flow`."""
        if self._back:
            data, self._back = self._back[:count], self._back[count:]
            return data + self.read(count - len(data)) if len(data) < count else data
        try:
            data = self._stream.read(min(count, self.size - self._at))
        except OSError as error:
            raise Unreadable(f"can't be read at byte {self._at}: {error.strerror}") from error
        self._at += len(data)
        return data

    def peek(self, count: int) -> bytes:
        """See :class:`Flow`."""
        data = self.read(count)
        self.unread(data)
        return data

    def unread(self, data: bytes) -> None:
        """Give back the last bytes that were read."""
        self._back = data + self._back

    def skip(self, count: int) -> int:
        """See :class:`Flow`; what is passed over is not read."""
        held = min(count, len(self._back))
        self._back = self._back[held:]
        step = min(count - held, self.size - self._at)
        if step > 0:
            self._move(self._at + step)
        return held + max(step, 0)

    def _move(self, offset: int) -> None:
        self._at = offset
        try:
            self._stream.seek(self._start + offset)
        except OSError as error:
            raise Unreadable(f"can't be read at byte {offset}: {error.strerror}") from error

    def rest(self, offset: int) -> Source:
        """Return what begins at an offset as a source of its own, after which this one can't be read on."""
        return Source(self._stream, self._start + offset, self.size - offset)

    def again(self, offset: int, count: int) -> bytes:
        """Return bytes at an offset, without moving; fewer at the end."""
        at, back, self._back = self._at, self._back, b""
        self._move(max(0, min(offset, self.size)))
        data = self.read(count)
        self._move(at)
        self._back = back
        return data

    def fail(self, what: str, offset: int) -> Corrupt:
        """See :class:`Flow`."""
        return Corrupt(what, offset=offset)


class Chunks:
    """A Flow over an iterator of byte chunks, none of which is kept longer than it is needed.

    Raises Corrupt once more than ``limit`` bytes came; ``origin`` tells the file's offset for that.
    """

    def __init__(self, chunks: Iterator[Piece], limit: int, origin: Source) -> None:
        self._chunks = chunks
        self._limit = limit
        self._origin = origin
        self._held: Piece = b""
        self._pos = 0
        self._passed = 0

    @property
    def offset(self) -> int:
        """See :class:`Flow`."""
        return self._passed + self._pos

    def _next(self) -> bool:
        """Drop the chunk at hand and take another one; False at the end."""
        chunk = next(self._chunks, b"")
        self._passed += len(self._held)
        self._held, self._pos = chunk, 0
        if self._passed + len(chunk) > self._limit:
            raise Corrupt(f"unpacks to more than {self._limit} bytes", offset=self._origin.offset)
        return bool(chunk)

    def read(self, count: int) -> bytes:
        """See :class:`Flow`."""
        data = bytes(self._held[self._pos : self._pos + count])
        self._pos += len(data)
        if len(data) == count:
            return data
        parts = [data]
        missing = count - len(data)
        while missing and self._next():
            part = bytes(self._held[:missing])
            self._pos = len(part)
            missing -= len(part)
            parts.append(part)
        return b"".join(parts)

    def peek(self, count: int) -> bytes:
        """See :class:`Flow`."""
        if count <= len(self._held) - self._pos:
            return bytes(self._held[self._pos : self._pos + count])
        data = self.read(count)
        rest = bytes(self._held[self._pos :])
        self._passed = self.offset - len(data)
        self._held, self._pos = data + rest, 0
        return data

    def skip(self, count: int) -> int:
        """See :class:`Flow`."""
        done = min(count, len(self._held) - self._pos)
        self._pos += done
        while done < count and self._next():
            self._pos = min(count - done, len(self._held))
            done += self._pos
        return done

    def fail(self, what: str, offset: int) -> Corrupt:
        """See :class:`Flow`; the place in the file is how far the decompressor had read."""
        return Corrupt(f"{what} (byte {offset} of what was compressed)", offset=self._origin.offset)
