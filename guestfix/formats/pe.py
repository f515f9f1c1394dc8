"""Portable Executable headers: which processor a Windows program or driver is for (PE Format, 2 and 3)."""

from __future__ import annotations

import struct

from guestfix.record import frozen

HEAD = 4096
"""Bytes from a file's start that are enough for :func:`machine` in every file that a linker makes."""

MACHINES = {0x014C: "x86", 0x8664: "amd64", 0xAA64: "arm64", 0x01C4: "arm", 0x0200: "ia64"}
"""IMAGE_FILE_MACHINE_* to the word that .inf and answer files use."""

GUEST_ARCH = {"x86": "i686", "amd64": "x86_64", "arm64": "aarch64", "arm": "armv7l", "ia64": "ia64"}
"""The same as the ``os.arch`` fact says it."""


def machine(head: bytes) -> str | None:
    """Return the processor that the file is for, or None where this is no PE file.

    ``head`` holds the file's first bytes, :data:`HEAD` or more. A header that lies further on than
    what was given is taken as none.
    """
    if len(head) < 64 or head[:2] != b"MZ":
        return None
    (at,) = struct.unpack_from("<I", head, 0x3C)
    if at + 6 > len(head) or head[at : at + 4] != b"PE\0\0":
        return None
    (number,) = struct.unpack_from("<H", head, at + 4)
    return MACHINES.get(number)


@frozen
class Layout:
    """Where the sections of a PE file lie (offset, size in bytes), and whether it carries a signature."""

    sections: dict[str, tuple[int, int]]
    signed: bool


def layout(head: bytes) -> Layout | None:
    """Return what the headers in a file's first bytes say, or None where this is no PE file.

    A section's size is that of its content without the padding to the file's alignment.
    """
    if machine(head) is None:
        return None
    try:
        return _layout(head)
    except struct.error:
        return None


def _layout(head: bytes) -> Layout:
    (at,) = struct.unpack_from("<I", head, 0x3C)
    count, optional = struct.unpack_from("<H", head, at + 6)[0], struct.unpack_from("<H", head, at + 20)[0]
    wide = struct.unpack_from("<H", head, at + 24)[0] == 0x20B
    directories = at + 24 + (112 if wide else 96)
    has_fifth = optional >= (152 if wide else 136)
    signature = struct.unpack_from("<II", head, directories + 4 * 8)[1] if has_fifth else 0
    sections = {}
    for number in range(min(count, 96)):
        name, virtual, _address, raw, offset = struct.unpack_from("<8sIIII", head, at + 24 + optional + 40 * number)
        sections[name.rstrip(b"\0").decode("latin-1")] = (offset, min(virtual, raw) if virtual else raw)
    return Layout(sections, signature > 0)
