"""GRUB's environment block: lines of ``name=value`` in a file of a fixed size, filled up with ``#``.

Read and written as grub-editenv(1) does (GRUB's lib/envblk.c): a backslash before a backslash or a
newline belongs to the value's escapes. Comment lines stay where they are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from guestfix.errors import EditError
from guestfix.formats.shellvars import decode, encode

SIGNATURE = b"# GRUB Environment Block\n"
SIZE = 1024
"""Bytes in the block that grub-editenv creates; the size never changes after that."""

_LINE = re.compile(rb"(?P<name>[^=#\n\\][^=\n]*+)=(?P<value>(?:[^\\\n]++|\\[\s\S])*+)\n")


@dataclass(frozen=True, slots=True)
class Variable:
    """One line of the block. ``start`` to ``end`` is the line, ``value_start`` where its value begins."""

    name: str
    value: str
    line: int
    start: int
    value_start: int
    end: int


def is_block(src: bytes) -> bool:
    """Tell whether GRUB would accept these bytes as an environment block."""
    return src.startswith(SIGNATURE)


def variables(src: bytes) -> list[Variable]:
    """Return the variables in file order; none where GRUB would refuse the block."""
    if not is_block(src):
        return []
    found, at, line = [], len(SIGNATURE), 2
    while at < len(src):
        match = _LINE.match(src, at)
        if match:
            value = re.sub(rb"\\([\s\S])", rb"\1", match["value"])
            found.append(Variable(decode(match["name"]), decode(value), line, at, match.start("value"), match.end()))
            end = match.end()
        elif src[at : at + 1] == b"#" and b"\n" not in src[at:]:
            break
        else:
            newline = src.find(b"\n", at)
            end = len(src) if newline < 0 else newline + 1
        line += src.count(b"\n", at, end)
        at = end
    return found


def read(src: bytes) -> dict[str, str]:
    """Return the variables as GRUB's load_env would set them."""
    return {one.name: one.value for one in variables(src)}


def _escaped(value: str) -> bytes:
    return encode(value).replace(b"\\", b"\\\\").replace(b"\n", b"\\\n")


def _padding_start(src: bytes) -> int:
    """Return where the filling of ``#`` begins."""
    last = variables(src)
    at = last[-1].end if last else len(SIGNATURE)
    while True:
        newline = src.find(b"\n", at)
        if newline < 0:
            return at
        at = newline + 1


def _resized(body: bytes, size: int) -> bytes:
    if len(body) > size:
        raise EditError(f"the GRUB environment block has no room: {len(body)} bytes in a block of {size}")
    return body + b"#" * (size - len(body))


def set_value(src: bytes, name: str, value: str) -> bytes:
    """Make the block say name=value. The size stays; src itself comes back where it already says so.

    Raises EditError where the value doesn't fit or the bytes are no environment block.
    """
    if not is_block(src):
        raise EditError("not a GRUB environment block")
    known = next((one for one in variables(src) if one.name == name), None)
    if known and known.value == value:
        return src
    body, size = src[: _padding_start(src)], max(len(src), SIZE)
    if known:
        return _resized(body[: known.value_start] + _escaped(value) + body[known.end - 1 :], size)
    return _resized(body + encode(name) + b"=" + _escaped(value) + b"\n", size)


def unset(src: bytes, name: str) -> bytes:
    """Remove a variable; src itself comes back where there is none of this name."""
    known = next((one for one in variables(src) if one.name == name), None)
    if known is None:
        return src
    return _resized(src[: known.start] + src[known.end : _padding_start(src)], len(src))


def create(values: dict[str, str]) -> bytes:
    """Return a new block of 1024 bytes with these variables."""
    src = SIGNATURE + b"#" * (SIZE - len(SIGNATURE))
    for name, value in values.items():
        src = set_value(src, name, value)
    return src
