"""What a system's file says of the distribution itself: its names, its relatives, and the facts ``system.*``.

A fact has one value, or one for each range of versions. Every fact has a source with a date: ``sources`` names
the facts that each of them tells.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from guestfix.base.catalog.facts import FACTS, FactKind
from guestfix.base.globs import fault_of
from guestfix.base.nearest import did_you_mean
from guestfix.base.record import names_of
from guestfix.pack.model import Names
from guestfix.pack.ranges import RangeError, parse_span
from guestfix.pack.schema import Reader
from guestfix.pack.yamlpos import Mark, Node

SYSTEM_FACTS: Mapping[str, FactKind[object]] = {
    name.removeprefix("system."): kind for name, kind in FACTS.items() if name.startswith("system.")
}
"""By name; the fact is ``system.<name>``."""

MOST, LONGEST = 64, 200
"""Words of a list, ranges of a fact; characters of each. A guest's texts are compared with all of them."""

_LISTS = tuple(name for name in names_of(Names) if name not in ("point_parts", "codenames", "variants"))
_KERNEL = re.compile(r"\{(?!kernel\})")


def read_names(reader: Reader) -> Names:
    """Return a system's ``names``, empty where it has none."""
    node = reader.child("names")
    if node is None:
        return Names()
    inner = Reader(node, reader.problems, "names")
    inner.allow(names_of(Names))
    lists: dict[str, Any] = {name: _texts(inner, name) for name in _LISTS}
    for name in ("aliases", "shared_ids", "lsb", "families", "words", "cpe"):
        _lower(inner, name, lists[name])
    for name in [one for one in lists if one.endswith("_files") or one == "marks"]:
        lists[name] = _paths(inner, name, lists[name])
    return Names(
        **lists,
        point_parts=inner.number("point_parts") or 0,
        codenames=_mapping(inner, "codenames"),
        variants=_mapping(inner, "variants"),
    )


def _texts(reader: Reader, name: str) -> tuple[str, ...]:
    found = reader.texts(name)
    if len(found) > MOST or any(len(one) > LONGEST for one in found):
        reader.complain(reader.keys[name].mark, f"{name!r} has at most {MOST} texts of at most {LONGEST} characters")
        return ()
    return found


def _lower(reader: Reader, name: str, words: Sequence[str]) -> None:
    for word in words:
        if word != word.lower() or not word.strip():
            reader.complain(reader.keys[name].mark, f"{name!r} holds {word!r}; these are compared in lower case")


def _paths(reader: Reader, name: str, texts: Sequence[str]) -> tuple[str, ...]:
    """Return the guest paths or globs that can be used, with a problem for each other one."""
    faults = {text: fault for text in texts if (fault := fault_of(text))}
    for text, fault in faults.items():
        reader.complain(reader.keys[name].mark, f"{name!r}: {text!r} {fault}")
    return tuple(text for text in texts if text not in faults)


def _mapping(reader: Reader, name: str) -> dict[str, str]:
    node = reader.child(name)
    if node is None:
        return {}
    inner = Reader(node, reader.problems, name)
    if len(inner.keys) > MOST:
        reader.complain(node.mark, f"{name!r} has at most {MOST} entries")
    return {key: inner.text(key)[:LONGEST] for key in list(inner.keys)[:MOST]}


def read_flavours(reader: Reader) -> dict[str, tuple[str, ...]]:
    """Return the globs by which kernels of a flavour that rows name are told in their releases."""
    node = reader.child("flavours")
    if node is None:
        return {}
    inner = Reader(node, reader.problems, "flavours")
    return {name: _texts(inner, name) for name in list(inner.keys)[:MOST]}


def read_base(reader: Reader, scheme: str, releases: Sequence[str]) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Return the system that this one is built from, and which version of that each range of versions is."""
    base = reader.text("base", "")
    node = reader.child("base_versions")
    if node is not None and not base:
        reader.complain(node.mark, "'base_versions' says versions of a base, and there is no 'base'")
    return base, tuple((span, value.text or "") for span, value in _by_range(reader, "base_versions", scheme, releases))


def read_facts(reader: Reader, scheme: str, releases: Sequence[str]) -> dict[str, tuple[tuple[str, object], ...]]:
    """Return each fact's values by range of versions; ``any`` is the range of a lone value."""
    node = reader.child("facts")
    if node is None:
        return {}
    inner = Reader(node, reader.problems, "facts")
    inner.allow(SYSTEM_FACTS)
    found = {}
    for name in [one for one in inner.keys if one in SYSTEM_FACTS]:
        pieces = _by_range(inner, name, scheme, releases)
        found[name] = tuple((span, _value(inner, name, value)) for span, value in pieces)
    _check_sources(reader, inner)
    return found


def _by_range(reader: Reader, name: str, scheme: str, releases: Sequence[str]) -> list[tuple[str, Node]]:
    node = reader.child(name)
    if node is None:
        return []
    if node.keys is None:
        return [("any", node)]
    if len(node.keys) > MOST:
        reader.complain(node.mark, f"{name!r} has at most {MOST} ranges")
        return []
    for span in node.keys:
        _check_range(reader, node.key_marks[span], span, scheme, releases)
    return list(node.keys.items())


def _check_range(reader: Reader, mark: Mark, span: str, scheme: str, releases: Sequence[str]) -> None:
    try:
        parse_span(span, scheme, releases)
    except RangeError as error:
        reader.complain(mark, str(error))


def _value(reader: Reader, name: str, node: Node) -> object:
    known = SYSTEM_FACTS[name]
    if known.kind == "list":
        items = [item.text for item in node.items or () if item.text] if node.text is None else [node.text]
        if not items or (node.items is not None and len(items) != len(node.items)):
            reader.complain(node.mark, f"{name!r} must be a list of texts")
        if len(items) > MOST or any(len(one) > LONGEST for one in items):
            reader.complain(node.mark, f"{name!r} has at most {MOST} texts of at most {LONGEST} characters")
            return []
        return list(_paths(reader, name, items)) if name == "network_files" else items
    if not node.text or len(node.text) > LONGEST:
        wanted = f"text of at most {LONGEST} characters"
        reader.complain(node.mark, f"{name!r} must be {wanted}, not {node.kind if node.text is None else 'this'}")
        return ""
    allowed = ("yes", "no") if known.kind == "flag" else known.values
    if allowed and node.text not in allowed:
        reader.complain(node.mark, f"{name!r} can't be {node.text!r}", did_you_mean(node.text, allowed))
    if _KERNEL.search(node.text):
        reader.complain(node.mark, f"{name!r} may name {{kernel}} and nothing else in braces")
    return node.text == "yes" if known.kind == "flag" else node.text


def _check_sources(reader: Reader, facts: Reader) -> None:
    """Complain of a fact that no source tells, and of a source for what isn't there."""
    told: set[str] = set()
    for one in reader.readers("sources", "a source", required=True):
        one.allow(("tells", "source", "date"))
        one.text("source")
        one.date("date")
        for name in one.texts("tells", required=True):
            if name not in facts.keys:
                one.complain(one.keys["tells"].mark, f"this tells {name!r}, which 'facts' does not have")
            told.add(name)
    for name, mark in facts.node.key_marks.items():
        if name not in told and name in SYSTEM_FACTS:
            facts.complain(mark, f"no source tells the fact {name!r}", "name it in 'tells' of one of 'sources'")
