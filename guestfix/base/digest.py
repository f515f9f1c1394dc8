"""The state of one guest path as a short text: ``sha256:HEX``, ``link:TARGET``, or None for nothing there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from guestfix.base.errors import Unreadable
from guestfix.base.guest import GuestFS
from guestfix.base.patterns import regex

CHUNK = 1 << 20

STATE = regex(r"(?s)sha256:[0-9a-f]{64}|link:[^\0]{1,4095}")
"""What a state looks like, None apart."""


def digest_bytes(chunks: Iterable[bytes]) -> str:
    """Return the digest of a file's bytes."""
    total = hashlib.sha256()
    for chunk in chunks:
        total.update(chunk)
    return f"sha256:{total.hexdigest()}"


def state_of(guest: GuestFS, path: str) -> str | None:
    """Return the path's state. The last component is not followed. Raises Unreadable for other kinds."""
    found = guest.stat(path, follow=False)
    if found is None:
        return None
    if found.kind == "symlink":
        return f"link:{guest.readlink(path)}"
    if found.kind != "file":
        raise Unreadable(f"not a regular file ({found.kind})", where=path)
    return digest_bytes(chunks_of(guest, path))


def chunks_of(guest: GuestFS, path: str, start: int = 0, length: int | None = None) -> Iterable[bytes]:
    """Yield a file's bytes from ``start`` on, in pieces of at most 1 MiB; all of them or ``length``."""
    with guest.open(path) as stream:
        stream.seek(start)
        left = length
        while left is None or left > 0:
            chunk = stream.read(CHUNK if left is None else min(CHUNK, left))
            if not chunk:
                return
            left = None if left is None else left - len(chunk)
            yield chunk
