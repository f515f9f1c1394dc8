"""Entries as text for a terminal, and as the reference pages of the documentation."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from guestfix.report.entries import TITLES, Described, Value
from guestfix.report.layout import Line, table, wrapped

MOST = 30
"""Items of a list in an explanation."""
INLINE = 240
"""Characters of a list that is told in a row; the items of a longer one stand below each other."""

ALL = "all"
"""Every kind of entry at once, in the list of which each says its kind."""

COLUMNS: dict[str, tuple[str, ...]] = {
    "facts": ("is",),
    "findings": ("severity",),
    "ops": ("kind",),
    "rules": ("confidence",),
    "targets": ("disks", "network", "firmware"),
    "policies": ("can be",),
    "systems": ("family",),
    ALL: ("kind",),
}
"""What the list of each kind shows between an entry's name and what it is."""


def matching(found: Sequence[Described], words: Sequence[str]) -> list[Described]:
    """Return the entries that every word fits: a pattern (``*``, ``?``, ``[``) the name, other text all that is listed.

    The case of letters does not count.
    """
    return [one for one in found if all(_fits(one, word.casefold()) for word in words)]


def _fits(entry: Described, word: str) -> bool:
    name = entry.name.casefold()
    if is_pattern(word):
        return fnmatchcase(name, word)
    shown = [_cell(entry, label) for label in COLUMNS[_KIND_OF[entry.kind]]]
    return any(word in text.casefold() for text in (name, entry.says, *shown))


_KIND_OF = {"action": "ops", "policy": "policies"} | {name.removesuffix("s"): name for name in COLUMNS}


def is_pattern(word: str) -> bool:
    """Tell whether a word has a sign of a pattern."""
    return any(sign in word for sign in "*?[")


def list_lines(kind: str, found: Sequence[Described], width: int) -> list[Line]:
    """Return the entries as a table: name, what tells entries of this kind apart, what each is."""
    labels = COLUMNS[kind]
    rows = [(one.name, *(_cell(one, label) for label in labels), one.says) for one in found]
    head, *body = table([("name", *labels, "what it is"), *rows], width)
    return [*((line, "head") for line in head), *((line, "") for row in body for line in row)]


def _cell(entry: Described, label: str) -> str:
    value = entry.kind if label == "kind" else entry.rows.get(label, "any text" if label == "can be" else "")
    return value if isinstance(value, str) else ", ".join(value)


def explain_lines(entry: Described, width: int) -> list[Line]:
    """Return all that is known of an entry, what to do last."""
    lines: list[Line] = [(f"{entry.name}: {_article(entry.kind)}", "title")]
    lines += [(line, "") for line in wrapped(entry.says, width, "  ")]
    size = max((len(label) for label in entry.rows), default=0)
    for label, value in entry.rows.items():
        lines += [(line, "") for line in _row(f"  {label:<{size}}  ", value, width)]
    return lines


def _row(lead: str, value: Value, width: int) -> list[str]:
    if isinstance(value, str):
        return wrapped(value, width, lead)
    shown = value[:MOST]
    more = [f"... ({len(value)} in all; see --format json)"] if len(value) > MOST else []
    row = ("; " if _is_long(value) else ", ").join([*shown, *more])
    if len(row) < INLINE:
        return wrapped(row, width, lead)
    blanks = " " * len(lead)
    parts = [*shown, *more]
    return [line for at, one in enumerate(parts) for line in wrapped(one, width, blanks if at else lead)]


def _article(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeo' else 'a'} {kind}"


def _is_long(value: list[str]) -> bool:
    return any(" " in one or "," in one for one in value)


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
