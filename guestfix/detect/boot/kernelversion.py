"""The release of a kernel whose header does not say it: it stands in the kernel itself, packed or not.

Sources: Documentation/arch/arm64/booting.rst (Image); drivers/firmware/efi/libstub/zboot-header.S (a PE program with
the packed Image in it); init/version.c (linux_banner).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import IO

from guestfix.base.bounds import KERNEL_UNPACKED
from guestfix.base.errors import GuestfixError
from guestfix.base.guest import GuestFS
from guestfix.base.patterns import regex

_BANNER = regex(rb"Linux version (?P<release>\d[A-Za-z0-9._+~-]{2,80}) ")
_LONGEST = 128
_ARM64, _ELF, _ZBOOT = b"ARM\x64", b"\x7fELF", b"zimg"
_STEP = 1 << 20


def release_inside(guest: GuestFS, path: str) -> str | None:
    """Return the release in a kernel's banner, None where the file is of no kind that has it in reach.

    These are arm64's Image, plain or packed, the EFI stub with a packed one (zboot), and an ELF vmlinux.
    """
    try:
        with guest.open(path) as stream:
            return _first(_pieces(stream))
    except (GuestfixError, OSError, ValueError, EOFError, ImportError):
        return None


def _pieces(stream: IO[bytes]) -> Iterable[bytes]:
    from guestfix.formats.initramfs import decompress
    from guestfix.formats.initramfs.streams import Source

    head = stream.read(64)
    if (head[56:60] == _ARM64 and head[4:8] != _ZBOOT) or head[:4] == _ELF:
        return _plain(stream)
    start, size = struct.unpack_from("<II", head, 8) if head[4:8] == _ZBOOT and len(head) == 64 else (0, None)
    src = Source(stream, start, size)
    kind = decompress.kind_of(src.peek(8))
    return (bytes(one) for one in decompress.chunks(kind, src)) if kind else ()


def _plain(stream: IO[bytes]) -> Iterator[bytes]:
    stream.seek(0)
    while piece := stream.read(_STEP):
        yield piece


def _first(pieces: Iterable[bytes]) -> str | None:
    """Return the first banner's release among the bytes up to the bound."""
    last, seen = b"", 0
    for piece in pieces:
        text = last + piece
        match = _BANNER.search(text)
        if match:
            return match["release"].decode("ascii")
        last, seen = text[-_LONGEST:], seen + len(piece)
        if seen > KERNEL_UNPACKED:
            return None
    return None
