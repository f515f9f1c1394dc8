"""What a kernel image says of itself: the boot protocols of Linux on x86 and on arm64, as they are or packed.

Sources: Documentation/arch/x86/boot.rst, Documentation/arch/arm64/booting.rst, and zboot-header.S of the kernel's EFI
stub (a PE program that holds a packed Image); distributions gzip an Image too (vmlinuz).
"""

from __future__ import annotations

import struct
import zlib

HEAD = 0x8200
"""Bytes from the start of an image that can hold the header and the version text it points to."""

_SETUP_SECTORS, _SYSSIZE = 0x1F1, 0x1F4
_MAGIC, _VERSION_POINTER, _XLOADFLAGS, _PROTOCOL = 0x202, 0x20E, 0x236, 0x206


_ARM64_MAGIC, _PE_POINTER = 0x38, 0x3C
_PE_MACHINES = {0xAA64: "aarch64", 0x8664: "x86_64", 0x014C: "i686"}


def is_bzimage(head: bytes) -> bool:
    """Tell whether these are the first bytes of an x86 kernel image."""
    return len(head) > 0x238 and head[_MAGIC : _MAGIC + 4] == b"HdrS"


def arch_of(head: bytes) -> str | None:
    """Return what the image is built for, as uname(2) has it; None where its first bytes don't tell."""
    if head[:2] == b"\x1f\x8b":
        head = _inflated(head)
    if head[_ARM64_MAGIC : _ARM64_MAGIC + 4] == b"ARM\x64":
        return "aarch64"
    if is_bzimage(head):
        wide = is_64bit(head)
        return None if wide is None else "x86_64" if wide else "i686"
    return _PE_MACHINES.get(_pe_machine(head))


def _inflated(head: bytes) -> bytes:
    """Return the first bytes of what is gzipped; empty where that is damaged."""
    try:
        return zlib.decompressobj(wbits=31).decompress(head, HEAD)
    except zlib.error:
        return b""


def _pe_machine(head: bytes) -> int:
    """Return the machine of a PE program, by its COFF header; 0 where there is none."""
    at = struct.unpack_from("<I", head, _PE_POINTER)[0] if head[:2] == b"MZ" and len(head) > _PE_POINTER + 4 else 0
    if not at or head[at : at + 4] != b"PE\0\0" or len(head) < at + 6:
        return 0
    return int(struct.unpack_from("<H", head, at + 4)[0])


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
