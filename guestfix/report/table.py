"""Findings as CSV (RFC 4180), a row for each, for a spreadsheet."""

from __future__ import annotations

import csv
import io

from guestfix.base.text import clean, utf8
from guestfix.plan.model import Plan
from guestfix.report import outline

HEAD = ("target", "part", "severity", "code", "step", "summary", "remedy", "rule", "settled_by", "path", "line", "text")
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""With one of these a spreadsheet takes a cell for a formula."""


def render_csv(plan: Plan) -> str:
    """Return the findings of a plan as CSV; no cell is a formula, whatever a guest says."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(HEAD)
    for one in plan.findings:
        item = one.evidence[0] if one.evidence else None
        place = (item.path, str(item.line or ""), item.text) if item else ("", "", "")
        row = (
            plan.target, outline.part_of(one), one.severity, one.code, one.step, one.summary, one.remedy, one.rule,
            one.settled_by, *place,
        )  # fmt: skip
        writer.writerow([cell(text) for text in row])
    return out.getvalue()


def cell(text: str) -> str:
    """Return a text that a spreadsheet shows as it is, whatever a guest put into it."""
    text = clean(utf8(text))
    return f"'{text}" if text.startswith(FORMULA) else text
