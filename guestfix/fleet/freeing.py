"""Which remedies free most guests: what blocks each, without what only follows from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from itertools import combinations

from guestfix.base.catalog.findings import FINDINGS, RENAMED
from guestfix.base.record import frozen

MOST_TOGETHER = 4
"""Findings that are told in one row at most: who must do more than that for a guest is told each by itself."""

_SEEN = "GF-WALK-"
"""What the walk says of a step that stops; a detector or a rule that blocks at the same step says why."""


@frozen
class Freeing:
    """Findings that together block: ``guests`` have all, ``freed`` some and no others."""

    codes: tuple[str, ...]
    guests: int
    freed: int


def causes(codes: Collection[str]) -> frozenset[str]:
    """Return the codes of a guest's blockers without what the walk says of a step that another one is about."""
    told = {_stage(code) for code in codes if not code.startswith(_SEEN)}
    return frozenset(code for code in codes if not code.startswith(_SEEN) or _stage(code) not in told)


def _stage(code: str) -> str:
    """Return the step that a code is about; the code itself where the results are of a guestfix that has others."""
    kind = FINDINGS.get(RENAMED.get(code, code))
    return kind.stage if kind else code


def freeing(blocked: Mapping[str, Collection[str]], most: int) -> tuple[Freeing, ...]:
    """Return at most so many findings, or few that occur together, whose remedies free most guests, these first.

    ``blocked`` has the codes of each guest's blockers. A finding that no guest has without the same others stands
    with them only; of rows that free as many the one with fewer findings comes first, then what more guests have.
    """
    kinds = Counter(causes(codes) for codes in blocked.values() if codes)
    having: dict[str, int] = Counter()
    within: dict[str, set[frozenset[str]]] = {}
    for kind, count in kinds.items():
        for code in kind:
            having[code] += count
            within.setdefault(code, set()).add(kind)
    rows = {kind for kind in kinds if len(kind) <= MOST_TOGETHER}
    rows |= {frozenset((code,)) for code, found in within.items() if len(found) > 1 or not found <= rows}
    freed = {row: sum(kinds[part] for part in _parts(row)) for row in rows}
    common = {row: min(having[code] for code in row) for row in rows}
    ranked = sorted(rows, key=lambda row: (-freed[row], len(row), -common[row], sorted(row)))
    return tuple(
        Freeing(tuple(sorted(row)), sum(count for kind, count in kinds.items() if row <= kind), freed[row])
        for row in ranked[:most]
    )


def _parts(codes: frozenset[str]) -> Iterator[frozenset[str]]:
    return (frozenset(part) for size in range(1, len(codes) + 1) for part in combinations(codes, size))
