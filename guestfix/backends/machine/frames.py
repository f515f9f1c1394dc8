"""Frames over a stream of bytes: how a machine that shares no folder with the host talks to it.

A frame is a kind (one byte), a length (four bytes, the highest first) and that many bytes. ``MESSAGE`` is a request
or an answer, ``DATA`` a piece of a file: a request to write is followed by the file's pieces, a request to read is
answered by them, before the answer itself. An empty piece ends a file. Whoever reads trusts nothing of what comes.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable, Iterator

from guestfix.base.record import names_of

MESSAGE, DATA = b"M", b"D"
READY = b"ready"
"""What a machine says first."""

HEAD = struct.Struct(">cI")
PIECE = 1 << 18
"""Bytes of a file that go into one frame."""

MOST_DATA = 1 << 20
MOST_MESSAGE = 64 << 20
"""The longest message: a folder of 100,000 names takes half of it."""


class NoFrame(Exception):
    """What comes is no frame."""


Take = Callable[[int], bytes]
"""Returns exactly so many bytes of the stream, or raises."""


def encoded(message: object) -> bytes:
    """Return a request or an answer as JSON; records are objects by their fields' names, bytes are base64."""
    return json.dumps(message, default=_plain).encode("utf-8", "surrogateescape")


def _plain(value: object) -> object:
    if names := names_of(value):
        return {name: getattr(value, name) for name in names}
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    raise TypeError(type(value).__name__)


def frame(kind: bytes, data: bytes) -> bytes:
    """Return a frame."""
    return HEAD.pack(kind, len(data)) + data


def read_frame(take: Take) -> tuple[bytes, bytes]:
    """Return a frame's kind and bytes. NoFrame where what comes is none, before more than its head is read."""
    kind, length = HEAD.unpack(take(HEAD.size))
    if length > {MESSAGE: MOST_MESSAGE, DATA: MOST_DATA}.get(kind, -1):
        raise NoFrame(f"no frame begins with {HEAD.pack(kind, length).hex()}")
    return kind, take(length)


def pieces(take: Take) -> Iterator[bytes]:
    """Yield a file's pieces up to the empty one that ends it. NoFrame where something else comes."""
    while True:
        kind, data = read_frame(take)
        if kind != DATA:
            raise NoFrame("a message came before the end of a file")
        if not data:
            return
        yield data
