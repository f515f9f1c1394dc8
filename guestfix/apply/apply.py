"""Doing exactly what a Plan says, so that it can be undone at any moment.

Order (each step is on disk before the next): checks that write nothing; the journal; every new content
staged beside its file; then, file by file, the original kept under its backup name and the staged file
renamed into place; everything read back; the mark that says done. Any failure undoes all of it, and so does the
wish to stop (:mod:`guestfix.base.stopping`), which is followed between two files.
"""

from __future__ import annotations

from guestfix import __version__
from guestfix.apply.home import clear_drafts, write_journal
from guestfix.apply.journal import (
    MAX_TOLD,
    SCHEMA,
    FolderTimes,
    Journal,
    JournalEntry,
    dump_journal,
    missing_folders,
    next_home,
)
from guestfix.apply.preflight import preflight, refuse_running_root
from guestfix.apply.undo import needs_no_saving, undo
from guestfix.backends.damage import remedy_of
from guestfix.backends.guestlock import alone
from guestfix.base.digest import state_of
from guestfix.base.errors import ApplyError, Blocked, GuestError, GuestfixError, Stopped
from guestfix.base.events import timestamp
from guestfix.base.guest import GuestFS, GuestWriter, Meta
from guestfix.base.names import backup_name, beside, split
from guestfix.base.record import asdict, frozen
from guestfix.base.stopping import Late, between, held, telling
from guestfix.base.text import to_json, utf8
from guestfix.plan.model import Change, Plan, new_chunks
from guestfix.plan.planner import Progress


@frozen
class Provenance:
    """Who changed a guest: which guestfix, with which rules, by which plan, for which target, and when (RFC 3339)."""

    guestfix: str
    pack: str
    pack_digest: str
    plan_digest: str
    target: str
    time: str


@frozen
class Receipt:
    """What apply did. ``applied`` and ``backups`` name guest paths; no journal means nothing was to do.

    ``journal_copy`` is the host folder that got a copy of the originals and the journal, where one was asked for.

    ``provenance`` is the stamp that the guest keeps beside the journal, in the file that says that apply is done.

    ``stopped`` tells who wished to stop it when only the last mark was missing, so that it was finished.
    """

    applied: tuple[str, ...]
    backups: dict[str, str]
    journal: str | None
    plan_digest: str
    stopped: str = ""
    journal_copy: str | None = None
    provenance: Provenance | None = None


def apply_plan(guest: GuestWriter, plan: Plan, progress: Progress | None = None) -> Receipt:
    """Carry the Plan out in a folder. Afterwards every changed path holds its new content, and a journal exists.

    A plan that was applied already changes nothing. Raises UsageError for disk images, whose changes would be lost
    (see :func:`guestfix.session`); Blocked or PlanError before anything is written, also while another guestfix
    changes this guest; Stopped where progress raises, and ApplyError where writing failed, with ``restored`` telling
    whether all was undone.
    """
    needs_no_saving(guest, "apply")
    refuse_running_root(guest)
    return carry_out(guest, plan, progress)


def carry_out(guest: GuestWriter, plan: Plan, progress: Progress | None = None) -> Receipt:
    """Do what :func:`apply_plan` does, for disk images too: their changes last once they are saved."""
    tell = telling(progress)
    with alone(guest):
        changes = preflight(guest, plan)
        if not changes:
            return Receipt((), {}, None, plan.digest)
        _clear(guest)
        journal = _journal_for(guest, plan, changes)
        provenance = _provenance(journal)
        dump_journal(journal)
        between()
        try:
            with held():
                stopped = _write(guest, changes, journal, _stamp(journal, provenance), tell)
        except Blocked:  # another host's journal came first, so nothing was touched
            raise
        except BaseException as error:
            with held():
                _undo(guest, journal, error)
            if not isinstance(error, OSError | GuestError | Stopped):
                raise
            raise _as_before(guest, error) from error
    paths = tuple(change.path for change in changes)
    return Receipt(paths, _backups(journal), journal.file, plan.digest, stopped, None, provenance)


def _backups(journal: Journal) -> dict[str, str]:
    return {entry.path: entry.backup for entry in journal.entries if entry.backup}


def _stamp(journal: Journal, provenance: Provenance) -> bytes:
    """Return the mark's content: the receipt, for whoever did not get to read what apply printed."""
    paths = [entry.path for entry in journal.entries]
    told = {"schema": SCHEMA, "provenance": asdict(provenance), "applied": paths, "backups": _backups(journal)}
    return (to_json({**told, "journal": journal.file}) + "\n").encode()


def _clear(guest: GuestWriter) -> None:
    """Clear what an apply left that died before its journal was there: it had touched nothing else."""
    try:
        clear_drafts(guest)
    except (OSError, GuestError) as error:
        what = "what an interrupted apply left can't be cleared, and nothing was changed"
        raise ApplyError(f"{what}: {error}", restored=True, remedy="fix the cause, then apply again") from error


def _undo(guest: GuestWriter, journal: Journal, error: BaseException) -> None:
    """Undo what was written. Raises ApplyError where that fails too."""
    try:
        undo(guest, journal)
    except (OSError, GuestError) as second:
        reason, where = _reason(error)
        raise ApplyError(
            f"{reason}, and undoing what was written failed too ({second})",
            restored=False,
            where=where,
            remedy="fix the cause, then run: guestfix revert GUEST",
        ) from error


def _as_before(guest: GuestFS, error: OSError | GuestError | Stopped) -> GuestfixError:
    """Return the error that says why all was undone."""
    if isinstance(error, Stopped):
        return Stopped("everything is as it was before", by=error.by, where=guest.uri, because=error.because)
    reason, where = _reason(error)
    return ApplyError(
        f"{reason}; everything is as it was before",
        restored=True,
        where=where,
        remedy=remedy_of(error) or "fix the cause (room, permission, a read-only mount), then apply again",
    )


def _reason(error: BaseException) -> tuple[str, str]:
    if isinstance(error, Stopped):
        return f"stopped by {error.by}", ""
    if isinstance(error, GuestError):
        return f"writing failed: {error.what}", error.where
    if isinstance(error, OSError):
        return f"writing failed: {error.strerror or error}", str(error.filename or "")
    return f"writing failed: {type(error).__name__}: {error}", ""


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
    pack, digest = (_short(plan.versions.get(name)) for name in ("pack", "pack_digest"))
    told = (False, __version__, pack, digest, _short(plan.target))
    return Journal(home, plan.digest, entries, tuple(made), tuple(times), *told)


def _provenance(journal: Journal) -> Provenance:
    who = (journal.guestfix, journal.pack, journal.pack_digest)
    return Provenance(*who, journal.plan_digest, journal.target, timestamp())


def _short(value: object) -> str:
    """Return a text of the plan as a journal may hold it."""
    return utf8(str(value or ""))[:MAX_TOLD]


def _entry_for(guest: GuestFS, change: Change) -> JournalEntry:
    backup = backup_name(guest, change.path) if change.before is not None else None
    staged = beside(change.path, "new") if change.after is not None else None
    size = change.size if change.kind in ("edit", "create") else None
    return JournalEntry(change.path, change.kind, change.before, change.after, backup, staged, size)


def _write(guest: GuestWriter, changes: tuple[Change, ...], journal: Journal, stamp: bytes, tell: Progress) -> str:
    """Write all, the mark last; return who wished to stop it when it was too late for that, or nothing."""
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
        between()
        _swap(guest, entry)
    for entry in journal.entries:
        if state_of(guest, entry.path) != entry.after:
            raise GuestError("what was written does not read back", where=entry.path)
    guest.put(journal.mark, [stamp], Meta(0o600))
    done = Late(tell)
    done("write", whole, whole)
    return done.by


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
