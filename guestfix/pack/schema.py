"""Reading YAML nodes field by field, noting every mistake at its place instead of stopping at the first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from guestfix.base.errors import PackError, Problem
from guestfix.base.nearest import did_you_mean
from guestfix.base.patterns import regex
from guestfix.pack.yamlpos import Mark, Node

_DATE = regex(r"\d{4}-\d{2}-\d{2}\Z")


MOST_PROBLEMS = 1000
"""Mistakes after which a load stops: each may cost the search for the name that was meant."""


class Reader:
    """One mapping of a file, read key by key. ``problems`` is shared by all readers of a load."""

    def __init__(self, node: Node, problems: list[Problem], what: str) -> None:
        self.node = node
        self.problems = problems
        self.what = what
        self.keys = node.keys if node.keys is not None else {}
        if node.keys is None:
            self.complain(node.mark, f"{what} must be a mapping, not {node.kind}")

    def complain(self, mark: Mark, what: str, remedy: str = "") -> None:
        """Note a problem at mark. Raises PackError once there are MOST_PROBLEMS."""
        self.problems.append(mark.problem(what, remedy))
        if len(self.problems) >= MOST_PROBLEMS:
            raise PackError(self.problems)

    def allow(self, names: Iterable[str]) -> None:
        """Complain of every key that isn't one of names."""
        known = list(names)
        for key, mark in self.node.key_marks.items():
            if key not in known:
                self.complain(mark, f"{self.what} has no key {key!r}", f"known keys: {', '.join(known)}")

    def child(self, name: str, *, required: bool = False) -> Node | None:
        """Return the node at a key, or None; a required one that is missing is a problem."""
        node = self.keys.get(name)
        if node is None and required:
            self.complain(self.node.mark, f"{self.what} lacks the key {name!r}")
        return node

    def text(self, name: str, default: str | None = None, *, one_of: Sequence[str] = ()) -> str:
        """Return a text value; required where there is no default."""
        node = self.child(name, required=default is None)
        if node is None:
            return default or ""
        if node.text is None or (default is None and not node.text.strip()):
            self.complain(node.mark, f"{name!r} must be text, not {node.kind if node.text is None else 'empty'}")
            return default or ""
        if one_of and node.text not in one_of:
            self.complain(node.mark, f"{name!r} can't be {node.text!r}", did_you_mean(node.text, one_of))
        return node.text

    def texts(self, name: str, *, required: bool = False) -> tuple[str, ...]:
        """Return a list of texts; a single text counts as a list of one."""
        node = self.child(name, required=required)
        if node is None:
            return ()
        return tuple(text for text, _ in texts_of(node, name, self))

    def number(self, name: str) -> int | None:
        """Return a non-negative whole number, or None where the key is missing."""
        node = self.child(name)
        if node is None:
            return None
        if node.text is None or not node.text.isascii() or not node.text.isdigit() or len(node.text) > 18:
            self.complain(node.mark, f"{name!r} must be a whole number of at least 0 and of at most 18 digits")
            return None
        return int(node.text)

    def date(self, name: str, *, instead: str = "") -> str:
        """Return a required ISO date, or the word that may stand ``instead`` of one."""
        text = self.text(name)
        if text and text != instead and not _DATE.match(text):
            also = f", or {instead}" if instead else ""
            self.complain(self.keys[name].mark, f"{name!r} must be a date like 2026-11-25{also}, not {text!r}")
        return text

    def readers(self, name: str, what: str, *, required: bool = False) -> list[Reader]:
        """Return a reader for each mapping of a list."""
        node = self.child(name, required=required)
        if node is None:
            return []
        if node.items is None:
            self.complain(node.mark, f"{name!r} must be a list, not {node.kind}")
            return []
        return [Reader(item, self.problems, what) for item in node.items]


def texts_of(node: Node, name: str, reader: Reader) -> list[tuple[str, Mark]]:
    """Return the texts of a list node (or of a lone text) with their places."""
    if node.text is not None:
        return [(node.text, node.mark)]
    found = []
    for item in node.items or ():
        if item.text is None:
            reader.complain(item.mark, f"{name!r} must hold only text")
        else:
            found.append((item.text, item.mark))
    if node.keys is not None:
        reader.complain(node.mark, f"{name!r} must be a list of texts, not {node.kind}")
    return found
