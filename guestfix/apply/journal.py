r"""The journal of one apply, kept inside the guest, so that revert needs nothing else.

It is a folder ``/var/lib/guestfix/NNNN`` (Windows: ``ProgramData\guestfix``) with ``journal.json``, which
is complete before the first file of the guest is touched, and an empty file ``applied`` once all is done.
Without ``applied`` the apply was interrupted; revert undoes it in either case.

A journal is a file of the guest, so whatever is read from it is hostile: it may name only paths that an
apply could have touched, and only guestfix's own names for what is kept and staged.
"""

from __future__ import annotations

import json

from guestfix.base.digest import STATE
from guestfix.base.errors import Blocked, GuestError, PlanError
from guestfix.base.guest import GuestFS
from guestfix.base.homes import FILE, MARK, journal_homes, numbered
from guestfix.base.names import (
    beside,
    home_of,
    home_problem,
    is_backup,
    parents,
    path_problem,
    paths_problem,
)
from guestfix.base.patterns import regex
from guestfix.base.record import asdict, frozen
from guestfix.base.strict import Malformed, Node, parse

SCHEMA = 1
MAX_JOURNAL = 4 * 1024 * 1024
MAX_VALUES = 400_000
MAX_ALL = 64 * 1024 * 1024
"""Bytes of all journals of a guest together."""
MAX_ENTRIES = 10_000
MAX_DIGITS = 150
"""Digits of a journal's number: far more than there will be journals, and few enough for a file's name."""
INT64 = (-(1 << 63), (1 << 63) - 1)
TOLD = ("pack", "pack_digest", "target")
"""Members that journals of old do not have."""
MAX_TOLD = 200
KINDS = ("edit", "create", "delete", "link")
_DIGEST = regex(r"[0-9a-f]{64}")
_REMEDY = "if no guestfix of yours wrote it, move that folder away, then try again"


@frozen
class JournalEntry:
    """One path of a plan: where its original is kept, and where its new content of ``size`` bytes is staged."""

    path: str
    kind: str
    before: str | None
    after: str | None
    backup: str | None
    staged: str | None
    size: int | None = None


@frozen
class FolderTimes:
    """The times of a folder before anything in it changed, in nanoseconds."""

    path: str
    atime_ns: int
    mtime_ns: int


@frozen
class Journal:
    """What one apply did or was about to do; by which guestfix, with which rule pack, for which target."""

    home: str
    plan_digest: str
    entries: tuple[JournalEntry, ...]
    made_folders: tuple[str, ...]
    folder_times: tuple[FolderTimes, ...]
    applied: bool = False
    guestfix: str = ""
    pack: str = ""
    pack_digest: str = ""
    target: str = ""

    @property
    def file(self) -> str:
        """Guest path of the journal itself."""
        return f"{self.home}/{FILE}"

    @property
    def mark(self) -> str:
        """Guest path of the file that says that apply was finished."""
        return f"{self.home}/{MARK}"

    @property
    def own_folders(self) -> tuple[str, ...]:
        """The folders that were made to hold the journal, outermost first; the last one is its home."""
        return tuple(folder for folder in self.made_folders if self.file.startswith(folder + "/"))


def next_home(guest: GuestFS) -> str:
    """Return the folder for a new journal, above all that are there. Raises Blocked where none can be kept."""
    problem = home_problem(guest)
    if problem is not None:
        where, what = problem
        raise Blocked(f"no journal can be kept in the guest: {what}", where=where, remedy="fix it, then apply again")
    numbers = numbered(guest)
    name = f"{int(numbers[-1]) + 1 if numbers else 1:04d}"
    if len(name) > MAX_DIGITS:
        where = f"{home_of(guest)}/{numbers[-1]}"
        raise Blocked("no journal can have a higher number than this has", where=where, remedy=_REMEDY)
    return f"{home_of(guest)}/{name}"


def dump_journal(journal: Journal) -> bytes:
    """Return the journal as JSON bytes. Raises Blocked where it would be larger than what revert reads."""
    data = {"schema": SCHEMA, **asdict(journal)}
    del data["applied"], data["home"]
    text = (json.dumps(data, indent=1, sort_keys=True) + "\n").encode()
    if len(text) > MAX_JOURNAL or len(journal.entries) > MAX_ENTRIES:
        raise Blocked("too many changes for one journal", remedy="apply fewer rules at a time: --only")
    return text


def read_journals(guest: GuestFS) -> list[Journal]:
    """Return all journals of the guest, oldest first. Raises PlanError where one isn't a journal of guestfix."""
    homes, total = journal_homes(guest), 0
    for home in homes:
        found = guest.stat(f"{home}/{FILE}", follow=False)
        total += found.size if found is not None else 0
        if total > MAX_ALL:
            raise PlanError(f"the journals of this guest have more than {MAX_ALL} bytes", where=home, remedy=_REMEDY)
    return [read_journal(guest, home) for home in homes]


def read_journal(guest: GuestFS, home: str) -> Journal:
    """Return the journal in this folder.

    Raises PlanError where the file isn't a journal: it is part of the guest, so it is not trusted further
    than that.
    """
    path = f"{home}/{FILE}"
    try:
        found = guest.stat(path, follow=False)
        if found is None or found.kind != "file":
            raise Malformed("not a regular file")
        applied = guest.stat(f"{home}/{MARK}", follow=False)
        if applied is not None and applied.kind != "file":
            raise Malformed(f"{MARK}: not a regular file")
        return _journal(parse(guest.read(path, MAX_JOURNAL), MAX_JOURNAL, MAX_VALUES), home, applied is not None)
    except ValueError as error:
        raise PlanError(f"not a journal of guestfix: {error}", where=path, remedy=_REMEDY) from error
    except GuestError as error:
        raise PlanError(f"the journal can't be read: {error.what}", where=path, remedy=_REMEDY) from error


def _journal(node: Node, home: str, applied: bool) -> Journal:
    needed = ("schema", "plan_digest", "entries", "made_folders", "folder_times", "guestfix")
    data = node.members(needed, TOLD)
    if data["schema"].integer(*INT64) != SCHEMA:
        raise Malformed(f"it has schema {data['schema'].value}, this guestfix reads {SCHEMA}")
    entries = tuple(_entry(item) for item in data["entries"].items(MAX_ENTRIES))
    problem = paths_problem(entry.path for entry in entries)
    if problem:
        raise Malformed(problem)
    above = {folder for path in (*(one.path for one in entries), f"{home}/{FILE}") for folder in parents(path)}
    made = tuple(_within(item, above) for item in data["made_folders"].items(MAX_ENTRIES * 10))
    times = tuple(_times(item, {"/", *above}) for item in data["folder_times"].items(MAX_ENTRIES * 10))
    digest = data["plan_digest"].text(64, _DIGEST)
    told = {name: data[name].text(MAX_TOLD) for name in TOLD if name in data}
    return Journal(home, digest, entries, made, times, applied, data["guestfix"].text(100), **told)


def _within(node: Node, above: set[str]) -> str:
    path = node.text(5000)
    if path not in above:
        raise node.wrong("a folder above a path of the journal")
    return path


def _times(node: Node, above: set[str]) -> FolderTimes:
    data = node.members(("path", "atime_ns", "mtime_ns"))
    path = _within(data["path"], above)
    return FolderTimes(path, data["atime_ns"].integer(*INT64), data["mtime_ns"].integer(*INT64))


def _entry(node: Node) -> JournalEntry:
    data = node.members(("path", "kind", "before", "after", "backup", "staged"), ("size",))
    path = data["path"].text(5000)
    if problem := path_problem(path):
        raise Malformed(f"{data['path'].at}: {path!a} is {problem}")
    states = [data[key].value and data[key].text(5000, STATE) for key in ("before", "after")]
    before, after = (state if state else None for state in states)
    backup, staged = data["backup"].value, data["staged"].value
    if (backup is None) != (before is None) or not (backup is None or is_backup(data["backup"].text(5000), path)):
        raise data["backup"].wrong("guestfix's own name for what was there before, null where nothing was")
    if staged != (None if after is None else beside(path, "new")):
        raise data["staged"].wrong("guestfix's own name for what is to be there, null where nothing is")
    size = data["size"].integer(0, INT64[1]) if "size" in data and data["size"].value is not None else None
    return JournalEntry(path, data["kind"].one_of(KINDS), before, after, backup, staged, size)


def missing_folders(guest: GuestFS, paths: list[str]) -> list[str]:
    """Return the folders above these paths that don't exist yet, outermost first, each once."""
    missing: dict[str, None] = {}
    for path in paths:
        for folder in parents(path):
            if guest.stat(folder) is None:
                missing.setdefault(folder)
    return list(missing)
