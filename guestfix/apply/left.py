"""In which state each path is that an apply or revert left half done."""

from __future__ import annotations

from typing import Annotated

from guestfix.apply.journal import JournalEntry, read_journals
from guestfix.base.digest import state_of
from guestfix.base.errors import GuestError
from guestfix.base.guest import GuestFS
from guestfix.base.record import Says, frozen

STATES = ("original", "planned", "absent", "other", "unreadable")


@frozen
class Left:
    """One path: ``original`` as before, ``planned`` as apply makes it, ``absent``, ``other``, or ``unreadable``.

    ``original`` is where its original is kept, None where there is none or it lies at its own place.
    """

    path: str
    state: Annotated[str, Says(enum=STATES)]
    original: str | None


def left(guest: GuestFS) -> tuple[Left, ...]:
    """Return the state of every path of every journal in the guest, the newest journal's first. Raises PlanError."""
    return tuple(_left(guest, entry) for journal in read_journals(guest)[::-1] for entry in journal.entries)


def _left(guest: GuestFS, entry: JournalEntry) -> Left:
    now = _state(guest, entry.path)
    names = {entry.after: "planned", entry.before: "original", "": "unreadable"}
    kept = entry.backup if entry.backup is not None and _state(guest, entry.backup) == entry.before else None
    return Left(entry.path, names.get(now, "absent" if now is None else "other"), kept)


def _state(guest: GuestFS, path: str) -> str | None:
    try:
        return state_of(guest, path)
    except GuestError:
        return ""
