"""JSON documents other than the plan itself (which is :func:`guestfix.plan.model.plan_out`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from guestfix.base.errors import GuestfixError, PackError, Stopped
from guestfix.base.text import to_json
from guestfix.plan.model import SCHEMA, fact_out, finding_out
from guestfix.plan.planner import Inspection

if TYPE_CHECKING:
    from guestfix.base.shapes import ErrorOut
    from guestfix.compat.shapes import CompatOut
    from guestfix.plan.shapes import GuestOut, InspectionOut, VersionsOut
    from guestfix.report.shapes import FailureOut


def inspection_document(inspection: Inspection) -> InspectionOut:
    """Return the JSON form of an inspection."""
    return {
        "schema": SCHEMA,
        "guest": cast("GuestOut", dict(inspection.guest)),
        "target": inspection.target,
        "verdict": inspection.verdict,
        "compat": cast("CompatOut", dict(inspection.compat)),
        "facts": {name: fact_out(inspection.facts[name].plain()) for name in sorted(inspection.facts)},
        "findings": [finding_out(finding) for finding in inspection.findings],
        "versions": cast("VersionsOut", dict(inspection.versions)),
    }


def error_out(error: GuestfixError) -> ErrorOut:
    """Return the JSON form of an error."""
    document: ErrorOut = {
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
    document: FailureOut = {"schema": SCHEMA, "error": error_out(error)}
    return to_json(document) + "\n"
