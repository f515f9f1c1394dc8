"""A second copy of what apply keeps, on the host: the originals before anything is written, then the journal.

The host folder is written to as a guest's is, by descriptors: a link in it leads nowhere else.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from guestfix.backends.directory import DirectoryGuest
from guestfix.base.digest import chunks_of
from guestfix.base.errors import ApplyError, Blocked
from guestfix.base.guest import GuestFS, Meta
from guestfix.base.names import beside, parents
from guestfix.plan.model import Plan, dump_plan


def copy_originals(guest: GuestFS, plan: Plan, folder: str) -> None:
    """Copy every file that the plan changes to ``folder/originals``, and the plan beside it.

    Only the user may read the copies. Raises Blocked where the host folder can't be written; the guest is
    untouched then.
    """
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        copies = DirectoryGuest(folder)
        _write(copies, "/plan.json", [dump_plan(plan)])
        for change in plan.changes:
            if (change.before or "").startswith("sha256:"):
                _write(copies, f"/originals{change.path}", chunks_of(guest, change.path))
    except OSError as error:
        raise Blocked(
            f"can't keep a copy on the host: {error.strerror}",
            where=f"{folder}: {error.filename}",
            remedy="fix the cause (room, permission), or name another folder: --journal-copy",
        ) from error


def copy_journal(guest: GuestFS, journal: str | None, folder: str) -> None:
    """Copy the journal at this guest path to ``folder/journal.json``; None is no journal.

    Raises ApplyError where the host folder can't be written: the plan is applied by then.
    """
    try:
        if journal:
            _write(DirectoryGuest(folder), "/journal.json", chunks_of(guest, journal))
    except OSError as error:
        raise ApplyError(
            f"the plan was applied, but no copy of its journal could be kept on the host: {error.strerror}",
            restored=False,
            where=folder,
            remedy=f"copy {journal} from the guest, or undo the apply: guestfix revert",
        ) from error


def _write(copies: DirectoryGuest, path: str, chunks: Iterable[bytes]) -> None:
    """Write a copy; one that is there already stays until the new one is whole."""
    for above in parents(path):
        if copies.stat(above) is None:
            copies.mkdir(above, Meta(0o700))
    staged = beside(path, "new")
    if copies.stat(staged, follow=False) is not None:
        copies.drop(staged)
    copies.put(staged, chunks, Meta(0o600))
    copies.rename(staged, path)
