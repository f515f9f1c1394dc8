"""Making and removing a journal's folder so that it is there whole, or not at all, whenever a run dies.

It is built under a draft's name beside where it will be, ``.NAME.guestfix.ATIME.MTIME.new``, and moved there by
one rename; it goes the same way back. The name holds the times that the folder above it had before, so that what
a killed run left can be cleared by the next one, with no time lost.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from guestfix.apply.journal import FolderTimes, Journal, dump_journal
from guestfix.base.errors import Blocked, GuestError
from guestfix.base.guest import GuestFS, GuestWriter, Meta
from guestfix.base.homes import FILE, MARK
from guestfix.base.names import beside, home_of, home_problem, parents, split
from guestfix.base.patterns import regex
from guestfix.plan.labels import with_label

_DRAFT = regex(r"\.(.+)\.guestfix\.(-?[0-9]{1,19})\.(-?[0-9]{1,19})\.new")
_PARTS = regex(r"var|lib|ProgramData|guestfix|[0-9]{4,150}")


PRIVATE = (".ssh",)
"""Folders that are for their owner alone, as ssh-copy-id(1) makes them."""


def make_folders(guest: GuestWriter, folders: list[str], mode: int = 0o755, at: str = "") -> None:
    """Create these folders, each with the owner of the folder above it and its own SELinux label.

    ``at`` is where the first one is made instead, with the others in it.
    """
    for folder in folders:
        place = (at or folders[0]) + folder[len(folders[0]) :] if at else folder
        above = guest.stat(split(place)[0])
        owner = (above.uid, above.gid) if above else (None, None)
        bits = mode & 0o700 if split(folder)[1] in PRIVATE else mode
        guest.mkdir(place, with_label(guest, folder, "dir", Meta(bits, *owner)))


def write_journal(guest: GuestWriter, journal: Journal) -> None:
    """Put the journal into the guest, whole, by one rename; then make the other folders that it names.

    Blocked where another journal came first, as from another host: the rename takes no folder's place that holds one.
    """
    own = list(journal.own_folders)
    draft = _draft_name(guest, journal, own[0])
    with _said_of(draft, own[0]):
        make_folders(guest, own, 0o700, at=draft)
        guest.put(draft + journal.file[len(own[0]) :], [dump_journal(journal)], Meta(0o600))
        try:
            guest.rename(draft, own[0])
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            clear_drafts(guest)
            what = "another guestfix began to change this guest at the same moment, so nothing was done"
            remedy = "wait until it ends; guestfix status GUEST tells"
            raise Blocked(what, where=own[0], remedy=remedy, code="GF-APPLY-RUNNING") from error
    make_folders(guest, [folder for folder in journal.made_folders if folder not in own])


@contextmanager
def _said_of(draft: str, folder: str) -> Iterator[None]:
    """Name the folder in an error, not the draft that nobody has heard of."""
    try:
        yield
    except GuestError as error:
        error.where = error.where.replace(draft, folder)
        raise
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(error.filename or draft).replace(draft, folder)) from error


def _draft_name(guest: GuestFS, journal: Journal, folder: str) -> str:
    """Return the draft's name for a folder, with the times of the folder above it before anything was made."""
    above = split(folder)[0]
    found = next((one for one in journal.folder_times if one.path == above), None)
    if found is None:
        now = guest.stat(above)
        found = FolderTimes(above, now.atime_ns, now.mtime_ns) if now else FolderTimes(above, 0, 0)
    return beside(folder, f"{found.atime_ns}.{found.mtime_ns}.new")


def remove_journal(guest: GuestWriter, journal: Journal) -> None:
    """Take the journal away by one rename, with the folders that were made for it and hold nothing else.

    Where somebody has put something into the journal's own folder, that stays where it is.
    """
    if guest.stat(journal.file, follow=False) is not None:
        own = journal.own_folders or (journal.home,)
        whole = next((folder for folder in own if _own(guest, folder) is not None), None)
        if whole is not None:
            guest.rename(whole, _draft_name(guest, journal, whole))
        else:
            for file in (journal.file, journal.mark):
                if guest.stat(file, follow=False) is not None:
                    guest.drop(file)
    clear_drafts(guest)


def drop_empty_home(guest: GuestWriter) -> None:
    """Remove the folder of all journals where nothing is in it; the folder above keeps its times."""
    home = home_of(guest)
    above, found = split(home)[0], None if home_problem(guest) else guest.stat(home, follow=False)
    times = guest.stat(above) if found is not None and not guest.list(home) else None
    if times is not None:
        guest.drop(home)
        set_folder_times(guest, FolderTimes(above, times.atime_ns, times.mtime_ns))


def clear_drafts(guest: GuestWriter) -> None:
    """Remove every draft that holds nothing but what guestfix makes, and give the folder above its times back."""
    for draft, times in list(_drafts(guest)):
        inside = _own(guest, draft)
        if inside is None:
            continue
        for path in inside:
            guest.drop(path)
        set_folder_times(guest, times)


def set_folder_times(guest: GuestWriter, times: FolderTimes) -> None:
    """Give a folder its times back, if it is there; its path may lead through links."""
    now = guest.stat(times.path)
    if now is not None and now.kind == "dir" and now.mtime_ns != times.mtime_ns:
        guest.set_times(guest.realpath(times.path), times.atime_ns, times.mtime_ns)


def _drafts(guest: GuestFS) -> Iterator[tuple[str, FolderTimes]]:
    home = home_of(guest)
    for folder in (home, *reversed(parents(home)), "/"):
        for name in _names(guest, folder):
            match = _DRAFT.fullmatch(name) if ".guestfix." in name else None
            if match is not None and _PARTS.fullmatch(match[1]):
                yield f"{folder.rstrip('/')}/{name}", FolderTimes(folder, int(match[2]), int(match[3]))


def _names(guest: GuestFS, folder: str) -> tuple[str, ...]:
    try:
        found = guest.stat(folder)
        return guest.list(folder) if found is not None and found.kind == "dir" else ()
    except GuestError:  # a loop, or more names than are listed: no draft of guestfix is in it
        return ()


def _own(guest: GuestFS, folder: str) -> list[str] | None:
    """Return all that is in a folder of guestfix's own, innermost first, itself last; None where there is more."""
    found = guest.stat(folder, follow=False)
    names = guest.list(folder) if found is not None and found.kind == "dir" else None
    if names is None or len(names) > len((FILE, MARK)):
        return None
    inside: list[str] = []
    for name in names:
        path = f"{folder}/{name}"
        kind = getattr(guest.stat(path, follow=False), "kind", "")
        below = _own(guest, path) if kind == "dir" and _PARTS.fullmatch(name) else None
        if name in (FILE, MARK) and kind == "file":
            below = [path]
        if below is None:
            return None
        inside += below
    return [*inside, folder]
