"""Reports for people. What a guest holds is made safe by :mod:`guestfix.base.text`, line by line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from guestfix.base.catalog.findings import kind_of
from guestfix.base.errors import GuestfixError, PackError, Problem
from guestfix.base.facts import Fact, Finding, Unknown
from guestfix.base.record import replace
from guestfix.base.text import clean, one_line
from guestfix.plan.model import Change, Plan
from guestfix.report.walk import outcome_rows, steps_table

if TYPE_CHECKING:
    from guestfix.apply.apply import Receipt
    from guestfix.apply.undo import Reverted
    from guestfix.plan.planner import Inspection

_HEADINGS = (("blocker", "Blockers: apply will refuse"), ("warning", "Warnings"), ("info", "Notes"))
MAX_VALUE = 300
MAX_NAMES = 30
"""Names that a line of the head has of one kind; JSON has all."""


def render_plan(plan: Plan, *, advice: bool = True) -> str:
    """Return the whole report of a plan, with what to do next unless it is at work already."""
    parts = [
        _header(plan),
        steps_table(plan.walk),
        render_body(plan),
        _rest(plan),
        _next(plan) if advice or plan.blockers else "",
    ]
    return clean("\n".join(part for part in parts if part))


def render_body(plan: Plan) -> str:
    """Return findings, changes and follow-ups: what depends on the guest and the rules alone."""
    parts = [*_finding_blocks(plan.findings), _changes(plan), _follow_ups(plan)]
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
        rows = (f"system   {_system(facts.get)}", f"verdict  {_verdict(plan.verdict, plan.compat)}", "")
        head = _lines(rows)
    rules = _lines(
        f"  {one.rule}: {one.outcome}" + (f" ({one.because})" if one.because else "")
        for one in plan.decisions
        if one.rule in ran and not (system and one.outcome in ("no", "unchanged"))
    )
    return clean(head + render_body(replace(plan, findings=tuple(shown))) + (f"\nRules\n{rules}" if rules else ""))


def _header(plan: Plan) -> str:
    facts = {fact.name: fact.value for fact in plan.facts}
    rows = [
        ("guest", plan.guest["uri"]),
        *opened_rows(plan.guest),
        ("system", _system(facts.get)),
        ("target", f"{plan.target}: {facts.get('target.title', '')}"),
        ("verdict", _verdict(plan.verdict, plan.compat)),
        *outcome_rows(plan.walk),
        ("rules", f"pack {plan.versions['pack']}, guestfix {plan.versions['guestfix']}"),
        *(("pack", text) for text in _packs(plan.versions.get("packs", ())[1:])),
        *(("chosen", f"{one.name} {one.value} ({one.origin})") for one in plan.choices),
        ("plan", f"sha256 {plan.digest}"),
    ]
    return _lines(f"{name:<8} {value}" for name, value in rows)


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:MAX_NAMES])
    return shown if len(names) <= MAX_NAMES else f"{shown} and {len(names) - MAX_NAMES} more"


def _packs(parts: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return one sentence for each pack on top: what it adds, extends, replaces and disables."""
    lines = []
    for part in parts:
        groups: dict[str, list[str]] = {}
        for one in part["changes"]:
            groups.setdefault(one["what"], []).append(f"{one['kind']} {one['id']}")
        verbs = {"added": "adds", "extended": "extends", "replaced": "replaces", "disabled": "disables"}
        said = [f"{verb} {_some(groups[what])}" for what, verb in verbs.items() if what in groups]
        lines.append(f"{part['id']} {part['version']}: {'; '.join(said) or 'changes nothing'}")
    return lines


def opened_rows(guest: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return a row for every file that was opened on behalf of the guest's disk images, and what was read from afar."""
    return [("opened", f"{one['path']} ({one['because']}{_read(one.get('read'))})") for one in guest.get("files", ())]


def _read(read: Mapping[str, int] | None) -> str:
    if not read:
        return ""
    share = 100 * read["bytes"] / read["of"]
    return f"; {read['bytes'] / 1e6:.0f} MB of {read['of'] / 1e6:.0f} read ({share:.1f} %), {read['requests']} requests"


def _system(get: Callable[[str], object]) -> str:
    def known(name: str) -> str:
        value = get(name)
        return "" if value is None or isinstance(value, Unknown) else str(value)

    identity = " ".join(text for text in (known("os.id"), known("os.version"), known("os.arch")) if text)
    title = known("os.name") or ("" if known("os.id") else "unknown")
    return f"{title} ({identity})" if title and identity else title or identity


def _verdict(verdict: str, compat: Mapping[str, Any]) -> str:
    summary, source, date = (compat.get(name) or "" for name in ("summary", "source", "date"))
    origin = f" ({', '.join(text for text in (source, date) if text)})" if source or date else ""
    if compat.get("speaks") is False and verdict != "supported":
        verdict = f"{verdict} on the list of {compat.get('owner')}, a note for this target"
    return f"{verdict}: {summary}{origin}" if summary else verdict


def _finding_blocks(findings: Iterable[Finding]) -> list[str]:
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


def _rest(plan: Plan) -> str:
    """Return the rules: each applied one with its reason, the others in one line each."""
    applied = [one for one in plan.decisions if one.outcome == "applied"]
    quiet = ("applied", "no", "unchanged", "undecided")
    others = [one for one in plan.decisions if one.outcome not in quiet and one.selected]
    left = sum(not one.selected for one in plan.decisions)
    idle = sum(one.outcome in ("no", "unchanged") for one in plan.decisions)
    lines = [
        row for one in applied for row in (f"  {one.rule} ({one.confidence}): {one.title}", f"      why: {one.why}")
    ]
    lines += [f"  {one.rule}: {one.outcome}: {one.because}" for one in others]
    if idle:
        lines.append(f"  {idle} other rule{'s' if idle != 1 else ''} found nothing to do here")
    if left:
        lines.append(f"  {left} rule{'s' if left != 1 else ''} left out by --only or --skip")
    return "Rules\n" + _lines(lines) if lines else ""


def _next(plan: Plan) -> str:
    if plan.blockers:
        return "Blocked: nothing can be applied until the blockers above are gone.\n"
    if plan.changes:
        return "Nothing was written. To do it: guestfix apply, with the same arguments. To undo it: guestfix revert.\n"
    return "Nothing to do.\n"


def render_error(error: GuestfixError) -> str:
    """Return an error as its lines: what and where, then the remedy; of several problems each."""
    problems = error.problems if isinstance(error, PackError) else ()
    place = f"{error.where}: " if error.where else ""
    remedy = [f"  remedy: {error.remedy}"] if error.remedy else []
    said = error.what.split("\n") if isinstance(error, Problem) else [error.what]  # with the line and a caret below
    return "".join(render_error(one) for one in problems) + _lines([f"{place}{said[0]}", *said[1:], *remedy])


def render_receipt(receipt: Receipt) -> str:
    """Return what apply did."""
    if receipt.journal is None:
        return "\nApplied: nothing was to be done.\n"
    lines = [
        f"  {path}" + (f"  (original: {receipt.backups[path]})" if path in receipt.backups else "")
        for path in receipt.applied
    ]
    return "\nApplied\n" + _lines([*lines, f"Journal: {receipt.journal}"])


def render_reverted(uri: str, done: Reverted, files: Sequence[Mapping[str, object]] = ()) -> str:
    """Return what revert did, and which host files were opened for it."""
    if not done.journals:
        return _lines([f"{uri}: there is no journal in this guest, so nothing to revert"])
    lines = [f"  {path}" for path in done.restored]
    lines += [f"  later content of {path} is kept as {aside}" for path, aside in done.kept_aside.items()]
    lines += [f"{name} {value}" for name, value in opened_rows({"files": files})]
    return _lines([f"Restored in {uri}", *lines])


def render_inspection(inspection: Inspection) -> str:
    """Return facts with their evidence, then findings."""
    rows = [f"guest    {inspection.guest['uri']}"]
    rows += [f"{name:<8} {value}" for name, value in opened_rows(inspection.guest)]
    rows.append(f"system   {_system(inspection.facts.value)}")
    rows.append(f"verdict  {_verdict(inspection.verdict, inspection.compat)}")
    facts = [_fact(inspection.facts[name].plain()) for name in sorted(inspection.facts)]
    found = "".join(f"\n{block}" for block in _finding_blocks(inspection.findings))
    return f"{_lines(rows)}\nFacts\n{''.join(facts)}{found}"


def _fact(fact: Fact) -> str:
    if isinstance(fact.value, Unknown):
        shown = f"unknown: {fact.value.reason}"
    else:
        text = str(fact.value)
        shown = (
            text
            if len(text) <= MAX_VALUE
            else f"{text[:MAX_VALUE]}... ({len(text)} characters; all of it with --format json)"
        )
    return _lines([f"  {fact.name} = {shown}", *(f"      at {item}" for item in fact.evidence[:3])])
