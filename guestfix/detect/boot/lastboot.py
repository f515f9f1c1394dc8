"""Which kernel ran last on the old platform, from the boot records in wtmp(5)."""

from __future__ import annotations

from guestfix.base.errors import GuestError
from guestfix.base.guest import GuestFS

WTMP = "/var/log/wtmp"
RECORD = 384
"""sizeof(struct utmp) on every Linux architecture with 32-bit times in it, x86 among them."""

TAIL = 2048 * RECORD
"""How much of the end is looked at: about two thousand logins."""

_BOOT_TIME, _HOST = 2, slice(76, 332)


def last_booted(guest: GuestFS) -> str | None:
    """Return the release that the last boot record names, or None."""
    try:
        stat = guest.stat(WTMP)
        if stat is None or stat.kind != "file" or stat.size < RECORD:
            return None
        with guest.open(WTMP) as stream:
            whole = stat.size // RECORD * RECORD
            stream.seek(max(0, whole - TAIL))
            data = stream.read(min(whole, TAIL))
    except (GuestError, OSError):
        return None
    for at in range(len(data) // RECORD * RECORD - RECORD, -1, -RECORD):
        record = data[at : at + RECORD]
        if record[:2] == _BOOT_TIME.to_bytes(2, "little"):
            release = record[_HOST].split(b"\0", 1)[0].decode("ascii", "replace")
            return release if release[:1].isdigit() and release.isprintable() else None
    return None
