"""A run's sums as one self-contained HTML page, in the style of a guest's report; every text escaped by the engine."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

from guestfix.base.record import frozen
from guestfix.fleet.job import OUTCOMES
from guestfix.fleet.rollup import AFTER, Roll
from guestfix.fleet.store import Row
from guestfix.report.page.render import make_page

MOST = 1000
"""Guests that a page lists, those that need somebody first; in a folder of pages others follow with the rest."""

GROUPS = 200
"""Systems and tags that the page lists, those with most guests first: a tag may name the owner of one guest each."""

MOODS = {"ready": "good", "repaired": "good", "needs you": "warn", "blocked": "bad", "failed": "bad"}
WIDTH = 1000
"""Units of the picture's width, as many as its view box has."""


@frozen
class Part:
    """One part of a bar: a name, how many, and where it lies in units of the picture."""

    name: str
    count: int
    start: float
    width: float

    @property
    def mood(self) -> str:
        """The class by which the style colours it."""
        return MOODS.get(self.name, "unknown").replace(" ", "-")


def bar(counts: Mapping[str, int]) -> list[Part]:
    """Return a bar's parts in the order of the counts; together they have the whole width."""
    whole, start, parts = sum(counts.values()) or 1, 0.0, []
    for name, count in counts.items():
        width = WIDTH * count / whole
        parts.append(Part(name, count, round(start, 2), round(width, 2)))
        start += width
    return parts


def _day(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(seconds))


def ranked(rows: Iterable[Row]) -> list[Row]:
    """Return the guests with those first that need somebody."""
    return sorted(rows, key=lambda row: (-OUTCOMES.index(row.outcome), row.name))


def render(roll: Roll, rows: Sequence[Row], links: Mapping[str, str] = {}, lists: Sequence[str] = ()) -> str:
    """Return the page, with the first of the :func:`ranked` guests; ``links`` names the page of each that has one.

    ``lists`` names the pages that list the others.
    """
    values = {
        **_listed(rows[:MOST], links),
        "roll": roll,
        "bar": bar,
        "after": AFTER.get(roll.action, "with the plans").capitalize(),
        "lists": lists,
        "trend": [(number, _day(at), counts) for number, at, counts in roll.trend] if len(roll.trend) > 1 else [],
        "left": max(0, len(rows) - MOST),
        "groups": [
            (title, dict(islice(groups.items(), GROUPS)), max(0, len(groups) - GROUPS))
            for title, groups in (("System", roll.systems), ("Tag", roll.tags))
            if groups
        ],
        "steps": [
            (step, roll.stops_before.get(step, 0), roll.stops_after.get(step, 0))
            for step in dict.fromkeys((*roll.stops_before, *roll.stops_after))
        ],
    }
    return make_page("page.html", values, "guestfix.fleet", "page.css")


def render_list(roll: Roll, rows: Sequence[Row], links: Mapping[str, str], lists: Sequence[str], number: int) -> str:
    """Return the page that lists the guests from number times :data:`MOST` on; ``lists`` names all, the sums first."""
    first = number * MOST
    values = {
        **_listed(rows[first : first + MOST], links),
        "roll": roll,
        "lists": lists,
        "number": number,
        "first": first + 1,
    }
    return make_page("list.html", values, "guestfix.fleet", "page.css")


def _listed(rows: Sequence[Row], links: Mapping[str, str]) -> dict[str, object]:
    return {"rows": rows, "links": links, "moods": MOODS, "most": MOST}
