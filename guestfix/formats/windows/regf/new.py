"""A new, empty hive: one root key and its security descriptor, in one bin."""

from __future__ import annotations

import struct

from guestfix.formats.windows.regf import keys
from guestfix.formats.windows.regf.store import BASE, I32, NONE, PAGE, U32, checksum

_ROOT, _BIN = 0x20, 32
_SYSTEM = struct.pack("<BB6BI", 1, 1, 0, 0, 0, 0, 0, 5, 18)
_ADMINISTRATORS = struct.pack("<BB6BII", 1, 2, 0, 0, 0, 0, 0, 5, 32, 544)
_USERS = struct.pack("<BB6BII", 1, 2, 0, 0, 0, 0, 0, 5, 32, 545)
_ALL_ACCESS, _READ, _CONTAINER_INHERIT = 0xF003F, 0x20019, 2


def _default_security() -> bytes:
    """Return a self-relative descriptor: Administrators and SYSTEM may do all, Users read; subkeys inherit it."""
    allowed = ((_ADMINISTRATORS, _ALL_ACCESS), (_SYSTEM, _ALL_ACCESS), (_USERS, _READ))
    aces = b"".join(struct.pack("<BBHI", 0, _CONTAINER_INHERIT, 8 + len(sid), mask) + sid for sid, mask in allowed)
    dacl = struct.pack("<BBHHH", 2, 0, 8 + len(aces), len(allowed), 0) + aces
    owner = 20 + len(dacl)
    head = struct.pack("<BBHIIII", 1, 0, 0x8004, owner, owner + len(_ADMINISTRATORS), 0, 20)
    return head + dacl + _ADMINISTRATORS + _SYSTEM


DEFAULT_SECURITY = _default_security()


def _cell(content: bytes) -> bytes:
    size = (len(content) + 4 + 7) & ~7
    return I32.pack(-size) + content.ljust(size - 4, b"\0")


def empty_hive(
    file_name: str = "",
    *,
    root_name: str = "ROOT",
    minor: int = 5,
    timestamp: int = 0,
    security: bytes = DEFAULT_SECURITY,
) -> bytes:
    """Return the bytes of a hive with nothing but a root key.

    ``file_name`` is what the base block says for debugging; ``minor`` the version 1.x, 3 to 6;
    ``timestamp`` (FILETIME) that of the base block and the root key.
    """
    flags = keys.FLAG_ROOT | keys.FLAG_NO_DELETE | keys.FLAG_COMPRESSED
    name = root_name.encode("latin-1")
    shared = _ROOT + ((76 + len(name) + 4 + 7) & ~7)
    node = keys.NK.pack(
        *(b"nk", flags, timestamp, 0, 0, 0, 0, NONE, NONE, 0, NONE, shared, NONE),
        *(0, 0, 0, 0, 0, len(name), 0),
    )
    record = struct.pack("<2sHIIII", b"sk", 0, shared, shared, 1, len(security)) + security
    cells = _cell(node + name) + _cell(record)
    size = -(-(_BIN + len(cells)) // PAGE) * PAGE
    if free := size - _BIN - len(cells):
        cells += I32.pack(free)
    hive_bin = (struct.pack("<4sII8xQ4x", b"hbin", 0, size, timestamp) + cells).ljust(size, b"\0")
    base = struct.pack("<4sIIQIIIIIII", b"regf", 1, 1, timestamp, 1, minor, 0, 1, _ROOT, size, 1)
    base += file_name[-31:].encode("utf-16-le", "surrogatepass")[:62].ljust(64, b"\0")
    data = bytearray(base.ljust(BASE, b"\0") + hive_bin)
    U32.pack_into(data, 508, checksum(data))
    return bytes(data)
