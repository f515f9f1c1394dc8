"""What is known of a system's version: its own facts, else those of the system it is built from, else of relatives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from guestfix.base.globs import name_matcher
from guestfix.pack.model import System
from guestfix.pack.ranges import Key, key_of, parse_span

MOST_RELATIVES = 16
"""Relatives that are asked; ID_LIKE names three at most."""


def find_system(systems: Sequence[System], word: str) -> System | None:
    """Return the system whose id or alias (as os-release has it) this is, in any case of its letters."""
    known = word.casefold()
    found = next((one for one in systems if one.id.casefold() == known), None)
    return found or next((one for one in systems if known in one.names.aliases), None)


def find_relative(systems: Sequence[System], word: str) -> System | None:
    """Return the system that a word of ID_LIKE names: itself, or the one that stands for the family."""
    known = word.casefold()
    return find_system(systems, word) or next((one for one in systems if known in one.names.families), None)


def fits(text: str, globs: Sequence[str]) -> bool:
    """Tell whether some glob matches, or there is none but ``!`` ones, and no glob behind a ``!`` does."""
    wanted = [one for one in globs if not one.startswith("!")]
    if any(name_matcher(one[1:])(text) for one in globs if one.startswith("!")):
        return False
    return not wanted or any(name_matcher(one)(text) for one in wanted)


def facts_of(systems: Sequence[System], ident: str, like: Sequence[str], version: str) -> dict[str, object]:
    """Return each fact that is known of this version of a system, by name (``init``); empty version: unknown.

    A system that the pack does not know is what its nearest relative is, in the version that bears the same number.
    A relative that is not its base tells only what holds for every version of it.
    """
    found: dict[str, object] = {}
    for system, at in _chain(systems, ident, like, version):
        for name, pieces in system.facts.items():
            if name not in found and (values := _values(system, pieces, at)):
                found[name] = values[0]
    return found


def _chain(systems: Sequence[System], ident: str, like: Sequence[str], version: str) -> Iterator[tuple[System, str]]:
    """Yield the systems to ask, nearest first, each with the version that counts there, empty for none."""
    own = find_system(systems, ident)
    at, seen = version, set[str]()
    system = own or _same_numbers(systems, like, version)
    while system is not None and system.id not in seen:
        seen.add(system.id)
        yield system, at
        at = _base_version(system, at)
        system = find_system(systems, system.base) if system.base else None
    for word in (*(own.like if own is not None else ()), *like)[:MOST_RELATIVES]:
        relative = find_relative(systems, word)
        if relative is not None and relative.id not in seen:
            seen.add(relative.id)
            yield relative, ""


def _same_numbers(systems: Sequence[System], like: Sequence[str], version: str) -> System | None:
    """Return the relative that has had a release of this number, as a rebuild of it has."""
    for word in like[:MOST_RELATIVES] if version else ():
        relative = find_relative(systems, word)
        if relative is not None and any(f"{one}.".startswith(f"{version}.") for one in relative.releases):
            return relative
    return None


def _base_version(system: System, version: str) -> str:
    if not system.base_versions:
        return version
    found = _values(system, system.base_versions, version)
    return str(found[0]) if found else ""


def _values(system: System, pieces: Sequence[tuple[str, object]], version: str) -> list[object]:
    """Return the one value that holds for the version, in a list; empty where that can't be told."""
    key = key_of(version, system.scheme, system.releases) if version else None
    values: list[object] = []
    for text, value in pieces:
        if (text == "any" or (key is not None and _holds(system, text, key))) and value not in values:
            values.append(value)
    return values if len(values) == 1 else []


def _holds(system: System, text: str, key: Key) -> bool:
    span = parse_span(text, system.scheme, system.releases)
    return span.holds(key) or span.below(key)
