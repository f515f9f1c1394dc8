"""What applies there were in a guest, whether each is finished, and what of it is still as it was applied."""

from __future__ import annotations

from typing import Annotated

from guestfix.apply.journal import KINDS, Journal, JournalEntry, read_journals
from guestfix.backends.guestlock import busy
from guestfix.base.bounds import SMALL_TEXT
from guestfix.base.digest import state_of
from guestfix.base.errors import GuestError
from guestfix.base.guest import GuestFS
from guestfix.base.record import Says, frozen
from guestfix.formats import firststart
from guestfix.formats.firststart import FirstStart
from guestfix.formats.windows import firststart as windows

SCHEMA = 1
"""Number of the JSON form of a status."""

FILE_STATES = ("applied", "original", "changed", "missing", "unreadable")
"""As apply left it; as it was before; something else, which somebody wrote since; not there; can't be read."""

ORIGINAL_STATES = ("kept", "none", "changed", "missing")
"""The original is beside it, whole; there was none, or it is back in its place; it is not what it was; it is gone."""

MOST_PROGRAMS = 1000

APPLY_STATES = ("finished", "running", "interrupted")

GUEST_STATES = ("none", "applied", "changed", "running", "interrupted")
"""The whole: nothing of guestfix is in it; applied, and as it was applied; changed since; another guestfix changes it
now; an apply did not end."""


@frozen
class AppliedFile:
    """One path that an apply changed. ``state`` is one of FILE_STATES, ``original`` one of ORIGINAL_STATES.

    Of a path that a later apply changed again, ``state`` is that before the later one. ``backup`` is where the
    original is kept, None where nothing was there before.
    """

    path: str
    kind: Annotated[str, Says(enum=KINDS)]
    state: Annotated[str, Says(enum=FILE_STATES, description="of a path that a later apply changed: before that")]
    backup: str | None
    original: Annotated[str, Says(enum=ORIGINAL_STATES)]


@frozen
class AppliedPlan:
    """One apply. ``state`` is one of APPLY_STATES; ``journal`` is the guest path of its journal.

    What is told of guestfix, the pack and the target is what the journal says; of journals of old it may be empty.
    """

    journal: str
    state: Annotated[str, Says(enum=APPLY_STATES)]
    plan_digest: str
    guestfix: str
    pack: str
    pack_digest: str
    target: str
    files: tuple[AppliedFile, ...]


@frozen
class GuestStatus:
    """Every apply whose journal is in the guest, oldest first. ``running``: another guestfix changes it now.

    ``first_start`` is what the guest kept of installing what was brought; None where it has not begun that.
    """

    uri: str
    running: bool
    applies: tuple[AppliedPlan, ...]
    first_start: FirstStart | None = None

    @property
    def state(self) -> str:
        """One of GUEST_STATES."""
        if self.running:
            return "running"
        if any(one.state == "interrupted" for one in self.applies):
            return "interrupted"
        if self.changed_since:
            return "changed"
        return "applied" if self.applies else "none"

    @property
    def still_applied(self) -> tuple[str, ...]:
        """The paths that are as their last apply left them."""
        return tuple(path for path, one in self._last().items() if one.state == "applied")

    @property
    def changed_since(self) -> tuple[str, ...]:
        """The paths of finished applies that are neither as their last apply left them nor as they were before."""
        done = self._last()
        return tuple(path for path, one in done.items() if one.state not in ("applied", "original"))

    def _last(self) -> dict[str, AppliedFile]:
        return {file.path: file for one in self.applies if one.state == "finished" for file in one.files}


def status_of(guest: GuestFS) -> GuestStatus:
    """Return what applies there are in the guest. Nothing is written.

    Raises PlanError where a journal is none of guestfix's: it is a file of the guest.
    """
    running = busy(guest)
    journals = read_journals(guest)
    later: dict[str, str | None] = {}
    applies = []
    for journal in reversed(journals):
        last = journal is journals[-1]
        state = "finished" if journal.applied else "running" if running and last else "interrupted"
        applies.append(_plan(guest, journal, state, later))
        later |= {entry.path: entry.before for entry in journal.entries}
    return GuestStatus(guest.uri, running, tuple(reversed(applies)), _first_start(guest))


def _first_start(guest: GuestFS) -> FirstStart | None:
    try:
        begun = guest.stat(firststart.MARKER, follow=False)
        if begun is None or begun.kind != "dir":
            return _windows_start(guest)
        return firststart.read_outcome(guest.read(firststart.OUTCOME, SMALL_TEXT))
    except GuestError:
        return FirstStart("", "", ())


def _windows_start(guest: GuestFS) -> FirstStart | None:
    from guestfix.detect.windows.detector import find_root  # most guests are no Windows

    for root in find_root(guest):
        folder = f"{root}/{windows.FOLDER}"
        marker = guest.stat(f"{folder}/{windows.MARKER}", follow=False)
        if marker is not None:
            return _windows_outcome(guest, folder)
    return None


def _windows_outcome(guest: GuestFS, folder: str) -> FirstStart:
    programs = f"{folder}/{windows.PROGRAMS_FOLDER}"
    there = guest.stat(programs, follow=False)
    names = guest.list(programs)[:MOST_PROGRAMS] if there is not None and there.kind == "dir" else ()
    exits = {
        name: guest.read(f"{programs}/{name}{windows.EXIT}", SMALL_TEXT) if f"{name}{windows.EXIT}" in names else None
        for name in names
        if name.lower().endswith(windows.KINDS)
    }
    marker = guest.read(f"{folder}/{windows.MARKER}", SMALL_TEXT)
    return windows.read_outcome(marker, exits, f"{folder}/{windows.LOG}")


def _plan(guest: GuestFS, journal: Journal, state: str, later: dict[str, str | None]) -> AppliedPlan:
    files = tuple(_file(guest, entry, later) for entry in journal.entries)
    told = (journal.guestfix, journal.pack, journal.pack_digest, journal.target)
    return AppliedPlan(journal.file, state, journal.plan_digest, *told, files)


def _file(guest: GuestFS, entry: JournalEntry, later: dict[str, str | None]) -> AppliedFile:
    try:
        now = later[entry.path] if entry.path in later else state_of(guest, entry.path)
    except GuestError:
        return AppliedFile(entry.path, entry.kind, "unreadable", entry.backup, _original(guest, entry, ""))
    state = "changed"
    if now == entry.after:
        state = "applied"
    elif now == entry.before:
        state = "original"
    elif now is None:
        state = "missing"
    return AppliedFile(entry.path, entry.kind, state, entry.backup, _original(guest, entry, now))


def _original(guest: GuestFS, entry: JournalEntry, now: str | None) -> str:
    if entry.backup is None or now == entry.before:
        return "none"
    try:
        kept = state_of(guest, entry.backup)
    except GuestError:
        return "changed"
    return "kept" if kept == entry.before else "missing" if kept is None else "changed"
