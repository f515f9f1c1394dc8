"""iptables-save(8) files: what they do with a new TCP connection to a port."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextlib import suppress

from guestfix.formats.network.firewall import CLOSED, LIMITED, port_in
from guestfix.formats.network.packetfilter import MAYBE, NO, YES, Answer, Chain, FilterRule, decide

MAX_LINE = 4096
"""Characters of a rule whose quotes are looked at; iptables itself takes comments of 256."""

_TARGETS = {"ACCEPT": "accept", "DROP": "drop", "REJECT": "drop", "RETURN": "return"}
_NO_VERDICT = ("LOG", "NFLOG", "ULOG", "MARK", "CONNMARK", "TCPMSS", "AUDIT", "TRACE", "CT", "NOTRACK", "SET")
_ANY = ("0.0.0.0/0", "::/0", "0/0", "0.0.0.0/0.0.0.0")
_TAKE_ONE = {
    "-m", "--match", "--comment", "--reject-with", "--log-prefix", "--log-level", "--limit-burst", "--hashlimit-burst",
}  # fmt: skip
_CERTAIN_MATCHES = ("tcp", "state", "conntrack", "comment", "multiport", "addrtype")


def judge(src: bytes, port: int) -> Answer | None:
    """Return what the filter table's INPUT chain does, or None where the file has no such chain."""
    chains = parse(src, port)
    start = chains.get("INPUT")
    return decide(chains, start) if start is not None else None


def parse(src: bytes, port: int) -> dict[str, Chain]:
    """Return the filter table's chains, each rule judged for a new connection to port."""
    chains: dict[str, Chain] = {}
    table = ""
    for number, raw in enumerate(src.decode("utf-8", "replace").split("\n"), 1):
        line = raw.strip()
        if line.startswith("*"):
            table = line[1:].strip()
        elif table not in ("filter", "") or not line or line.startswith("#"):
            continue
        elif line.startswith(":"):
            name, _, rest = line[1:].partition(" ")
            policy = {"ACCEPT": "accept", "DROP": "drop"}.get(rest.split(" ", 1)[0], "")
            chains[name] = Chain(policy=policy, line=number, hooked=bool(policy))
        else:
            _add(chains, line, number, port)
    return chains


def _add(chains: dict[str, Chain], line: str, number: int, port: int) -> None:
    words = line.split()
    if len(line) <= MAX_LINE and ('"' in line or "'" in line or "\\" in line):
        with suppress(ValueError):
            words = shlex.split(line)
    if words and words[0] == "iptables":
        words = words[1:]
    if len(words) < 2:
        return
    if words[0] in ("-P", "--policy") and len(words) > 2:
        chain = chains.setdefault(words[1], Chain())
        chain.policy, chain.line = ("drop" if words[2] == "DROP" else "accept"), number
    elif words[0] in ("-A", "--append", "-I", "--insert"):
        rule = _rule(words[2:], port, number, line)
        rules = chains.setdefault(words[1], Chain()).rules
        rules.insert(len(rules) if words[0] in ("-A", "--append") else 0, rule)


def _rule(words: Sequence[str], port: int, number: int, text: str) -> FilterRule:
    match, verdict, target = YES, "", ""
    at = 0
    while at < len(words):
        negated = words[at] == "!"
        at += negated
        option, value = (*words[at : at + 2], "", "")[:2]
        if value == "!":  # the older form: -p ! tcp
            negated, at = True, at + 1
            value = (*words[at + 1 : at + 2], "")[0]
        if option in ("-j", "--jump", "-g", "--goto"):
            verdict, target = _verdict(option, value)
            found = YES
        else:
            found = _matches(option, value, port)
        match = min(match, _negate(found) if negated else found)
        at += 1 if option == "--syn" else 2
    return FilterRule(match, verdict, target, number, text[:200])


def _verdict(option: str, value: str) -> tuple[str, str]:
    if value in _TARGETS:
        return _TARGETS[value], ""
    if value in _NO_VERDICT:
        return "", ""
    return ("goto" if option in ("-g", "--goto") else "jump"), value


def _negate(match: int) -> int:
    return {YES: NO, NO: YES}.get(match, MAYBE)


def _matches(option: str, value: str, port: int) -> int:
    """Tell whether a first packet to port, from anywhere, matches this option."""
    if option in ("-p", "--protocol", "--proto"):
        return YES if value in ("tcp", "all", "6", "0") else NO
    if option in ("--dport", "--dports", "--destination-port", "--destination-ports", "--ports"):
        return YES if port_in(value, port) else NO
    if option in ("--state", "--ctstate"):
        return YES if "NEW" in value.split(",") else NO
    if option in ("-i", "--in-interface"):
        return NO if value == "lo" else YES if value == "+" else MAYBE
    if option in ("-s", "--source", "--src", "-d", "--destination", "--dst"):
        return YES if value in _ANY else NO if value.startswith("127.") else MAYBE
    if option in ("-m", "--match"):
        return YES if value in _CERTAIN_MATCHES else NO if value in ("udp", "icmp", "icmp6", "esp") else MAYBE
    if option == "--dst-type":
        return YES if value == "LOCAL" else NO
    return YES if option in _TAKE_ONE or option in ("--syn", "--tcp-flags") else MAYBE


__all__ = ["CLOSED", "LIMITED", "judge", "parse"]
