"""Undoing an apply, finished or interrupted, from its journal. It may itself be interrupted and run again."""

from __future__ import annotations

from collections.abc import Iterable

from guestfix.apply.journal import Entry, Journal, home_of, journal_homes, read_journal
from guestfix.base.digest import state_of
from guestfix.base.errors import ApplyError, Blocked, GuestError
from guestfix.base.guest import GuestFS, GuestWriter
from guestfix.base.names import backup_name
from guestfix.base.record import frozen


@frozen
class Reverted:
    """What revert did: the paths restored, and those whose later changes it set aside."""

    restored: tuple[str, ...]
    journals: tuple[str, ...]
    kept_aside: dict[str, str]


def revert(guest: GuestWriter, *, force: bool = False) -> Reverted:
    """Undo every apply whose journal is in the guest, the newest first.

    Afterwards every path has its bytes, mode, owner, times and extended attributes of before, and no
    journal is left. A path that somebody changed after apply is Blocked, with nothing done; with force
    that later content is kept beside it under a backup name. Raises ApplyError where writing fails.
    """
    restored: list[str] = []
    aside: dict[str, str] = {}
    homes = journal_homes(guest)
    for home in reversed(homes):
        journal = read_journal(guest, home)
        try:
            if journal is None:
                _drop_empty_home(guest, home)
                continue
            changed = [entry for entry in journal.entries if not _ours(guest, entry)]
            if changed and not force:
                names = ", ".join(entry.path for entry in changed)
                raise Blocked(f"changed since apply: {names}", where=home, remedy="to undo all the same: --force")
            aside |= _set_aside(guest, changed)
            undo(guest, journal)
        except OSError as error:
            raise ApplyError(
                f"restoring failed: {error.strerror or error}",
                restored=False,
                where=str(error.filename or home),
                remedy="mend the cause, then run revert again: it goes on where it stopped",
            ) from error
        restored += [entry.path for entry in journal.entries]
    if not homes:
        _drop_folder(guest, home_of(guest))
    return Reverted(tuple(dict.fromkeys(restored)), tuple(homes), aside)


def _ours(guest: GuestFS, entry: Entry) -> bool:
    """Tell whether the path is as apply left it, or as it was before, or half way between."""
    try:
        now = state_of(guest, entry.path)
    except GuestError:
        return False
    return now in (entry.before, entry.after) or (now is None and entry.backup is not None)


def _set_aside(guest: GuestWriter, entries: Iterable[Entry]) -> dict[str, str]:
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
        _undo_entry(guest, entry)
    inside = [folder for folder in journal.made_folders if (journal.file + "/").startswith(folder + "/")]
    for folder in reversed([folder for folder in journal.made_folders if folder not in inside]):
        _drop_folder(guest, folder)
    for file in (journal.mark, f"{journal.file}.new"):
        _drop(guest, file)
    _restore_times(guest, journal)
    _drop(guest, journal.file)
    for folder in reversed(inside):
        _drop_folder(guest, folder)
    _restore_times(guest, journal)


def _restore_times(guest: GuestWriter, journal: Journal) -> None:
    for folder in journal.folder_times:
        now = guest.stat(folder.path)
        if now is not None and now.mtime_ns != folder.mtime_ns:
            guest.set_times(folder.path, folder.atime_ns, folder.mtime_ns)


def _undo_entry(guest: GuestWriter, entry: Entry) -> None:
    if entry.staged is not None:
        _drop(guest, entry.staged)
    now = state_of(guest, entry.path)
    if entry.backup is None:
        if now is not None and now == entry.after:
            guest.drop(entry.path)
        return
    kept = state_of(guest, entry.backup)
    if now == entry.before:
        # Two names of one file: rename(2) would do nothing and leave both.
        if kept is not None:
            guest.drop(entry.backup)
        return
    if kept != entry.before:
        raise GuestError("the kept original is missing or was changed", where=entry.backup)
    guest.rename(entry.backup, entry.path)


def _drop(guest: GuestWriter, path: str) -> None:
    if guest.stat(path, follow=False) is not None:
        guest.drop(path)


def _drop_folder(guest: GuestWriter, folder: str) -> None:
    """Remove a folder that apply made, unless somebody has put something in it since."""
    if guest.stat(folder, follow=False) is not None and not guest.list(folder):
        guest.drop(folder)


def _drop_empty_home(guest: GuestWriter, home: str) -> None:
    """Clean up after an apply that died before its journal was complete: it had touched nothing else."""
    _drop(guest, f"{home}/journal.json.new")
    for folder in (home, home_of(guest)):
        _drop_folder(guest, folder)
