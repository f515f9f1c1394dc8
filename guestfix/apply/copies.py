"""A second copy of what apply keeps, on the host: the originals before anything is written, then the journal."""

from __future__ import annotations

import os
from collections.abc import Iterable

from guestfix.base.digest import chunks_of
from guestfix.base.errors import Blocked
from guestfix.base.guest import GuestFS
from guestfix.plan.model import Plan, dump_plan


def copy_originals(guest: GuestFS, plan: Plan, folder: str) -> None:
    """Copy every file that the plan changes to ``folder/originals``, and the plan beside it.

    Raises Blocked where the host folder can't be written; the guest is untouched then.
    """
    try:
        os.makedirs(folder, exist_ok=True)
        _write(os.path.join(folder, "plan.json"), [dump_plan(plan)])
        for change in plan.changes:
            if (change.before or "").startswith("sha256:"):
                place = os.path.join(folder, "originals", change.path.lstrip("/"))
                os.makedirs(os.path.dirname(place), exist_ok=True)
                _write(place, chunks_of(guest, change.path))
    except OSError as error:
        raise Blocked(
            f"can't keep a copy on the host: {error.strerror}", where=str(error.filename or folder)
        ) from error


def copy_journal(guest: GuestFS, journal: str | None, folder: str) -> None:
    """Copy the journal at this guest path to ``folder/journal.json``; None is no journal."""
    if journal:
        _write(os.path.join(folder, "journal.json"), chunks_of(guest, journal))


def _write(path: str, chunks: Iterable[bytes]) -> None:
    with open(path, "wb") as stream:
        for chunk in chunks:
            stream.write(chunk)
