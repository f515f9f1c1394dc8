"""What a rule may name: the facts that a pack has, and whether a condition or an argument can be meant as written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from guestfix.base.catalog.facts import FACTS, SCALARS, FactKind
from guestfix.base.nearest import did_you_mean
from guestfix.base.record import replace
from guestfix.pack.model import Policy
from guestfix.pack.when import Use

Known = Mapping[str, FactKind[object]]

Mistake = tuple[int, str, str]
"""Column (1-based, within the condition), what is wrong, and what to do."""

_WANTS = {"list": ("list", "numbers"), "table": ("table", "record"), "flag": ("flag",), "number": ("number",)}
"""Kinds of fact that an argument takes, by what the argument is; a text takes any scalar."""


def known_facts(policies: Iterable[Policy] = (), targets: Iterable[str] = ()) -> dict[str, FactKind[object]]:
    """Return every fact by name: the table's, and one for each policy of the pack, with the values they can have."""
    found = dict(FACTS)
    found["target.id"] = replace(FACTS["target.id"], one_of=tuple(sorted(targets)))
    for policy in policies:
        found[f"policy.{policy.id}"] = FactKind(f"policy.{policy.id}", "text", policy.title, "policy", policy.values)
    return dict(sorted(found.items()))


def no_such_fact(name: str, known: Known) -> tuple[str, str]:
    """Return what is wrong with a fact that there is not, and the nearest one."""
    kind = "policy" if name.startswith("policy.") else "fact"
    return f"there is no {kind} {name!r}", did_you_mean(name, known) or "see: guestfix list facts"


def mistakes_of(use: Use, known: Known) -> Iterator[Mistake]:
    """Yield what is wrong with one use of a fact in a condition."""
    fact = known.get(use.name)
    if fact is None:
        yield use.column, *no_such_fact(use.name, known)
        return
    listed = fact.kind in ("list", "numbers", "table")
    if use.relation == "has" and not listed:
        yield use.column, f"{use.name} is {fact.called}, which has no items", f"write {use.name} == VALUE"
    elif use.relation in ("compare", "in") and fact.kind not in SCALARS:
        remedy = f"write {use.name} has VALUE" if listed else f"ask whether it is there: {use.name}"
        yield use.column, f"{use.name} is {fact.called}, which is no single value", remedy
    elif use.relation in ("in", "has") or use.operator in ("==", "!="):
        yield from _wrong_values(use, fact)


def _wrong_values(use: Use, fact: FactKind[object]) -> Iterator[Mistake]:
    for value, column in use.values:
        if fact.kind in ("number", "numbers") and not value.isdigit():
            yield column, f"{use.name} can't be {value!r}: it is {fact.called}", "write a whole number"
        elif fact.values and value not in fact.values:
            remedy = did_you_mean(value, fact.values) or f"one of: {', '.join(fact.values)}"
            yield column, f"{use.name} can't be {value!r}", remedy


def misfit(name: str, wanted: str, known: Known) -> tuple[str, str] | None:
    """Return what is wrong with a fact as the value of an argument that wants this kind, or None."""
    fact = known.get(name)
    if fact is None:
        return no_such_fact(name, known)
    takes: tuple[str, ...] = _WANTS.get(wanted, SCALARS)
    if wanted and fact.kind not in takes:
        return f"the fact {name} is {fact.called}, and the argument takes {_called(wanted)}", "see: guestfix list ops"
    return None


def _called(wanted: str) -> str:
    from guestfix.base.catalog.facts import KINDS

    return KINDS[wanted]


def kind_of_type(hint: object) -> str:
    """Return the kind of value that an argument of this type takes (``text``, ``list`` ...); empty: any."""
    import typing
    from types import NoneType, UnionType

    if typing.get_origin(hint) in (typing.Union, UnionType):
        inner = [one for one in typing.get_args(hint) if one is not NoneType]
        return kind_of_type(inner[0]) if len(inner) == 1 else ""
    origin = typing.get_origin(hint) or hint
    if origin is typing.Any:
        return ""
    names = {"str": "text", "int": "number", "bool": "flag", "list": "list", "tuple": "list"}
    names |= dict.fromkeys(("Sequence", "Collection", "Iterable", "frozenset", "set"), "list")
    return {**names, "Mapping": "table", "dict": "table"}.get(getattr(origin, "__name__", ""), "")
