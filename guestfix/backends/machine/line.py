"""The machine's end of the talk with the host: see :mod:`guestfix.backends.machine.wire`."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from typing import Protocol

from guestfix.backends.machine.frames import DATA, MESSAGE, PIECE, READY, frame, pieces, read_frame

INLINE = 1500
"""Bytes of an answer that go over the line; more goes through a file."""

PORT_SECONDS = 60.0


class Line(Protocol):
    """Requests in, answers out."""

    def receive(self) -> bytes | None:
        """Return the next request, None where the host is gone."""

    def send(self, message: bytes) -> None:
        """Send an answer."""

    def body(self, name: str) -> Iterator[bytes]:
        """Yield the file that comes with a request; all of it must be taken before the answer."""

    def deliver(self, name: str, source: Iterable[bytes]) -> None:
        """Send a file, before the answer."""


class FolderLine:
    """Lines over a terminal, and a folder of the host."""

    def __init__(self, folder: str) -> None:
        import termios
        import tty

        self._folder, self._count = folder, 0
        self._tty = os.open("/dev/tty1", os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self._tty, termios.TCSANOW)
        _write(self._tty, READY + b"\n")

    def receive(self) -> bytes | None:
        """See Line."""
        data = b""
        while not data.endswith(b"\n"):
            piece = os.read(self._tty, 4096)
            if not piece:
                return None
            data += piece
        text = data.strip()
        if text.startswith(b"@"):
            with open(f"{self._folder}/{text[1:].decode()}", "rb") as stream:
                text = stream.read()
        return text

    def send(self, message: bytes) -> None:
        """See Line."""
        self._count += 1
        if len(message) > INLINE:
            with open(f"{self._folder}/answer-{self._count}", "xb") as stream:
                stream.write(message)
            message = f"@answer-{self._count}".encode()
        _write(self._tty, message + b"\n")

    def body(self, name: str) -> Iterator[bytes]:
        """See Line."""
        with open(f"{self._folder}/{name}", "rb") as stream:
            while piece := stream.read(1 << 20):
                yield piece

    def deliver(self, name: str, source: Iterable[bytes]) -> None:
        """See Line."""
        with open(f"{self._folder}/{name}", "xb") as stream:
            for piece in source:
                stream.write(piece)


class FrameLine:
    """Frames over one device or socket, which is open."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.send(READY)

    def _take(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            piece = os.read(self._port, count - len(data))
            if not piece:
                raise EOFError
            data += piece
        return bytes(data)

    def receive(self) -> bytes | None:
        """See Line."""
        try:
            return read_frame(self._take)[1]
        except EOFError:
            return None

    def send(self, message: bytes) -> None:
        """See Line."""
        _write(self._port, frame(MESSAGE, message))

    def body(self, name: str) -> Iterator[bytes]:
        """See Line."""
        return pieces(self._take)

    def deliver(self, name: str, source: Iterable[bytes]) -> None:
        """See Line."""
        for piece in source:
            for at in range(0, len(piece), PIECE):
                _write(self._port, frame(DATA, piece[at : at + PIECE]))


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def open_line(settings: dict[str, str]) -> Line:
    """Return the line that the host set up."""
    return (
        FrameLine(os.open(_port(settings["port"]), os.O_RDWR))
        if "port" in settings
        else FolderLine(settings["exchange"])
    )


def _port(name: str) -> str:
    """Return the device of the virtio-serial port of this name, which appears some time after its driver was loaded."""
    base, end = "/sys/class/virtio-ports", time.monotonic() + PORT_SECONDS
    while time.monotonic() < end:
        for port in os.listdir(base) if os.path.isdir(base) else ():
            with open(f"{base}/{port}/name", encoding="ascii") as stream:
                if stream.read().strip() == name:
                    return f"/dev/{port}"
        time.sleep(0.002)
    raise FileNotFoundError(f"there is no port {name}")
