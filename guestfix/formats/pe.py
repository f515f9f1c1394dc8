"""Portable Executable headers: which processor a Windows program or driver is for (PE Format, 2 and 3)."""

from __future__ import annotations

import struct

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
