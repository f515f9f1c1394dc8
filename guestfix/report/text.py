"""Reports for people. Text from a guest is cleaned of control characters before it reaches a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from guestfix.base.facts import Fact, Finding, Unknown
from guestfix.base.patterns import regex
from guestfix.base.record import replace
from guestfix.plan.model import Change, Plan

if TYPE_CHECKING:
    from guestfix.apply.apply import Receipt
    from guestfix.apply.undo import Reverted
    from guestfix.plan.planner import Inspection

_CONTROL = regex(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\udc80-\udcff\u202a-\u202e\u2066-\u2069]")
_HEADINGS = (("blocker", "Blockers: apply will refuse"), ("warning", "Warnings"), ("info", "Notes"))
MAX_VALUE = 300


def clean(text: str) -> str:
    """Return text with control characters, stray bytes and direction overrides made visible."""
    return _CONTROL.sub(
        lambda match: f"\\x{ord(match[0]) & 0xFF:02x}" if ord(match[0]) < 0x2000 else _escaped(match[0]), text
    )


def _escaped(char: str) -> str:
    code = ord(char)
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"


def render_plan(plan: Plan, *, advice: bool = True) -> str:
    """Return the whole report of a plan, with what to do next unless it is at work already."""
    parts = [_header(plan), render_body(plan), _rest(plan), _next(plan) if advice or plan.blockers else ""]
    return clean("\n".join(part for part in parts if part))


def render_body(plan: Plan) -> str:
    """Return findings, changes and follow-ups: what depends on the guest and the rules alone."""
    parts = [*_finding_blocks(plan.findings), _changes(plan), _follow_ups(plan)]
    return "\n".join(part for part in parts if part)


def render_case(plan: Plan, *, system: bool, settles: Mapping[str, Sequence[str]]) -> str:
    """Return the golden report of a case. ``settles`` has the findings that each rule of the pack settles.

    A case of a rule shows what the rules that ran decided, found, settle and changed; a case of a system shows
    the verdict too, and what was found about the system itself. Both show every blocker.
    """
    ran = {one.rule for one in plan.decisions if one.outcome != "skipped" or system}
    own = {code for rule in ran for code in settles.get(rule, ())}
    shown = [
        one
        for one in plan.findings
        if one.severity == "blocker"
        or one.rule in ran
        or one.code in own
        or (system and one.code.startswith(("GF-OS-", "GF-ARCH-", "GF-KERNEL-", "GF-WINDOWS-")))
    ]
    head = ""
    if system:
        facts = {fact.name: fact.value for fact in plan.facts}
        head = f"system   {_system(facts.get)}\nverdict  {_verdict(plan.verdict, plan.compat)}\n\n"
    rules = "".join(
        f"  {one.rule}: {one.outcome}" + (f" ({one.because})\n" if one.because else "\n")
        for one in plan.decisions
        if one.rule in ran and not (system and one.outcome in ("no", "unchanged"))
    )
    return clean(head + render_body(replace(plan, findings=tuple(shown))) + (f"\nRules\n{rules}" if rules else ""))


def _header(plan: Plan) -> str:
    facts = {fact.name: fact.value for fact in plan.facts}
    rows = [
        ("guest", plan.guest["uri"]),
        ("system", _system(facts.get)),
        ("target", f"{plan.target}: {facts.get('target.title', '')}"),
        ("verdict", _verdict(plan.verdict, plan.compat)),
        ("rules", f"pack {plan.versions['pack']}, guestfix {plan.versions['guestfix']}"),
    ]
    return "".join(f"{name:<8} {value}\n" for name, value in rows)


def _system(get: Callable[[str], Any]) -> str:
    def known(name: str) -> str:
        value = get(name)
        return "" if value is None or isinstance(value, Unknown) else str(value)

    identity = " ".join(text for text in (known("os.id"), known("os.version"), known("os.arch")) if text)
    title = known("os.name") or ("" if known("os.id") else "unknown")
    return f"{title} ({identity})" if title and identity else title or identity


def _verdict(verdict: str, compat: Any) -> str:
    summary, source, date = (compat.get(name) or "" for name in ("summary", "source", "date"))
    origin = f" ({', '.join(text for text in (source, date) if text)})" if source or date else ""
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
    return "\n".join(lines) + "\n"


def _changes(plan: Plan) -> str:
    if not plan.changes:
        return "No changes\n"
    count = len(plan.changes)
    head = f"Changes: {count} file{'s' if count != 1 else ''}\n"
    return head + "".join(_change(change) for change in plan.changes)


def _change(change: Change) -> str:
    shown = change.diff if change.diff.endswith("\n") or not change.diff else change.diff + "\n"
    return f"  {change.kind} {change.path} [{', '.join(change.rules)}]\n{_indent(shown)}"


def _indent(text: str) -> str:
    return "".join(f"    {line}\n" for line in text.split("\n")[:-1])


def _follow_ups(plan: Plan) -> str:
    if not plan.follow_ups:
        return ""
    return "After the migration\n" + "".join(f"  - {text}\n" for text in plan.follow_ups)


def _rest(plan: Plan) -> str:
    """Return the rules: each applied one with its reason, the others in one line each."""
    applied = [one for one in plan.decisions if one.outcome == "applied"]
    quiet = ("applied", "no", "unchanged", "undecided")
    others = [one for one in plan.decisions if one.outcome not in quiet and one.selected]
    left = sum(not one.selected for one in plan.decisions)
    idle = sum(one.outcome in ("no", "unchanged") for one in plan.decisions)
    lines = [f"  {one.rule} ({one.confidence}): {one.title}\n      why: {one.why}\n" for one in applied]
    lines += [f"  {one.rule}: {one.outcome}: {one.because}\n" for one in others]
    if idle:
        lines.append(f"  {idle} other rule{'s' if idle != 1 else ''} found nothing to do here\n")
    if left:
        lines.append(f"  {left} rule{'s' if left != 1 else ''} left out by --only or --skip\n")
    return "Rules\n" + "".join(lines) if lines else ""


def _next(plan: Plan) -> str:
    if plan.blockers:
        return "Blocked: nothing can be applied until the blockers above are gone.\n"
    if plan.changes:
        return "Nothing was written. To do it: guestfix apply, with the same arguments. To undo it: guestfix revert.\n"
    return "Nothing to do.\n"


def render_receipt(receipt: Receipt) -> str:
    """Return what apply did."""
    if receipt.journal is None:
        return "\nApplied: nothing was to be done.\n"
    lines = [
        f"  {path}" + (f"  (original: {receipt.backups[path]})" if path in receipt.backups else "")
        for path in receipt.applied
    ]
    return clean("\n".join(["\nApplied", *lines, f"Journal: {receipt.journal}", ""]))


def render_reverted(uri: str, done: Reverted) -> str:
    """Return what revert did."""
    if not done.journals:
        return clean(f"{uri}: there is no journal in this guest, so nothing to revert\n")
    lines = [f"  {path}" for path in done.restored]
    lines += [f"  later content of {path} is kept as {aside}" for path, aside in done.kept_aside.items()]
    return clean("\n".join([f"Restored in {uri}", *lines, ""]))


def render_inspection(inspection: Inspection) -> str:
    """Return facts with their evidence, then findings."""
    rows = [f"guest    {inspection.guest['uri']}\n", f"system   {_system(inspection.facts.value)}\n"]
    rows.append(f"verdict  {_verdict(inspection.verdict, inspection.compat)}\n")
    facts = [_fact(inspection.facts[name]) for name in sorted(inspection.facts)]
    return clean(
        "".join(rows) + "\nFacts\n" + "".join(facts) + "".join("\n" + b for b in _finding_blocks(inspection.findings))
    )


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
    seen = "".join(f"      at {item}\n" for item in fact.evidence[:3])
    return f"  {fact.name} = {shown}\n{seen}"
