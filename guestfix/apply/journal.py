r"""The journal of one apply, kept inside the guest, so that revert needs nothing else.

It is a folder ``/var/lib/guestfix/NNNN`` (Windows: ``ProgramData\guestfix``) with ``journal.json``, which
is complete before the first file of the guest is touched, and an empty file ``applied`` once all is done.
Without ``applied`` the apply was interrupted; revert undoes it in either case.
"""

from __future__ import annotations

import json
from typing import Any

from guestfix.base.errors import GuestError, PlanError
from guestfix.base.guest import GuestFS, GuestWriter, Meta
from guestfix.base.names import parents
from guestfix.base.record import asdict, frozen
from guestfix.plan.labels import with_label

LINUX_HOME = "/var/lib/guestfix"
WINDOWS_HOME = "/ProgramData/guestfix"
SCHEMA = 1
MAX_JOURNAL = 64 * 1024 * 1024


@frozen
class Entry:
    """One path of a plan: where its original is kept, and where its new content is staged."""

    path: str
    kind: str
    before: str | None
    after: str | None
    backup: str | None
    staged: str | None


@frozen
class FolderTimes:
    """The times of a folder before anything in it changed, in nanoseconds."""

    path: str
    atime_ns: int
    mtime_ns: int


@frozen
class Journal:
    """What one apply did or was about to do."""

    home: str
    plan_digest: str
    entries: tuple[Entry, ...]
    made_folders: tuple[str, ...]
    folder_times: tuple[FolderTimes, ...]
    applied: bool = False
    guestfix: str = ""

    @property
    def file(self) -> str:
        """Guest path of the journal itself."""
        return f"{self.home}/journal.json"

    @property
    def mark(self) -> str:
        """Guest path of the file that says that apply was finished."""
        return f"{self.home}/applied"


def home_of(guest: GuestFS) -> str:
    """Return the folder that holds all journals of this guest."""
    return WINDOWS_HOME if guest.case_insensitive else LINUX_HOME


def journal_homes(guest: GuestFS) -> list[str]:
    """Return the folders of all journals in the guest, oldest first."""
    home = home_of(guest)
    return [f"{home}/{name}" for name in guest.list(home) if len(name) == 4 and name.isdigit()]


def dump_journal(journal: Journal) -> bytes:
    """Return the journal as JSON bytes."""
    data = {"schema": SCHEMA, **asdict(journal)}
    del data["applied"], data["home"]
    return (json.dumps(data, indent=1, sort_keys=True) + "\n").encode()


def read_journal(guest: GuestFS, home: str) -> Journal | None:
    """Return the journal in this folder, or None where apply died before it wrote one.

    Raises PlanError where the file is there but isn't a journal: it is part of the guest, so it is not
    trusted further than this.
    """
    path = f"{home}/journal.json"
    try:
        if guest.stat(path, follow=False) is None:
            return None
        data = json.loads(guest.read(path, MAX_JOURNAL))
        if data["schema"] != SCHEMA:
            raise PlanError(f"the journal has schema {data['schema']}, this guestfix reads {SCHEMA}", where=path)
        return Journal(
            home,
            data["plan_digest"],
            tuple(_entry(item) for item in data["entries"]),
            tuple(_path(item) for item in data["made_folders"]),
            tuple(FolderTimes(_path(i["path"]), int(i["atime_ns"]), int(i["mtime_ns"])) for i in data["folder_times"]),
            guest.stat(f"{home}/applied", follow=False) is not None,
            data["guestfix"],
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PlanError(f"not a journal of guestfix: {error}", where=path) from error
    except GuestError as error:
        raise PlanError(f"the journal can't be read: {error.what}", where=path) from error


def _path(text: Any) -> str:
    if not isinstance(text, str) or not text.startswith("/") or ".." in text.split("/"):
        raise ValueError(f"{text!r} is not an absolute guest path")
    return text


def _entry(data: dict[str, Any]) -> Entry:
    names = {key: data[key] and _path(data[key]) for key in ("backup", "staged")}
    return Entry(_path(data["path"]), data["kind"], data["before"], data["after"], names["backup"], names["staged"])


def missing_folders(guest: GuestFS, paths: list[str]) -> list[str]:
    """Return the folders above these paths that don't exist yet, outermost first, each once."""
    missing: dict[str, None] = {}
    for path in paths:
        for folder in parents(path):
            if guest.stat(folder) is None:
                missing.setdefault(folder)
    return list(missing)


def make_folders(guest: GuestWriter, folders: list[str], mode: int = 0o755) -> None:
    """Create these folders, each with the owner of the folder above it and its own SELinux label."""
    for folder in folders:
        above = guest.stat(folder.rpartition("/")[0] or "/")
        owner = (above.uid, above.gid) if above else (None, None)
        guest.mkdir(folder, with_label(guest, folder, "dir", Meta(mode, *owner)))
