"""Hives inside a guest: found with their transaction logs."""

from __future__ import annotations

from guestfix.base.errors import NotFound, TooLarge
from guestfix.base.guest import GuestFS
from guestfix.formats.windows.regf.hive import Hive

MAX_HIVE = 1024 * 1024 * 1024
"""Bytes of a hive in a guest that are read at most."""
MAX_LOG = 128 * 1024 * 1024
"""Bytes of a log that are read at most: hashing this much takes about twenty seconds."""
LOGS = (".LOG1", ".LOG2", ".LOG")


def open_guest_hive(guest: GuestFS, path: str, *, timestamp: int | None = None) -> Hive:
    """Open the hive at a guest path; its logs beside it are read only where it is dirty.

    Raises BadHive, or what :meth:`GuestFS.read` raises.
    """
    data = guest.read(path, MAX_HIVE)
    hive = None if _needs_logs(data) else Hive.open(data, timestamp=timestamp)
    return hive or Hive.open(data, read_logs(guest, path), timestamp=timestamp)


def _needs_logs(data: bytes) -> bool:
    from guestfix.formats.windows.regf.hive import is_clean

    return not is_clean(data)


def read_logs(guest: GuestFS, path: str) -> list[bytes]:
    """Return the bytes of the transaction logs beside a hive, in their order, but absent, empty and huge ones."""
    folder, _, name = path.rpartition("/")
    names = {one.lower(): one for one in guest.list(folder or "/")}
    logs = []
    for suffix in LOGS:
        found = names.get(f"{name}{suffix}".lower())
        try:
            logs.append(guest.read(f"{folder}/{found}", MAX_LOG) if found else b"")
        except (NotFound, TooLarge):
            continue
    return [log for log in logs if log]
