"""sshd_config(5): the options that hold for everybody, and which ones Match blocks may change.

A line is ``keyword value`` or ``keyword=value``, keywords in any case, values perhaps in double quotes; ``#`` opens a
comment at a line's start. A Match block lasts to the next one or to the file's end. Of most options the first counts.
"""

from __future__ import annotations

from guestfix.base.patterns import regex
from guestfix.base.record import frozen
from guestfix.formats.shellvars import decode

_LINE = regex(r"(?P<keyword>[A-Za-z]\w{1,60})(?:[ \t]*=[ \t]*|[ \t]+)(?P<value>.+)")
_WORD = regex(r'"([^"]*)"|(\S+)')
MAX_OPTIONS = 1_000
"""Options that are read of one file."""


@frozen
class SshOption:
    """One option: its keyword in lower case, its words, its 1-based line, and whether a Match block has it."""

    keyword: str
    words: tuple[str, ...]
    line: int
    matched: bool = False

    @property
    def value(self) -> str:
        """The first word."""
        return self.words[0] if self.words else ""


def options(src: bytes) -> list[SshOption]:
    """Return every option in order, Match lines left out."""
    found: list[SshOption] = []
    matched = False
    for number, text in enumerate(decode(src).split("\n"), 1):
        line = _LINE.match(text.strip())
        if line is None:
            continue
        if len(found) >= MAX_OPTIONS:
            break
        keyword = line["keyword"].lower()
        if keyword == "match":
            matched = line["value"].strip().lower() != "all"
            continue
        words = tuple(one[0] or one[1] for one in _WORD.findall(line["value"]))
        found.append(SshOption(keyword, words, number, matched))
    return found
