"""Events as JSON lines, and the events that a Plan makes."""

from __future__ import annotations

from guestfix.base.events import ONE_GUEST, SEVERITY, Event, Events, timestamp
from guestfix.base.text import to_json
from guestfix.plan.model import Plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from guestfix.report.shapes import CountOut, EventOut


_TEXTS = ("stage", "code", "rule", "path", "remedy")


def event_out(event: Event, when: str) -> EventOut:
    """Return an event in its JSON form; what does not apply is left out."""
    found: EventOut = {"message": event.message, "timestamp": when, "type": event.type}
    if event.percent is not None:
        found["percent"] = event.percent
    told = {name: text for name in _TEXTS if (text := getattr(event, name))}
    count: CountOut = {"done": event.done or 0, "total": event.total or 0}
    counted = {event.unit: count} if event.total is not None else {}
    pace = {name: value for name in ("rate", "rest") if (value := getattr(event, name)) is not None}
    result = {"result": event.result} if event.result is not None else {}
    return {**found, **told, **counted, **pace, **result}  # type: ignore[typeddict-item]


def event_line(event: Event) -> str:
    """Return an event as one line of JSON, stamped with the present time."""
    if event.type == "progress" and event.stage in ONE_GUEST and not event.rule:  # most are, and hold no text of others
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
        events.say(SEVERITY[finding.left], finding.summary, **more)
    for one in plan.decisions:
        if one.outcome == "applied":
            events.say("info", one.title, rule=one.rule)
