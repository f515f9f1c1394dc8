"""What a run says of all guests together, and what changed since another run."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from guestfix.base.record import frozen
from guestfix.fleet.freeing import Freeing, freeing
from guestfix.fleet.job import OUTCOMES, unpacked
from guestfix.fleet.store import Row, Store

TOP = 20
"""Findings that are told of all."""
AFTER = {"verify": "when it was started"}
"""What the second of the two steps is that a guest may stop at, by what was done; else: with the plans."""
TREND = 12
"""Runs that are told beside one another."""


@frozen
class Roll:
    """The sums of a run. ``freeing``: what blocks, first what frees most guests.

    ``stops_after``: with the plan, or of a guest that was started, what was seen. ``trend``: number,
    begin (seconds since 1970) and outcomes of the last runs that did the same, this one last.
    """

    run: int
    action: str
    guests: int
    kept: int
    outcomes: Mapping[str, int]
    systems: Mapping[str, Mapping[str, int]]
    tags: Mapping[str, Mapping[str, int]]
    stops_before: Mapping[str, int]
    stops_after: Mapping[str, int]
    freeing: tuple[Freeing, ...]
    warnings: tuple[tuple[str, int], ...]
    errors: tuple[tuple[str, int], ...]
    trend: tuple[tuple[int, float, Mapping[str, int]], ...]


def roll_up(store: Store, run: int) -> Roll:
    """Return the sums over a run's guests."""
    rows = store.rows(run)
    blocked, warned = _by_code(store, run)
    return Roll(
        run,
        store.run(run).action,
        len(rows),
        sum(row.kept > 0 for row in rows),
        _counted((row.outcome for row in rows), OUTCOMES),
        _grouped((row.system or "not told", row.outcome) for row in rows),
        _grouped((tag, row.outcome) for row in rows for tag in row.tags),
        _most(row.stops_before for row in rows if row.stops_before),
        _most(row.stops_after for row in rows if row.stops_after),
        freeing(blocked, TOP),
        tuple(Counter(code for codes in warned.values() for code in codes).most_common(TOP)),
        tuple(Counter(row.error_code for row in rows if row.error_code).most_common(TOP)),
        tuple((number, at, _counted(counts, OUTCOMES)) for number, at, counts in store.trend(run, TREND)),
    )


def _by_code(store: Store, run: int) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    found: dict[str, dict[str, set[str]]] = {"blocker": {}, "warning": {}}
    for guest, code, severity, _, _ in store.findings(run):
        if severity in found:
            found[severity].setdefault(guest, set()).add(code)
    return found["blocker"], found["warning"]


def _counted(values: Iterable[str] | Mapping[str, int], order: Sequence[str]) -> dict[str, int]:
    counts = Counter(values)
    return {name: counts[name] for name in order if counts[name]}


def _most(values: Iterable[str]) -> dict[str, int]:
    return dict(Counter(values).most_common())


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, dict[str, int]]:
    found: dict[str, Counter[str]] = {}
    for group, outcome in pairs:
        found.setdefault(group, Counter())[outcome] += 1
    ordered = sorted(found, key=lambda group: (-found[group].total(), group))
    return {group: {name: found[group][name] for name in OUTCOMES if found[group][name]} for group in ordered}


@frozen
class Difference:
    """One guest that two runs tell otherwise: empty where a run does not have it.

    ``gone`` and ``new`` are codes of findings, ``changes`` the paths that the two plans change otherwise.
    """

    name: str
    before: str
    after: str
    gone: tuple[str, ...]
    new: tuple[str, ...]
    changes: tuple[str, ...] = ()


def differences(store: Store, old: int, new: int, *, changes: bool = False) -> list[Difference]:
    """Return what the newer run says otherwise than the older one, guest by guest; also what its plan would change."""
    rows: tuple[dict[str, Row], ...] = tuple({row.name: row for row in store.rows(run)} for run in (old, new))
    codes: list[dict[str, set[str]]] = [{}, {}]
    for index, run in enumerate((old, new)):
        for guest, code, severity, _, _ in store.findings(run):
            if severity != "info":
                codes[index].setdefault(guest, set()).add(code)
    found = []
    for name in sorted({*rows[0], *rows[1]}):
        was, now = (one[name].outcome if name in one else "" for one in rows)
        had, have = (one.get(name, set()) for one in codes)
        paths = _changed(*(store.document(run, name) for run in (old, new))) if changes and was and now else ()
        if was != now or had != have or paths:
            found.append(Difference(name, was, now, tuple(sorted(had - have)), tuple(sorted(have - had)), paths))
    return found


def _changed(old: bytes, new: bytes) -> tuple[str, ...]:
    """Return the paths that two documents change otherwise, of those that are plans."""
    if old == new:
        return ()
    was, now = (
        {one["path"]: one for one in json.loads(unpacked(document) or "{}").get("changes", ())}
        for document in (old, new)
    )
    return tuple(path for path in sorted({*was, *now}) if was.get(path) != now.get(path))


def text_of(roll: Roll) -> str:
    """Return the sums as text."""
    lines = [
        f"run {roll.run}: {roll.guests} guests" + (f", {roll.kept} as an earlier run found them" if roll.kept else "")
    ]
    lines += ["  " + ", ".join(f"{count} {name}" for name, count in roll.outcomes.items())]
    for title, groups in (("by system", roll.systems), ("by tag", roll.tags)):
        if groups:
            lines += ["", title, *(f"  {name}: {_said(counts)}" for name, counts in list(groups.items())[:TOP])]
    after = f"and {AFTER.get(roll.action, 'with the plans')}"
    for title, counts in (("where the boot stops today", roll.stops_before), (after, roll.stops_after)):
        if counts:
            lines += ["", title, "  " + ", ".join(f"{step} {count}" for step, count in counts.items())]
    if roll.freeing:
        lines += ["", "what blocks, by how many guests its remedy frees"]
        lines += [f"  {' with '.join(one.codes)}: {one.guests} guests, {one.freed} freed" for one in roll.freeing]
    if roll.warnings:
        lines += ["", "what is left for you most often"]
        lines += [f"  {code}: {count} guests" for code, count in roll.warnings]
    if roll.errors:
        lines += ["", "what could not be judged", *(f"  {code}: {count} guests" for code, count in roll.errors)]
    if len(roll.trend) > 1:
        lines += ["", "run by run", *(f"  {number}: {_said(counts)}" for number, _, counts in roll.trend)]
    return "\n".join(lines) + "\n"


def _said(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())
