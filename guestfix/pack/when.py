"""The ``when`` language: one-line conditions over facts, three-valued.

A condition compiles to nested lists (JSON, so that a compiled pack can be cached) and evaluates to True,
False or None. None is undecided: a fact is missing or Unknown. ``not``, ``and`` and ``or`` follow Kleene's
strong logic, so what is decided without the unknown part stays decided.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from typing import Any

from guestfix.base.facts import Facts, Unknown
from guestfix.base.record import frozen
from guestfix.base.versions import version_key
from guestfix.pack.model import Condition

Exists = Callable[[str], bool]


LONGEST = 2000
"""Characters of one condition."""
MAX_DEPTH = 32
"""Levels of ``not`` and parentheses."""


class ConditionError(ValueError):
    """A condition that can't be read; ``column`` is 1-based within its text."""

    def __init__(self, what: str, column: int) -> None:
        super().__init__(what)
        self.column = column


@functools.cache
def _parser() -> Any:
    import lark

    with open(os.path.join(os.path.dirname(__file__), "when.lark"), encoding="utf-8") as stream:
        grammar = stream.read()
    return lark.Lark(grammar, parser="lalr", maybe_placeholders=False)


def _compile(tree: Any, depth: int = 0) -> Any:
    import lark

    if depth > MAX_DEPTH:
        raise ConditionError(f"nested deeper than {MAX_DEPTH} levels", 1)
    if isinstance(tree, lark.Token):
        return tree[1:-1] if tree.type == "QUOTED" else str(tree)
    parts = [_compile(child, depth + 1) for child in tree.children]
    if tree.data in ("value",):
        return parts[0]
    if tree.data == "values":
        return parts
    return [str(tree.data), *parts]


@frozen
class Use:
    """One use of a fact in a condition: ``relation`` is compare, in, has, known or truth.

    ``values`` are what it is compared with; these and the fact's name have their columns (1-based).
    """

    name: str
    column: int
    relation: str
    operator: str = ""
    values: tuple[tuple[str, int], ...] = ()


_RELATIONS = {"compare": "compare", "member": "in", "stranger": "in", "has": "has", "known": "known", "truth": "truth"}


def _uses(tree: Any) -> Iterator[Use]:
    if getattr(tree, "data", "") not in _RELATIONS:
        for child in getattr(tree, "children", ()):
            yield from _uses(child)
        return
    fact, *rest = tree.children
    operator = str(rest.pop(0)) if tree.data == "compare" else ""
    tokens = [token for part in rest for token in part.scan_values(lambda _: True)]
    values = tuple((token[1:-1] if token.type == "QUOTED" else str(token), int(token.column)) for token in tokens)
    yield Use(str(fact), int(fact.column), _RELATIONS[tree.data], operator, values)


def read_condition(text: str) -> tuple[Condition, tuple[Use, ...]]:
    """Return the compiled condition and every use of a fact in it. Raises ConditionError."""
    import lark

    if len(text) > LONGEST:
        raise ConditionError(f"a condition has at most {LONGEST} characters", LONGEST + 1)
    try:
        tree = _parser().parse(text)
        compiled = _compile(tree)
    except lark.UnexpectedInput as error:
        column = error.column if isinstance(error.column, int) and error.column > 0 else len(text) + 1
        if (
            isinstance(error, lark.exceptions.UnexpectedEOF)
            or getattr(getattr(error, "token", None), "type", "") == "$END"
        ):
            raise ConditionError("the condition ends too early", len(text) + 1) from error
        raise ConditionError("this can't be read as a condition here", column) from error
    return list(compiled), tuple(_uses(tree))


_JOINED = ("either", "both", "negated")


def facts_of(condition: Condition) -> list[str]:
    """Return the names of the facts that a compiled condition asks for, in order."""
    head, *parts = condition
    if head in ("compare", "member", "stranger", "has", "known", "truth"):
        return [parts[0]]
    return [name for part in parts if isinstance(part, list) for name in facts_of(part)]


def paths_of(condition: Condition) -> list[str]:
    """Return the paths and globs that a compiled condition asks for, in order."""
    head, *parts = condition
    if head == "exists":
        return [parts[0]]
    return [path for part in parts if isinstance(part, list) and head in _JOINED for path in paths_of(part)]


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _compare(value: object, operator: str, wanted: str) -> bool:
    if operator in ("==", "!="):
        return (_text(value) == wanted) is (operator == "==")
    left, right = version_key(_text(value)), version_key(wanted)
    return {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[operator]


def evaluate(condition: Condition, facts: Facts, exists: Exists) -> bool | None:
    """Return True, False, or None for undecided. ``exists`` tells whether a path or glob matches."""
    head, *parts = condition
    if head == "either":
        return _either([evaluate(part, facts, exists) for part in parts])
    if head == "both":
        return _both([evaluate(part, facts, exists) for part in parts])
    if head == "negated":
        inner = evaluate(parts[0], facts, exists)
        return None if inner is None else not inner
    if head == "exists":
        return exists(parts[0])
    fact = facts.get(parts[0])
    known = fact is not None and not isinstance(fact.value, Unknown)
    if head == "known":
        return known
    if fact is None or not known:
        return None
    return _about(head, fact.value, parts[1:])


def _about(head: str, value: object, rest: Condition) -> bool:
    if head == "compare":
        return _compare(value, rest[0], rest[1])
    if head == "has":
        return isinstance(value, list | tuple | dict) and rest[0] in [_text(item) for item in value]
    if head in ("member", "stranger"):
        return (_text(value) in rest[0]) is (head == "member")
    return bool(value)


def _both(results: list[bool | None]) -> bool | None:
    if False in results:
        return False
    return None if None in results else True


def _either(results: list[bool | None]) -> bool | None:
    if True in results:
        return True
    return None if None in results else False
