"""JSON that a stranger may have written: bounded before it is parsed, each value checked before it is used.

A :class:`Node` is a value with its place in the document; what it is asked for it returns, or raises Malformed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

MAX_DEPTH = 40
MAX_SHOWN = 60


class Malformed(ValueError):
    """The document is not what it should be; the message says where in it, and what should stand there."""


def parse(data: bytes, most: int, values: int) -> Node:
    """Return the document. Raises Malformed beyond ``most`` bytes, some ``values`` values or MAX_DEPTH levels.

    A name that an object has twice, NaN and infinite numbers are refused: readers don't agree on them.
    """
    if len(data) > most:
        raise Malformed(f"larger than {most} bytes")
    if sum(data.count(mark) for mark in (b",", b"[", b"{")) > values:
        raise Malformed(f"more than {values} values")
    try:
        text = data.decode("utf-8", "surrogateescape")
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_no_number)
    except RecursionError:
        raise Malformed("nested too deeply") from None
    if any(depth > MAX_DEPTH for depth in _depths(value)):
        raise Malformed(f"nested more than {MAX_DEPTH} levels deep")
    return Node(value)


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Malformed("an object has the same name twice")
    return found


def _no_number(text: str) -> object:
    raise Malformed(f"{text} is no number")


def _depths(value: object) -> Iterator[int]:
    todo = [(value, 1)]
    while todo:
        one, depth = todo.pop()
        yield depth
        if depth > MAX_DEPTH:
            return
        below = one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
        todo += [(item, depth + 1) for item in below if isinstance(item, dict | list)]


class Node:
    """A value of the document and where it stands: ``changes[3].size``."""

    __slots__ = ("at", "value")

    def __init__(self, value: Any, at: str = "") -> None:
        self.value, self.at = value, at

    def wrong(self, wanted: str) -> Malformed:
        """Return the error that says what should stand here."""
        shown = ascii(self.value)
        shown = shown if len(shown) <= MAX_SHOWN else shown[:MAX_SHOWN] + "..."
        return Malformed(f"{self.at or 'the document'}: must be {wanted}, not {shown}")

    def members(self, needed: Sequence[str], others: Sequence[str] | None = ()) -> dict[str, Node]:
        """Return an object's members: all that are needed, and ``others`` (None: any) besides."""
        if not isinstance(self.value, dict):
            raise self.wrong("an object")
        for name in needed:
            if name not in self.value:
                raise Malformed(f"{self._below(name)} is missing")
        for name in self.value:
            if others is not None and name not in needed and name not in others:
                raise Malformed(f"{self._below(name)[:MAX_SHOWN]!a} is not known here")
        return {name: Node(value, self._below(name)) for name, value in self.value.items()}

    def _below(self, name: str) -> str:
        return f"{self.at}.{name}" if self.at else name

    def items(self, most: int) -> list[Node]:
        """Return a list's items, at most that many."""
        if not isinstance(self.value, list) or len(self.value) > most:
            raise self.wrong(f"a list of at most {most}")
        return [Node(value, f"{self.at}[{index}]") for index, value in enumerate(self.value)]

    def text(self, most: int, pattern: re.Pattern[str] | None = None) -> str:
        """Return a text of at most that many characters, all of which the pattern matches."""
        if not isinstance(self.value, str) or len(self.value) > most:
            raise self.wrong(f"a text of at most {most} characters")
        if pattern is not None and not pattern.fullmatch(self.value):
            raise self.wrong(f"like {pattern.pattern}")
        if not _encodable(self.value):
            raise self.wrong("text that UTF-8 can hold")
        return self.value

    def one_of(self, values: Sequence[str]) -> str:
        """Return one of these texts."""
        if not isinstance(self.value, str) or self.value not in values:
            raise self.wrong(f"one of {', '.join(values)}")
        return self.value

    def integer(self, least: int, most: int) -> int:
        """Return an integer within these bounds; true and false are none."""
        if type(self.value) is not int or not least <= self.value <= most:
            raise self.wrong(f"an integer from {least} to {most}")
        return self.value


def _encodable(text: str) -> bool:
    """Tell whether a text can be written again: bytes that are no UTF-8 are kept as PEP 383 has it."""
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True
