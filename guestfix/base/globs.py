"""Shell patterns over a guest's tree: ``*`` and ``?`` stay within one folder and skip leading dots, as glob(7)."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from itertools import islice
from typing import Protocol

from guestfix.base.bounds import GLOB_PATHS
from guestfix.base.errors import TooLarge
from guestfix.base.guest import Stat
from guestfix.base.patterns import regex

_MAGIC = regex(r"[*?\[]")
LONGEST, MAX_PARTS, MAX_MAGIC = 1024, 64, 8
"""Characters of a pattern, its parts, and those of them that have wildcards."""
MAX_MATCHES = GLOB_PATHS
"""Paths that a pattern is tried on at each of its parts."""


class Tree(Protocol):
    """The part of a guest that a pattern needs."""

    @property
    def case_insensitive(self) -> bool:
        """See :class:`guestfix.base.guest.GuestFS`."""

    def stat(self, path: str, *, follow: bool = True) -> Stat | None:
        """See :class:`guestfix.base.guest.GuestFS`."""

    def list(self, path: str) -> tuple[str, ...]:
        """See :class:`guestfix.base.guest.GuestFS`."""


@functools.lru_cache(4096)
def name_matcher(pattern: str, ignore_case: bool = False) -> Callable[[str], bool]:
    """Return a test for one path component; a leading dot is matched only by a pattern that has one."""
    matches = text_matcher(pattern.casefold() if ignore_case else pattern)
    dotted = pattern.startswith(".")
    if ignore_case:
        return lambda name: (dotted or not name.startswith(".")) and matches(name.casefold())
    return lambda name: (dotted or not name.startswith(".")) and matches(name)


def text_matcher(pattern: str) -> Callable[[str], bool]:
    """Return a test for a whole text, in which ``*`` stands for anything: what fnmatchcase(3) tells, but faster.

    Stars need no regular expression, and one is compiled only for a text that begins as the pattern does.
    """
    if "[" in pattern or "?" in pattern:
        return _by_expression(pattern)
    head, *rest = pattern.split("*")
    if not rest:
        return lambda text: text == pattern
    *middle, tail = rest
    least = len(head) + len(tail)

    def matches(text: str) -> bool:
        if len(text) < least or not text.startswith(head) or not text.endswith(tail):
            return False
        at, end = len(head), len(text) - len(tail)
        for piece in middle:
            if (found := text.find(piece, at, end)) < 0:
                return False
            at = found + len(piece)
        return True

    return matches


def _by_expression(pattern: str) -> Callable[[str], bool]:
    magic = _MAGIC.search(pattern)
    head = pattern[: magic.start()] if magic else pattern
    known: list[Callable[[str], object]] = []

    def matches(text: str) -> bool:
        if not text.startswith(head):
            return False
        if not known:
            from fnmatch import translate

            known.append(re.compile(translate(pattern)).match)
        return known[0](text) is not None

    return matches


def fault_of(pattern: str) -> str:
    """Return why a guest path or pattern can't be used, as the end of a sentence about it; "" where it can."""
    parts = pattern.split("/")[1:]
    if not pattern.startswith("/"):
        return "must be an absolute guest path or glob"
    if "\0" in pattern or "\n" in pattern:
        return "has a character that no path may have"
    if any(part in ("", ".", "..") for part in parts):
        return "must be written without '.', '..' and empty parts: it may not leave the guest's root"
    if len(pattern) > LONGEST or len(parts) > MAX_PARTS:
        return f"is longer than {LONGEST} characters or {MAX_PARTS} folders"
    if sum(bool(_MAGIC.search(part)) for part in parts) > MAX_MAGIC or pattern.count("*") > 2 * MAX_MAGIC:
        return f"has wildcards in more than {MAX_MAGIC} of its parts"
    return ""


def path_matches(path: str, pattern: str, ignore_case: bool = False) -> bool:
    """Tell whether a guest path matches; ``**`` as a component stands for any number of folders.

    Takes time in proportion to the product of both lengths, whatever the pattern.
    """
    parts, reached = path.strip("/").split("/"), {0}
    for one in pattern.strip("/").split("/"):
        if one == "**":
            reached = set(range(min(reached), len(parts) + 1))
        else:
            test = name_matcher(one, ignore_case)
            reached = {at + 1 for at in reached if at < len(parts) and test(parts[at])}
        if not reached:
            return False
    return len(parts) in reached


def _untold(pattern: str, what: str) -> None:
    """Most trees remember nothing."""


def glob(tree: Tree, pattern: str) -> tuple[str, ...]:
    """Return the existing paths that match, sorted. Braces aren't known; a plain path matches itself.

    Raises TooLarge where more than MAX_MATCHES paths have to be looked at: links to a folder above multiply them.
    A tree that has ``refuse(pattern, sentence)`` is told of it, for callers that go on without an answer.
    """
    found = [""]
    parts = pattern.strip("/").split("/")
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        if _MAGIC.search(part):
            test = name_matcher(part, tree.case_insensitive)
            matches = (f"{folder}/{name}" for folder in found for name in tree.list(folder or "/") if test(name))
            found = list(islice(matches, MAX_MATCHES + 1))
            if len(found) > MAX_MATCHES:
                what = f"a pattern matches more than {MAX_MATCHES} paths"
                getattr(tree, "refuse", _untold)(pattern, f"{pattern} was not looked at: {what}")
                raise TooLarge(what, where=pattern)
        else:
            found = [f"{folder}/{part}" for folder in found]
        if last or _MAGIC.search(part):
            found = [path for path in found if tree.stat(path, follow=not last) is not None]
    return tuple(sorted(found))
