"""The file of ``--network-map``: which new NIC takes the place of which old one."""

from __future__ import annotations

from guestfix.base.errors import InputError, Problem
from guestfix.base.patterns import regex
from guestfix.commands.common import read_file
from guestfix.formats.network.nic import IFNAME, norm_mac
from guestfix.pack.yamlpos import Node, parse

REMEDY = "one line a NIC, such as  ens192: 52:54:00:12:34:56  (old name or MAC, then new MAC or name)"

SIX = "a MAC has six pairs of hex digits, such as 52:54:00:12:34:56"
_WHOLE = regex(r"[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}")
_CUT = regex(r"[0-9A-Fa-f]{1,2}(?:[:-][0-9A-Fa-f]{0,2}){2,}")
"""What nobody would name a NIC, but a MAC begin with."""


def read_map(path: str) -> dict[str, str]:
    """Return old name or MAC -> new MAC or name. Raises InputError with all mistakes of the file."""
    node, problems = parse(read_file(path, "the network map"), path)
    if node is not None and node.keys is None:
        problems.append(node.mark.problem("the network map must be a mapping", REMEDY))
    known = node.keys or {} if node is not None else {}
    found = {key: _new(node, key, value, problems) for key, value in known.items()} if node is not None else {}
    taken: dict[str, str] = {}
    for key, new in found.items():
        if new and new in taken:
            problems.append(known[key].mark.problem(f"{new} already takes the place of {taken[new]}"))
        taken.setdefault(new, key)
    if problems:
        raise InputError(problems)
    return found


def _new(node: Node, key: str, value: Node, problems: list[Problem]) -> str:
    text = value.text or ""
    for given, mark in ((key, node.key_marks[key]), (text, value.mark)):
        if _CUT.fullmatch(given) and not _WHOLE.fullmatch(given):
            problems.append(mark.problem(f"{given!r} is a MAC that is cut short or too long", SIX))
        elif not (_WHOLE.fullmatch(given) or IFNAME.match(given)):
            problems.append(mark.problem(f"{given!r} is neither a MAC nor a NIC's name", REMEDY))
    return norm_mac(text) or text
