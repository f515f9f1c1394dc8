"""Where the journals of a guest are: folders with a number for a name, and which of them an apply did not finish."""

from __future__ import annotations

from guestfix.base.guest import GuestFS
from guestfix.base.names import home_of
from guestfix.base.patterns import regex

FILE, MARK = "journal.json", "applied"
"""A journal, and the file beside it that says that its apply was finished: by its being there, whatever it holds."""

_NUMBER = regex(r"[0-9]{4}|[1-9][0-9]{4,149}")


def numbered(guest: GuestFS) -> list[str]:
    """Return the names in the home of journals that are numbers, of whatever kind of file; one listing."""
    home = home_of(guest)
    found = guest.stat(home, follow=False)
    names = guest.list(home) if found is not None and found.kind == "dir" else ()
    return sorted((name for name in names if _NUMBER.fullmatch(name)), key=int)


def journal_homes(guest: GuestFS) -> list[str]:
    """Return the folders of all journals in the guest, oldest first: real folders that hold a journal's file."""
    homes = [f"{home_of(guest)}/{name}" for name in numbered(guest)]
    return [home for home in homes if _is_folder(guest, home) and _there(guest, f"{home}/{FILE}")]


def unfinished_homes(guest: GuestFS) -> list[str]:
    """Return the folders of the journals whose apply was not finished: it was interrupted, or it runs."""
    return [home for home in journal_homes(guest) if not _there(guest, f"{home}/{MARK}")]


def _is_folder(guest: GuestFS, path: str) -> bool:
    found = guest.stat(path, follow=False)
    return found is not None and found.kind == "dir"


def _there(guest: GuestFS, path: str) -> bool:
    return guest.stat(path, follow=False) is not None
