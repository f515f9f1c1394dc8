"""The first screen of a report: what happens, whether the guest starts, what is on its disks, what is to be done.

It has at most 24 lines where nothing blocks: each part has a line or more, and what is left out stands further down.
"""

from __future__ import annotations

from collections.abc import Sequence

from guestfix.plan.model import Plan
from guestfix.report import outline
from guestfix.report.layout import Line, Style, View, columns, count, cut, size, wrapped
from guestfix.report.outline import Group, Part, StepRow
from guestfix.walk.model import Step

LINES = 24
DISKS = 4
"""Disks that the first screen lists."""
WORDS = {"passes": "passes", "waits": "waits", "stops": "stops", "unknown": "not told"}
_LABELS: dict[Part, tuple[str, Style]] = {
    "blockers": ("Blocked", "bad"),
    "before": ("Do before", "warn"),
    "lost": ("Lost", "warn"),
    "repairs": ("Repairs", "good"),
    "unchecked": ("Unchecked", "warn"),
}
AFTER = "Do after"
_LABEL = 10


def first_screen(plan: Plan, view: View, *, done: bool = False) -> list[Line]:
    """Return the lines of the first screen."""
    width = view.columns
    system = outline.system_of({fact.name: fact.value for fact in plan.facts})
    lines: list[Line] = [(cut(f"{system} -> {plan.target}", width), "title")]
    text = outline.outcome(plan, done=done)
    lines += [(line, _mood(plan)) for line in wrapped(text[0].upper() + text[1:], width)]
    for block in (_boot(plan, width), _disks(plan, width)):
        lines += [("", ""), *block] if block else []
    parts = outline.groups(plan)
    told = [(part, parts[part]) for part in _LABELS if parts[part]]
    after = (Group("", count(len(plan.follow_ups), "thing") + ", listed below"),) if plan.follow_ups else ()
    return [*lines, ("", ""), *_summary(told, after, width, LINES - len(lines) - 1)] if told or after else lines


def _mood(plan: Plan) -> Style:
    if plan.blockers or plan.walk.after.stops_at:
        return "bad"
    return "warn" if any(one.left == "warning" for one in plan.findings) else "good"


def _boot(plan: Plan, width: int) -> list[Line]:
    """Return the steps of the boot, those that pass before and after together."""
    rows = outline.step_rows(plan.walk)
    if not rows:
        return []
    cells = [("", "Boot", "as it is", "with this plan", "")]
    cells += [(_numbers(row), _names(row), _word(row.before), _word(row.after), _because(row)) for row in rows]
    styles: list[Style] = ["head", *(_style(row) for row in rows)]
    return list(zip(columns(cells, width, ""), styles, strict=True))


def _numbers(row: StepRow) -> str:
    return f"{row.first:>2}" if row.first == row.last else f"{row.first:>2}-{row.last}"


def _names(row: StepRow) -> str:
    return ", ".join(row.names) if len(row.names) < 3 else f"{row.names[0]} to {row.names[-1]}"


def _word(step: Step) -> str:
    return f"waits {step.seconds} s" if step.outcome == "waits" and step.seconds else WORDS[step.outcome]


def _because(row: StepRow) -> str:
    if row.after.outcome != "passes":
        return row.after.because
    if row.after.rule:
        return f"by {row.after.rule}"
    return row.before.because if row.before.outcome in ("stops", "waits") else ""


def _style(row: StepRow) -> Style:
    moods: dict[str, Style] = {"passes": "good", "stops": "bad"}
    return moods.get(row.after.outcome, "warn")


def _disks(plan: Plan, width: int) -> list[Line]:
    rows = outline.disks(plan)
    if not rows:
        return []
    cells = [("Disk", "Size", "On the target", "Mounted at", "Volumes")]
    cells += [
        (
            one.device or "above them",
            size(one.size),
            one.target,
            cut(", ".join(one.mounts) or "-", 24),
            ", ".join(one.volumes),
        )
        for one in (rows if len(rows) <= DISKS else rows[: DISKS - 1])
    ]
    texts = columns(cells, width, "")
    more = [f"and {len(rows) - DISKS + 1} more; all of them: guestfix inspect"] if len(rows) > DISKS else []
    return [(text, "" if number else "head") for number, text in enumerate([*texts, *more])]


def _summary(told: Sequence[tuple[Part, Sequence[Group]]], after: Sequence[Group], width: int, room: int) -> list[Line]:
    """Return a line or more for each part, as many as there is room for; blockers have as many as there are."""
    shares = _shares({part: len(found) for part, found in told}, room - len(after))
    lines: list[Line] = []
    for part, found in told:
        label, style = _LABELS[part]
        shown = found if shares[part] >= len(found) else found[: max(shares[part] - 1, 0)]
        texts = [f"{one.name}: {one.says}" for one in shown]
        if len(shown) < len(found):
            codes = ", ".join(one.name for one in found[len(shown) :])
            texts.append(f"{count(len(found) - len(shown), 'more', 'more') if shown else len(found)}: {codes}")
        lines += _labelled(label, texts, style, width)
    return [*lines, *_labelled(AFTER, [one.says for one in after], "", width)]


def _labelled(label: str, texts: Sequence[str], style: Style, width: int) -> list[Line]:
    leads = [label, *[""] * len(texts)]
    return [(cut(f"{lead:<{_LABEL}} {text}", width), style) for lead, text in zip(leads, texts, strict=False)]


def _shares(wanted: dict[Part, int], room: int) -> dict[Part, int]:
    """Share the lines out: one for each part, all for blockers, then in turn to those that want more."""
    shares = {part: number if part == "blockers" else 1 for part, number in wanted.items()}
    while sum(shares.values()) < room and (open_ := [part for part in wanted if shares[part] < wanted[part]]):
        for part in open_:
            if sum(shares.values()) < room:
                shares[part] += 1
    return shares
