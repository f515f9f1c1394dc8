"""multipath.conf(5): sections of keywords with values, one a line; a section of one name may stand several times.

line = name "{" | "}" | keyword value      comments go from "#" or "!" to the end of the line
word = '"' any but '"', or '""' for one '"' | any but blanks and braces
"""

from __future__ import annotations

import pyparsing as pp

from guestfix.base.errors import TooLarge
from guestfix.base.record import field, frozen, mutable
from guestfix.formats.grammar import MAX_STATEMENTS, Odd, sentence_of, text_of

MAX_DEPTH = 8


@frozen
class Keyword:
    """One keyword with its value and its 1-based line."""

    name: str
    value: str
    line: int


@mutable
class Section:
    """A section's keywords and the sections in it, in order; ``line`` is that of its opening brace."""

    name: str
    line: int = 0
    keywords: list[Keyword] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)

    def get(self, name: str) -> Keyword | None:
        """Return the keyword that counts: the last of its name."""
        return next((one for one in reversed(self.keywords) if one.name == name), None)

    def all(self, name: str) -> list[Section]:
        """Return the sections of this name, in order."""
        return [one for one in self.sections if one.name == name]


@frozen
class MultipathConf:
    """The file as one section without a name, and the lines that are none."""

    root: Section
    odd: tuple[Odd, ...] = ()


_QUOTED = pp.Regex(r'"(?:[^"]|"")*"').set_parse_action(lambda found: found[0][1:-1].replace('""', '"'))
_WORD = _QUOTED | pp.Regex(r'[^\s{}"#!][^\s{}"]*')
_LINE = (_WORD("open") + pp.Suppress("{")) | pp.Literal("}")("close") | (_WORD("keyword") + _WORD("value"))
_LINE = _LINE.ignore(pp.Regex(r"[#!].*"))


def read(src: bytes) -> MultipathConf:
    """Return the file's sections. Raises TooLarge for a file that no multipath.conf is as large as."""
    stack, odd = [Section("")], []
    lines = text_of(src, "multipath.conf").split("\n")
    if len(lines) > MAX_STATEMENTS:
        raise TooLarge(f"multipath.conf has more than {MAX_STATEMENTS} lines")
    for number, text in enumerate(lines, 1):
        if not text.strip() or text.lstrip()[0] in "#!":
            continue
        found = sentence_of(text, number, _LINE)
        if isinstance(found, Odd):
            odd.append(found)
        elif "keyword" in found:
            stack[-1].keywords.append(Keyword(found["keyword"], found["value"], number))
        elif "open" in found and len(stack) <= MAX_DEPTH:
            stack[-1].sections.append(Section(found["open"], number))
            stack.append(stack[-1].sections[-1])
        elif "close" in found and len(stack) > 1:
            stack.pop()
        else:
            odd.append(Odd(number, text.strip()[:200]))
    return MultipathConf(stack[0], tuple(odd))
