"""A picture of a guest's screen: as QEMU writes it, as a PNG to keep, and in grey for who reads letters."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Sequence

from guestfix.base.record import frozen

MAX_SIDE = 16_384
_HEAD = re.compile(rb"P6\s+(\d{1,5})\s+(\d{1,5})\s+255\s")


@frozen
class Picture:
    """A picture: three bytes (red, green, blue) for each point, row by row."""

    width: int
    height: int
    points: bytes

    def png(self) -> bytes:
        """Return it as PNG (ISO/IEC 15948)."""
        return _png(self.width, self.height, self.points, 3)

    def letters(self) -> bytes:
        """Return it as a grey PNG, dark letters on light ground.

        Red alone is taken: of white letters on blue it has the most contrast.
        """
        red = self.points[0::3]
        if sum(red[::97]) * 2 < 255 * len(red[::97]):
            red = red.translate(bytes(255 - value for value in range(256)))
        return _png(self.width, self.height, red, 1)


def read_picture(data: bytes) -> Picture | None:
    """Return a picture that QEMU wrote (PPM, P6); None for anything else."""
    head = _HEAD.match(data)
    width, height = (int(head[1]), int(head[2])) if head else (0, 0)
    size = width * height * 3
    if head is None or not 0 < width <= MAX_SIDE or not 0 < height <= MAX_SIDE or len(data) < head.end() + size:
        return None
    return Picture(width, height, data[head.end() : head.end() + size])


def _png(width: int, height: int, points: bytes, channels: int) -> bytes:
    size = width * channels
    rows = b"".join(b"\0" + points[at : at + size] for at in range(0, len(points), size))
    parts: Sequence[tuple[bytes, bytes]] = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2 if channels == 3 else 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows, 6)),
        (b"IEND", b""),
    )
    chunks = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
