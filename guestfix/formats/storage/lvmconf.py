"""lvm.conf(5): sections, and settings with their line; the last of two settings of one name counts.

file = (section | setting)*        section = name "{" (section | setting)* "}"
setting = name "=" value           value = array | number | string
array = "[" (value ","?)* "]"      comments go from "#" to the end of the line
"""

from __future__ import annotations

from typing import TypeAlias

import pyparsing as pp

from guestfix.base.patterns import regex
from guestfix.base.record import frozen
from guestfix.formats.grammar import Odd, sentences, text_grammar, text_of

Scalar: TypeAlias = int | float | str
Value: TypeAlias = Scalar | tuple[Scalar, ...]

MAX_DEPTH = 16
"""Sections within sections; lvm itself needs three."""

_OCTAL = regex(r"[+-]?0[0-7]*")
_ESCAPED = regex(r'\\(["\\])')


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


def _string(found: pp.ParseResults) -> str:
    return _ESCAPED.sub(r"\1", found[0][1:-1]) if found[0][0] == '"' else found[0][1:-1]


def _integer(found: pp.ParseResults) -> int:
    """Lvm takes a number that begins with 0 for octal: umask = 077."""
    octal = _OCTAL.match(found[0])
    return int(octal[0], 8) if octal else int(found[0])


_STRING = pp.Regex(r'"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'').set_parse_action(_string)
_FLOAT = pp.Regex(r"[+-]?(?:\d{1,15}\.\d{0,15}|\.\d{1,15})(?![\w.])").set_parse_action(lambda found: float(found[0]))
_INTEGER = pp.Regex(r"[+-]?\d{1,18}(?![\w.])").set_parse_action(_integer)
_SCALAR = _STRING | _FLOAT | _INTEGER
_ARRAY = pp.Suppress("[") + pp.ZeroOrMore(_SCALAR + pp.Opt(pp.Suppress(","))) + pp.Suppress("]")
_ARRAY = _ARRAY.set_parse_action(lambda found: [tuple(found)])
_NAME = _STRING | pp.Regex(r"[^\s={}\[\],#\"']+")
_SETTING = _NAME("name") + pp.Suppress("=") + (_ARRAY | _SCALAR)
_SECTION = _NAME("open") + pp.Suppress("{")
_CLOSE = pp.Literal("}")("close")
_TEXT = text_grammar(_SETTING | _SECTION | _CLOSE, pp.Regex(r"#[^\n]*"))


def read(src: bytes) -> LvmConf:
    """Return the file's settings. Raises TooLarge for a file that no lvm.conf is as large as."""
    settings: list[Setting] = []
    odd: list[Odd] = []
    sections: list[str] = []
    for line, found in sentences(text_of(src, "lvm.conf"), _TEXT, "lvm.conf"):
        if isinstance(found, Odd):
            odd.append(found)
        elif "open" in found and len(sections) < MAX_DEPTH:
            sections.append(found["open"])
        elif "close" in found and sections:
            sections.pop()
        elif "name" in found:
            settings.append(Setting("/".join([*sections, found["name"]]), found[1], line))
        else:
            odd.append(Odd(line, "}" if "close" in found else f"{found['open']} {{"))
    return LvmConf(tuple(settings), tuple(odd))


def patterns(setting: Setting | None) -> tuple[tuple[bool, str], ...]:
    """Return (accepted, regular expression) of each pattern of a filter (``a|/dev/sda|``, ``r/.*/``), in order."""
    words = (setting.value if isinstance(setting.value, tuple) else (setting.value,)) if setting else ()
    found = []
    for word in words:
        if isinstance(word, str) and len(word) > 2 and word[0] in "ar":
            closing = {"(": ")", "[": "]", "{": "}"}.get(word[1], word[1])
            found.append((word[0] == "a", word[2:].removesuffix(closing)))
    return tuple(found)
