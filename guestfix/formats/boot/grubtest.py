"""GRUB's test command: ``[ -f FILE ]``, ``[ "$a" = b -o -n "$c" ]``.

Source: GRUB manual "test"; grub-core/commands/test.c (-a binds tighter than -o, ``!`` negates what follows).
"""

from __future__ import annotations

from collections.abc import Callable

from guestfix.formats.boot.bls import version_compare

MAX_DEPTH = 50

_UNARY_FILE = frozenset(("-d", "-e", "-f", "-s"))
_NUMBERS: dict[str, Callable[[int, int], bool]] = {
    "-eq": lambda a, b: a == b,
    "-ne": lambda a, b: a != b,
    "-lt": lambda a, b: a < b,
    "-le": lambda a, b: a <= b,
    "-gt": lambda a, b: a > b,
    "-ge": lambda a, b: a >= b,
}
_STRINGS: dict[str, Callable[[str, str], bool]] = {
    "=": lambda a, b: a == b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "-pgt": lambda a, b: version_compare(a, b) > 0,
    "-nt": lambda _a, _b: False,
    "-ot": lambda _a, _b: False,
}


def _number(text: str) -> int:
    """Read a number as grub_strtol does, zero where there is none."""
    digits = text.strip().lstrip("+-")
    end = next((at for at, char in enumerate(digits) if not (char.isascii() and char.isdigit())), len(digits))
    value = int(digits[:end][:18] or "0")
    return -value if text.strip().startswith("-") else value


class _Test:
    def __init__(self, words: list[str], exists: Callable[[str], bool]) -> None:
        self.words = words
        self.at = 0
        self.exists = exists

    def any_of(self, depth: int) -> bool:
        found = self.all_of(depth)
        while self.peek() == "-o":
            self.at += 1
            found = self.all_of(depth) or found
        return found

    def all_of(self, depth: int) -> bool:
        found = self.one(depth)
        while self.at < len(self.words) and self.peek() not in ("-o", ")"):
            if self.peek() == "-a":
                self.at += 1
            found = self.one(depth) and found
        return found

    def peek(self, ahead: int = 0) -> str | None:
        return self.words[self.at + ahead] if self.at + ahead < len(self.words) else None

    def one(self, depth: int) -> bool:
        word, operator, right = self.peek(), self.peek(1), self.peek(2)
        if word is None or depth > MAX_DEPTH:
            self.at = len(self.words)
            return False
        if operator is not None and right is not None and (operator in _STRINGS or operator in _NUMBERS):
            self.at += 3
            if operator in _STRINGS:
                return _STRINGS[operator](word, right)
            return _NUMBERS[operator](_number(word), _number(right))
        self.at += 1
        if word == "!":
            return not self.one(depth + 1)
        if word == "(":
            found = self.any_of(depth + 1)
            self.at += self.peek() == ")"
            return found
        if operator is not None and word in _UNARY_FILE:
            self.at += 1
            return self.exists(operator)
        if operator is not None and word in ("-n", "-z"):
            self.at += 1
            return (operator != "") == (word == "-n")
        return word != ""


def evaluate(words: list[str], exists: Callable[[str], bool]) -> bool:
    """Return what the test says; ``exists`` answers for files."""
    return _Test(words, exists).any_of(0) if words else False
