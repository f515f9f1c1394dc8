"""Lines of a text report: wrapped and set in columns for a width, each with what it means; nothing is printed here.

A line is plain ASCII where it is ours; what a guest says is made safe by :mod:`guestfix.base.text`. Whether it gets
colour is for :mod:`guestfix.commands.terminal` to say, by the line's :data:`Style`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from guestfix.base.record import frozen
from guestfix.base.text import one_line

Style = Literal["", "title", "head", "good", "bad", "warn", "dim", "add", "del", "hunk"]
Line = tuple[str, Style]

WIDTH = 80
LEAST = 40
"""Columns that a report is set for where the place is narrower still."""


@frozen
class View:
    """How a report is set: columns, how much of it, whole diffs or only first lines."""

    width: int = WIDTH
    detail: Literal["brief", "normal", "verbose"] = "normal"
    diff: bool = False

    @property
    def columns(self) -> int:
        """The width, at least :data:`LEAST`."""
        return max(self.width, LEAST)


def wrapped(text: str, width: int, first: str = "", rest: str | None = None) -> list[str]:
    """Return the text in lines of at most that many columns; a word that is longer stays whole.

    ``first`` leads the first line, ``rest`` the others (by default as many blanks). What can't stand on one line of a
    terminal is shown as what it is.
    """
    rest = " " * len(first) if rest is None else rest
    lines, line, lead = [], "", first
    for word in one_line(text).split(" "):
        if line and len(lead) + len(line) + 1 + len(word) > width:
            lines.append(f"{lead}{line}".rstrip())
            line, lead = word, rest
        else:
            line = f"{line} {word}" if line else word
    return [*lines, f"{lead}{line}".rstrip()]


def cut(text: str, width: int) -> str:
    """Return one line of at most that many columns; what was cut off shows as dots."""
    text = one_line(text)
    return text if len(text) <= width else f"{text[: max(width - 3, 0)].rstrip()}..."


LAST = 12
"""Columns that the last column has at least, where the others can be cut for it."""


def columns(rows: Sequence[Sequence[str]], width: int, indent: str = "  ") -> list[str]:
    """Return rows as aligned columns; the last one takes what room is left, and what does not fit is cut."""
    if not rows:
        return []
    texts = [[one_line(cell) for cell in row] for row in rows]
    sizes = [max(len(row[at]) for row in texts) for at in range(len(texts[0]) - 1)]
    last = min(max(len(row[-1]) for row in texts), LAST)
    room = width - len(indent) - 2 * len(sizes) - last
    while sum(sizes) > room and max(sizes) > LAST:
        sizes[sizes.index(max(sizes))] -= 1
    lines = []
    for row in texts:
        lead = indent + "".join(f"{cut(cell, size):<{size}}  " for cell, size in zip(row[:-1], sizes, strict=True))
        lines.append(f"{lead}{cut(row[-1], max(width - len(lead), 8))}".rstrip())
    return lines


ROOM = 24
"""Columns that the last column of a table needs; with fewer, what stands in it goes below the others."""


def table(rows: Sequence[Sequence[str]], width: int) -> list[list[str]]:
    """Return the lines of each row, the first of which is the head. Long cells go on below; none is cut.

    A name of the first column that leaves the others no room has a line of its own.
    """
    texts = [[one_line(cell) for cell in row] for row in rows]
    widest = [max(len(row[at]) for row in texts) for at in range(len(texts[0]))]
    middle = max(width // 5, LAST)
    sizes = [min(widest[0], max(width // 2 - 2, LAST)), *(min(size, middle) for size in widest[1:-1])]
    room = width - sum(sizes) - 2 * len(sizes)
    if room < min(ROOM, widest[-1]):
        return [_stacked(row, width) for row in texts]
    return [_aligned(row, [*sizes, room]) for row in texts]


def _stacked(row: Sequence[str], width: int) -> list[str]:
    first = "  ".join([row[0], ", ".join(cell for cell in row[1:-1] if cell)]).rstrip()
    return [*wrapped(first, width, "", "    "), *wrapped(row[-1], width, "    ")]


def _aligned(row: Sequence[str], sizes: Sequence[int]) -> list[str]:
    first = row[0]
    alone = [first] if len(first) > sizes[0] else []
    cells = [["" if alone else first], *(wrapped(cell, size) for cell, size in zip(row[1:], sizes[1:], strict=True))]
    high = max(len(cell) for cell in cells)
    filled = [[*cell, *[""] * (high - len(cell))] for cell in cells]
    padded = [[f"{part:<{size}}" for part in cell] for cell, size in zip(filled, sizes, strict=True)]
    return [*alone, *("  ".join(parts).rstrip() for parts in zip(*padded, strict=True))]


def plain(lines: Iterable[Line]) -> str:
    """Return lines as text without colour."""
    return "".join(f"{text}\n" for text, _ in lines)


def count(number: int, word: str, words: str = "") -> str:
    """Return a number with its noun: ``1 file``, ``3 files``."""
    return f"{number} {word if number == 1 else words or word + 's'}"


def size(number: object) -> str:
    """Return bytes as people say them, in powers of 1,024; empty where they are not known."""
    if not isinstance(number, int) or number <= 0:
        return ""
    value, units = float(number), ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"]
    while value >= 1024 and len(units) > 1:
        value, units = value / 1024, units[1:]
    shown = f"{value:.1f}".removesuffix(".0") if value < 100 else f"{value:.0f}"
    return f"{shown} {units[0]}"
