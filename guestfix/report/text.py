"""Reports for people. What a guest holds is made safe by :mod:`guestfix.base.text`, line by line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from guestfix.base.errors import GuestfixError, PackError, Problem
from guestfix.base.facts import Finding
from guestfix.base.text import clean, one_line
from guestfix.plan.model import Decision, Plan
from guestfix.report import outline
from guestfix.report.layout import Line, Style, View, count, cut, plain, wrapped
from guestfix.report.outline import HEADINGS, Group, Part, is_head
from guestfix.report.screen import first_screen

if TYPE_CHECKING:
    from guestfix.apply.apply import Receipt
    from guestfix.apply.undo import Reverted
    from guestfix.verify.model import Starts

MAX_NAMES = 30
"""Names that a line has of one kind; JSON has all."""
FIRST_LINES = 4
"""Lines of a change that are shown where not all are asked for."""
EVIDENCE = 3
"""Pieces of evidence of a finding that are shown; a verbose report has all."""
STYLES: dict[Part, Style] = {"blockers": "bad", "before": "warn", "lost": "warn", "unchecked": "warn"}


def render_plan(plan: Plan, view: View | None = None, *, advice: bool = True) -> str:
    """Return the whole report of a plan, with what to do next unless it is at work already."""
    return plain(plan_lines(plan, view or View(), advice=advice))


def plan_lines(plan: Plan, view: View, *, advice: bool = True, starts: Starts | None = None) -> list[Line]:
    """Return the lines of a plan's report: the first screen, then (unless it is to be brief) what stands behind it.

    ``starts``: what verify saw of the guest, which stands right below the first screen.
    """
    lines = first_screen(plan, view, done=not advice)
    if starts is not None:
        from guestfix.report.verify import lines_of

        lines += [("", ""), *lines_of(starts, plan, view)]
    if view.detail != "brief":
        blocks = [_why(plan, view)]
        blocks += [_part(part, found, view) for part, found in outline.groups(plan).items()]
        blocks += [_changes(plan, view), _after(plan, view)]
        if view.detail == "verbose":
            blocks += [_steps(plan, view), _rules(plan.decisions, view)]
        blocks += [_about(plan, view)]
        lines += [line for block in blocks if block for line in [("", ""), *block]]
    if advice or plan.blockers:
        lines += [("", ""), *_as("", wrapped(_next(plan), view.columns))]
    return lines


def _as(style: Style, texts: Iterable[str]) -> list[Line]:
    return [(text, style) for text in texts]


def _why(plan: Plan, view: View) -> list[Line]:
    """Return why the guest would not start, or wait, on the target as it is: each such step with what it rests on."""
    steps = [step for step in plan.walk.before.steps if step.outcome in ("stops", "waits")]
    lines: list[Line] = [(f"As it is on {plan.target}", "head")] if steps else []
    for step in steps:
        ends = "stops" if step.outcome == "stops" else f"waits {step.seconds} s" if step.seconds else "waits"
        lines += _as("warn", wrapped(f"{step.id} {ends}: {step.because}", view.columns, "  ", "      "))
        for item in step.evidence[:EVIDENCE]:
            lines += _as("dim", [cut(f"      at {item}", max(view.columns, len(f"      at {item.path}:{item.line}")))])
    return lines


def _part(part: Part, found: Sequence[Group], view: View) -> list[Line]:
    """Return the findings of one part of the report; what the plan repairs takes a line each."""
    if not found:
        return []
    lines: list[Line] = [(HEADINGS[part], "head")]
    short = part in ("repairs", "notes") and view.detail != "verbose"
    for group in found:
        if short or not group.findings:
            rule = f" [{group.rule}]" if group.rule and group.findings else ""
            lines += _as("", wrapped(f"{group.name}: {group.says}{rule}", view.columns, "  ", "      "))
            continue
        for one in group.findings:
            lines += _finding(one, view, STYLES.get(part, ""))
    return lines


def _finding(finding: Finding, view: View, style: Style) -> list[Line]:
    rule = f" [{finding.rule}]" if finding.rule else ""
    lines = _as(style, wrapped(f"{finding.code}: {finding.summary}{rule}", view.columns, "  ", "      "))
    most = len(finding.evidence) if view.detail == "verbose" else EVIDENCE
    for item in finding.evidence[:most]:
        lines += _as("dim", [cut(f"      at {item}", max(view.columns, len(f"      at {item.path}:{item.line}")))])
    if len(finding.evidence) > most:
        lines += _as("dim", [f"      and {count(len(finding.evidence) - most, 'more place')}"])
    if finding.remedy:
        lines += _as("", wrapped(f"do: {finding.remedy}", view.columns, "      ", "          "))
    return lines


def _changes(plan: Plan, view: View) -> list[Line]:
    """Return a line for each change and its first lines, or all of its diff."""
    if not plan.changes:
        return [("No changes", "head")]
    lines: list[Line] = [(f"Changes: {count(len(plan.changes), 'file')}", "head")]
    for row in outline.change_rows(plan):
        counted = f"+{row.added} -{row.removed}" if row.added or row.removed else ""
        names = f"[{', '.join(row.change.rules)}]"
        head = f"{row.change.kind} {one_line(row.change.path)} {counted}".rstrip()
        lines += _as("title", wrapped(f"{head} {names}", view.columns, "  ", "      "))
        if view.diff:
            lines += diff_lines(row.change.diff, "    ")
            continue
        lines += diff_lines("\n".join(row.lines[:FIRST_LINES]), "      ")
        if len(row.lines) > FIRST_LINES:
            lines.append((f"      ... {count(len(row.lines) - FIRST_LINES, 'more line')}", "dim"))
    return lines


def diff_lines(diff: str, indent: str = "") -> list[Line]:
    """Return the lines of a diff as they are, never wrapped."""
    return [(f"{indent}{clean(line)}", _diff_style(line)) for line in diff.removesuffix("\n").split("\n") if diff]


def _diff_style(line: str) -> Style:
    if is_head(line):
        return "title"
    styles: dict[str, Style] = {"+": "add", "-": "del", "@": "hunk"}
    return styles.get(line[:1], "")


def _after(plan: Plan, view: View) -> list[Line]:
    if not plan.follow_ups:
        return []
    lines = [line for text in plan.follow_ups for line in wrapped(text, view.columns, "  - ", "    ")]
    return [("After the migration", "head"), *_as("", lines)]


def _steps(plan: Plan, view: View) -> list[Line]:
    """Return every step of the planned boot with what it rests on."""
    if not plan.walk.after.steps:
        return []
    lines: list[Line] = [("The boot with this plan, and what each step rests on", "head")]
    for number, step in enumerate(plan.walk.after.steps, 1):
        rule = f" [{step.rule}]" if step.rule else ""
        text = f"{number} {step.id}: {step.because}{rule}"
        lines += _as("", wrapped(text, view.columns, "  ", "      "))
        lines += _as("dim", [cut(f"      at {item}", view.columns) for item in step.evidence])
    return lines


def _rules(decisions: Sequence[Decision], view: View) -> list[Line]:
    """Return the rules: each applied one with its reason, the others in one line each."""
    quiet = ("applied", "no", "unchanged", "undecided")
    lines: list[Line] = [("Rules", "head")]
    for one in decisions:
        if one.outcome == "applied":
            lines += _as("", wrapped(f"{one.rule} ({one.confidence}): {one.title}", view.columns, "  ", "      "))
            lines += _as("dim", wrapped(f"why: {one.why}", view.columns, "      "))
        elif one.outcome not in quiet and one.selected:
            lines += _as("", wrapped(f"{one.rule}: {one.outcome}: {one.because}", view.columns, "  ", "      "))
    idle = sum(one.outcome in ("no", "unchanged") for one in decisions)
    if idle:
        lines.append((f"  {count(idle, 'other rule')} found nothing to do here", ""))
    return lines


def _about(plan: Plan, view: View) -> list[Line]:
    """Return what the report was made of: the guest, the files that were opened, verdict and packs."""
    left = sum(not one.selected for one in plan.decisions)
    rows = [
        ("guest", str(plan.guest["uri"])),
        *opened_rows(plan.guest),
        ("verdict", outline.verdict_of(plan.verdict, plan.compat)),
        ("rules", f"pack {plan.versions['pack']}, guestfix {plan.versions['guestfix']}"),
        *(("pack", text) for text in _packs(plan.versions.get("packs", ())[1:])),
        *(("chosen", f"{one.name} {one.value} ({one.origin})") for one in plan.choices),
        ("plan", plan.digest),
        *([("left out", f"{count(left, 'rule')} by --only or --skip")] if left else []),
    ]
    lines: list[Line] = [("About this report", "head")]
    return [*lines, *(line for name, text in rows for line in _as("", wrapped(text, view.columns, f"  {name:<8} ")))]


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


def _next(plan: Plan) -> str:
    if plan.blockers:
        return "Blocked: nothing can be applied until the blockers above are gone."
    if plan.changes:
        return "Nothing was written. To do it: guestfix apply, with the same arguments. To undo it: guestfix revert."
    return "Nothing to do."


def render_error(error: GuestfixError) -> str:
    """Return an error as its lines: what and where, then the remedy; of several problems each."""
    problems = error.problems if isinstance(error, PackError) else ()
    place = f"{error.where}: " if error.where else ""
    remedy = [f"  remedy: {error.remedy}"] if error.remedy else []
    said = (
        error.what.splitlines() or [""] if isinstance(error, Problem) else [error.what]
    )  # with the line and a caret below
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


def _lines(rows: Iterable[str]) -> str:
    """Return each text as one line, whatever it holds."""
    return "".join(f"{one_line(row)}\n" for row in rows)
