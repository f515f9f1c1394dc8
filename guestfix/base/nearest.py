"""The name that was probably meant."""

from __future__ import annotations

from collections.abc import Iterable

LONGEST = 80
"""Characters of a name that are compared; no name of ours is longer."""


def nearest(name: str, names: Iterable[str]) -> str:
    """Return the one of names that is most like name; empty where none is."""
    import difflib

    folded: dict[str, str] = {}
    for one in names:
        folded.setdefault(one.casefold(), one)
    found = difflib.get_close_matches(name[:LONGEST].casefold(), folded, 1, 0.6)
    return folded[found[0]] if found else ""


def did_you_mean(name: str, names: Iterable[str], few: int = 20) -> str:
    """Return a remedy for a name that doesn't exist: the nearest one, else all of them if they are few."""
    known = sorted(names)
    near = nearest(name, known)
    if near:
        return f"did you mean {near}?"
    return f"one of: {', '.join(known)}" if 0 < len(known) <= few else ""
