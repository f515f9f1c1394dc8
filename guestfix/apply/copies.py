"""A second copy of what apply keeps, on the host: the originals before anything is written, then the journal.

The host folder is written to as a guest's is, by descriptors: a link in it leads nowhere else.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress

from guestfix.apply.apply import Receipt, carry_out
from guestfix.apply.preflight import preflight
from guestfix.backends.directory import DirectoryGuest
from guestfix.backends.guestlock import alone
from guestfix.base.digest import chunks_of
from guestfix.base.errors import ApplyError, Blocked
from guestfix.base.guest import GuestFS, GuestWriter, Meta
from guestfix.base.names import beside, parents
from guestfix.base.patterns import regex
from guestfix.base.record import replace
from guestfix.plan.model import Plan, dump_plan
from guestfix.plan.planner import Progress

_NUMBER = regex(r"[0-9]{4,9}")


def carry_out_with_copies(guest: GuestWriter, plan: Plan, folder: str, progress: Progress | None = None) -> Receipt:
    """Do what :func:`carry_out` does, with a second copy of all originals and of the journal on the host.

    Each apply that has something to do gets a new folder ``NNNN`` in ``folder``, so that none takes the originals of
    another; one without a ``journal.json`` is of an apply that did not end.
    """
    with alone(guest):
        if not preflight(guest, plan):
            return carry_out(guest, plan, progress)
        place = _new_place(folder)
        copy_originals(guest, plan, place)
        receipt = carry_out(guest, plan, progress)
        copy_journal(guest, receipt.journal, place)
        return replace(receipt, journal_copy=place)


def _new_place(folder: str) -> str:
    """Make a folder with the next number below a host folder. Raises Blocked."""
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        number = max((int(name) for name in os.listdir(folder) if _NUMBER.fullmatch(name)), default=0)
        while True:
            number += 1
            with suppress(FileExistsError):
                os.mkdir(place := os.path.join(folder, f"{number:04d}"), 0o700)
                return place
    except OSError as error:
        raise _not_kept(error, folder) from error


def _not_kept(error: OSError, folder: str) -> Blocked:
    return Blocked(
        f"can't keep a copy on the host: {error.strerror}",
        where=folder if error.filename in (None, folder) else f"{folder}: {error.filename}",
        remedy="fix the cause (room, permission), or name another folder: --journal-copy",
    )


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
        raise _not_kept(error, folder) from error


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
