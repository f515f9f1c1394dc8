"""Named sets of guest paths: ``in: "@kernel-arguments"`` stands for a list of pack.yaml's ``paths``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from guestfix.base.globs import fault_of
from guestfix.base.nearest import did_you_mean
from guestfix.pack.schema import Reader, texts_of
from guestfix.pack.yamlpos import Mark

Sets = Mapping[str, tuple[str, ...]]
"""The paths and globs of every set, by its name without the @."""

MAX_PATHS = 256
"""Paths and globs of one set or of one step."""
MAX_DEPTH = 32
"""Sets within sets."""


def read_sets(reader: Reader) -> Sets:
    """Return the sets of pack.yaml; one may name others. Notes every mistake, a circle among them."""
    node = reader.child("paths")
    if node is None:
        return {}
    inner = Reader(node, reader.problems, "paths")
    given = {name: texts_of(item, name, inner) for name, item in inner.keys.items()}
    done: dict[str, tuple[str, ...]] = {}
    for name in given:
        _flatten(name, given, inner, done, ())
    return done


def _flatten(
    name: str,
    given: Mapping[str, list[tuple[str, Mark]]],
    reader: Reader,
    done: dict[str, tuple[str, ...]],
    above: tuple[str, ...],
) -> tuple[str, ...]:
    """Write one set out into ``done``, and before it those that it names; ``above`` are the sets that wait for it."""
    if name in done:
        return done[name]
    found: dict[str, None] = {}
    for text, mark in given[name]:
        if not text.startswith("@"):
            check(text, mark, reader)
            found[text] = None
        elif text[1:] not in given:
            reader.complain(mark, f"there is no set of paths {text[:80]!r}", did_you_mean(text[1:], given))
        elif text[1:] == name or text[1:] in above or len(above) > MAX_DEPTH:
            reader.complain(mark, f"the set {text[:80]!r} holds itself, or sets within sets without end")
        else:
            found |= dict.fromkeys(_flatten(text[1:], given, reader, done, (*above, name)))
        if len(found) > MAX_PATHS:
            reader.complain(mark, f"the set {name[:80]!r} has more than {MAX_PATHS} paths")
            break
    done[name] = tuple(found)[:MAX_PATHS]
    return done[name]


def check(text: str, mark: Mark, reader: Reader) -> None:
    """Complain of a path or glob that can't be used."""
    if fault := fault_of(text):
        reader.complain(mark, f"{text[:80]!r} {fault}")


def expand(texts: Iterable[tuple[str, Mark]], sets: Sets, reader: Reader) -> tuple[str, ...]:
    """Return the paths and globs of a step's ``in``, with every set written out, each once."""
    found: dict[str, None] = {}
    for text, mark in texts:
        if not text.startswith("@"):
            check(text, mark, reader)
            found[text] = None
        elif text[1:] in sets:
            found |= dict.fromkeys(sets[text[1:]])
        else:
            reader.complain(mark, f"there is no set of paths {text[:80]!r}", did_you_mean(text[1:], sets))
        if len(found) > MAX_PATHS:
            reader.complain(mark, f"a step names at most {MAX_PATHS} paths")
            break
    return tuple(found)
