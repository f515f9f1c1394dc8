"""The file of ``--network-map``: which new NIC takes the place of which old one."""

from __future__ import annotations

from guestfix.base.errors import PackError, Problem
from guestfix.commands.common import read_file
from guestfix.formats.network.nic import IFNAME, is_mac, norm_mac
from guestfix.pack.yamlpos import Node, parse

REMEDY = "one line a NIC, such as  ens192: 52:54:00:12:34:56  (old name or MAC, then new MAC or name)"


def read_map(path: str) -> dict[str, str]:
    """Return old name or MAC -> new MAC or name. Raises PackError with all mistakes of the file."""
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
        raise PackError(problems)
    return found


def _new(node: Node, key: str, value: Node, problems: list[Problem]) -> str:
    text = value.text or ""
    if not (is_mac(key) or IFNAME.match(key)):
        problems.append(node.key_marks[key].problem(f"{key!r} is neither a NIC's name nor a MAC", REMEDY))
    if not (is_mac(text) or IFNAME.match(text)):
        problems.append(value.mark.problem(f"{value.text!r} is neither a MAC nor a NIC's name", REMEDY))
        return ""
    return norm_mac(text) or text
