r"""Opening a guest's hives for reading, with their transaction logs; what is wrong with one is a finding."""

from __future__ import annotations

from guestfix.base.errors import GuestError
from guestfix.base.facts import Evidence, Finding
from guestfix.base.guest import GuestFS
from guestfix.formats.windows.regf import BadHive
from guestfix.formats.windows.regf.guestfile import open_guest_hive
from guestfix.formats.windows.registry import Registry


def open_registry(guest: GuestFS, path: str, name: str) -> tuple[Registry | None, Finding | None]:
    """Return the hive for reading, or None, and what is wrong with it, or None."""
    try:
        hive = open_guest_hive(guest, path)
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


def damaged(name: str, path: str, what: str) -> Finding:
    """Return the finding for a hive of which a part can't be read."""
    return Finding(
        "GF-WINDOWS-HIVE-DAMAGED",
        "blocker",
        f"the registry hive {name} can't be read as a whole: {what}",
        (Evidence(path, 0, what),),
        remedy="start the guest on the old platform, which repairs its hives, or restore it from a backup",
    )
