"""A run as a folder of pages: its sums, and beside them each guest's own report."""

from __future__ import annotations

import os

from guestfix.base.errors import GuestfixError
from guestfix.base.text import utf8
from guestfix.fleet.job import unpacked
from guestfix.fleet.page import MOST, ranked, render, render_list
from guestfix.fleet.rollup import roll_up
from guestfix.fleet.store import Store
from guestfix.report.forms import render_document

INDEX, GUESTS = "index.html", "guests"


def write_pages(store: Store, run: int, folder: str) -> int:
    """Make a folder of the run's sums and of a page for each guest with a plan or a start; return how many there are.

    Where the sums' page can't list all guests, pages beside it list the rest. No name of a guest becomes a file's name.
    GuestfixError where the folder is there already or can't be written.
    """
    roll, rows = roll_up(store, run), ranked(store.rows(run))
    lists = [INDEX, *(f"list-{number + 1:04}.html" for number in range(1, -(-len(rows) // MOST)))]
    links: dict[str, str] = {}
    try:
        os.makedirs(os.path.join(folder, GUESTS))
        for number, row in enumerate(rows, 1):
            text = unpacked(store.document(run, row.name)) if not row.error_code else ""
            if text and (made := _page(text)):
                links[row.name] = f"{GUESTS}/{number:06}.html"
                _write(os.path.join(folder, links[row.name]), made)
        for number, name in enumerate(lists[1:], 1):
            _write(os.path.join(folder, name), render_list(roll, rows, links, lists, number))
        _write(os.path.join(folder, INDEX), render(roll, rows, links, lists))
    except OSError as error:
        what = f"the pages can't be written: {error.strerror}"
        raise GuestfixError(what, where=folder, remedy="name a folder to be made") from error
    return len(links)


def _page(document: str) -> str:
    """Return the page of a document, empty where it is neither a plan nor what was seen of a start."""
    try:
        return render_document(document.encode("utf-8", "surrogateescape"), "", "html")
    except GuestfixError:
        return ""


def _write(place: str, text: str) -> None:
    with open(place, "x", encoding="utf-8") as stream:
        stream.write(utf8(text))
