"""The grammar of lvm.conf(5), for a file that is not plain; see :mod:`guestfix.formats.storage.lvmconf`."""

from __future__ import annotations

import pyparsing as pp

from guestfix.base.patterns import regex
from guestfix.formats.grammar import Odd, sentences, text_grammar, text_of
from guestfix.formats.storage.lvmconf import MAX_DEPTH, LvmConf, Setting

_OCTAL = regex(r"[+-]?0[0-7]*")
_ESCAPED = regex(r'\\(["\\])')


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
