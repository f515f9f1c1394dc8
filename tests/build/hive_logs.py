"""Transaction logs of hives."""

from __future__ import annotations

import struct

from guestfix.formats.windows.regf import REG_BINARY, REG_DWORD, Hive, empty_hive
from guestfix.formats.windows.regf.logs import marvin32
from guestfix.formats.windows.regf.store import checksum

SECTOR = 512


def sealed(data: bytes | bytearray, **fields: int) -> bytes:
    """Return the base block (or a file that starts with one) with these fields and a right checksum."""
    out = bytearray(data)
    places = {"first": 4, "second": 8, "kind": 28, "size": 40, "flags": 144}
    for name, value in fields.items():
        struct.pack_into("<I", out, places[name], value)
    struct.pack_into("<I", out, 508, checksum(out))
    return bytes(out)


def two_states() -> tuple[bytes, bytes]:
    """Return a hive before and after edits that change several pages and add some."""
    hive = Hive.open(empty_hive("TEST", timestamp=99))
    for number in range(200):
        hive.set_value(f"Key{number}", "Value", REG_DWORD, number)
    before = hive.to_bytes()
    hive = Hive.open(before)
    for number in range(0, 200, 9):
        hive.set_value(f"Key{number}", "Value", REG_DWORD, 1000 + number)
    hive.set_value("New", "Data", REG_BINARY, bytes(range(250)) * 40)
    return before, hive.to_bytes()


def changed_pages(before: bytes, after: bytes, size: int) -> list[int]:
    return [at for at in range(4096, len(after), size) if before[at : at + size] != after[at : at + size]]


def entry(before: bytes, after: bytes, sequence: int) -> bytes:
    """Return one entry of a log of the new format that turns before into after."""
    pages = changed_pages(before, after, 4096)
    references = b"".join(struct.pack("<II", at - 4096, 4096) for at in pages)
    body = references + b"".join(after[at : at + 4096] for at in pages)
    length = -(-(40 + len(body)) // SECTOR) * SECTOR
    body = body.ljust(length - 40, b"\0")
    head = struct.pack("<4sIIIIIQ", b"HvLE", length, 0, sequence, len(after) - 4096, len(pages), marvin32(body))
    return head + struct.pack("<Q", marvin32(head)) + body


def new_log(base: bytes, *entries: bytes, sequence: int) -> bytes:
    return sealed(base[:SECTOR], first=sequence, second=sequence, kind=6) + b"".join(entries)
