"""One place that inflates: with zlib-ng where it is installed, else with Python's zlib.

zlib-ng reads the initramfs of a Debian 12 in 0.55 of zlib's time; isal takes 0.45 of it, but can't copy a decompressor
(docs/decisions/065).
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zlib import _Decompress


def _fast() -> tuple[object, type[Exception]]:
    """Return zlib-ng's module with its error, Python's own where there is none."""
    try:
        from zlib_ng import zlib_ng
    except ImportError:
        return zlib, zlib.error
    return zlib_ng, zlib_ng.error  # type: ignore[return-value]  # a class, whatever its stub says


_engine, _error = _fast()
ERRORS: tuple[type[Exception], ...] = (zlib.error, _error)
"""What a decompressor raises for damaged data."""


def inflater(wbits: int, window: bytes = b"") -> _Decompress:
    """Return what zlib.decompressobj() does; ``window`` is what stands before the begin of a raw stream."""
    make = _engine.decompressobj  # type: ignore[attr-defined]
    made: _Decompress = make(wbits, window) if window else make(wbits)
    return made


def crc32(data: bytes, before: int = 0) -> int:
    """Return the CRC-32 of data, continued from that of what stands before it."""
    value: int = _engine.crc32(data, before)  # type: ignore[attr-defined]
    return value
