"""Diffs for a page: side by side, a registry's as a tree, an initramfs' as a table of files; each with a bound."""

from __future__ import annotations

import re
from collections.abc import Iterator

from guestfix.base.patterns import regex
from guestfix.base.record import frozen, mutable

ROWS = 400
"""Rows of one diff that a page has; ``guestfix diff`` shows the rest."""
_HUNK = regex(r"@@ -(\d{1,12})(?:,\d+)? \+(\d{1,12})(?:,\d+)? @@")
_KEY = regex(r"([+\- ]?)\[(.*)\]")
_SIZED = regex(r"([+-]) (.*) \((\d+) bytes\)")


@frozen
class SideRow:
    """One row of two files beside each other: their line numbers (0: none) and texts; ``kind`` is how they differ."""

    kind: str
    old: int = 0
    before: str = ""
    new: int = 0
    after: str = ""


@mutable
class Branch:
    """One key of a registry: its name, the sign of a key that comes or goes, what changes in it, and its subkeys."""

    name: str
    sign: str
    values: list[tuple[str, str]]
    keys: dict[str, Branch]


@frozen
class Shown:
    """A change's diff as a page shows it: one of ``sides``, ``tree``, ``files``, ``lines``; ``left``: lines beyond."""

    sides: tuple[SideRow, ...] = ()
    tree: tuple[Branch, ...] = ()
    files: tuple[tuple[str, str, str], ...] = ()
    lines: tuple[str, ...] = ()
    left: int = 0


def shown(diff: str) -> Shown:
    """Return a diff in the form that suits it."""
    lines = diff.removesuffix("\n").split("\n") if diff else []
    first = next((line for line in lines if line), "")
    if first.startswith("--- "):
        rows = list(_bounded(_sides(lines[2:])))
        return Shown(sides=tuple(rows[:ROWS]), left=_left(rows, lines))
    if _KEY.fullmatch(first):
        return Shown(tree=tuple(_tree(lines[:ROWS]).keys.values()), left=max(len(lines) - ROWS, 0))
    sized = [found for line in lines[:ROWS] if (found := _SIZED.fullmatch(line))]
    if sized:
        others = tuple(line for line in lines[:ROWS] if not _SIZED.fullmatch(line))
        return Shown(
            files=tuple((one[1], one[2], one[3]) for one in sized), lines=others, left=max(len(lines) - ROWS, 0)
        )
    return Shown(lines=tuple(lines[:ROWS]), left=max(len(lines) - ROWS, 0))


def _bounded(rows: Iterator[SideRow]) -> Iterator[SideRow]:
    for number, row in enumerate(rows):
        if number > ROWS:
            return
        yield row


def _left(rows: list[SideRow], lines: list[str]) -> int:
    return max(len(lines) - ROWS, 0) if len(rows) > ROWS else 0


def _sides(lines: list[str]) -> Iterator[SideRow]:
    """Yield the rows of a unified diff without its head; lines that went stand beside those that came."""
    old = new = 0
    gone: list[str] = []
    came: list[str] = []
    for line in [*lines, ""]:
        if line[:1] == "-":
            gone.append(line[1:])
        elif line[:1] == "+":
            came.append(line[1:])
        else:
            yield from _pairs(gone, came, old, new)
            old, new = old + len(gone), new + len(came)
            gone, came = [], []
            if found := _HUNK.match(line):
                old, new = int(found[1]), int(found[2])
                yield SideRow("hunk", before=line)
            elif line[:1] == " ":
                yield SideRow("same", old, line[1:], new, line[1:])
                old, new = old + 1, new + 1
            elif line:
                yield SideRow("note", before=line)


def _pairs(gone: list[str], came: list[str], old: int, new: int) -> Iterator[SideRow]:
    for index in range(max(len(gone), len(came))):
        left = (old + index, gone[index]) if index < len(gone) else (0, "")
        right = (new + index, came[index]) if index < len(came) else (0, "")
        kind = "changed" if left[0] and right[0] else "gone" if left[0] else "came"
        yield SideRow(kind, *left, *right)


def _tree(lines: list[str]) -> Branch:
    """Return a registry's diff as keys in keys."""
    root = Branch("", "", [], {})
    here = root
    for line in lines:
        found: re.Match[str] | None = _KEY.fullmatch(line)
        if found is None:
            here.values.append((line[:1].strip(), line[1:]))
            continue
        here = root
        for name in found[2].split("\\")[:64]:
            here = here.keys.setdefault(name.casefold(), Branch(name, "", [], {}))
        here.sign = found[1].strip()
    return root
