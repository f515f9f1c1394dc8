"""The host's end of the talk with a machine: over a line with a shared folder, or in frames over one stream."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable
from typing import Protocol

from guestfix.backends.machine.frames import DATA, MESSAGE, MOST_MESSAGE, PIECE, NoFrame, frame, read_frame

LOOK_SECONDS = 0.5
"""How often to look whether the machine is still there (its rest may hold its pipes open) and still wanted."""

MAX_LINE = 1500
"""Bytes of a request that go over the line; more goes through a file."""


class Gone(Exception):
    """The machine can't be talked to any more; the text says how that showed."""


class Wire(Protocol):
    """One question and one answer at a time. Both raise Gone, and what the look at the machine raises."""

    def send(self, message: bytes, source: str = "") -> None:
        """Send a request, with the file ``source`` of the exchange folder."""

    def receive(self, seconds: float, into: str = "") -> bytes:
        """Return the next message; the file that comes with it is written to ``into``, which must be new."""

    def close(self) -> None:
        """Let go of the machine's pipes."""


class Pipes:
    """Two descriptors to a machine. ``look`` raises where it is not wanted any more; told True, where it is gone."""

    def __init__(self, read: int, write: int, look: Callable[[bool], None]) -> None:
        self.read, self.write, self._look = read, write, look
        self._buffer = bytearray()
        self._in, self._out = select.poll(), select.poll()  # select(2) takes no descriptor from 1024
        self._in.register(read, select.POLLIN)
        self._out.register(write, select.POLLOUT)
        os.set_blocking(write, False)

    def _wait(self, poll: select.poll, deadline: float) -> None:
        while True:
            self._look(False)
            left = deadline - time.monotonic()
            if poll.poll(1000 * max(0.0, min(LOOK_SECONDS, left))):
                return
            self._look(True)
            if left <= 0:
                raise Gone("no answer in time")

    def put(self, data: bytes, deadline: float) -> None:
        """Write all of the bytes."""
        view = memoryview(data)
        while view:
            self._wait(self._out, deadline)
            try:
                view = view[os.write(self.write, view) :]
            except BlockingIOError:
                continue
            except OSError:
                raise Gone("it stopped") from None

    def _more(self, deadline: float) -> None:
        self._wait(self._in, deadline)
        try:
            piece = os.read(self.read, 1 << 18)
        except OSError:
            piece = b""
        if not piece:
            raise Gone("it stopped")
        self._buffer += piece

    def take(self, count: int, deadline: float) -> bytes:
        """Return exactly so many bytes."""
        while len(self._buffer) < count:
            self._more(deadline)
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    def line(self, deadline: float) -> bytes:
        """Return what comes before the next end of a line."""
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > MOST_MESSAGE:
                raise Gone("it says more than any answer has")
            self._more(deadline)
        return self.take(end + 1, deadline).strip()

    def close(self) -> None:
        """Close both; may be called twice."""
        for descriptor in {self.read, self.write} - {-1}:
            os.close(descriptor)
        self.read = self.write = -1


class FolderWire:
    """Messages are lines of JSON; what is large, and files, lie in a folder that the machine sees."""

    def __init__(self, pipes: Pipes, folder: str, seconds: float) -> None:
        self._pipes, self._folder, self._seconds = pipes, folder, seconds
        self._count = 0

    def send(self, message: bytes, source: str = "") -> None:
        """See Wire."""
        self._count += 1
        if len(message) > MAX_LINE:
            with open(f"{self._folder}/request-{self._count}", "xb") as stream:
                stream.write(message)
            message = f"@request-{self._count}".encode()
        self._pipes.put(message + b"\n", time.monotonic() + self._seconds)

    def receive(self, seconds: float, into: str = "") -> bytes:
        """See Wire."""
        line = self._pipes.line(time.monotonic() + seconds)
        if line.startswith(b"@"):
            name = os.path.join(self._folder, os.path.basename(line[1:].decode()))
            with open(name, "rb") as stream:
                line = stream.read()
            os.unlink(name)
        return line

    def close(self) -> None:
        """See Wire."""
        self._pipes.close()


class FrameWire:
    """Messages and files go over one stream, in frames; nothing is shared."""

    def __init__(self, pipes: Pipes, seconds: float) -> None:
        self._pipes, self._seconds = pipes, seconds

    def send(self, message: bytes, source: str = "") -> None:
        """See Wire."""
        self._put(frame(MESSAGE, message))
        if source:
            with open(source, "rb") as stream:
                while piece := stream.read(PIECE):
                    self._put(frame(DATA, piece))
            self._put(frame(DATA, b""))

    def _put(self, data: bytes) -> None:
        self._pipes.put(data, time.monotonic() + self._seconds)

    def receive(self, seconds: float, into: str = "") -> bytes:
        """See Wire."""
        try:
            kind, data = self._next(seconds)
            if into:
                with open(into, "xb") as stream:
                    while kind == DATA:
                        stream.write(data)
                        kind, data = self._next(seconds)
        except NoFrame as error:
            raise Gone(f"what it says can't be understood: {error}") from error
        if kind != MESSAGE:
            raise Gone("it sent a file that nobody asked for")
        return data

    def _next(self, seconds: float) -> tuple[bytes, bytes]:
        deadline = time.monotonic() + seconds
        return read_frame(lambda count: self._pipes.take(count, deadline))

    def close(self) -> None:
        """See Wire."""
        self._pipes.close()
