"""One place that packs and unpacks blocks of LZ4: by the package lz4 where it is installed, else by cramjam.

lz4 is what distributions have; it has no wheels for musl, and cramjam has. Both are the reference's own code.
"""

from __future__ import annotations

from typing import Any

from guestfix.base.errors import GuestError


def packed(data: bytes) -> bytes:
    """Return data as one block. GuestError where neither package is installed."""
    try:
        import lz4.block as other
    except ImportError:
        return bytes(_cramjam().compress_block(data, store_size=False))
    found: bytes = other.compress(data, mode="high_compression", store_size=False)
    return found


def unpacked(block: bytes, most: int) -> bytes:
    """Return what a block holds, ``most`` bytes at most.

    Raises ValueError where it is damaged or holds more; GuestError where neither package is installed.
    """
    try:
        import lz4.block as other
    except ImportError:
        return _by_cramjam(block, most)
    try:
        return bytes(other.decompress(block, uncompressed_size=most))
    except (other.LZ4BlockError, MemoryError) as error:
        raise ValueError(str(error)) from error


def _by_cramjam(block: bytes, most: int) -> bytes:
    engine, out = _cramjam(), bytearray(most)
    from cramjam import DecompressionError

    try:
        count = engine.decompress_block_into(block, out, output_len=most)
    except DecompressionError as error:
        raise ValueError(str(error)) from error
    return bytes(out[:count])


def _cramjam() -> Any:
    try:
        import cramjam
    except ImportError as error:
        raise GuestError("an initramfs in LZ4 needs a package that is missing", remedy="pip install cramjam") from error
    return cramjam.lz4
