"""Undoing an apply, finished or interrupted, from its journal. It may itself be interrupted and run again.

Nothing is removed that apply did not make: a path, a kept original and a staged file are told by their digests,
and what is half written by its size, mode and the lack of a second name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from guestfix.apply.home import clear_drafts, drop_empty_home, remove_journal, set_folder_times
from guestfix.apply.journal import Journal, JournalEntry, read_journals
from guestfix.apply.preflight import begin, refuse_running_root
from guestfix.backends.guestlock import alone
from guestfix.base.digest import state_of
from guestfix.base.errors import ApplyError, Blocked, GuestError, UsageError
from guestfix.base.guest import GuestFS, GuestWriter
from guestfix.base.names import backup_name
from guestfix.base.record import frozen
from guestfix.base.stopping import Late, held, telling
from guestfix.plan.planner import Progress


@frozen
class Reverted:
    """What revert did: the paths restored, and those whose later changes it set aside.

    ``stopped`` tells who wished to stop it after it had begun, so that it was finished.
    """

    restored: tuple[str, ...]
    journals: tuple[str, ...]
    kept_aside: dict[str, str]
    stopped: str = ""


def revert(guest: GuestWriter, *, force: bool = False, progress: Progress | None = None) -> Reverted:
    """Undo every apply whose journal is in the guest, a folder, the newest first.

    Afterwards every path has its bytes, mode, owner, times and extended attributes of before, every folder its
    times, and no journal is left. A path that somebody changed after apply is Blocked, with nothing done; with
    force that later content is kept beside it under a backup name. Blocked too where an original is missing,
    another file has the name of a staged one, or another guestfix changes the guest. Raises ApplyError where writing
    fails, and UsageError for disk images (see :func:`guestfix.session`).
    """
    needs_no_saving(guest, "revert")
    refuse_running_root(guest)
    return take_back(guest, force=force, progress=progress)


def take_back(guest: GuestWriter, *, force: bool = False, progress: Progress | None = None) -> Reverted:
    """Do what :func:`revert` does, for disk images too: their changes last once they are saved.

    A wish to stop is followed until the first write, with Stopped; from there on the end is as near as the begin, and
    leaves less behind.
    """
    tell = telling(progress)
    with alone(guest):
        begin(guest)
        journals = read_journals(guest)[::-1]
        _refuse(guest, journals, force)
        tell("write", 0, sum(map(_bytes, journals)))
        late = Late(tell)
        with held():
            restored, aside = _restore(guest, journals, late)
    done = tuple(one.home for one in journals[::-1])
    return Reverted(tuple(dict.fromkeys(restored)), done, aside, late.by if journals else "")


def _restore(guest: GuestWriter, journals: Sequence[Journal], tell: Progress) -> tuple[list[str], dict[str, str]]:
    restored: list[str] = []
    aside: dict[str, str] = {}
    where = ""
    try:
        for index, journal in enumerate(journals):
            where = journal.home
            aside |= _set_aside(guest, [entry for entry in journal.entries if not _ours(guest, entry)])
            undo(guest, journal)
            restored += [entry.path for entry in journal.entries]
            tell("write", sum(map(_bytes, journals[: index + 1])), sum(map(_bytes, journals)))
        drop_empty_home(guest)
        clear_drafts(guest)
    except (OSError, GuestError) as error:
        what = error.what if isinstance(error, GuestError) else (error.strerror or str(error))
        place = error.where if isinstance(error, GuestError) else str(error.filename or "")
        raise ApplyError(
            f"restoring failed: {what}",
            restored=False,
            where=place or where,
            remedy="fix the cause, then run revert again: it resumes where it stopped",
        ) from error
    return restored, aside


def _bytes(journal: Journal) -> int:
    """Return what an apply wrote, at least 1, in bytes: how far undoing all of it is."""
    return max(sum(entry.size or 0 for entry in journal.entries), 1)


def needs_no_saving(guest: GuestFS, method: str) -> None:
    """Raise UsageError for a guest whose changes are lost where nobody saves them."""
    if getattr(guest, "needs_saving", False):
        raise UsageError(
            "what is changed on disk images is lost unless it is saved, which this function does not do",
            where=guest.uri,
            remedy=f"with guestfix.session(IMAGES) as session: session.{method}(...); session.save(...)",
        )


def _refuse(guest: GuestFS, journals: Iterable[Journal], force: bool) -> None:
    """Raise Blocked before anything is done, for what would stop the undoing of any of these journals."""
    later: dict[str, str | None] = {}
    for journal in journals:
        changed = []
        for entry in journal.entries:
            now = later[entry.path] if entry.path in later else _state(guest, entry.path)
            later[entry.path] = entry.before
            if not _is_ours(entry, now):
                changed.append(entry.path)
            if entry.backup is not None and now != entry.before and _state(guest, entry.backup) != entry.before:
                what = "the kept original is missing or was changed"
                raise Blocked(what, where=entry.backup, remedy=f"put the original of {entry.path} there")
            if _is_taken(guest, journal, entry):
                what = "this name is taken by something that apply did not make"
                raise Blocked(what, where=entry.staged or "", remedy="move it away, then run revert again")
        if changed and not force:
            names = ", ".join(changed)
            raise Blocked(f"changed since apply: {names}", where=journal.home, remedy="to undo all the same: --force")


def _state(guest: GuestFS, path: str) -> str | None:
    """Return the path's state, or a text that is none where it is of another kind or can't be read."""
    try:
        return state_of(guest, path)
    except GuestError:
        return "unreadable"


def _ours(guest: GuestFS, entry: JournalEntry) -> bool:
    """Tell whether the path is as apply left it, or as it was before, or half way between."""
    return _is_ours(entry, _state(guest, entry.path))


def _is_ours(entry: JournalEntry, now: str | None) -> bool:
    return now in (entry.before, entry.after) or (now is None and entry.backup is not None)


def _set_aside(guest: GuestWriter, entries: Iterable[JournalEntry]) -> dict[str, str]:
    aside = {}
    for entry in entries:
        aside[entry.path] = backup_name(guest, entry.path)
        guest.rename(entry.path, aside[entry.path])
    return aside


def undo(guest: GuestWriter, journal: Journal) -> None:
    """Bring every path of the journal back and remove the journal.

    Raises OSError where writing fails, and GuestError where an original is not what the journal says.
    """
    for entry in reversed(journal.entries):
        _undo_entry(guest, journal, entry)
    for folder in reversed([folder for folder in journal.made_folders if folder not in journal.own_folders]):
        _drop_folder(guest, folder)
    for times in journal.folder_times:
        set_folder_times(guest, times)
    remove_journal(guest, journal)


def _undo_entry(guest: GuestWriter, journal: Journal, entry: JournalEntry) -> None:
    waiting = entry.staged is not None and _is_staged(guest, journal, entry)
    if waiting:
        guest.drop(entry.staged or "")
    now = _state(guest, entry.path)
    if entry.backup is None:
        if now is not None and now == entry.after and not waiting:
            guest.drop(entry.path)
        return
    kept = _state(guest, entry.backup)
    if now == entry.before:
        # Two names of one file: rename(2) would do nothing and leave both.
        if kept == entry.before or _is_part(guest, entry.backup, entry.path):
            guest.drop(entry.backup)
        return
    if kept != entry.before:
        raise GuestError("the kept original is missing or was changed", where=entry.backup)
    guest.rename(entry.backup, entry.path)


def _is_staged(guest: GuestFS, journal: Journal, entry: JournalEntry) -> bool:
    """Tell whether what has the staged name was made by this apply, which had not come to rename it."""
    found = None if journal.applied or entry.staged is None else guest.stat(entry.staged, follow=False)
    if found is None or entry.staged is None or found.kind not in ("file", "symlink"):
        return False
    if state_of(guest, entry.staged) == entry.after:
        return True
    small = entry.size is None or found.size <= entry.size
    return found.kind == "file" and found.mode == 0o600 and found.nlink == 1 and small


def _is_taken(guest: GuestFS, journal: Journal, entry: JournalEntry) -> bool:
    """Tell whether something else has the staged name of an apply that was interrupted."""
    if journal.applied or entry.staged is None or guest.stat(entry.staged, follow=False) is None:
        return False
    return not _is_staged(guest, journal, entry)


def _is_part(guest: GuestFS, backup: str, path: str) -> bool:
    """Tell whether a backup is the beginning of its original: a copy that was interrupted."""
    found = guest.stat(backup, follow=False)
    if found is None or found.kind != "file" or found.nlink != 1:
        return False
    with guest.open(backup) as part, guest.open(path) as whole:
        while data := part.read(1 << 20):
            if whole.read(len(data)) != data:
                return False
    return True


def _drop_folder(guest: GuestWriter, folder: str) -> None:
    """Remove a folder that apply made, unless somebody has put something in it since."""
    found = guest.stat(folder, follow=False)
    if found is not None and found.kind == "dir" and not guest.list(folder):
        guest.drop(folder)
