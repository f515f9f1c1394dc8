"""Filling facts into the arguments of a rule's step, which :mod:`guestfix.pack.steps` compiled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from guestfix.base.facts import Facts, Unknown
from guestfix.base.patterns import regex
from guestfix.pack.model import Argument

FACT = regex(r"\{([a-z_][a-z0-9_]*(?:\.[a-z0-9_]+)+)\}")
"""A fact's name in braces, in a rule's argument."""


class MissingFact(Exception):
    """An argument needs a fact that is not known; the text says which and why."""


def facts_in(args: Mapping[str, Argument]) -> Iterator[str]:
    """Yield the names of the facts that arguments are filled from."""
    for kind, given in args.values():
        if kind == "fact":
            yield given
        elif kind in ("text", "texts"):
            for text in [given] if kind == "text" else given:
                yield from FACT.findall(text)


def bind(args: Mapping[str, Argument], facts: Facts) -> dict[str, object]:
    """Return the arguments with facts filled in. Raises MissingFact where one isn't known."""
    return {name: _value(kind, given, facts) for name, (kind, given) in args.items()}


def _value(kind: str, given: Any, facts: Facts) -> object:
    if kind == "const":
        return given
    if kind == "fact":
        return _known(given, facts)
    if kind == "texts":
        return [_filled(one, facts) for one in given]
    return _filled(given, facts)


def _filled(text: str, facts: Facts) -> str:
    return FACT.sub(lambda match: str(_known(match[1], facts)), text)


def _known(name: str, facts: Facts) -> object:
    fact = facts.get(name)
    if fact is None:
        raise MissingFact(f"the fact {name} is missing")
    if isinstance(fact.value, Unknown):
        raise MissingFact(f"the fact {name} is unknown: {fact.value.reason}")
    return fact.value
