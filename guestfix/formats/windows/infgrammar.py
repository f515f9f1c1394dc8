"""Entries of an .inf file, after "General Syntax Rules for INF Files" of the Windows driver documentation.

    entry = [key "="] value ("," value)*        quoted = '"' (any letter but '"' | '""')* ('"' | end of the entry)
    key, value = (quoted | letters)*            letters: of a key any but '",=', of a value any but '",'

The lines of an entry were put together and rid of comments before. Blanks around a key or value without quotes do not
count. What stands before a first quoted part is kept with its blanks, unless there is nothing else; after one blanks do
not count. Two quotes within quotes stand for one.
"""

from __future__ import annotations

import pyparsing as pp

from guestfix.base.patterns import regex

_QUOTED = r'"([^"]*(?:""[^"]*)*)(?:"(?!")|\Z)'
_PIECE = regex(rf'{_QUOTED}|[^"]+')


def _with_quoted(apart: str) -> str:
    return rf"[^{apart}]*(?:{_QUOTED}[^{apart}]*)*"


def _plain(text: str) -> str:
    """Return a key or value without its quotes and blanks."""
    if '"' not in text:
        return text.strip()
    whole = ""
    for piece in _PIECE.finditer(text):
        if piece[1] is not None:
            whole = "" if whole.isspace() else whole
            whole += piece[1].replace('""', '"')
        else:
            whole += "".join(piece[0].split()) if piece.start() else piece[0]
    return whole


_KEY = pp.Regex(_with_quoted('",=') + "=").set_parse_action(lambda found: _plain(found[0][:-1]))
_VALUE = pp.Regex(_with_quoted('",')).set_parse_action(lambda found: _plain(found[0]))
_MORE = pp.Regex("," + _with_quoted('",')).set_parse_action(lambda found: _plain(found[0][1:]))
_ENTRY = (pp.Opt(_KEY, default=None) + _VALUE + pp.ZeroOrMore(_MORE)).leave_whitespace().parse_with_tabs()


def entry(text: str) -> tuple[str | None, tuple[str, ...]]:
    """Return an entry's key, None where it has no ``=``, and its values, without their quotes."""
    key, *values = _ENTRY.parse_string(text)
    return key, tuple(values)
