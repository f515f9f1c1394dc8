"""JSON documents other than the plan itself (which is :func:`guestfix.plan.model.plan_out`)."""

from __future__ import annotations

from guestfix.base.errors import GuestfixError, PackError, Stopped
from guestfix.base.text import to_json
from guestfix.plan.model import SCHEMA, fact_out, finding_out
from guestfix.plan.planner import Inspection


def inspection_document(inspection: Inspection) -> dict[str, object]:
    """Return the JSON form of an inspection."""
    return {
        "schema": SCHEMA,
        "guest": dict(inspection.guest),
        "target": inspection.target,
        "verdict": inspection.verdict,
        "compat": dict(inspection.compat),
        "facts": {name: fact_out(inspection.facts[name].plain()) for name in sorted(inspection.facts)},
        "findings": [finding_out(finding) for finding in inspection.findings],
        "versions": dict(inspection.versions),
    }


def error_out(error: GuestfixError) -> dict[str, object]:
    """Return the JSON form of an error."""
    document: dict[str, object] = {
        "code": error.code,
        "kind": type(error).__name__,
        "what": error.what,
        "where": error.where,
        "remedy": error.remedy,
    }
    if isinstance(error, Stopped):
        return {**document, "by": error.by}
    if isinstance(error, PackError):
        return {**document, "problems": [error_out(problem) for problem in error.problems]}
    return document


def error_document(error: GuestfixError) -> str:
    """Return the one JSON document of a command that failed."""
    return to_json({"schema": SCHEMA, "error": error_out(error)}) + "\n"
