"""Hosts of the addresses in a line of text, as configuration of package managers has them."""

from __future__ import annotations

from guestfix.base.patterns import regex

_HOST = regex(r"(?:://(?:[^/@\s]{0,200}@)?|\bplugin:/{0,3})(?P<host>[A-Za-z0-9][A-Za-z0-9._-]{0,252})")


def spans_of(line: str) -> list[tuple[int, int, str]]:
    """Return where each host stands (start, end), and the host in small letters; a plugin's name counts for one."""
    return [(found.start("host"), found.end("host"), found["host"].lower()) for found in _HOST.finditer(line)]


def hosts_in(line: str) -> list[str]:
    """Return the hosts of a line's addresses in small letters."""
    return [host for _, _, host in spans_of(line)]
