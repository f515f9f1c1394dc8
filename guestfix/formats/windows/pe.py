"""Portable Executable headers: which processor a Windows program or driver is for (PE Format, 2 and 3)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from guestfix.base.record import frozen

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


MAX_IMPORTS = 256


def imports(data: bytes) -> list[str]:
    """Return the names of the modules that a program or driver is linked with; empty where they can't be told.

    The whole file's bytes are wanted. Source: PE Format, 6.4 (the .idata section).
    """
    try:
        return list(_imports(data)) if machine(data[:HEAD]) else []
    except (struct.error, ValueError):
        return []


def _imports(data: bytes) -> Iterator[str]:
    (at,) = struct.unpack_from("<I", data, 0x3C)
    count, optional = struct.unpack_from("<H", data, at + 6)[0], struct.unpack_from("<H", data, at + 20)[0]
    wide = struct.unpack_from("<H", data, at + 24)[0] == 0x20B
    entry = at + 24 + (112 if wide else 96) + 8
    if optional < (128 if wide else 112):
        return
    rows = [struct.unpack_from("<IIII", data, at + 24 + optional + 40 * one + 8) for one in range(min(count, 96))]
    table = _place(rows, struct.unpack_from("<I", data, entry)[0])
    for number in range(MAX_IMPORTS):
        row = struct.unpack_from("<5I", data, table + 20 * number)
        if not row[3]:
            return
        name = _place(rows, row[3])
        yield data[name : data.index(b"\0", name, name + 260)].decode("latin-1")


def _place(rows: list[tuple[int, ...]], virtual: int) -> int:
    """Return the offset in the file of a virtual address; ValueError where no section holds it."""
    for size, start, raw, offset in rows:
        if start <= virtual < start + max(size, raw) and virtual:
            return virtual - start + offset
    raise ValueError("an address outside of every section")
