"""The golden reports of cases: what rules decided, found and changed, with whole diffs, at no width.

They are compared byte for byte, so they keep their form however reports for people look.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from guestfix.base.catalog.findings import kind_of
from guestfix.base.facts import Finding
from guestfix.base.record import replace
from guestfix.base.text import clean, one_line
from guestfix.plan.model import Change, Plan
from guestfix.report.outline import system_of, verdict_of

_HEADINGS = (("blocker", "Blockers: apply will refuse"), ("warning", "Warnings"), ("info", "Notes"))


def _body(plan: Plan) -> str:
    """Return findings, changes and follow-ups: what depends on the guest and the rules alone."""
    parts = [*finding_blocks(plan.findings), _changes(plan), _follow_ups(plan)]
    return "\n".join(part for part in parts if part)


_OF_SYSTEM = ("GF-NETWORK-REPORT-ONLY",)
"""Findings without a rule that a case of a system shows besides those about the system and its kernel."""


def render_case(plan: Plan, *, system: bool, settles: Mapping[str, Sequence[str]]) -> str:
    """Return the golden report of a case. ``settles`` has the findings that each rule of the pack settles.

    A case of a rule shows what the rules that ran decided, found, settle and changed; a case of a system shows
    the verdict too, and what was found about the system itself. Both show every blocker.
    """
    ran = {one.rule for one in plan.decisions if one.outcome != "skipped" or system}
    windows = any(fact.name == "os.family" and fact.value == "windows" for fact in plan.facts)
    own = {code for rule in ran for code in settles.get(rule, ())}
    shown = [
        one
        for one in plan.findings
        if one.severity == "blocker"
        or one.rule in ran
        or one.code in own
        or (system and (windows or kind_of(one.code).stage in ("system", "kernel", "root") or one.code in _OF_SYSTEM))
    ]
    head = ""
    if system:
        facts = {fact.name: fact.value for fact in plan.facts}
        rows = (f"system   {system_of(facts)}", f"verdict  {verdict_of(plan.verdict, plan.compat)}", "")
        head = _lines(rows)
    rules = _lines(
        f"  {one.rule}: {one.outcome}" + (f" ({one.because})" if one.because else "")
        for one in plan.decisions
        if one.rule in ran and not (system and one.outcome in ("no", "unchanged"))
    )
    return clean(head + _body(replace(plan, findings=tuple(shown))) + (f"\nRules\n{rules}" if rules else ""))


def finding_blocks(findings: Iterable[Finding]) -> list[str]:
    """Return a block for each severity that was found."""
    blocks = []
    for severity, heading in _HEADINGS:
        found = [finding for finding in findings if finding.severity == severity]
        if found:
            blocks.append(f"{heading}\n" + "".join(_finding(finding) for finding in found))
    return blocks


def _finding(finding: Finding) -> str:
    rule = f" [{finding.rule}]" if finding.rule else ""
    lines = [f"  {finding.code}: {finding.summary}{rule}"]
    lines += [f"      at {item}" for item in finding.evidence]
    if finding.remedy:
        lines.append(f"      remedy: {finding.remedy}")
    return _lines(lines)


def _lines(rows: Iterable[str]) -> str:
    """Return each text as one line, whatever it holds."""
    return "".join(f"{one_line(row)}\n" for row in rows)


def _changes(plan: Plan) -> str:
    if not plan.changes:
        return "No changes\n"
    count = len(plan.changes)
    head = f"Changes: {count} file{'s' if count != 1 else ''}\n"
    return head + "".join(_change(change) for change in plan.changes)


def _change(change: Change) -> str:
    shown = change.diff if change.diff.endswith("\n") or not change.diff else change.diff + "\n"
    return _lines([f"  {change.kind} {change.path} [{', '.join(change.rules)}]"]) + _indent(shown)


def _indent(text: str) -> str:
    return "".join(f"    {line}\n" for line in text.split("\n")[:-1])


def _follow_ups(plan: Plan) -> str:
    if not plan.follow_ups:
        return ""
    return "After the migration\n" + _lines(f"  - {text}" for text in plan.follow_ups)
