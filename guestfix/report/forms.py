"""Every form of a report besides text and JSON, each made by a module that is loaded when it is asked for."""

from __future__ import annotations

import importlib

from guestfix.plan.model import Plan

FORMS = {
    "html": "page.render:render_html",
    "markdown": "markdown:render_markdown",
    "sarif": "sarif:render_sarif",
    "junit": "junit:render_junit",
    "csv": "table:render_csv",
}
"""Form to the module below :mod:`guestfix.report`, and its function from a plan to text."""


def render(plan: Plan, form: str) -> str:
    """Return the report of a plan in one of :data:`FORMS`."""
    module, _, name = FORMS[form].partition(":")
    text: str = getattr(importlib.import_module(f"guestfix.report.{module}"), name)(plan)
    return text
