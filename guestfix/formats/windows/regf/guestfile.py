"""Hives inside a guest: found with their transaction logs."""

from __future__ import annotations

from guestfix.base import bounds
from guestfix.base.errors import EditError, NotFound, TooLarge
from guestfix.base.guest import GuestFS
from guestfix.formats.windows.regf.hive import Hive
from guestfix.formats.windows.regf.store import BadHive

MAX_HIVE = bounds.HIVE
"""Bytes of a hive in a guest that are read at most."""
MAX_LOG = bounds.HIVE_LOG
"""Bytes of a log that are read at most: hashing this much takes about twenty seconds."""
LOGS = (".LOG1", ".LOG2", ".LOG")


def open_guest_hive(guest: GuestFS, path: str, *, timestamp: int | None = None) -> Hive:
    """Open the hive at a guest path; its logs beside it are read only where it is dirty.

    Raises BadHive, or what :meth:`GuestFS.read` raises.
    """
    data = guest.read(path, MAX_HIVE)
    hive = None if _needs_logs(data) else Hive.open(data, timestamp=timestamp)
    return hive or Hive.open(data, read_logs(guest, path), timestamp=timestamp)


def recovered(guest: GuestFS, path: str, data: bytes) -> bytes:
    """Return a hive's bytes with what its logs hold, as Windows would load it; data itself where it is clean.

    Raises EditError where its last write was not finished and can't be, or the hive is damaged.
    """
    if not _needs_logs(data):
        return data
    try:
        hive = Hive.open(data, read_logs(guest, path))
        refusal = hive.refusal
    except BadHive as error:
        refusal = error.what
    if refusal:
        raise EditError(f"the hive is not changed: {refusal}", where=path)
    hive.changed = True  # so that it is clean, with a number above those of its logs
    return hive.to_bytes()


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
