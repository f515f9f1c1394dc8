"""Entries as text for a terminal, and as the reference pages of the documentation."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from guestfix.base.text import clean
from guestfix.report.entries import TITLES, Described, Value

WIDTH, MOST = 100, 30
"""Columns of an explanation; items of a list in it."""


def list_text(found: Sequence[Described]) -> str:
    """Return one line for each entry: its name and what it is."""
    width = max((len(one.name) for one in found), default=0)
    return clean("".join(f"{one.name:<{width}}  {_short(one)}{one.says}\n" for one in found))


def _short(entry: Described) -> str:
    said = entry.rows.get("severity", [])
    return f"[{', '.join(said)}] " if said else ""


def explain_text(entry: Described) -> str:
    """Return all that is known of an entry, what to do last."""
    lines = [f"{entry.name}: {_article(entry.kind)}", *_wrapped(entry.says, "  ")]
    width = max((len(label) for label in entry.rows), default=0)
    for label, value in entry.rows.items():
        lead = f"  {label:<{width}}  "
        shown = _wrapped(_plain(value), lead) if len(_plain(value)) < WIDTH * 3 else _several(value, lead)
        lines += shown
    return clean("\n".join(lines) + "\n")


def _article(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeo' else 'a'} {kind}"


def _plain(value: Value) -> str:
    if not isinstance(value, str) and len(value) > MOST:
        value = [*value[:MOST], f"... ({len(value)} in all; see --format json)"]
    return value if isinstance(value, str) else "; ".join(value) if _is_long(value) else ", ".join(value)


def _is_long(value: list[str]) -> bool:
    return any(" " in one or "," in one for one in value)


def _several(value: Value, lead: str) -> list[str]:
    parts = [value] if isinstance(value, str) else value[:MOST]
    return [line for at, one in enumerate(parts) for line in _wrapped(one, lead if at == 0 else " " * len(lead))]


def _wrapped(text: str, lead: str) -> list[str]:
    blanks = " " * len(lead)
    return textwrap.wrap(text, WIDTH, initial_indent=lead, subsequent_indent=blanks, break_on_hyphens=False) or [lead]


def page(kind: str, found: Sequence[Described]) -> str:
    """Return the reference page of one kind, in Markdown. It is made of nothing but the entries."""
    title, says = TITLES[kind]
    head = f"# {title}\n\n{says}\n\nMade by `make reference` from the tables and the rule pack; don't edit it here.\n"
    return head + "".join(_section(one) for one in found)


def _section(entry: Described) -> str:
    lines = [f"\n## {entry.name}\n", f"{_marked(entry.says)}\n"]
    lines += [f"- {label}: {_listed(value)}" for label, value in entry.rows.items()]
    return "\n".join(lines) + "\n"


def _listed(value: Value) -> str:
    if isinstance(value, str):
        return _marked(value)
    return "; ".join(f"`{one}`" if "`" not in one else one for one in value)


def _marked(text: str) -> str:
    """Return text that Markdown shows as it is: what our docstrings set in double back quotes is code."""
    parts = text.replace("``", "`").split("`")
    return "`".join(part if at % 2 else part.replace("*", "\\*").replace("<", "&lt;") for at, part in enumerate(parts))
