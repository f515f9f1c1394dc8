"""Every form of a report besides text and JSON, each made by a module that is loaded when it is asked for."""

from __future__ import annotations

import importlib

from guestfix.base.errors import UsageError
from guestfix.plan.model import Plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from guestfix.verify.model import Starts

FORMS = {
    "html": "page.render:render_html",
    "markdown": "markdown:render_markdown",
    "sarif": "sarif:render_sarif",
    "junit": "junit:render_junit",
    "csv": "table:render_csv",
}
"""Form to the module below :mod:`guestfix.report`, and its function from a plan to text."""

STARTS = {
    "text": "verify:render_starts",
    "html": "page.render:render_starts",
    "markdown": "markdown:render_starts",
    "junit": "junit:render_starts",
}
"""The forms that show what verify saw, alone; a report has it in all of these too."""


def render(plan: Plan, form: str, starts: Starts | None = None) -> str:
    """Return the report of a plan in one of :data:`FORMS`, of :data:`STARTS` where starts are given."""
    return _made(FORMS[form], plan) if starts is None else _made(FORMS[form], plan, starts)


def check_form(form: str) -> None:
    """Raise UsageError for a form that has no place for what verify saw."""
    if form not in STARTS:
        raise UsageError(f"{form} has no place for what verify saw", remedy=f"choose {' or '.join(STARTS)}")


def render_starts(starts: Starts, form: str) -> str:
    """Return what verify saw in one of :data:`STARTS`; UsageError for another form."""
    check_form(form)
    return _made(STARTS[form], starts)


def render_document(data: bytes, where: str, form: str) -> str:
    """Return a saved plan, or what verify wrote, in one of :data:`FORMS`. Raises PlanError for anything else.

    UsageError for a form that has no place for what verify saw.
    """
    found = load_document(data, where)
    return render(found, form) if isinstance(found, Plan) else render_starts(found, form)


def load_document(data: bytes, where: str) -> Plan | Starts:
    """Return a saved plan, as it is shown, or what verify wrote. Raises PlanError for anything else."""
    from guestfix.plan.reader import load_plan
    from guestfix.verify.reader import is_starts, load_starts

    return load_starts(data, where) if is_starts(data) else load_plan(data, where, shown=True)


def _made(place: str, *arguments: object) -> str:
    module, _, name = place.partition(":")
    text: str = getattr(importlib.import_module(f"guestfix.report.{module}"), name)(*arguments)
    return text
