"""What is known about a guest, for people: each fact as a sentence or a table, with where it was seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from guestfix.base.facts import Fact, Unknown
from guestfix.base.text import one_line
from guestfix.report.disks import disk_rows
from guestfix.report.layout import Line, Style, View, columns, count, cut, plain, size, wrapped
from guestfix.report.outline import system_of, verdict_of
from guestfix.report.text import EVIDENCE, opened_rows

if TYPE_CHECKING:
    from guestfix.plan.planner import Inspection

ROWS = 20
"""Rows of a table that are shown; a verbose report and JSON have all."""
_SEVERITIES: dict[str, Style] = {"blocker": "bad", "warning": "warn", "info": ""}
_ELSEWHERE = ("disks.layout",)


def render_inspection(inspection: Inspection, view: View | None = None) -> str:
    """Return facts with their evidence, then findings."""
    return plain(inspection_lines(inspection, view or View()))


def inspection_lines(inspection: Inspection, view: View) -> list[Line]:
    """Return the lines of an inspection: what guest it is, its disks, what was found, then every fact."""
    facts = {name: inspection.facts[name].plain() for name in sorted(inspection.facts)}
    values = {name: fact.value for name, fact in facts.items()}
    rows = [
        ("guest", str(inspection.guest["uri"])),
        *opened_rows(inspection.guest),
        ("system", system_of(values)),
        ("verdict", verdict_of(inspection.verdict, inspection.compat)),
    ]
    lines: list[Line] = [(line, "") for name, text in rows for line in wrapped(text, view.columns, f"{name:<8} ")]
    lines += _disks(values, view) + _findings(inspection, view)
    return lines if view.detail == "brief" else [*lines, *_facts(facts, view)]


def _disks(values: Mapping[str, object], view: View) -> list[Line]:
    rows = disk_rows(values)
    if not rows:
        return []
    cells = [("Disk", "Size", "Mounted at", "Volumes")]
    cells += [
        (one.device or "above them", size(one.size), ", ".join(one.mounts) or "-", ", ".join(one.volumes))
        for one in rows
    ]
    return [
        ("", ""),
        *((text, "" if number else "head") for number, text in enumerate(columns(cells, view.columns, ""))),
    ]


def _findings(inspection: Inspection, view: View) -> list[Line]:
    lines: list[Line] = [("", ""), (f"Findings: {len(inspection.findings)}", "head")]
    for one in inspection.findings:
        text = f"{one.severity} {one.code}: {one.summary}"
        lines += [(line, _SEVERITIES[one.severity]) for line in wrapped(text, view.columns, "  ", "      ")]
        lines += _evidence(one.evidence, view, "      ")
        lines += [(line, "") for line in wrapped(f"do: {one.remedy}", view.columns, "      ", "          ")]
    return lines


def _facts(facts: Mapping[str, Fact], view: View) -> list[Line]:
    """Return all facts by what they are about: plain values as columns, lists and records below their names."""
    rooms: dict[str, list[Fact]] = {}
    for name, fact in facts.items():
        if name not in _ELSEWHERE:
            rooms.setdefault(name.partition(".")[0], []).append(fact)
    lines: list[Line] = []
    for room, those in rooms.items():
        lines += [("", ""), (f"Facts: {room}", "head")]
        for fact in those:
            lines += _fact(fact, view)
    return lines


def _fact(fact: Fact, view: View) -> list[Line]:
    value = fact.value
    if isinstance(value, Mapping) and value:
        body = [f"{fact.name}:", *_table([(str(key), said(one)) for key, one in value.items()], view)]
    elif isinstance(value, Sequence) and value and isinstance(value[0], Mapping):
        body = [f"{fact.name}: {count(len(value), 'record')}", *_records(value, view)]
    else:
        body = wrapped(f"{fact.name}: {said(value)}", view.columns, "", "    ")
    return [*((f"  {line}", _style(value)) for line in body), *_evidence(fact.evidence, view, "      ")]


def _style(value: object) -> Style:
    return "dim" if isinstance(value, Unknown) or value in (None, "", [], {}) else ""


def said(value: object) -> str:
    """Return a value as a person writes it."""
    if isinstance(value, Unknown):
        return f"not known: {value.reason}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {said(one)}" for key, one in sorted(value.items()) if one not in (None, "", [], {}))
    if isinstance(value, list | tuple):
        return ", ".join(said(one) for one in value) or "none"
    return "none" if value is None or value == "" else str(value)


def _table(rows: list[tuple[str, str]], view: View) -> list[str]:
    """Return names with their values, side by side where they fit."""
    shown, more = _limited(rows, view)
    if max(len(name) for name, _ in shown) + max(len(text) for _, text in shown) + 8 <= view.columns:
        return [*columns(shown, view.columns - 2, "    "), *more]
    return [*(line for name, text in shown for line in wrapped(f"{name}: {text}", view.columns - 2, "    ")), *more]


def _records(value: Sequence[object], view: View) -> list[str]:
    """Return records as a table of the fields that any of them has; a column for each."""
    records = [one for one in value if isinstance(one, Mapping)]
    shown, more = _limited(records, view)
    fields = [name for name in records[0] if any(one.get(name) not in (None, "", [], {}) for one in shown)]
    narrow = max((view.columns - 6) // max(len(fields), 1), 12)
    cells = [tuple(fields), *(tuple(cut(said(one.get(name)), narrow + 12) for name in fields) for one in shown)]
    if sum(max(len(row[at]) for row in cells) + 2 for at in range(len(fields))) <= view.columns - 4:
        return [*columns(cells, view.columns - 2, "    "), *more]
    texts = [", ".join(f"{name} {said(one.get(name))}" for name in fields if one.get(name)) for one in shown]
    return [*(line for text in texts for line in wrapped(text, view.columns - 2, "  - ", "    ")), *more]


def _limited(rows: list, view: View) -> tuple[list, list[str]]:  # type: ignore[type-arg]
    """Return the rows that are shown, and a line that says how many are not."""
    if view.detail == "verbose" or len(rows) <= ROWS:
        return rows, []
    return rows[:ROWS], [f"    and {len(rows) - ROWS} more (--verbose)"]


def _evidence(evidence: Sequence[object], view: View, indent: str) -> list[Line]:
    most = len(evidence) if view.detail == "verbose" else EVIDENCE
    lines: list[Line] = [(cut(f"{indent}at {one_line(str(item))}", view.columns), "dim") for item in evidence[:most]]
    return lines
