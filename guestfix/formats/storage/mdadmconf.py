"""mdadm.conf(5): lines of words, which continue where the next line begins with a blank.

line = keyword word*               keyword = at least three letters of its name, in any case
word = letters and quoted text     ARRAY (device | "<ignore>")? (tag "=" value)*
comments go from a "#" at the begin of a word to the end of the line
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

import pyparsing as pp

from guestfix.base.errors import TooLarge
from guestfix.base.record import frozen
from guestfix.formats.grammar import MAX_STATEMENTS, Odd, sentence_of, text_of

KEYWORDS = (
    "DEVICE", "ARRAY", "MAILADDR", "MAILFROM", "PROGRAM", "CREATE", "HOMEHOST", "HOMECLUSTER", "AUTO", "POLICY",
    "PART-POLICY", "SYSFS", "MONITORDELAY", "ENCRYPTION_NO_VERIFY",
)  # fmt: skip


@frozen
class Line:
    """One line of the file: its keyword in full, the words after it, and the 1-based line that it begins on."""

    keyword: str
    words: tuple[str, ...]
    line: int


@frozen
class Array:
    """An array: its device (``/dev/md0``; "" where none is named), and its tags in lower case (``uuid``, ``name``)."""

    device: str
    tags: Mapping[str, str]
    line: int

    @property
    def ignored(self) -> bool:
        """Tell whether mdadm leaves the array alone."""
        return self.device.lower() == "<ignore>"


@frozen
class MdadmConf:
    """The file's lines in order, and those that are none."""

    lines: tuple[Line, ...] = ()
    odd: tuple[Odd, ...] = ()

    def all(self, keyword: str) -> list[Line]:
        """Return the lines of a keyword, in order."""
        return [one for one in self.lines if one.keyword == keyword]

    def arrays(self) -> list[Array]:
        """Return the arrays, in order."""
        return [_array(one) for one in self.all("ARRAY")]


def _unquoted(found: pp.ParseResults) -> str:
    out, quote = [], ""
    for letter in found[0]:
        if letter == quote or (not quote and letter in "\"'"):
            quote = "" if quote else letter
        else:
            out.append(letter)
    return "".join(out)


_PART = r"""[^\s"']|"[^"]*"|'[^']*'"""
_WORD = pp.Regex(f"(?!#)(?:{_PART})+").set_parse_action(_unquoted)
_LINE = (pp.Regex(r"[A-Za-z][A-Za-z_-]{2,}")("keyword") + pp.ZeroOrMore(_WORD)("words")).ignore(pp.Regex(r"#[^\n]*"))


def read(src: bytes) -> MdadmConf:
    """Return the file's lines. Raises TooLarge for a file that no mdadm.conf is as large as."""
    lines: list[Line] = []
    odd: list[Odd] = []
    for number, text in _joined(text_of(src, "mdadm.conf")):
        found = sentence_of(text, number, _LINE)
        keyword = None if isinstance(found, Odd) else _keyword(found["keyword"])
        if isinstance(found, Odd) or keyword is None:
            odd.append(Odd(number, text.strip()[:200]))
        else:
            lines.append(Line(keyword, tuple(found["words"]), number))
    return MdadmConf(tuple(lines), tuple(odd))


def _joined(text: str) -> Iterator[tuple[int, str]]:
    """Yield each line with those that continue with it; comments and empty lines are no lines."""
    lines = text.split("\n")
    if len(lines) > MAX_STATEMENTS:
        raise TooLarge(f"mdadm.conf has more than {MAX_STATEMENTS} lines")
    begun, parts = 0, list[str]()
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if line[0] not in " \t" or not parts:
            if parts:
                yield begun, "\n".join(parts)
            begun, parts = number, []
        parts.append(line)
    if parts:
        yield begun, "\n".join(parts)


def _keyword(word: str) -> str | None:
    """Return the keyword that a word stands for: DEVICE for ``dev`` and for the old ``DEVICES``."""
    upper = word.upper()
    return next((one for one in KEYWORDS if one.startswith(upper) or upper == one + "S"), None)


def _array(line: Line) -> Array:
    named = [word for word in line.words[:1] if "=" not in word]
    tags = dict(word.split("=", 1) for word in line.words[len(named) :] if "=" in word)
    return Array(named[0] if named else "", MappingProxyType({k.lower(): v for k, v in tags.items()}), line.line)
