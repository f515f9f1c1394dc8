"""lvm.conf(5): sections, and settings with their line; the last of two settings of one name counts.

file = (section | setting)*        section = name "{" (section | setting)* "}"
setting = name "=" value           value = array | number | string
array = "[" (value ","?)* "]"      comments go from "#" to the end of the line
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from guestfix.base.patterns import regex
from guestfix.base.record import frozen

if TYPE_CHECKING:
    from guestfix.formats.grammar import Odd

Scalar: TypeAlias = int | float | str
Value: TypeAlias = Scalar | tuple[Scalar, ...]

MAX_DEPTH = 16
"""Sections within sections; lvm itself needs three."""

MAX_PLAIN = 256 * 1024
"""Bytes of a file that is read line by line; a larger one is refused."""

MOST_PLAIN = 3000
_BEGIN = regex(r"([A-Za-z_]+)[ \t]*\{")
_SCALAR = r"""(?:(?:[1-9][0-9]{0,17}+|0)(?![\w.])|"[^"{}#\\\n\0]*+")"""
_PLAIN = regex(rf"""([A-Za-z_/]++)[ \t]*+=[ \t]*+({_SCALAR}|\[[ \t]*+(?:{_SCALAR}[ \t]*+(?:,[ \t]*+)?)*+\])""")
_WORD = regex(_SCALAR)


@frozen
class Setting:
    """One setting: its sections and its name with ``/`` between, its value, and its 1-based line."""

    path: str
    value: Value
    line: int


@frozen
class LvmConf:
    """A file's settings in order, and the lines that are none."""

    settings: tuple[Setting, ...] = ()
    odd: tuple[Odd, ...] = ()

    def get(self, path: str) -> Setting | None:
        """Return the setting that counts: the last of its name."""
        return next((one for one in reversed(self.settings) if one.path == path), None)


def read(src: bytes) -> LvmConf:
    """Return the file's settings. Raises TooLarge for a file that no lvm.conf is as large as.

    A file as lvm writes it, one setting a line, is read by its lines: the grammar takes 60 ms to load.
    """
    plain = _lines(src) if len(src) <= MAX_PLAIN else None
    if plain is not None:
        return LvmConf(plain)
    from guestfix.formats.storage.lvmgrammar import read as read_all

    return read_all(src)


def _lines(src: bytes) -> tuple[Setting, ...] | None:
    """Return the settings of a file of which each line is a comment, a section's begin or end, or one setting."""
    found: list[Setting] = []
    sections: list[str] = []
    for number, line in enumerate(src.decode("utf-8", "surrogateescape").split("\n"), 1):
        text = line.strip(" \t\r")
        begun, setting = _BEGIN.fullmatch(text), _PLAIN.fullmatch(text)
        if not text or text.startswith("#"):
            continue
        if setting:
            found.append(Setting("/".join([*sections, setting[1]]), _value(setting[2]), number))
        elif begun and len(sections) < MAX_DEPTH:
            sections.append(begun[1])
        elif text == "}" and sections:
            sections.pop()
        else:
            return None
    return tuple(found) if len(found) < MOST_PLAIN else None


def _value(text: str) -> Value:
    words = tuple(word[1:-1] if word[0] == '"' else int(word) for word in _WORD.findall(text))
    return words if text[0] == "[" else words[0]


def patterns(setting: Setting | None) -> tuple[tuple[bool, str], ...]:
    """Return (accepted, regular expression) of each pattern of a filter (``a|/dev/sda|``, ``r/.*/``), in order."""
    words = (setting.value if isinstance(setting.value, tuple) else (setting.value,)) if setting else ()
    found = []
    for word in words:
        if isinstance(word, str) and len(word) > 2 and word[0] in "ar":
            closing = {"(": ")", "[": "]", "{": "}"}.get(word[1], word[1])
            found.append((word[0] == "a", word[2:].removesuffix(closing)))
    return tuple(found)
