"""Files of shell variable assignments: /etc/default/grub, /etc/sysconfig/*, ifcfg-*, dracut.conf.

Read as sh(1) would read plain assignments, and changed by splicing: what is not touched stays byte for
byte. Names and values are text decoded as UTF-8 with surrogateescape, so any bytes survive.
"""

from __future__ import annotations

import re

from guestfix.base.patterns import regex
from guestfix.base.record import frozen

_START = regex(
    rb"[ \t]*(?P<export>(?:export|declare|local|readonly)[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<op>\+?=)"
)
_PLAIN = regex(rb"[^\s'\"\\$`;&|<>()]+")
_SAFE = regex(r"[A-Za-z0-9_@%+:,./=^~-]*\Z")


@frozen
class Assignment:
    """One ``NAME=value``. Offsets count bytes of the file; ``line`` is the 1-based line it starts on.

    ``value`` has its quotes removed. ``dynamic`` says that it holds an expansion (``$x``, backquotes,
    an array), so ``value`` is what is written, not what a shell would make of it. ``append`` is ``+=``.
    ``value_start`` to ``value_end`` is the value as written, ``start`` to ``end`` every line it is on.
    """

    name: str
    value: str
    line: int
    start: int
    end: int
    value_start: int
    value_end: int
    dynamic: bool = False
    append: bool = False
    exported: bool = False


def decode(raw: bytes) -> str:
    """Return bytes as text that :func:`encode` turns back into the same bytes."""
    return raw.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    """Return the bytes that :func:`decode` was given."""
    return text.encode("utf-8", "surrogateescape")


def _quoted(src: bytes, at: int, quote: bytes) -> tuple[int, bytes, bool] | None:
    """Read a quoted part whose opening quote is at ``at``: its end, its bytes, whether it expands."""
    out: list[bytes] = []
    pos, dynamic = at + 1, False
    while pos < len(src):
        char = src[pos : pos + 1]
        if char == quote:
            return pos + 1, b"".join(out), dynamic
        if quote == b'"' and char == b"\\" and pos + 1 < len(src):
            following = src[pos + 1 : pos + 2]
            if following != b"\n":
                out.append(following if following in b'"\\$`' else b"\\" + following)
            pos += 2
            continue
        dynamic = dynamic or (quote == b'"' and char in b"$`")
        out.append(char)
        pos += 1
    return None


def _word(src: bytes, at: int) -> tuple[int, bytes, bool] | None:
    """Read one shell word at ``at``: its end, its bytes without quotes, whether it expands."""
    out: list[bytes] = []
    pos, dynamic = at, False
    while pos < len(src):
        char = src[pos : pos + 1]
        if char in b"'\"":
            part = _quoted(src, pos, char)
            if part is None:
                return None
            pos, text, expands = part
            out.append(text)
            dynamic = dynamic or expands
        elif char == b"\\":
            if src[pos + 1 : pos + 2] not in (b"\n", b""):
                out.append(src[pos + 1 : pos + 2])
            pos += 2
        elif char in b"$`(":
            return _rest_of_line(src, at)
        else:
            plain = _PLAIN.match(src, pos)
            if plain is None:
                break
            out.append(plain[0])
            pos = plain.end()
    return min(pos, len(src)), b"".join(out), dynamic


def _rest_of_line(src: bytes, at: int) -> tuple[int, bytes, bool]:
    """Take an expansion or array as written, to the end of its line (an array: to its closing line)."""
    end = _line_end(src, at)
    if src[at : at + 1] == b"(":
        close = src.find(b")", at)
        end = close + 1 if close >= 0 else end
    raw = src[at:end].rstrip(b"\r\n \t")
    return at + len(raw), raw, True


def _line_end(src: bytes, at: int) -> int:
    """Return the offset of the newline that ends the line at ``at``, or the length of the file."""
    end = src.find(b"\n", at)
    return len(src) if end < 0 else end


def assignments(src: bytes) -> list[Assignment]:
    """Return every assignment that starts a line, in file order. Other lines are passed over."""
    found: list[Assignment] = []
    at, line = 0, 1
    while at < len(src):
        start, end = at, _line_end(src, at)
        match = _START.match(src, at, end)
        word = _word(src, match.end()) if match else None
        if match and word:
            end = _line_end(src, word[0])
            found.append(
                Assignment(
                    decode(match["name"]),
                    decode(word[1]),
                    line,
                    start,
                    min(end + 1, len(src)),
                    match.end(),
                    word[0],
                    dynamic=word[2],
                    append=match["op"] == b"+=",
                    exported=match["export"] is not None,
                )
            )
        line += src.count(b"\n", start, end + 1)
        at = end + 1
    return found


def find(src: bytes, name: str) -> Assignment | None:
    """Return the assignment that counts: the last plain one of this name."""
    return next((one for one in reversed(assignments(src)) if one.name == name and not one.append), None)


def get(src: bytes, name: str) -> str | None:
    """Return the value of the last assignment of name, or None."""
    found = find(src, name)
    return found.value if found else None


def quote(value: str, like: bytes = b"") -> bytes:
    """Return value as a shell word; ``like`` is the word it replaces, whose kind of quotes is kept."""
    raw = encode(value)
    if like[:1] == b"'" and b"'" not in raw:
        return b"'" + raw + b"'"
    if like[:1] == b'"' or not _SAFE.match(value) or (not like and not value):
        return b'"' + re.sub(rb'([\\"$`])', rb"\\\1", raw) + b'"'
    return raw


def newline_of(src: bytes) -> bytes:
    """Return the line ending that the file uses (that of its first line)."""
    first = src.find(b"\n")
    return b"\r\n" if first > 0 and src[first - 1 : first] == b"\r" else b"\n"


def set_value(src: bytes, name: str, value: str) -> bytes:
    """Make name's last assignment say value; add one at the end where there is none.

    Quotes, spacing and what follows on the line are kept. Returns src itself where it already says so.
    """
    found = find(src, name)
    if found is None:
        end = newline_of(src)
        lead = b"" if not src or src.endswith(b"\n") else end
        body = src.removesuffix(b"\n")
        if (len(body) - len(body.rstrip(b"\\"))) % 2:
            lead += end  # the last line goes on in the next, which is to be empty then
        return src + lead + encode(name) + b"=" + quote(value) + end
    if found.value == value and not found.dynamic:
        return src
    old = src[found.value_start : found.value_end]
    return src[: found.value_start] + quote(value, old) + src[found.value_end :]


def unset(src: bytes, name: str) -> bytes:
    """Remove every line that assigns name. Returns src itself where none does."""
    for found in reversed([one for one in assignments(src) if one.name == name]):
        src = src[: found.start] + src[found.end :]
    return src
