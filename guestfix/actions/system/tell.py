"""A finding that a rule makes of what its files say, without changing them."""

from __future__ import annotations

from guestfix.actions.workbench import Workbench
from guestfix.base.errors import EditError
from guestfix.base.facts import Evidence
from guestfix.detect.files import exists, lines_of, paths_like, read_small
from guestfix.editors.system.text import LONGEST_LINE, matcher

MOST_FILES, MOST_PLACES = 64, 20


def tell(
    bench: Workbench,
    *,
    code: str,
    summary: str,
    match: str = "",
    severity: str = "warning",
    remedy: str = "",
) -> None:
    """Tell a finding of the table with every place that the step names: lines that match, or paths that are there.

    ``match`` is a pattern for a whole line without the blanks around it, as in ``text.replace_line``; comments that
    begin with ``#`` do not count. Without a place nothing is told. Raises EditError for a pattern beyond its bounds.
    """
    matches = matcher(match) if match else None
    places: list[Evidence] = []
    for path in [one for glob in bench.fs.within for one in paths_like(bench.fs, glob, MOST_FILES)]:
        if matches is None:
            places += [Evidence(path)] if exists(bench.fs, path) else []
            continue
        for number, line in lines_of(read_small(bench.fs, path) or b""):
            if not line.startswith("#") and len(line) <= LONGEST_LINE and matches(line):
                places.append(Evidence(path, number, line[:200]))
    try:
        if places:
            bench.find(code, severity, summary, *places[:MOST_PLACES], remedy=remedy)
    except ValueError as error:
        raise EditError(str(error)) from error
