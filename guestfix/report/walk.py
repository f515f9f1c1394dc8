"""Both walks of a plan, for people: an outcome in a line each, then the steps."""

from __future__ import annotations

from guestfix.walk.model import Step, Walk, Walks

_WORDS = {"passes": "passes", "waits": "waits", "stops": "stops", "unknown": "not told"}
WIDTH = 96
"""Columns that a step's line has at most; what it rests on is cut there, and whole in JSON."""


def outcome_rows(walks: Walks) -> list[tuple[str, str]]:
    """Return the outcome of both walks as rows of a report's head; none where nothing was walked."""
    if not walks.before.steps:
        return []
    return [("boot", f"as it is: {_outcome(walks.before)}"), ("", f"with this plan: {_outcome(walks.after)}")]


def _outcome(walk: Walk) -> str:
    untold = len(walk.untold)
    rest = f", {untold} step{'s' if untold != 1 else ''} can't be told" if untold else ""
    seconds = sum(step.seconds for step in walk.steps)
    rest = (f", waits {seconds} s" if seconds else "") + rest
    for number, step in enumerate(walk.steps, 1):
        if step.outcome == "stops":
            return f"stops at {number}, {step.id} ({step.because})"
    return f"{'passes' if walk.outcome == 'passes' else 'can not be told'}{rest}"


def steps_table(walks: Walks) -> str:
    """Return a line for each step: how it ends as the guest is, and with the plan; then what that rests on."""
    rows = zip(walks.before.steps, walks.after.steps, strict=True)
    lines = [_line(number, before, after) for number, (before, after) in enumerate(rows, 1)]
    return "Boot, step by step: as it is, with this plan\n" + "".join(lines) if lines else ""


def _line(number: int, before: Step, after: Step) -> str:
    words = [
        f"{_WORDS[one.outcome]} {one.seconds} s" if one.outcome == "waits" else _WORDS[one.outcome]
        for one in (before, after)
    ]
    because = f"{after.because}" + (f" [{after.rule}]" if after.rule else "")
    line = f"  {number:>2} {after.id:<10} {words[0]:<9} {words[1]:<9} {because}"
    return (line if len(line) <= WIDTH else line[: WIDTH - 3].rstrip() + "...") + "\n"
