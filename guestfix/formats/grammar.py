"""What the grammars written with pyparsing share: how much is read, line numbers, and lines that are none.

Only for files that are rare or small, and imported only where one is there: pyparsing takes 60 ms to load.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

import pyparsing as pp

from guestfix.base.errors import TooLarge
from guestfix.base.record import frozen

MAX_BYTES = 256 * 1024
"""The largest of these files that a distribution ships, an lvm.conf, has 102 KB, most of it comments."""

MAX_STATEMENTS = 10_000

ODD_TEXT = 200
"""Characters of a line that is none that are kept."""


@frozen
class Odd:
    """A line that the grammar has no sentence for; it costs itself, not the file. ``line`` is 1-based."""

    line: int
    text: str


def text_of(src: bytes, what: str) -> str:
    """Return the file's text, bytes that are no UTF-8 kept as surrogates. Raises TooLarge beyond MAX_BYTES."""
    if len(src) > MAX_BYTES:
        raise TooLarge(f"{what} has more than {MAX_BYTES} bytes")
    return src.decode("utf-8", "surrogateescape").replace("\r\n", "\n").replace("\0", "\ufffd")


_HERE = pp.Empty().set_parse_action(lambda _, at, __: at)
_ODD = pp.Regex(r"[^\n]+").set_parse_action(lambda found: found[0].rstrip()[:ODD_TEXT])


def text_grammar(sentence: pp.ParserElement, comment: pp.ParserElement) -> pp.ParserElement:
    """Return the grammar of a text of sentences, for :func:`sentences`; to be made once, since it changes its parts."""
    return pp.ZeroOrMore(pp.Group(_HERE + (pp.Group(sentence) | _ODD))).ignore(comment).parse_with_tabs()


def sentences(text: str, grammar: pp.ParserElement, what: str) -> Iterator[tuple[int, pp.ParseResults | Odd]]:
    """Yield the line and the result of each sentence of a text; what is none goes by as an Odd, line by line.

    Raises TooLarge for more than MAX_STATEMENTS lines that are no comments, signs of equality and braces.
    """
    lines = sum(1 for line in text.split("\n") if line.strip() and line.lstrip()[0] != "#")
    if lines + sum(map(text.count, "={}")) > MAX_STATEMENTS:
        raise TooLarge(f"{what} has more than {MAX_STATEMENTS} statements")
    starts = [0, *(at + 1 for at, letter in enumerate(text) if letter == "\n")]
    for at, found in grammar.parse_string(text):
        line = bisect_right(starts, at)
        yield line, Odd(line, found) if isinstance(found, str) else found


def sentence_of(text: str, line: int, sentence: pp.ParserElement) -> pp.ParseResults | Odd:
    """Return the result of a line that must be one sentence, or an Odd."""
    try:
        return sentence.parse_string(text, parse_all=True)
    except pp.ParseBaseException:
        return Odd(line, text.strip()[:ODD_TEXT])
