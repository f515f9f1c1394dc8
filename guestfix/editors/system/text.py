"""Files of lines: a line that must be there, and lines that must say something else."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from guestfix.base.edit import Content, Splice, append_lines, apply_splices
from guestfix.base.errors import EditError
from guestfix.base.patterns import regex
from guestfix.formats.shellvars import decode, encode

LONGEST_PATTERN, MOST_STARS, LONGEST_LINE = 200, 8, 4096
"""Characters and ``*`` of a pattern, and characters of a line that is compared with one."""

MARK = b"# guestfix: of the old platform: "
"""What stands before a line that was commented out because it has no use on the target."""


def checked(text: str, what: str) -> str:
    """Return text that stands on one line. Raises EditError where it can't: a fact of a guest may hold anything."""
    if any(char in text for char in "\0\n\r"):
        raise EditError(f"{what} must be one line of text, not {text[:80]!r}")
    return text


def ensure_line(src: bytes | None, *, line: str, create: bool = False) -> Content:
    """Make the file have this line; it is added at the end where none is the same but for blanks around it.

    A file that is not there is made with ``create`` only. Raises EditError for a text of several lines.
    """
    wanted = checked(line, "a line").strip()
    if src is None:
        return encode(line) + b"\n" if create else None
    if any(decode(text).strip() == wanted for text in src.split(b"\n")):
        return src
    return append_lines(src, encode(line))


def replace_line(src: bytes | None, *, match: str, line: str, add: bool = False) -> Content:
    """Make every line that matches say this instead; with ``add``, it is added at the end where none matches
    or says so.

    ``match`` is a pattern for a whole line without the blanks around it: ``*`` stands for any text, ``?`` for one
    character. Line endings stay, and lines beyond LONGEST_LINE are left alone. Raises EditError for a text of several
    lines, and a pattern beyond its bounds.
    """
    wanted = encode(checked(line, "a line"))
    matches = matcher(match)
    if src is None:
        return None
    splices, found = [], False
    for start, end in lines_at(src):
        text = decode(src[start:end]).strip()
        if len(text) <= LONGEST_LINE and matches(text):
            found = True
            if src[start:end] != wanted:
                splices.append(Splice(start, end - start, wanted))
        found = found or src[start:end] == wanted
    return append_lines(src, wanted) if add and not found else apply_splices(src, splices)


def comment_lines(src: bytes | None, *, matches: Sequence[str]) -> Content:
    """Comment every line out that one of the patterns matches (those of ``replace_line``); one that is stays.

    Raises EditError for a pattern beyond its bounds.
    """
    tests = [matcher(one) for one in matches]
    if src is None:
        return None
    splices = []
    for start, end in lines_at(src):
        text = decode(src[start:end]).strip()
        if not text.startswith("#") and len(text) <= LONGEST_LINE and any(test(text) for test in tests):
            splices.append(Splice(start, 0, MARK))
    return apply_splices(src, splices)


def matcher(pattern: str) -> Callable[[str], bool]:
    """Return a test for a whole text. It is an expression that never goes back behind a part that it found.

    That is compiled only for a text that has all parts of the pattern. Raises EditError for one beyond its bounds.
    """
    checked(pattern, "a pattern")
    if len(pattern) > LONGEST_PATTERN or pattern.count("*") > MOST_STARS:
        raise EditError(f"a pattern has at most {LONGEST_PATTERN} characters and {MOST_STARS} stars")
    parts = pattern.replace("?", "*").split("*")
    known: list[Callable[[str], object]] = []

    def matches(text: str) -> bool:
        if not all(part in text for part in parts):
            return False
        if not known:
            known.append(_compiled(pattern).match)
        return known[0](text) is not None

    return matches


def _compiled(pattern: str) -> re.Pattern[str]:
    first, *rest = (re.escape(part).replace("\\?", ".") for part in regex(r"\*+").sub("*", pattern).split("*"))
    if not rest:
        return re.compile(f"{first}\\Z", re.DOTALL)
    middle = "".join(f"(?>.*?{part})" for part in rest[:-1])
    return re.compile(f"{first}{middle}.*{rest[-1]}\\Z", re.DOTALL)


def lines_at(src: bytes) -> list[tuple[int, int]]:
    """Return where each line begins and its text ends; a final line ending begins no further one."""
    found, at = [], 0
    while at < len(src):
        stop = src.find(b"\n", at)
        stop = len(src) if stop < 0 else stop
        end = stop - 1 if src[stop - 1 : stop] == b"\r" and stop > at else stop
        found.append((at, end))
        at = stop + 1
    return found
