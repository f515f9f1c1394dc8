"""Shell patterns over a guest's tree: ``*`` and ``?`` stay within one folder and skip leading dots, as glob(7)."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Protocol

from guestfix.guest import Stat
from guestfix.patterns import regex

_MAGIC = regex(r"[*?\[]")


class Tree(Protocol):
    """The part of a guest that a pattern needs."""

    @property
    def case_insensitive(self) -> bool:
        """See :class:`guestfix.guest.GuestFS`."""

    def stat(self, path: str, *, follow: bool = True) -> Stat | None:
        """See :class:`guestfix.guest.GuestFS`."""

    def list(self, path: str) -> tuple[str, ...]:
        """See :class:`guestfix.guest.GuestFS`."""


@functools.cache
def name_matcher(pattern: str, ignore_case: bool = False) -> Callable[[str], bool]:
    """Return a test for one path component; a leading dot is matched only by a pattern that has one."""
    matches = _matcher(pattern.casefold() if ignore_case else pattern)
    dotted = pattern.startswith(".")
    if ignore_case:
        return lambda name: (dotted or not name.startswith(".")) and matches(name.casefold())
    return lambda name: (dotted or not name.startswith(".")) and matches(name)


def _matcher(pattern: str) -> Callable[[str], bool]:
    """Return a test for a whole name. One star, as most patterns have, needs no regular expression."""
    if "[" in pattern or "?" in pattern or pattern.count("*") > 1:
        from fnmatch import translate

        matches = re.compile(translate(pattern)).match
        return lambda name: matches(name) is not None
    head, star, tail = pattern.partition("*")
    if not star:
        return lambda name: name == pattern
    least = len(head) + len(tail)
    return lambda name: len(name) >= least and name.startswith(head) and name.endswith(tail)


def path_matches(path: str, pattern: str, ignore_case: bool = False) -> bool:
    """Tell whether a guest path matches; ``**`` as a component stands for any number of folders."""
    return _match_parts(path.strip("/").split("/"), pattern.strip("/").split("/"), ignore_case)


def _match_parts(parts: list[str], patterns: list[str], ignore_case: bool) -> bool:
    if not patterns:
        return not parts
    if patterns[0] == "**":
        return any(_match_parts(parts[i:], patterns[1:], ignore_case) for i in range(len(parts) + 1))
    if not parts or not name_matcher(patterns[0], ignore_case)(parts[0]):
        return False
    return _match_parts(parts[1:], patterns[1:], ignore_case)


def glob(tree: Tree, pattern: str) -> tuple[str, ...]:
    """Return the existing paths that match, sorted. Braces aren't known; a plain path matches itself."""
    found = [""]
    parts = pattern.strip("/").split("/")
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        if _MAGIC.search(part):
            test = name_matcher(part, tree.case_insensitive)
            found = [f"{folder}/{name}" for folder in found for name in tree.list(folder or "/") if test(name)]
        else:
            found = [f"{folder}/{part}" for folder in found]
        if last or _MAGIC.search(part):
            found = [path for path in found if tree.stat(path, follow=not last) is not None]
    return tuple(sorted(found))
