"""YAML as strings with positions: 7.10 is not 7.1, ``no`` is not False, and every mistake has its place.

Built on PyYAML's event stream. Duplicate keys, anchors, aliases, tags and merge keys are problems: a rule
pack says what it means in one place.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from guestfix.base.errors import Problem
from guestfix.base.patterns import import_kept
from guestfix.base.record import field, frozen

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 32
MAX_NODES = 20_000
"""Keys and values of one file; the largest file of the pack that comes with guestfix has some 600."""
LONGEST = 1000
"""Characters of a message, without the line that it quotes."""
MAX_PROBLEMS = 100
"""Mistakes of one file that are told."""
SHOWN = 80
"""Characters of a line that a message quotes, around the place it speaks of."""


@frozen
class Mark:
    """A place in a file, 1-based."""

    file: str
    line: int
    column: int
    source: str = ""

    def problem(self, what: str, remedy: str = "") -> Problem:
        """Return a Problem at this place, with the source line and a caret below the sentence."""
        line, column = clip(self.source, self.column)
        what = what if len(what) <= LONGEST else what[:LONGEST] + " ..."
        shown = f"{what}\n    {line}\n    {' ' * (column - 1)}^" if line else what
        return Problem(shown, where=f"{self.file}:{self.line}:{self.column}", remedy=remedy)


def clip(line: str, column: int) -> tuple[str, int]:
    """Return the part of a line around a 1-based column that a message quotes, and the column in it."""
    if len(line) <= 2 * SHOWN:
        return line, column
    start = max(0, column - 1 - SHOWN)
    return line[start : start + 2 * SHOWN], column - start


@frozen
class Node:
    """A scalar (``text``), a sequence (``items``) or a mapping (``keys``); the other two are None."""

    mark: Mark
    text: str | None = None
    items: tuple[Node, ...] | None = None
    keys: dict[str, Node] | None = None
    key_marks: dict[str, Mark] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """What an author calls this node."""
        if self.text is not None:
            return "text"
        return "a list" if self.items is not None else "a mapping"

    def count(self) -> int:
        """Return how many nodes there are here and below."""
        inner = self.items if self.items is not None else (self.keys or {}).values()
        return 1 + sum(node.count() for node in inner)

    def plain(self) -> Any:
        """Return the node as str, list and dict."""
        if self.keys is not None:
            return {key: value.plain() for key, value in self.keys.items()}
        return [item.plain() for item in self.items] if self.items is not None else self.text


if TYPE_CHECKING:
    from typing import Protocol

    class Place(Protocol):
        """A mark of PyYAML: line and column, from 0."""

        line: int
        column: int

    class Event(Protocol):
        """An event of PyYAML; ``anchor``, ``tag`` and ``value`` as far as its kind has them."""

        start_mark: Place
        anchor: str | None
        tag: str | None
        value: str


class _Builder:
    def __init__(self, text: str, file: str, problems: list[Problem]) -> None:
        self.lines = text.split("\n")
        self.file = file
        self.problems = problems
        self.nodes = 0

    def mark(self, event: Event) -> Mark:
        return self.place(event.start_mark)

    def place(self, mark: Place) -> Mark:
        source = self.lines[mark.line].rstrip("\r") if mark.line < len(self.lines) else ""
        return Mark(self.file, mark.line + 1, mark.column + 1, source)

    def complain(self, event: Event, what: str) -> None:
        self._note(self.mark(event).problem(what))

    def _note(self, problem: Problem) -> None:
        self.problems.append(problem)
        if len(self.problems) >= MAX_PROBLEMS:
            raise Problem("too many mistakes; the rest of this file is not read", where=problem.where)

    def node(self, event: Event, events: Iterator[Event], depth: int = 0) -> Node:
        kind = type(event).__name__
        if depth > MAX_DEPTH:
            raise self.mark(event).problem(f"nested deeper than {MAX_DEPTH} levels")
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise self.mark(event).problem(f"more than {MAX_NODES} keys and values in one file")
        if kind == "AliasEvent":
            self.complain(event, "aliases are not allowed here: write the value out")
            return Node(self.mark(event), text="")
        self._refuse_extras(event)
        if kind == "ScalarEvent":
            return Node(self.mark(event), text=event.value)
        if kind == "SequenceStartEvent":
            items = []
            while type(inner := next(events)).__name__ != "SequenceEndEvent":
                items.append(self.node(inner, events, depth + 1))
            return Node(self.mark(event), items=tuple(items))
        return self._mapping(event, events, depth)

    def _refuse_extras(self, event: Event) -> None:
        if event.anchor is not None:
            self.complain(event, "anchors are not allowed here: write the value out")
        if event.tag is not None:
            self.complain(event, "tags are not allowed here: every value is text")

    def _mapping(self, event: Event, events: Iterator[Event], depth: int) -> Node:
        keys: dict[str, Node] = {}
        marks: dict[str, Mark] = {}
        while type(inner := next(events)).__name__ != "MappingEndEvent":
            key = self.node(inner, events, depth + 1)
            value = self.node(next(events), events, depth + 1)
            if key.text is None:
                self._note(key.mark.problem("a key must be text"))
            elif key.text in keys:
                self._note(key.mark.problem(f"the key {key.text[:SHOWN]!r} stands here a second time"))
            else:
                keys[key.text], marks[key.text] = value, key.mark
        return Node(self.mark(event), keys=keys, key_marks=marks)


def parse(data: bytes, file: str) -> tuple[Node | None, list[Problem]]:
    """Return the one document of a YAML file and its problems; no node where it can't be read at all."""
    yaml = import_kept("yaml")
    start = Mark(file, 1, 1)
    if len(data) > MAX_BYTES:
        return None, [start.problem(f"larger than {MAX_BYTES} bytes")]
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        return None, [start.problem(f"not UTF-8 text (byte {error.start})")]
    problems: list[Problem] = []
    builder = _Builder(text, file, problems)
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        events: Iterator[Any] = iter(yaml.parse(text, Loader=loader))
        first = next((e for e in events if type(e).__name__ not in ("StreamStartEvent", "DocumentStartEvent")), None)
        if first is None or type(first).__name__ == "StreamEndEvent":
            return None, [start.problem("the file is empty")]
        node = builder.node(first, events)
        extra = next((e for e in events if type(e).__name__ == "DocumentStartEvent"), None)
        if extra is not None:
            builder.complain(extra, "a second document starts here: one file, one document")
    except yaml.MarkedYAMLError as error:
        mark = builder.place(error.problem_mark) if error.problem_mark else start
        return None, [*problems, mark.problem(f"not valid YAML: {error.problem or error.context}")]
    except yaml.YAMLError as error:
        return None, [*problems, start.problem(f"not valid YAML: {error}")]
    except Problem as problem:
        return None, [*problems, problem]
    return node, problems
