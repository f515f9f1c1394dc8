"""What must hold before apply writes anything: the guest is the plan's, there is room, and every name is free."""

from __future__ import annotations

from collections.abc import Iterable

from guestfix.apply.journal import MAX_ENTRIES, next_home, read_journals
from guestfix.base.digest import digest_bytes, state_of
from guestfix.base.errors import Blocked, GuestError, PlanError
from guestfix.base.guest import GuestFS
from guestfix.base.names import backup_name, beside, fits, path_problem, paths_problem, split
from guestfix.plan.learn import identity_of
from guestfix.plan.model import Change, Plan, new_chunks

SPARE_BYTES = 4 * 1024 * 1024
"""Room left over on every filesystem that is written to."""

SPARE_INODES = 16
_AGAIN = "make the plan again, review it"


def refuse_running_root(guest: GuestFS) -> None:
    """Raise Blocked for the root of the system that runs here, by whatever path it was named."""
    if getattr(guest, "is_running_root", False):
        what = "this is the root of the system that runs here, whose programs use these files now"
        raise Blocked(
            what, where=guest.uri, remedy="start another system to repair this one, or add --live", code="GF-RUN-LIVE"
        )


def begin(guest: GuestFS) -> None:
    """Let a guest that was read by a shorter way be read where it is written from now on."""
    getattr(guest, "begin", lambda: None)()


def preflight(guest: GuestFS, plan: Plan) -> tuple[Change, ...]:
    """Return the changes to do. Raises Blocked or PlanError where the Plan can't be applied now."""
    if plan.blockers:
        first = plan.blockers[0]
        raise Blocked(
            f"{len(plan.blockers)} finding(s) forbid it; the first: {first.code}: {first.summary}",
            where=str(first.evidence[0]) if first.evidence else "",
            remedy=first.remedy,
            code=first.code,
        )
    begin(guest)
    if plan.guest.get("identity") != identity_of(guest):
        what, remedy = "this plan was made for another guest", "make a plan for this one: guestfix report"
        raise PlanError(what, remedy=remedy, code="GF-PLAN-OTHER-GUEST")
    _paths_are_real(guest, plan.changes)
    next_home(guest)
    _no_unfinished(guest)
    states = {change.path: state_of(guest, change.path) for change in plan.changes}
    if all(states[change.path] == change.after for change in plan.changes):
        return ()
    for change in plan.changes:
        if states[change.path] != change.before:
            what = "the guest changed since the plan was made"
            raise PlanError(what, where=change.path, remedy=_AGAIN, code="GF-PLAN-OUTDATED")
        _names_are_free(guest, change)
        _content_is_told(guest, change)
    _enough_space(guest, plan.changes)
    return plan.changes


def _paths_are_real(guest: GuestFS, changes: tuple[Change, ...]) -> None:
    """Raise PlanError for a path that no plan of this guest could name, or that means the same as another."""
    if len(changes) > MAX_ENTRIES:
        raise PlanError(f"a plan has at most {MAX_ENTRIES} changes, and this one has {len(changes)}")
    for change in changes:
        if problem := path_problem(change.path):
            raise PlanError(f"a plan can't change this path: it is {problem}", where=ascii(change.path)[1:-1])
        folder = split(change.path)[0]
        if guest.realpath(folder) != folder:
            raise PlanError("the path leads through a link, or is spelled otherwise", where=change.path, remedy=_AGAIN)
        above = next(one for one in _upward(folder) if one == "/" or guest.stat(one) is not None)
        found = guest.stat(above)
        if found is not None and found.kind != "dir":
            raise PlanError(f"{above} is no folder", where=change.path, remedy=_AGAIN)
    fold = str.casefold if guest.case_insensitive else str
    if problem := paths_problem(fold(change.path) for change in changes):
        raise PlanError(f"the plan contradicts itself: {problem}")


def _upward(folder: str) -> Iterable[str]:
    """Yield a folder and those above it, innermost first."""
    while folder != "/":
        yield folder
        folder = split(folder)[0]
    yield "/"


def _no_unfinished(guest: GuestFS) -> None:
    for journal in read_journals(guest):
        if not journal.applied:
            what, code = "an earlier apply was interrupted", "GF-APPLY-UNFINISHED"
            raise Blocked(what, where=journal.home, remedy="run: guestfix revert GUEST", code=code)


def _names_are_free(guest: GuestFS, change: Change) -> None:
    """Raise Blocked where guestfix's own names beside a path are too long, or the staged one is taken."""
    staged = beside(change.path, "new")
    backup = backup_name(guest, change.path) if change.before is not None else staged
    if not fits(staged) or not fits(backup):
        raise Blocked("its name is too long for a backup beside it", where=change.path)
    if change.after is not None and guest.stat(staged, follow=False) is not None:
        what = "something has the name under which the new content is to be staged"
        raise Blocked(what, where=staged, remedy="move it away, or run: guestfix revert GUEST")


def _content_is_told(guest: GuestFS, change: Change) -> None:
    """Raise PlanError where a change would write something else than what its digest says."""
    if change.kind in ("delete", "link"):
        return
    found = guest.stat(change.path)
    size = found.size if found is not None and change.before is not None else 0
    grown = sum(len(one.data) - one.length for one in change.splices)
    if any(one.offset + one.length > size for one in change.splices) or size + grown != change.size:
        raise PlanError("the plan's changes don't fit the size of the file", where=change.path, remedy=_AGAIN)
    try:
        digest = digest_bytes(new_chunks(guest, change))
    except OSError as error:
        raise GuestError(f"can't be read: {error.strerror}", where=change.path) from error
    if digest != change.after:
        raise PlanError("the plan's changes make something else than it says", where=change.path, remedy=_AGAIN)


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
