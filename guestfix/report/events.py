"""Events as JSON lines, and the events that a Plan makes."""

from __future__ import annotations

from guestfix.base.events import SEVERITY, STAGES, Event, Events, timestamp
from guestfix.base.text import to_json
from guestfix.plan.model import Plan


def event_out(event: Event, when: str) -> dict[str, object]:
    """Return an event in its JSON form; what does not apply is left out."""
    found: dict[str, object] = {"message": event.message, "timestamp": when, "type": event.type}
    if event.percent is not None:
        found["percent"] = event.percent
    for name, text in (("stage", event.stage), ("code", event.code), ("rule", event.rule)):
        if text:
            found[name] = text
    if event.path or event.remedy:
        found |= {name: text for name, text in (("path", event.path), ("remedy", event.remedy)) if text}
    if event.total is not None:
        found[event.unit] = {"done": event.done, "total": event.total}
    if event.result is not None:
        found["result"] = event.result
    return found


def event_line(event: Event) -> str:
    """Return an event as one line of JSON, stamped with the present time."""
    if (
        event.type == "progress" and event.stage in STAGES and not event.rule
    ):  # most events are these, and hold no text of others
        count = f'"{event.unit}": {{"done": {event.done}, "total": {event.total}}}'
        told = f'"message": "{event.message}", "percent": {event.percent}, "stage": "{event.stage}"'
        return f'{{{told}, "timestamp": "{timestamp()}", "type": "progress", {count}}}\n'
    return to_json(event_out(event, timestamp()), indent=None) + "\n"


def tell_plan(events: Events, plan: Plan) -> None:
    """Tell what a plan found, each finding by its severity, and which rules change something, each as ``info``."""
    if not events.sinks:
        return
    for finding in plan.findings:
        where = finding.evidence[0].path if finding.evidence else ""
        more = {"code": finding.code, "rule": finding.rule, "path": where, "remedy": finding.remedy}
        events.say(SEVERITY[finding.severity], finding.summary, **more)
    for one in plan.decisions:
        if one.outcome == "applied":
            events.say("info", one.title, rule=one.rule)
