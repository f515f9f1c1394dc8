"""What a start of a guest showed, for people: the ending in a line, then each step beside what the walk said of it."""

from __future__ import annotations

from guestfix.base.text import clean, one_line, some
from guestfix.plan.model import Plan
from guestfix.report.layout import Line, View, wrapped
from guestfix.verify.model import Reached, Seen, Start, Starts

WORDS = {True: "reached", False: "not", None: "-"}
MARKS = {True: "passes", False: "stops", None: "unknown"}
"""How the page draws a step that was reached or not: as one of a walk."""

LINES = 40
"""Lines of a console's end that a report has; the document has all."""


def render_starts(starts: Starts) -> str:
    """Return every start as text."""
    return "\n".join(render_start(one) for one in starts.starts)


def render_start(start: Start) -> str:
    """Return one start as text; nothing of what the guest wrote can move the cursor or begin a line."""
    lines = [f"{left:<9}{right}"[:400] for left, right in rows(start)]
    steps = [_step(number, one) for number, one in enumerate(start.steps, 1)]
    return "\n".join([*lines, "", "Step by step: what the walk said, what was seen", *steps]) + "\n"


def rows(start: Start) -> list[tuple[str, str]]:
    """Return what one start showed besides its steps, each with what it is."""
    seen, hardware = start.seen, start.seen.hardware
    secure = ", Secure Boot on" if hardware.secure_boot else ""
    found = [
        (
            "started",
            f"{start.state}, as {hardware.target}: {hardware.disk}, {hardware.nic}, {hardware.firmware}{secure}",
        ),
        ("by", f"{hardware.accelerator} ({hardware.because})"),
        *(("but", text) for text in hardware.stand_ins),
        ("ending", ending(seen)),
    ]
    if seen.wire.lease:
        found.append(("address", f"{seen.wire.lease} by DHCP, after {seen.wire.lease_seconds:.0f} s"))
    elif seen.wire.requests:
        found.append(("address", f"{seen.wire.requests} DHCP requests, and no lease"))
    elif seen.wire.addresses:
        found.append(("address", f"no DHCP; it uses {some(seen.wire.addresses)}"))
    if seen.banner:
        found.append(("ssh", seen.banner))
    degraded = seen.mark("degraded")
    found += [("degraded", f"a unit failed first after {degraded.seconds:.0f} s")] if degraded else []
    found += [("failed", unit) for unit in seen.failed]
    found += [("waited", f"in vain for {unit}") for unit in seen.waited]
    return [(name, one_line(text)) for name, text in found]


def ending(seen: Seen) -> str:
    """Return how a start ended, and when."""
    after = f"after {seen.seconds:.0f} s"
    if seen.stop is None:
        told = {
            "reached": "it runs, has an address, and somebody can log in",
            "unreachable": "it runs, but has no address or nobody can log in",
        }
        return f"{told.get(seen.ending, 'no sign of success or of failure, and no progress any more')}, {after}"
    where = " or ".join((seen.stop.step or "an unknown step", *seen.stop.also))
    line = f": {one_line(seen.stop.line.strip())[:200]}" if seen.stop.line.strip() else ""
    return f"stops at {where} ({seen.stop.why}), {after}{line}"


def when(step: Reached) -> str:
    """Return when a step was reached, and by which sign that is known."""
    return f"after {step.seconds:.0f} s, by {step.sign}" if step.reached and step.seconds is not None else ""


def _step(number: int, one: Reached) -> str:
    differs = "  (differs)" if one.agrees is False else ""
    return f"  {number:>2} {one.id:<10} {one.said:<9} {WORDS[one.reached]:<8} {when(one)}{differs}".rstrip()


def console(seen: Seen) -> list[str]:
    """Return the last lines of the console, made safe."""
    lines = [line.rstrip() for line in clean(seen.console).splitlines() if line.strip()]
    return lines[-LINES:]


# beside a plan


def misfit(starts: Starts, plan: Plan) -> str:
    """Return why some starts do not show what a plan does, empty where they were made with that very plan."""
    if starts.identity != plan.guest["identity"]:
        return "these starts are of another guest: another machine id, host name or release"
    if not any(one.seen.hardware.target == plan.target for one in starts.starts):
        return f"these starts are on {starts.starts[0].seen.hardware.target if starts.starts else 'no target'}"
    if starts.plan != plan.digest:
        return f"these starts were made with another plan of this guest, {starts.plan[:12]}: start it again"
    return ""


def lines_of(starts: Starts, plan: Plan, view: View) -> list[Line]:
    """Return the lines of a plan's report that tell how the guest started."""
    lines: list[Line] = [("Started", "head")]
    if why := misfit(starts, plan):
        lines += [(line, "warn") for line in wrapped(f"not this plan: {why}", view.columns, "  ", "      ")]
    for one in starts.starts:
        good = one.seen.ending == "reached"
        head = f"{one.state}, on {one.seen.hardware.target}: {ending(one.seen)}"
        lines += [(line, "good" if good else "warn") for line in wrapped(one_line(head), view.columns, "  ", "      ")]
        told = [f"{name}: {text}" for name, text in rows(one) if name in ("but", "failed", "waited", "degraded")]
        for text in [_reached(one), *told, *map(_differs, one.differs)]:
            lines += [(line, "") for line in wrapped(text, view.columns, "      ", "          ")]
        if view.detail == "verbose":
            lines += [(f"      | {line}", "dim") for line in console(one.seen)]
    return lines


def _reached(start: Start) -> str:
    parts = {
        "reached": [f"{one.id} {one.seconds or 0:.0f} s" for one in start.steps if one.reached],
        "not reached": [one.id for one in start.steps if one.reached is False],
        "not seen": [one.id for one in start.steps if one.reached is None],
    }
    return "; ".join(f"{name}: {', '.join(found)}" for name, found in parts.items() if found)


def _differs(step: Reached) -> str:
    seen = "it was reached" if step.reached else "it was not reached"
    return f"the walk was wrong at {step.id}: it said {step.said}, and {seen}"
