"""iptables-save(8) files: what they do with a new TCP connection to a port.

line = "*" table | ":" chain policy counters? | ("-A" | "-I") chain option* | "-P" chain policy | "COMMIT" | "#" any
option = "!"? name "!"? word*       the second "!" is the older way to negate
word = letters and quoted text, as a shell reads them
"""

from __future__ import annotations

from functools import lru_cache

import pyparsing as pp

from guestfix.base.patterns import regex
from guestfix.base.record import field, mutable
from guestfix.formats.network.firewall import CLOSED, LIMITED, port_in
from guestfix.formats.network.packetfilter import (
    MAYBE,
    NO,
    YES,
    Answer,
    Chain,
    FilterRule,
    Interface,
    any_interface,
    decide,
)

MAX_RULES = 5_000
"""Rules of the chains that a packet may come to."""

MAX_LINE = 4096
"""Characters of a rule; iptables takes comments of 256, and 15 ports."""

_TARGETS = {"ACCEPT": "accept", "DROP": "drop", "REJECT": "drop", "RETURN": "return"}
_NO_VERDICT = ("LOG", "NFLOG", "ULOG", "MARK", "CONNMARK", "TCPMSS", "AUDIT", "TRACE", "CT", "NOTRACK", "SET")
_ANY = ("0.0.0.0/0", "::/0", "0/0", "0.0.0.0/0.0.0.0")
_DECIDES_NOTHING = (
    "-m", "--match", "--comment", "--reject-with", "--log-prefix", "--log-level", "--limit-burst", "--hashlimit-burst",
    "--syn", "--tcp-flags",
)  # fmt: skip
_CERTAIN_MATCHES = ("tcp", "state", "conntrack", "comment", "multiport", "addrtype")

_QUOTED = regex(r"""\\(.)|"((?:[^"\\]|\\.)*)"|'([^']*)'""")
_INNER = regex(r'\\(["\\$`])')


def _unquoted(found: pp.ParseResults) -> str:
    return _QUOTED.sub(lambda one: one[1] or one[3] or _INNER.sub(r"\1", one[2] or ""), found[0])


_WORD = pp.Regex(r"""(?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+(?=\s|\Z)""").set_parse_action(_unquoted)
_BARE = pp.Regex(r"\S+")
_NAME = pp.Regex(r"(?:--[A-Za-z][\w-]*|-[A-Za-z0-9])(?=\s|\Z)")
_NOT = pp.Regex(r"!(?=\s)")
_WORDS = pp.Group(pp.ZeroOrMore(~(_NOT | _NAME) + (_WORD | _BARE)))
_OPTION = pp.Group(pp.Opt(_NOT("not")) + _NAME("name") + pp.Opt(_NOT("not")) + _WORDS)
_RULE = pp.ZeroOrMore(_OPTION | pp.Suppress(_BARE))


@mutable
class _Saved:
    """A chain as it is written: its rules as (line, text) in the order in which they are tried."""

    policy: str = ""
    line: int = 0
    rules: list[tuple[int, str]] = field(default_factory=list)


def judge(src: bytes, port: int, interface: Interface = any_interface) -> Answer | None:
    """Return what the filter table's INPUT chain does, or None where the file has no such chain.

    ``interface`` tells whether the connection may come in by an interface that a rule names.
    """
    saved = _read(src)
    if "INPUT" not in saved:
        return None
    chains = _reached(saved, port, interface)
    return decide(chains, chains["INPUT"])


def _read(src: bytes) -> dict[str, _Saved]:
    """Return the filter table's chains."""
    chains: dict[str, _Saved] = {}
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
            chains[name] = _Saved(policy, number)
        else:
            _add(chains, line.removeprefix("iptables ").lstrip(), number)
    return chains


def _add(chains: dict[str, _Saved], line: str, number: int) -> None:
    command, name, rest = (*line.split(None, 2), "", "", "")[:3]
    if not name:
        return
    if command in ("-P", "--policy") and rest:
        chain = chains.setdefault(name, _Saved())
        chain.policy, chain.line = ("drop" if rest.split()[0] == "DROP" else "accept"), number
    elif command in ("-A", "--append", "-I", "--insert"):
        rules = chains.setdefault(name, _Saved()).rules
        rules.insert(len(rules) if command in ("-A", "--append") else 0, (number, line))


def _reached(saved: dict[str, _Saved], port: int, interface: Interface) -> dict[str, Chain]:
    """Return the chains that a packet may come to; behind MAX_RULES rules in all nothing can be told."""
    chains: dict[str, Chain] = {}
    todo, budget = ["INPUT"], MAX_RULES
    while todo:
        name = todo.pop()
        if name in chains or name not in saved:
            continue
        one = saved[name]
        rules = [_rule(text, port, number, interface) for number, text in one.rules[:budget]]
        budget -= len(rules)
        rules += [FilterRule(YES, "unknown", "", number, text[:200]) for number, text in one.rules[len(rules) :][:1]]
        chains[name] = Chain(rules, one.policy, one.line, bool(one.policy))
        todo += dict.fromkeys(rule.target for rule in rules if rule.target and rule.match != NO)
    return chains


def _rule(text: str, port: int, number: int, interface: Interface) -> FilterRule:
    if len(text) > MAX_LINE:  # whatever it is, it can't be told
        return FilterRule(MAYBE, "accept", "", number, text[:200])
    match, verdict, target = _judged(text.split(None, 2)[2] if text.count(" ") > 1 else "", port, interface)
    return FilterRule(match, verdict, target, number, text[:200])


@lru_cache(4096)
def _judged(options: str, port: int, interface: Interface) -> tuple[int, str, str]:
    """Return whether the packet matches, the verdict, and the chain that a jump names."""
    match, verdict, target = YES, "", ""
    for one in _RULE.parse_string(options):
        option, values = one["name"], one[-1]
        value = values[0] if values else ""
        if option in ("-j", "--jump", "-g", "--goto"):
            verdict, target = _verdict(option, value)
            continue
        found = _matches(option, value, port, interface)
        match = min(match, _negate(found) if "not" in one else found)
    return match, verdict, target


def _verdict(option: str, value: str) -> tuple[str, str]:
    if value in _TARGETS:
        return _TARGETS[value], ""
    if value in _NO_VERDICT:
        return "", ""
    return ("goto" if option in ("-g", "--goto") else "jump"), value


def _negate(match: int) -> int:
    return {YES: NO, NO: YES}.get(match, MAYBE)


def _matches(option: str, value: str, port: int, interface: Interface) -> int:
    """Tell whether a first packet to port, from anywhere, matches this option."""
    if option in ("-p", "--protocol", "--proto"):
        return YES if value in ("tcp", "all", "6", "0") else NO
    if option in ("--dport", "--dports", "--destination-port", "--destination-ports", "--ports"):
        return YES if port_in(value, port) else NO
    if option in ("--state", "--ctstate"):
        return YES if "NEW" in value.split(",") else NO
    if option in ("-i", "--in-interface"):
        return interface(value)
    if option in ("-s", "--source", "--src", "-d", "--destination", "--dst"):
        return YES if value in _ANY else NO if value.startswith("127.") else MAYBE
    if option in ("-m", "--match"):
        return YES if value in _CERTAIN_MATCHES else NO if value in ("udp", "icmp", "icmp6", "esp") else MAYBE
    if option == "--dst-type":
        return YES if value == "LOCAL" else NO
    return YES if option in _DECIDES_NOTHING else MAYBE


__all__ = ["CLOSED", "LIMITED", "judge"]
