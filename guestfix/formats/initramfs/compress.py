"""Compress an archive the way the kernel can unpack it, with the same bytes for the same input."""

from __future__ import annotations

import struct
import zlib

from guestfix.formats.initramfs import lzo

LZ4_MAGIC = b"\x02\x21\x4c\x18"
LZ4_BLOCK = 8 * 1024 * 1024


def compress(kind: str, data: bytes) -> bytes:
    """Return data as one segment of this kind (``none``: data itself).

    lzop segments hold their blocks as they are, since no compressor for them is at hand. An xz segment
    carries a CRC32, the only check besides none that every kernel's decoder knows.
    """
    if kind == "gzip":
        engine = zlib.compressobj(9, zlib.DEFLATED, 31)
        return engine.compress(data) + engine.flush()
    if kind == "bzip2":
        import bz2

        return bz2.compress(data)
    if kind in ("xz", "lzma"):
        return _lzma(kind, data)
    if kind == "lzo":
        return lzo.stored(data)
    if kind == "lz4":
        return _lz4(data)
    if kind == "zstd":
        import zstandard

        return zstandard.ZstdCompressor(level=15).compress(data)
    return data


def _lzma(kind: str, data: bytes) -> bytes:
    import lzma

    if kind == "xz":
        return lzma.compress(data, lzma.FORMAT_XZ, lzma.CHECK_CRC32, 6)
    return lzma.compress(data, lzma.FORMAT_ALONE, preset=6)


def _lz4(data: bytes) -> bytes:
    return LZ4_MAGIC + lz4_blocks(data)


def lz4_blocks(data: bytes) -> bytes:
    """Return the blocks of a legacy frame, each behind its length."""
    from guestfix.formats.initramfs.lz4block import packed

    out = []
    for at in range(0, len(data), LZ4_BLOCK):
        block = packed(data[at : at + LZ4_BLOCK])
        out += [struct.pack("<I", len(block)), block]
    return b"".join(out)
