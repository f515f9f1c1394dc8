"""What an x86 kernel image says of itself: the Linux/x86 boot protocol (Documentation/arch/x86/boot.rst)."""

from __future__ import annotations

import struct

HEAD = 0x8200
"""Bytes from the start of an image that can hold the header and the version text it points to."""

_SETUP_SECTORS, _SYSSIZE = 0x1F1, 0x1F4
_MAGIC, _VERSION_POINTER, _XLOADFLAGS, _PROTOCOL = 0x202, 0x20E, 0x236, 0x206


def is_bzimage(head: bytes) -> bool:
    """Tell whether these are the first bytes of an x86 kernel image."""
    return len(head) > 0x238 and head[_MAGIC : _MAGIC + 4] == b"HdrS"


def release_of(head: bytes) -> str | None:
    """Return the release (uname -r) in the image's header, or None where there is none."""
    if not is_bzimage(head):
        return None
    (pointer,) = struct.unpack_from("<H", head, _VERSION_POINTER)
    if not pointer:
        return None
    text = head[pointer + 0x200 : pointer + 0x200 + 256].split(b"\0", 1)[0]
    release = text.split(b" ", 1)[0].decode("ascii", "replace")
    return release if release[:1].isdigit() and release.isascii() and release.isprintable() else None


def is_64bit(head: bytes) -> bool | None:
    """Tell whether the image has a 64-bit entry point; None before protocol 2.12, which can't say."""
    if not is_bzimage(head) or struct.unpack_from("<H", head, _PROTOCOL)[0] < 0x020C:
        return None
    return bool(struct.unpack_from("<H", head, _XLOADFLAGS)[0] & 1)


def size_of(head: bytes) -> int | None:
    """Return how many bytes the image has at least, by setup_sects and syssize; None where it is no bzImage."""
    if not is_bzimage(head):
        return None
    sectors, paragraphs = head[_SETUP_SECTORS] or 4, struct.unpack_from("<I", head, _SYSSIZE)[0]
    return int((sectors + 1) * 512 + paragraphs * 16)
