r"""Text that came from a guest, made safe in this one place for whatever guestfix writes.

Inside guestfix such text is decoded with surrogateescape (file names, text files) or surrogatepass (UTF-16 of
Windows), so it may hold surrogates, which no UTF-8 has. JSON goes out through :func:`to_json`, text for people
through :func:`clean`, a value that stands on one line of it through :func:`one_line`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from guestfix.base.patterns import regex

_SURROGATE = regex(r"[\ud800-\udfff]")
_HIDDEN = (
    r"\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    r"\U0001d173-\U0001d17a\U000e0000-\U000e007f\ud800-\udfff"
)
"""Controls, direction marks and what else has no width of its own (Unicode's Cc, Cf, Zl, Zp), and surrogates."""

_CONTROL = regex(f"[{_HIDDEN}]")
_IN_LINE = regex(f"[\n{_HIDDEN}]")


def _shown(match: re.Match[str]) -> str:
    r"""Return a character as a reader can see it: ``\x1b``, ``\u202e``; an undecodable byte as that byte."""
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def utf8(text: str) -> str:
    r"""Return text that UTF-8 can hold: bytes that were none become ``\xe9``, lone surrogates ``\ud800``."""
    return text if text.isascii() else _SURROGATE.sub(_shown, text)


def clean(text: str) -> str:
    """Return text for a terminal, of any number of lines, with control and direction characters made visible."""
    return _CONTROL.sub(_shown, text)


def one_line(text: str) -> str:
    """Return text for one line of a terminal: as :func:`clean`, and its line ends can't begin another line."""
    return _IN_LINE.sub(_shown, text)


SHOWN = 10
"""Items of a list that a sentence names; facts and evidence have the whole."""


def some(words: Iterable[str], separator: str = ", ") -> str:
    """Return a list for a sentence: its first items, and how many more there are."""
    known = list(words)
    more = f" and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
    return separator.join(known[:SHOWN]) + more


_LINE = json.JSONEncoder(sort_keys=True, ensure_ascii=False)
"""What writes a document on one line; to make one takes as long as to use it."""


def to_json(document: object, *, indent: int | None = 1) -> str:
    """Return a document as JSON that is UTF-8 whatever its texts and keys hold; its keys are sorted."""
    encoder = _LINE if indent is None else json.JSONEncoder(indent=indent, sort_keys=True, ensure_ascii=False)
    text = encoder.encode(document)
    if text.isascii():
        return text
    return _SURROGATE.sub(lambda match: f"\\{_shown(match)}", text)  # they stand in strings only: escape the backslash


def ascii_only(text: str) -> str:
    r"""Return text for a terminal that has no UTF-8: what is not ASCII becomes ``\xe9``, ``\u20ac``."""
    return text.encode("ascii", "backslashreplace").decode("ascii")
