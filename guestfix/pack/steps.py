"""The ``do`` list of a rule: which editor or action, on which files, with which arguments.

Argument names and types come from the function's own signature. A compiled argument is a pair:
``["const", value]``, ``["fact", name]`` (the fact's value itself), ``["text", template]`` or ``["texts", [template]]``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from guestfix.actions import ACTIONS, find_action
from guestfix.base.catalog.facts import KINDS
from guestfix.base.nearest import did_you_mean
from guestfix.base.patterns import regex
from guestfix.base.record import replace
from guestfix.editors import OPS, find_op
from guestfix.pack.bind import FACT
from guestfix.pack.known import Known, misfit, mistakes_of
from guestfix.pack.model import Argument, Condition, Step
from guestfix.pack.operations import arguments_of
from guestfix.pack.pathsets import Sets, expand
from guestfix.pack.schema import Reader, texts_of
from guestfix.pack.when import ConditionError, read_condition
from guestfix.pack.yamlpos import Mark, Node

STEP_KEYS = ("in", "op", "action", "args", "when", "follow_up")
MOST_CONDITIONS = 64
"""Conditions of a rule, or of a step."""


def read_steps(rule: Reader, sets: Sets, facts: Known) -> tuple[Step, ...]:
    """Return the steps of a rule, noting every problem of theirs. ``sets`` are the named sets of paths."""
    steps = [_read_step(step, sets, facts) for step in rule.readers("do", "a step", required=True)]
    return tuple(step for step in steps if step is not None)


def read_conditions(reader: Reader, known: Known) -> list[tuple[str, Condition]]:
    """Return the conditions of a rule or step, each with its text, noting every problem of theirs."""
    node = reader.child("when")
    found = []
    texts = texts_of(node, "when", reader) if node is not None else []
    if len(texts) > MOST_CONDITIONS:
        reader.complain(texts[MOST_CONDITIONS][1], f"there are at most {MOST_CONDITIONS} conditions")
    for text, mark in texts[:MOST_CONDITIONS]:
        indent = max(mark.source.find(text), mark.column - 1)
        try:
            condition, uses = read_condition(text)
        except ConditionError as error:
            place = Mark(mark.file, mark.line, indent + error.column, mark.source)
            reader.complain(place, str(error), "see rules/README.md for the condition language")
            continue
        found.append((text, condition))
        for column, what, remedy in (mistake for use in uses for mistake in mistakes_of(use, known)):
            reader.complain(Mark(mark.file, mark.line, indent + column, mark.source), what, remedy)
    return found


def _read_step(step: Reader, sets: Sets, facts: Known) -> Step | None:
    step.allow(STEP_KEYS)
    places = step.child("in", required=True)
    globs = expand(texts_of(places, "in", step), sets, step) if places is not None else ()
    op, action = step.text("op", ""), step.text("action", "")
    if bool(op) == bool(action):
        step.complain(step.node.mark, "a step names either an op or an action")
        return None
    kind, name, known = ("op", op, OPS) if op else ("action", action, ACTIONS)
    if name not in known:
        other = "action" if op else "op"
        remedy = f"it is an {other}: write {other}: {name}" if name in (ACTIONS if op else OPS) else ""
        remedy = remedy or did_you_mean(name, known) or "see: guestfix list ops"
        step.complain(step.keys[kind].mark, f"there is no {kind} {name[:80]!r}", remedy)
        return None
    function = find_op(name) if op else find_action(name)
    conditions = read_conditions(step, facts)
    return Step(
        globs,
        op,
        action,
        _read_args(step, function, facts),
        tuple(compiled for _, compiled in conditions),
        tuple(text for text, _ in conditions),
        _read_follow_up(step, facts),
    )


def _read_follow_up(step: Reader, facts: Known) -> str:
    text = step.text("follow_up", "")
    for found in FACT.finditer(text):
        _check_fact(step, step.keys["follow_up"], found[1], "text", facts)
    return text


def _read_args(step: Reader, function: Callable[..., object], facts: Known) -> dict[str, Argument]:
    node = step.child("args")
    given = Reader(node, step.problems, "args").keys if node is not None else {}
    wanted = {one.name: one for one in arguments_of(function)}
    for name, value in given.items():
        if name not in wanted:
            step.complain(value.mark, f"there is no argument {name!r}", did_you_mean(name, wanted) or "it takes none")
    for name, argument in wanted.items():
        if argument.required and name not in given:
            step.complain(step.node.mark, f"the argument {name!r} is missing")
    return {
        name: _compile_argument(step, name, value, wanted[name].kind, facts)
        for name, value in given.items()
        if name in wanted
    }


def _compile_argument(step: Reader, name: str, node: Node, kind: str, facts: Known) -> list[object]:
    if node.text is not None and (whole := FACT.fullmatch(node.text)):
        _check_fact(step, node, whole[1], kind, facts)
        return ["fact", whole[1]]
    if node.text is not None and FACT.search(node.text) and kind in ("text", ""):
        for found in FACT.finditer(node.text):
            _check_fact(step, node, found[1], "text", facts)
        return ["text", node.text]
    if kind == "list" and any(FACT.search(text) for _, text in _texts_in(node)):
        return ["texts", _read_texts(step, name, node, facts)]
    for one, text in _texts_in(node):
        if FACT.search(text):
            step.complain(one.mark, f"a fact can't stand inside {KINDS[kind or 'text']}", "give the fact alone")
    try:
        return ["const", _convert(node, kind)]
    except ValueError as error:
        step.complain(node.mark, f"the argument {name!r} {error}")
        return ["const", None]


def _read_texts(step: Reader, name: str, node: Node, facts: Known) -> list[str]:
    """Return a list of texts in which facts stand; a fact that is a list itself is given alone."""
    texts = texts_of(node, name, step)
    for item in node.items or ():
        for found in FACT.finditer(item.text or ""):
            _check_fact(step, item, found[1], "text", facts)
    return [text for text, _ in texts]


def _texts_in(node: Node) -> Iterator[tuple[Node, str]]:
    if node.text is not None:
        yield node, node.text
    for inner in (*(node.items or ()), *(node.keys or {}).values()):
        yield from _texts_in(inner)


def _check_fact(step: Reader, node: Node, name: str, kind: str, facts: Known) -> None:
    wrong = misfit(name, kind, facts)
    if wrong is None:
        return
    at = node.mark.source.find("{" + name + "}", node.mark.column - 1)
    mark = replace(node.mark, column=at + 2) if at >= 0 else node.mark
    step.complain(mark, *wrong)


def _convert(node: Node, kind: str) -> object:
    if kind == "flag":
        if node.text not in ("true", "false"):
            raise ValueError("must be true or false")
        return node.text == "true"
    if kind == "number":
        if node.text is None or not regex(r"-?\d+").fullmatch(node.text):
            raise ValueError("must be a whole number")
        return int(node.text)
    if kind == "list":
        if node.keys is not None:
            raise ValueError("must be a list")
        return [node.text] if node.text is not None else _only_texts(list(node.items or ()))
    if kind == "table":
        if node.keys is None:
            raise ValueError("must be a mapping")
        return dict(zip(node.keys, _only_texts(list(node.keys.values())), strict=True))
    if node.text is None:
        raise ValueError("must be text")
    return node.text


def _only_texts(nodes: list[Node]) -> list[str]:
    if any(node.text is None for node in nodes):
        raise ValueError("must hold only text")
    return [node.text or "" for node in nodes]
