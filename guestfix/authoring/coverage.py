"""Which rules, operations, findings and rows of the compatibility table no case of a pack shows."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from guestfix.base.catalog.findings import FINDINGS
from guestfix.base.record import field, frozen, mutable
from guestfix.cases.runner import Case, find_cases, plan_case
from guestfix.compat import rows_of
from guestfix.pack.model import Pack, Rule


@frozen
class Coverage:
    """What cases don't show, each sorted, and how many cases there are. ``idle``: rules that no case leaves at rest."""

    cases: int
    rules: tuple[str, ...]
    idle: tuple[str, ...]
    ops: tuple[str, ...]
    findings: tuple[str, ...]
    rows: tuple[str, ...]


@mutable
class _Seen:
    acts: set[str] = field(default_factory=set)
    rests: set[str] = field(default_factory=set)
    findings: set[str] = field(default_factory=set)
    rows: set[str] = field(default_factory=set)


def cover(root: Path, pack: Pack) -> Coverage:
    """Plan every case below a folder and return what none of them shows.

    Of a pack that lies on others, only what it brings itself counts.
    """
    seen = _Seen()
    cases = find_cases(root)
    for case in cases:
        _look(case, pack, seen)
    own, systems = _own(pack, "rule"), _own(pack, "system")
    rules = [rule for rule in pack.rules if own is None or rule.id in own]
    shown = {one for rule in rules if rule.id in seen.acts for one in _ops(rule)}
    rows = rows_of([one for one in pack.systems if systems is None or one.id in systems])
    codes = set(FINDINGS) if own is None else {code for rule in rules for code in rule.settles}
    return Coverage(
        len(cases),
        tuple(sorted({rule.id for rule in rules} - seen.acts)),
        tuple(sorted({rule.id for rule in rules} - seen.rests)),
        tuple(sorted({one for rule in rules for one in _ops(rule)} - shown)),
        tuple(sorted(codes - seen.findings)),
        tuple(sorted({_row(str(one["id"]), one) for one in rows} - seen.rows)),
    )


def _own(pack: Pack, kind: str) -> set[str] | None:
    """Return the ids of what the topmost pack brings of a kind; None where it stands alone, so that all is its own."""
    if len(pack.parts) < 2:
        return None
    return {str(one["id"]) for one in pack.parts[-1].changes if one["kind"] == kind and one["what"] != "disabled"}


def _look(case: Case, pack: Pack, seen: _Seen) -> None:
    plan = plan_case(case, pack)
    for one in plan.decisions:
        if one.outcome in ("applied", "no", "unchanged"):
            (seen.acts if one.outcome == "applied" else seen.rests).add(one.rule)
    seen.findings |= {one.code for one in plan.findings}
    row = plan.compat.get("row")
    if row:
        seen.rows.add(_row(row["id"], row))


def _ops(rule: Rule) -> list[str]:
    return [step.op or step.action for step in rule.steps]


def _row(ident: str, row: object) -> str:
    assert isinstance(row, dict)
    variant = f" {row['variant']}" if row.get("variant") else ""
    return f"{ident} {row['version']}{variant}"


def coverage_text(found: Coverage) -> str:
    """Return what no case shows, a paragraph for each kind."""
    parts = [f"{found.cases} cases\n"]
    for title, names in (
        ("Rules that no case shows acting", found.rules),
        ("Rules that no case shows at rest", found.idle),
        ("Operations and actions of rules that no case shows", found.ops),
        ("Findings that no case shows", found.findings),
        ("Rows of the table that judge no case", found.rows),
    ):
        parts.append(f"\n{title}: {len(names)}\n" + _lines(names))
    return "".join(parts)


def _lines(names: Iterable[str]) -> str:
    return "".join(f"  {name}\n" for name in names)
