"""A report as Markdown, for tickets and merge requests (CommonMark with GitHub's tables)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from guestfix.base.patterns import regex
from guestfix.base.text import clean, one_line, utf8
from guestfix.plan.model import Plan
from guestfix.report import outline
from guestfix.report.layout import count, size
from guestfix.report.screen import WORDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from guestfix.verify.model import Starts

LINES = 60
"""Lines of a diff that are shown; ``guestfix diff`` has all."""
_SPECIAL = regex(r"([\\`*_{}\[\]<>#|~&@]|:(?=//)|(?<=www)\.)", re.IGNORECASE)
_TICKS = regex(r"`+")


def render_markdown(plan: Plan, starts: Starts | None = None) -> str:
    """Return the report of a plan as Markdown. What a guest says can't format, link, mention or embed anything."""
    system = outline.system_of({fact.name: fact.value for fact in plan.facts})
    said = outline.outcome(plan)
    parts = [f"# {_text(system)} to {_text(plan.target)}", f"**{_text(said[0].upper() + said[1:])}.**"]
    parts += _walk(plan)
    if starts is not None:
        from guestfix.report.verify import misfit

        why = misfit(starts, plan)
        parts += ["## Started", *([f"**Not this plan:** {_text(why)}."] if why else []), *_starts(starts)]
    parts += [*_disks(plan), *_findings(plan), *_after(plan), *_changes(plan)]
    parts.append(
        f"Compatibility: {_text(outline.verdict_of(plan.verdict, plan.compat))}. guestfix {plan.versions['guestfix']}, "
        f"rule pack {_text(str(plan.versions['pack']))}, plan {_code('sha256 ' + plan.digest)}."
    )
    return "\n\n".join(parts) + "\n"


def render_starts(starts: Starts) -> str:
    """Return what verify saw as Markdown."""
    parts = [f"# Starts of {_code(starts.uri)}", *_starts(starts)]
    return "\n\n".join([*parts, f"guest {_code(starts.identity[:12])}, plan {_code('sha256 ' + starts.plan)}."]) + "\n"


def _starts(starts: Starts) -> list[str]:
    from guestfix.report import verify

    parts = []
    for one in starts.starts:
        parts.append(f"### {_text(one.state)}, on {_text(one.seen.hardware.target)}: {_text(one.seen.ending)}")
        parts.append("\n".join(f"- {_text(name)}: {_text(text)}" for name, text in verify.rows(one)))
        steps = [
            (_text(step.id), step.said, verify.WORDS[step.reached], _text(verify.when(step)),
             "differs" if step.agrees is False else "")
            for step in one.steps
        ]  # fmt: skip
        parts.append(_table(("step", "the walk said", "seen", "when", ""), steps))
        if lines := verify.console(one.seen):
            parts.append(f"The console's last lines:\n\n{_block(lines)}")
    return parts


def _block(lines: Sequence[str], kind: str = "") -> str:
    body = "\n".join(lines)
    fence = "`" * max(3, max((len(found) for found in _TICKS.findall(body)), default=0) + 1)
    return f"{fence}{kind}\n{body}\n{fence}"


def _text(text: str) -> str:
    """Return a text of a guest on one line, with everything escaped that Markdown would take for its own."""
    return _SPECIAL.sub(r"\\\1", one_line(utf8(text)))


def _code(text: str, *, cell: bool = False) -> str:
    """Return a text as inline code, within as many ticks as it needs (CommonMark, 6.1); in a cell no bar ends it."""
    text = one_line(utf8(text))
    text = text.replace("|", "\\|") if cell else text
    fence = "`" * (max((len(found) for found in _TICKS.findall(text)), default=0) + 1)
    pad = " " if text[:1] == "`" or text[-1:] == "`" or not text else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def _walk(plan: Plan) -> list[str]:
    if not plan.walk.after.steps:
        return []
    both = zip(plan.walk.before.steps, plan.walk.after.steps, strict=True)
    rows = [(after.id, WORDS[before.outcome], WORDS[after.outcome], _text(after.because)) for before, after in both]
    return ["## Boot", _table(("step", "as it is", "with this plan", "because"), rows)]


def _disks(plan: Plan) -> list[str]:
    rows = [
        (
            _code(one.device or "above them", cell=True),
            size(one.size) or "-",
            _code(one.target, cell=True) if one.target else "-",
            _text(", ".join(one.volumes)) or "-",
            _text(", ".join(one.mounts)) or "-",
        )
        for one in outline.disks(plan)
    ]
    return ["## Disks", _table(("disk", "size", "on the target", "volumes", "mounted at"), rows)] if rows else []


def _findings(plan: Plan) -> list[str]:
    parts = []
    for part, found in outline.groups(plan).items():
        if not found:
            continue
        lines = []
        for group in found:
            if not group.findings:
                lines.append(f"- {_code(group.name)}: {_text(group.says)}")
            for one in group.findings:
                lines.append(f"- {_code(one.code)}: {_text(one.summary)}")
                lines += [f"  - at {_code(str(item))}" for item in one.evidence[:3] if not one.settled_by]
                lines += [f"  - **do:** {_text(one.remedy)}"] if one.remedy and not one.settled_by else []
        parts += [f"## {outline.HEADINGS[part]}", "\n".join(lines)]
    return parts


def _after(plan: Plan) -> list[str]:
    if not plan.follow_ups:
        return []
    return ["## After the migration", "\n".join(f"- [ ] {_text(text)}" for text in plan.follow_ups)]


def _changes(plan: Plan) -> list[str]:
    if not plan.changes:
        return ["## Changes", "Nothing is changed."]
    parts = [f"## Changes: {count(len(plan.changes), 'file')}"]
    for row in outline.change_rows(plan):
        counts = f"+{row.added} -{row.removed}"
        lines = [clean(utf8(line)) for line in row.change.diff.removesuffix("\n").split("\n")]
        more = [f"... {count(len(lines) - LINES, 'more line')}"] if len(lines) > LINES else []
        rules = ", ".join(map(_code, row.change.rules))
        parts += [
            f"### {row.change.kind} {_code(row.change.path)} ({counts}) by {rules}",
            _block([*lines[:LINES], *more], "diff"),
        ]
    return parts
