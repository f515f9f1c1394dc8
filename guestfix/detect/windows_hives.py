r"""Opening a guest's hives for reading, with their transaction logs; what is wrong with one is a finding."""

from __future__ import annotations

from guestfix.errors import GuestError
from guestfix.facts import Evidence, Finding
from guestfix.formats.regf import BadHive, Hive
from guestfix.formats.winreg import Registry
from guestfix.guest import GuestFS

MAX_HIVE = 512 * 1024 * 1024
"""Bytes of a hive that are read at most; Windows itself allows 2 GB, real ones stay far below."""
LOGS = (".LOG1", ".LOG2", ".LOG")


def read_logs(guest: GuestFS, path: str) -> list[bytes]:
    """Return the bytes of a hive's transaction logs that exist, in the order in which they are replayed."""
    found = []
    for suffix in LOGS:
        try:
            if guest.stat(path + suffix) is not None:
                found.append(guest.read(path + suffix, MAX_HIVE))
        except GuestError:
            continue
    return found


def open_hive(guest: GuestFS, path: str) -> Hive:
    """Open a hive of the guest. Raises BadHive or another GuestError."""
    data = guest.read(path, MAX_HIVE)
    hive = Hive.open(data)
    if hive.dirty:
        logs = read_logs(guest, path)
        return Hive.open(data, logs) if logs else hive
    return hive


def open_registry(guest: GuestFS, path: str, name: str) -> tuple[Registry | None, Finding | None]:
    """Return the hive for reading, or None, and what is wrong with it, or None."""
    try:
        hive = open_hive(guest, path)
    except BadHive as error:
        return None, _finding("GF-WINDOWS-HIVE-DAMAGED", f"the registry hive {name} can't be read", path, error.what)
    except GuestError as error:
        return None, _finding("GF-WINDOWS-HIVE-UNREADABLE", f"the registry hive {name} can't be read", path, error.what)
    registry = Registry(hive, name, path)
    if hive.refusal:
        what = f"the registry hive {name} can be read, but must not be changed"
        return registry, _finding("GF-WINDOWS-HIVE-DIRTY", what, path, hive.refusal)
    return registry, None


def _finding(code: str, summary: str, path: str, what: str) -> Finding:
    return Finding(
        code,
        "blocker",
        f"{summary}: {what}",
        (Evidence(path, 0, what),),
        remedy="start the guest on the old platform and shut it down cleanly, which completes its registry",
    )
