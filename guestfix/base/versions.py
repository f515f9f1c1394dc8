"""Versions compared by their own scheme: 8.10 comes after 8.9, 15 SP4 after 15 SP3, 2.6.32-71 before 2.6.32-100."""

from __future__ import annotations

from guestfix.base.patterns import regex

_PART = regex(r"\d+|[a-z]+")
LONGEST = 1000
"""Characters of a version that are compared: Python reads no number of more than 4,300 digits."""


def version_key(version: str) -> tuple[tuple[int, int, str], ...]:
    """Return a key that sorts as the distribution counts.

    Runs of digits compare as numbers, runs of letters as lower-case text, a number sorts after
    letters at the same place, and a version sorts before every longer one that it begins
    (``12`` < ``12.4``, ``15`` < ``15 SP1``).
    """
    parts = _PART.findall(version[:LONGEST].lower())
    return tuple((1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts)
