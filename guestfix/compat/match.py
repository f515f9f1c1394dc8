"""Finding the row of the table that speaks of a guest's system."""

from __future__ import annotations

from collections.abc import Sequence

from guestfix.base.record import frozen
from guestfix.pack.model import CONFIDENCES, Row, System
from guestfix.pack.ranges import Key, Span, key_of, parse_span
from guestfix.pack.traits import find_system


@frozen
class Match:
    """The row found and what it means for this version; ``why`` is empty where the row names it outright."""

    status: str
    row: Row | None
    confidence: str
    why: str = ""


def system_of(systems: Sequence[System], ident: str) -> tuple[System, str] | None:
    """Return the system that an os.id belongs to, and what the id says of the version (Windows: 2012-r2)."""
    found = find_system(systems, ident)
    if found is not None:
        return found, ""
    known = ident.casefold()
    lines = [one for one in systems if one.scheme == "listed" and known.startswith(f"{one.id.casefold()}-")]
    line = max(lines, key=lambda one: len(one.id), default=None)
    return (line, known[len(line.id) + 1 :].replace("-", " ")) if line is not None else None


def find_row(system: System, version: str | None, variant: str = "") -> Match:
    """Return the row for a version, None being one that isn't known.

    Between two rows, or after the last one: unlisted. Before the first: unsupported. A version that is
    less precise than the rows (8 where rows say 8.0 - 8.9) takes their verdict where they all agree.
    """
    scheme, releases = system.scheme, system.releases
    spans = [(row, parse_span(row["version"], scheme, releases)) for row in system.rows]
    key = key_of(version, scheme, releases) if version else ()
    if key is None:
        return Match("unlisted", None, "likely", f"{system.title} {version} is not in the table")
    for wanted in dict.fromkeys((variant, "")):
        for row, span in spans:
            if row.get("variant", "") == wanted and span.holds(key):
                return Match(row["verdict"], row, row.get("confidence", "certain"))
    return _around(system, spans, key, version)


def _around(system: System, spans: Sequence[tuple[Row, Span]], key: Key, version: str | None) -> Match:
    name = f"{system.title} {version}" if version else system.title
    below = [row for row, span in spans if span.below(key) and not row.get("variant")]
    if below:
        return _imprecise(name, below, version)
    if not spans or not key:
        return Match("unknown", None, "possible", f"the version of {name} is not known")
    spans = sorted(spans, key=lambda one: one[1].low)  # those of a pack on top stand first
    first, last = spans[0], spans[-1]
    if key < first[1].low:
        why = f"it is older than {first[0]['version']}, the first version in the table"
        return Match("unsupported", None, "confident", why)
    place = "newer than every version in the table" if key > last[1].low else "not in the table"
    return Match("unlisted", None, "likely", f"{name} is {place} (the last one is {last[0]['version']})")


def _imprecise(name: str, below: Sequence[Row], version: str | None) -> Match:
    verdicts = {row["verdict"] for row in below}
    if len(verdicts) == 1:
        missing = "minor version" if version else "version"
        why = f"the {missing} of {name} is not known, but the table says the same of all of them"
        return Match(verdicts.pop(), below[-1], "confident", why)
    if not version:
        return Match("unknown", None, "possible", f"the version of {name} is not known")
    sure = [row.get("confidence", "certain") for row in below if row["verdict"] != "unsupported"]
    confidence = max((*sure, "confident"), key=CONFIDENCES.index)
    return Match("unlisted", None, confidence, f"the minor version of {name} is not known, and the table needs it")
