"""Events as JSON lines, and the events that a Plan makes."""

from __future__ import annotations

import time

from guestfix.base.events import SEVERITY, Event, Events
from guestfix.base.text import to_json, utf8
from guestfix.plan.model import Plan


def timestamp(now_ns: int | None = None) -> str:
    """Return a time as RFC 3339 has it, with nanoseconds and the offset of UTC; the present one by default."""
    now = time.time_ns() if now_ns is None else now_ns
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now // 1_000_000_000))
    return f"{seconds}.{now % 1_000_000_000:09d}+00:00"


def event_out(event: Event, when: str) -> dict[str, object]:
    """Return an event in its JSON form; what does not apply is left out."""
    found: dict[str, object] = {"message": utf8(event.message), "timestamp": when, "type": event.type}
    if event.percent is not None:
        found["percent"] = event.percent
    found |= {name: getattr(event, name) for name in ("stage", "code", "rule", "path") if getattr(event, name)}
    if event.total is not None:
        found[event.unit] = {"done": event.done, "total": event.total}
    if event.result is not None:
        found["result"] = event.result
    return found


def event_line(event: Event) -> str:
    """Return an event as one line of JSON, stamped with the present time."""
    return to_json(event_out(event, timestamp()), indent=None) + "\n"


def tell_plan(events: Events, plan: Plan) -> None:
    """Tell what a plan found, each finding by its severity, and which rules change something, each as ``info``."""
    if not events.sinks:
        return
    for finding in plan.findings:
        where = finding.evidence[0].path if finding.evidence else ""
        events.say(SEVERITY[finding.severity], finding.summary, code=finding.code, rule=finding.rule, path=where)
    for one in plan.decisions:
        if one.outcome == "applied":
            events.say("info", one.title, rule=one.rule)
