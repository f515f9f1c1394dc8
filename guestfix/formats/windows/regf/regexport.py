"""Export of keys as text that regedit(1) imports. Streamed: one piece of text a key."""

from __future__ import annotations

from collections.abc import Iterator

from guestfix.base.patterns import regex
from guestfix.formats.windows.regf.keys import Key
from guestfix.formats.windows.regf.regtext import HEADER
from guestfix.formats.windows.regf.values import REG_BINARY, REG_DWORD, REG_SZ
from guestfix.formats.windows.regf.walk import Budget, walk

_UNFIT = regex(r"[\r\n\0]")
_WIDTH = 80
_DIGITS = 75
"""Characters of hex digits in a continued line: 25 bytes."""


def export(key: Key, path: str, *, ascii_data: bool = False, left_out: list[str] | None = None) -> Iterator[str]:
    """Yield the text for key and all below it; ``path`` is the key's full name. Lines end with CR LF.

    With ``ascii_data`` a text that is not plain ASCII is written as hex digits, so that only names can
    have other characters. What has a line break or NUL in its name is left out: a comment stands in its place, and its
    full name is added to ``left_out``. Raises BadHive at the damage where there is one; what came before is right.
    """
    yield f"{HEADER}\r\n\r\n"
    key.store.map_cells()
    budget = Budget(key.store)
    for place, one in walk(key, path):
        if _UNFIT.search(place):
            yield f"; a key whose name has a line break is left out: {place!a}\r\n\r\n"
            if left_out is not None:
                left_out.append(place)
            continue
        lines = [f"[{place}]"]
        for value, data in budget.values(one):
            lines.append(value_line(value.name, value.type, data, ascii_data=ascii_data))
            if left_out is not None and _UNFIT.search(value.name):
                left_out.append(f"{place}: {value.name}")
        yield "\r\n".join([*lines, "\r\n"])


def quote(text: str) -> str:
    """Return text in quotes, with quotes and backslashes in it escaped."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def value_line(name: str, kind: int, data: bytes, *, ascii_data: bool = False) -> str:
    """Return the line for a value, continued on further ones where it is long."""
    shown = quote(name) if name else "@"
    if _UNFIT.search(name):
        return f"; a value whose name has a line break is left out: {name!a}"
    if kind == REG_DWORD and len(data) == 4:
        return f"{shown}=dword:{int.from_bytes(data, 'little'):08x}"
    if kind == REG_SZ:
        text = plain_text(data)
        if text is not None and (text.isascii() or not ascii_data):
            return f"{shown}={quote(text)}"
    lead = f"{shown}=hex:" if kind == REG_BINARY else f"{shown}=hex({kind:x}):"
    return _wrap(lead, data.hex(","))


def plain_text(data: bytes) -> str | None:
    """Return a string's text where quotes can hold it: it ends with its only NUL and all can be printed."""
    if data[-2:] != b"\0\0" or len(data) & 1:
        return None
    try:
        text = data[:-2].decode("utf-16-le")
    except UnicodeDecodeError:
        return None
    return text if not text or text.isprintable() else None


def _wrap(lead: str, digits: str) -> str:
    """Break a line of hex digits as regedit does: a backslash, then two spaces on the next line."""
    room = _WIDTH - len(lead) - 1
    if len(digits) <= room:
        return lead + digits
    first = max(3, room // 3 * 3)
    parts = [digits[:first], *(digits[at : at + _DIGITS] for at in range(first, len(digits), _DIGITS))]
    return lead + "\\\r\n  ".join(parts)
