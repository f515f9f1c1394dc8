"""Addresses in files of lines: other hosts, with the same paths."""

from __future__ import annotations

from guestfix.base.edit import Content, Table
from guestfix.base.errors import EditError
from guestfix.base.patterns import regex
from guestfix.formats.shellvars import decode, encode
from guestfix.formats.urls import spans_of

_NAME = regex(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}\Z")


def replace_hosts(src: bytes | None, *, table: Table) -> Content:
    """Make addresses name the host that the table has for theirs; comments stay.

    Raises EditError for what is no host.
    """
    if odd := [one for one in table.values() if not _NAME.match(one)]:
        raise EditError(f"{odd[0][:80]!r} is no host")
    if src is None or not table:
        return src
    lines = src.split(b"\n")
    found = [line if line.lstrip()[:1] == b"#" else _changed(line, table) for line in lines]
    return src if found == lines else b"\n".join(found)


def _changed(line: bytes, table: Table) -> bytes:
    text = decode(line)
    for start, end, host in reversed(spans_of(text)):
        if host in table:
            text = text[:start] + table[host] + text[end:]
    return encode(text)
