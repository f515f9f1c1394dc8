"""Doing exactly what a Plan says, so that it can be undone at any moment.

Order (each step is on disk before the next): checks that write nothing; the journal; every new content
staged beside its file; then, file by file, the original kept under its backup name and the staged file
renamed into place; everything read back; the mark that says done. Any failure undoes all of it.
"""

from __future__ import annotations

from guestfix import __version__
from guestfix.apply.home import clear_drafts, write_journal
from guestfix.apply.journal import FolderTimes, Journal, JournalEntry, dump_journal, missing_folders, next_home
from guestfix.apply.preflight import preflight
from guestfix.apply.undo import undo
from guestfix.backends.damage import remedy_of
from guestfix.base.digest import state_of
from guestfix.base.errors import ApplyError, GuestError
from guestfix.base.guest import GuestFS, GuestWriter, Meta
from guestfix.base.names import backup_name, beside, split
from guestfix.base.record import frozen
from guestfix.plan.model import Change, Plan, new_chunks
from guestfix.plan.planner import Progress


@frozen
class Receipt:
    """What apply did. ``applied`` and ``backups`` name guest paths; no journal means nothing was to do."""

    applied: tuple[str, ...]
    backups: dict[str, str]
    journal: str | None
    plan_digest: str


def apply_plan(guest: GuestWriter, plan: Plan, progress: Progress | None = None) -> Receipt:
    """Carry the Plan out. Afterwards every changed path holds its new content, and a journal exists.

    A plan that was applied already changes nothing. Raises Blocked or PlanError before anything is
    written; ApplyError where writing failed, with ``restored`` telling whether all was undone.
    """
    changes = preflight(guest, plan)
    if not changes:
        return Receipt((), {}, None, plan.digest)
    tell = progress or (lambda stage, done, total: None)
    _clear(guest)
    journal = _journal_for(guest, plan, changes)
    dump_journal(journal)
    try:
        _write(guest, changes, journal, tell)
    except (OSError, GuestError) as error:
        raise _undone(guest, journal, error) from error
    backups = {entry.path: entry.backup for entry in journal.entries if entry.backup}
    return Receipt(tuple(change.path for change in changes), backups, journal.file, plan.digest)


def _clear(guest: GuestWriter) -> None:
    """Clear what an apply left that died before its journal was there: it had touched nothing else."""
    try:
        clear_drafts(guest)
    except (OSError, GuestError) as error:
        what = "what an interrupted apply left can't be cleared, and nothing was changed"
        raise ApplyError(f"{what}: {error}", restored=True, remedy="fix the cause, then apply again") from error


def _undone(guest: GuestWriter, journal: Journal, error: OSError | GuestError) -> ApplyError:
    reason = error.what if isinstance(error, GuestError) else (error.strerror or str(error))
    where = error.where if isinstance(error, GuestError) else str(error.filename or "")
    try:
        undo(guest, journal)
    except (OSError, GuestError) as second:
        return ApplyError(
            f"writing failed ({reason}), and undoing it failed too ({second})",
            restored=False,
            where=where,
            remedy="fix the cause, then run: guestfix revert GUEST",
        )
    return ApplyError(
        f"writing failed: {reason}; everything is as it was before",
        restored=True,
        where=where,
        remedy=remedy_of(error) or "fix the cause (room, permission, a read-only mount), then apply again",
    )


def _journal_for(guest: GuestFS, plan: Plan, changes: tuple[Change, ...]) -> Journal:
    home = next_home(guest)
    entries = tuple(_entry_for(guest, change) for change in changes)
    made = missing_folders(guest, [f"{home}/journal.json", *(entry.path for entry in entries)])
    touched = {split(path)[0] for path in [*made, *(entry.path for entry in entries)]} - set(made)
    times = []
    for folder in sorted(touched):
        found = guest.stat(folder)
        if found is not None:
            times.append(FolderTimes(folder, found.atime_ns, found.mtime_ns))
    return Journal(home, plan.digest, entries, tuple(made), tuple(times), guestfix=__version__)


def _entry_for(guest: GuestFS, change: Change) -> JournalEntry:
    backup = backup_name(guest, change.path) if change.before is not None else None
    staged = beside(change.path, "new") if change.after is not None else None
    size = change.size if change.kind in ("edit", "create") else None
    return JournalEntry(change.path, change.kind, change.before, change.after, backup, staged, size)


def _write(guest: GuestWriter, changes: tuple[Change, ...], journal: Journal, tell: Progress) -> None:
    whole = sum(change.size for change in changes) or 1
    tell("write", 0, whole)
    write_journal(guest, journal)
    written = 0
    for change, entry in zip(changes, journal.entries, strict=True):
        if entry.staged is not None:
            _stage(guest, change, entry.staged)
        written += change.size
        tell("write", min(written, whole - 1), whole)
    for entry in journal.entries:
        _swap(guest, entry)
    for entry in journal.entries:
        if state_of(guest, entry.path) != entry.after:
            raise GuestError("what was written does not read back", where=entry.path)
    guest.put(journal.mark, [], Meta(0o600))
    tell("write", whole, whole)


def _stage(guest: GuestWriter, change: Change, staged: str) -> None:
    meta = guest.meta(change.path) if (change.before or "").startswith("sha256:") else change.meta or Meta()
    if change.kind == "link":
        guest.put_symlink(staged, change.target, change.meta or Meta())
    else:
        guest.put(staged, new_chunks(guest, change), meta)


def _swap(guest: GuestWriter, entry: JournalEntry) -> None:
    if entry.staged is None:
        guest.rename(entry.path, entry.backup or "")
        return
    if entry.backup is not None:
        guest.keep(entry.path, entry.backup)
    guest.rename(entry.staged, entry.path)
