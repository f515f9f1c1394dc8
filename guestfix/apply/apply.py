"""Doing exactly what a Plan says, so that it can be undone at any moment.

Order (each step is on disk before the next): checks that write nothing; the journal; every new content
staged beside its file; then, file by file, the original kept under its backup name and the staged file
renamed into place; everything read back; the mark that says done. Any failure undoes all of it.
"""

from __future__ import annotations

from guestfix import __version__
from guestfix.apply.journal import (
    Entry,
    FolderTimes,
    Journal,
    dump_journal,
    home_of,
    journal_homes,
    make_folders,
    missing_folders,
    read_journal,
)
from guestfix.apply.undo import undo
from guestfix.base.digest import state_of
from guestfix.base.errors import ApplyError, Blocked, GuestError, PlanError
from guestfix.base.guest import GuestFS, GuestWriter, Meta
from guestfix.base.names import backup_name, beside, fits, split
from guestfix.base.record import frozen
from guestfix.plan.learn import identity_of
from guestfix.plan.model import Change, Plan, new_chunks
from guestfix.plan.planner import Progress

SPARE_BYTES = 4 * 1024 * 1024
"""Room left over on every filesystem that is written to."""

SPARE_INODES = 16


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
    journal = _journal_for(guest, plan, changes)
    try:
        _write(guest, changes, journal, tell)
    except (OSError, GuestError) as error:
        raise _undone(guest, journal, error) from error
    backups = {entry.path: entry.backup for entry in journal.entries if entry.backup}
    return Receipt(tuple(change.path for change in changes), backups, journal.file, plan.digest)


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
            remedy="mend the cause, then run: guestfix revert GUEST",
        )
    return ApplyError(
        f"writing failed: {reason}; everything is as it was before",
        restored=True,
        where=where,
        remedy="mend the cause (room, permission, a read-only mount), then apply again",
    )


def preflight(guest: GuestFS, plan: Plan) -> tuple[Change, ...]:
    """Return the changes to do. Raises Blocked or PlanError where the Plan can't be applied now."""
    if plan.blockers:
        first = plan.blockers[0]
        raise Blocked(
            f"{len(plan.blockers)} finding(s) forbid it; the first: {first.code}: {first.summary}",
            where=str(first.evidence[0]) if first.evidence else "",
            remedy=first.remedy,
        )
    if plan.guest.get("identity") != identity_of(guest):
        raise PlanError("this plan was made for another guest", remedy="make a plan for this one: guestfix report")
    _no_unfinished(guest)
    states = {change.path: state_of(guest, change.path) for change in plan.changes}
    if plan.changes and all(states[change.path] == change.after for change in plan.changes):
        return ()
    for change in plan.changes:
        if states[change.path] != change.before:
            raise PlanError(
                "the guest changed since the plan was made", where=change.path, remedy="make the plan again, review it"
            )
        if not fits(change.path):
            raise Blocked("its name is too long for a backup beside it", where=change.path)
    _enough_space(guest, plan.changes)
    return plan.changes


def _no_unfinished(guest: GuestFS) -> None:
    for home in journal_homes(guest):
        journal = read_journal(guest, home)
        if journal is None or not journal.applied:
            raise Blocked("an earlier apply was interrupted", where=home, remedy="run: guestfix revert GUEST")


def _enough_space(guest: GuestFS, changes: tuple[Change, ...]) -> None:
    wanted: dict[str, tuple[int, int]] = {}
    rooms = {}
    for change in changes:
        room = guest.space(split(change.path)[0])
        if room is not None:
            rooms[room.filesystem] = (room, split(change.path)[0])
            size, count = wanted.get(room.filesystem, (0, 0))
            wanted[room.filesystem] = (size + change.size, count + 2)
    for name, (size, count) in wanted.items():
        room, folder = rooms[name]
        if size + SPARE_BYTES > room.free_bytes:
            raise Blocked(
                f"not enough space: {size + SPARE_BYTES} bytes wanted, {room.free_bytes} free",
                where=folder,
                remedy="free space on this filesystem of the guest, or enlarge it",
            )
        if room.free_inodes is not None and count + SPARE_INODES > room.free_inodes:
            raise Blocked(f"not enough inodes: {count + SPARE_INODES} wanted, {room.free_inodes} free", where=folder)


def _journal_for(guest: GuestFS, plan: Plan, changes: tuple[Change, ...]) -> Journal:
    numbers = [int(home.rpartition("/")[2]) for home in journal_homes(guest)]
    home = f"{home_of(guest)}/{max(numbers, default=0) + 1:04d}"
    entries = tuple(_entry_for(guest, change) for change in changes)
    made = missing_folders(guest, [f"{home}/journal.json", *(entry.path for entry in entries)])
    touched = {split(path)[0] for path in [*made, *(entry.path for entry in entries)]} - set(made)
    times = []
    for folder in sorted(touched):
        found = guest.stat(folder)
        if found is not None:
            times.append(FolderTimes(folder, found.atime_ns, found.mtime_ns))
    return Journal(home, plan.digest, entries, tuple(made), tuple(times), guestfix=__version__)


def _entry_for(guest: GuestFS, change: Change) -> Entry:
    backup = backup_name(guest, change.path) if change.before is not None else None
    staged = beside(change.path, "new") if change.after is not None else None
    return Entry(change.path, change.kind, change.before, change.after, backup, staged)


def _write(guest: GuestWriter, changes: tuple[Change, ...], journal: Journal, tell: Progress) -> None:
    steps = 2 * len(changes) + 1
    _write_journal(guest, journal)
    for index, (change, entry) in enumerate(zip(changes, journal.entries, strict=True)):
        tell("write", index, steps)
        if entry.staged is not None:
            _stage(guest, change, entry.staged)
    for index, entry in enumerate(journal.entries):
        tell("write", len(changes) + index, steps)
        _swap(guest, entry)
    for entry in journal.entries:
        if state_of(guest, entry.path) != entry.after:
            raise GuestError("what was written does not read back", where=entry.path)
    guest.put(journal.mark, [], Meta(0o600))
    tell("write", steps, steps)


def _write_journal(guest: GuestWriter, journal: Journal) -> None:
    below = [folder for folder in journal.made_folders if journal.file.startswith(folder + "/")]
    make_folders(guest, below, 0o700)
    guest.put(f"{journal.file}.new", [dump_journal(journal)], Meta(0o600))
    guest.rename(f"{journal.file}.new", journal.file)
    make_folders(guest, [folder for folder in journal.made_folders if folder not in below])


def _stage(guest: GuestWriter, change: Change, staged: str) -> None:
    meta = guest.meta(change.path) if (change.before or "").startswith("sha256:") else change.meta or Meta()
    if change.kind == "link":
        guest.put_symlink(staged, change.target, change.meta or Meta())
    else:
        guest.put(staged, new_chunks(guest, change), meta)


def _swap(guest: GuestWriter, entry: Entry) -> None:
    if entry.staged is None:
        guest.rename(entry.path, entry.backup or "")
        return
    if entry.backup is not None:
        guest.keep(entry.path, entry.backup)
    guest.rename(entry.staged, entry.path)
