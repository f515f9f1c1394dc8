"""The page: a template with what it shows. Every text is escaped by the template engine, and made visible first.

The page loads nothing and runs nothing but its own script, whose hash its content policy names; without scripts it
only lacks its filters.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from importlib.resources import files
from typing import TYPE_CHECKING

from guestfix.base.catalog.facts import FACTS
from guestfix.base.facts import Fact, Unknown
from guestfix.base.text import clean, utf8
from guestfix.plan.model import Plan
from guestfix.report import outline
from guestfix.report.inspection import said
from guestfix.report.layout import count, size
from guestfix.report.page.sides import shown
from guestfix.report.screen import WORDS
from guestfix.report.text import opened_rows

if TYPE_CHECKING:
    from jinja2 import Environment

    from guestfix.verify.model import Starts

RECORDS = 200
"""Rows of one fact's table that a page has; JSON has all."""
EVIDENCE = 50
SHORT = {"blockers": "Blockers", "before": "Do before", "lost": "Lost", "repairs": "Repairs", "unchecked": "Unchecked"}
MARKS = {"passes": "\u2713", "waits": "\u29d6", "stops": "\u2715", "unknown": "?"}


OWN = "guestfix.report.page"


def render_html(plan: Plan, starts: Starts | None = None) -> str:
    """Return the report of a plan as one HTML file, with what verify saw of the guest."""
    return make_page("report.html", {
        "plan": plan,
        "words": WORDS,
        "headings": outline.HEADINGS,
        "short": SHORT,
        **_shown(plan),
        **_started(starts, plan),
    })  # fmt: skip


def render_starts(starts: Starts) -> str:
    """Return what verify saw as one HTML file."""
    return make_page("starts.html", _started(starts))


def make_page(name: str, values: Mapping[str, object], package: str = OWN, style: str = "") -> str:
    """Return a page made of a template in a package, in the frame, style and script that every page has.

    ``style`` names a file of the package that is added to the style.
    """
    from jinja2 import FunctionLoader
    from markupsafe import Markup

    environment = _escaping()
    environment.loader = FunctionLoader(lambda one: _text(one, package if (files(package) / one).is_file() else OWN))
    environment.filters |= {"size": size, "said": said, "count": count}
    shared, script = _text("report.css") + (_text(style, package) if style else ""), _text("report.js")
    own = {"style": Markup(shared), "script": Markup(script), "policy": _policy_of(shared, script), "marks": MARKS}
    return environment.get_template(name).render(**own, **values)


def _started(starts: Starts | None, plan: Plan | None = None) -> dict[str, object]:
    if starts is None:
        return {"starts": None}
    from guestfix.report import verify

    return {
        "starts": starts,
        "started": [(one, verify.rows(one), verify.console(one.seen)) for one in starts.starts],
        "misfit": verify.misfit(starts, plan) if plan else "",
        "seen": verify,
    }


def _escaping() -> Environment:
    """Return a template engine that escapes every text, after what a guest holds was made visible in it."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    def visible(value: object) -> object:
        return value if isinstance(value, Markup | int | float) else clean(utf8(str(value)))

    return Environment(
        autoescape=True, undefined=StrictUndefined, finalize=visible, trim_blocks=True, lstrip_blocks=True
    )


def _text(name: str, package: str = OWN) -> str:
    return (files(package) / name).read_text("utf-8")


def _policy_of(style: str, script: str) -> str:
    """Return the content policy of a page that loads nothing, and has this style and script in it."""
    own = f"style-src {_hash(style)}; script-src {_hash(script)}"
    return f"default-src 'none'; {own}; base-uri 'none'; form-action 'none'"


def _hash(text: str) -> str:
    """Return what a content policy calls an inline text (CSP level 3, section 8.3)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _shown(plan: Plan) -> dict[str, object]:
    facts = {fact.name: fact.value for fact in plan.facts}
    sentence = outline.outcome(plan).removeprefix("blocked, ")  # the badge says so
    stops = plan.blockers or plan.walk.after.stops_at
    todo = any(one.left == "warning" for one in plan.findings)
    return {
        "system": outline.system_of(facts),
        "outcome": sentence[0].upper() + sentence[1:],
        "mood": "bad" if stops else "warn" if todo else "good",
        "word": _word(plan, todo),
        "verdict": outline.verdict_of(plan.verdict, plan.compat),
        "opened": opened_rows(plan.guest),
        "walks": [("As it is", plan.walk.before), ("With this plan", plan.walk.after)] if plan.walk.after.steps else [],
        "disks": outline.disks(plan),
        "groups": outline.groups(plan),
        "changes": [(row, shown(row.change.diff)) for row in outline.change_rows(plan)],
        "rooms": _rooms(plan),
        "applied": [one for one in plan.decisions if one.outcome == "applied"],
        "others": [one for one in plan.decisions if one.outcome not in ("applied", "no", "unchanged") and one.selected],
        "idle": sum(one.outcome in ("no", "unchanged") for one in plan.decisions),
        "most": EVIDENCE,
    }


def _word(plan: Plan, todo: bool) -> str:
    """Return the verdict in a word or two."""
    if plan.blockers:
        return "Blocked"
    if plan.walk.after.stops_at:
        return "Does not start"
    return "Ready, with work for you" if todo else "Ready"


def _rooms(plan: Plan) -> dict[str, list[tuple[Fact, str, list[str], list[Mapping[str, object]]]]]:
    """Return every fact by what it is about: with its value as text, or the fields and rows of its table."""
    rooms: dict[str, list[tuple[Fact, str, list[str], list[Mapping[str, object]]]]] = {}
    for fact in plan.facts:
        kind = FACTS.get(fact.name)
        fields, rows = _table(fact.value, kind.fields.split() if kind else [])
        text = "" if rows else said(fact.value)
        rooms.setdefault(fact.name.partition(".")[0], []).append((fact, text, fields, rows))
    return rooms


def _table(value: object, known: list[str]) -> tuple[list[str], list[Mapping[str, object]]]:
    if isinstance(value, Unknown) or not value:
        return [], []
    if isinstance(value, Mapping):
        return ["name", "value"], [{"name": name, "value": one} for name, one in sorted(value.items())[:RECORDS]]
    if isinstance(value, list) and all(isinstance(one, Mapping) for one in value):
        rows: list[Mapping[str, object]] = value[:RECORDS]
        names = dict.fromkeys([*(name for name in known if name in rows[0]), *sorted(map(str, rows[0]))])
        return [name for name in names if any(one.get(name) not in (None, "", [], {}) for one in rows)], rows
    return [], []
