"""nft(8) rule files: what they do with a new TCP connection to a port.

    file = (table | chain | set | rule | statement)*      table = "table" word* "{" (chain | set | statement)* "}"
    chain = "chain" word* "{" statement* "}"               set = ("set" | "map") word* "{" statement* "}"
    rule = "rule" family table chain word*                 "add", "create" or "insert" may stand before each
    statement = word*, up to ";" or the end of the line    word = quoted text | "{" any "}" | letters

Blocks that are open at the end of the file are closed there. An ``include`` is left to the caller.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

import pyparsing as pp

from guestfix.base.patterns import regex
from guestfix.base.record import field, frozen, mutable
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

_VERDICTS = {"accept": "accept", "drop": "drop", "reject": "drop", "return": "return", "continue": "", "queue": ""}
_FAMILIES = ("ip", "inet")
MAX_BYTES = 128 * 1024
"""A larger file is not read: what it does can't be told."""

MAX_SET = 4096
"""Characters of a named set that is looked into; ports take few, and only ports are asked for."""


@frozen
class _Words:
    """A statement, or the head of a block: its words and the place of the first."""

    texts: tuple[str, ...]
    at: int


@frozen
class _Block:
    head: _Words
    inside: tuple[Any, ...]


def _braced(found: pp.ParseResults) -> str:
    text = regex(r"#[^\n]*").sub("", found[0])
    return " ".join(regex(r"([{};])").sub(r" \1 ", text).split())


_INNER = r"[^{}#]|#[^\n]*"
_BRACED = pp.Regex(rf"\{{(?:{_INNER}|\{{(?:{_INNER}|\{{(?:{_INNER})*\}})*\}})*\}}").set_parse_action(_braced)
_WORD = pp.Regex(r'"[^"\n]*"|[^\s{};"#]+|"')
_END = pp.Suppress(pp.Regex(r"[\n;]"))
_HERE = pp.Empty().set_parse_action(lambda _, at, __: at)


def _words(head: pp.ParserElement, more: pp.ParserElement) -> pp.ParserElement:
    return (_HERE + head + pp.ZeroOrMore(more)).set_parse_action(lambda found: _Words(tuple(found[1:]), found[0]))


def _block(word: str, inside: pp.ParserElement) -> pp.ParserElement:
    head = _words(pp.Regex(rf"(?:{word})(?![^\s{{}};\"#])"), _WORD) + pp.Suppress("{")
    body = pp.ZeroOrMore(_END | inside | pp.Suppress(pp.Regex(r"\{+"))) + (pp.Suppress("}") | pp.StringEnd())
    return (head + body).set_parse_action(lambda found: _Block(found[0], tuple(found[1:])))


_STATEMENT = _words(_WORD | _BRACED, _WORD | _BRACED)
_CHAIN, _SET = _block("chain", _STATEMENT), _block("set|map", _STATEMENT)
_TABLE = _block("table", _CHAIN | _SET | _STATEMENT)
_COMMAND = pp.Suppress(pp.Regex(r"(?:add|create|insert)(?![^\s{};\"#])"))
_ALL = pp.ZeroOrMore(_END | (pp.Opt(_COMMAND) + (_TABLE | _CHAIN | _SET | _STATEMENT)) | pp.Suppress(pp.Regex("[{}]+")))
_BLANK = pp.Regex(r"[ \t\r\f\v]+|#[^\n]*").leave_whitespace()
_FILE = _ALL.leave_whitespace().ignore(_BLANK).parse_with_tabs()


@mutable
class _Table:
    chains: dict[str, Chain] = field(default_factory=dict)
    sets: dict[str, str] = field(default_factory=dict)


class _Reader:
    """Puts a file's tables together, each rule judged for a new connection to port."""

    def __init__(self, src: bytes, port: int, interface: Interface, names: Mapping[str, str]) -> None:
        self.text, self.port, self.interface = src.decode("utf-8", "replace"), port, interface
        self.names = names
        self.starts = [0, *(at + 1 for at, letter in enumerate(self.text) if letter == "\n")]
        self.tables: dict[str, _Table] = {}
        for one in _FILE.parse_string(self.text):
            if isinstance(one, _Block):
                self._top(one)
            elif one.texts[0] == "rule" and len(one.texts) > 4:
                self._rule(self._table(" ".join(one.texts[1:3])), one.texts[3], one.texts[4:], one.at)

    def _table(self, name: str) -> _Table:
        return self.tables.setdefault(name, _Table())

    def _line(self, at: int) -> int:
        return bisect_right(self.starts, at)

    def _top(self, block: _Block) -> None:
        kind, *names = block.head.texts
        family = names[0] if len(names) > 1 else "ip"
        judged = family in _FAMILIES
        if kind == "table":
            table = self._table(" ".join(names[:2]) if len(names) > 1 else f"ip {(*names, kind)[0]}")
            for one in block.inside:
                if isinstance(one, _Block):
                    self._part(table, one, judged)
            return
        self._part(self._table(" ".join(names[:2]) if len(names) > 1 else f"ip {(*names, kind)[0]}"), block, judged)

    def _part(self, table: _Table, block: _Block, judged: bool) -> None:
        name = block.head.texts[-1]
        if block.head.texts[0] != "chain":
            for one in block.inside:
                if one.texts[0] == "elements":
                    text = one.texts[-1].strip("{} ")
                    table.sets[name] = text if len(text) <= MAX_SET else "?"
            return
        chain = table.chains.setdefault(name, Chain())
        for one in block.inside:
            texts = one.texts
            if texts[0] == "type" and "hook" in texts:
                chain.hooked = judged and texts[1:2] == ("filter",) and "input" in texts
                chain.line = self._line(one.at)
            elif texts[0] == "policy":
                chain.policy = "drop" if texts[1:2] == ("drop",) else "accept"
                chain.line = self._line(one.at)
            else:
                self._rule(table, name, texts, one.at)

    def _rule(self, table: _Table, chain: str, texts: Sequence[str], at: int) -> None:
        words = [_put_in(word, self.names) for word in texts] if self.names else list(texts)
        match, verdict, target = _Judge(words, self.port, table.sets, self.interface).run()
        rule = FilterRule(match, verdict, target, self._line(at), " ".join(texts)[:200])
        table.chains.setdefault(chain, Chain()).rules.append(rule)


def judge(
    src: bytes, port: int, interface: Interface = any_interface, names: Mapping[str, str] | None = None
) -> Answer | None:
    """Return the strictest answer of all input chains for IPv4, or None where there is none.

    ``interface`` tells whether the connection may come in by an interface that a rule names; ``names`` are values that
    are defined elsewhere.
    """
    if len(src) > MAX_BYTES:
        return Answer(LIMITED, 1, f"more than {MAX_BYTES} bytes")
    answers = []
    known = {**(names or {}), **defined(src)}
    for table in _Reader(src, port, interface, known).tables.values():
        answers += [decide(table.chains, chain) for chain in table.chains.values() if chain.hooked]
    order = (CLOSED, LIMITED)
    return min(answers, key=lambda one: order.index(one.state) if one.state in order else len(order), default=None)


_DEFINED = regex(
    rb"^[ \t]*(?:re)?define[ \t]+([\w.-]{1,64})[ \t]*=[ \t]*(\{[^{}]{0,4096}\}|[^\n;#]{1,1000})", re.MULTILINE
)
_NAMED = regex(r"\$([\w.-]{1,64})")
_MOST_NAMES = 256


def defined(src: bytes) -> dict[str, str]:
    """Return what the file defines: values by their names, names within them put in."""
    known: dict[str, str] = {}
    for name, value in _DEFINED.findall(src)[:_MOST_NAMES]:
        known[name.decode()] = _put_in(" ".join(value.decode("utf-8", "replace").split()), known)
    return known


def _put_in(word: str, names: Mapping[str, str]) -> str:
    """Put defined values in the place of their names; one that grows beyond any use stays as it is."""
    made = _NAMED.sub(lambda one: names.get(one[1], one[0]), word) if "$" in word else word
    return made if len(made) <= MAX_SET else word


def includes(src: bytes) -> list[str]:
    """Return the paths or patterns that the file includes."""
    found = regex(rb'^[ \t]*include[ \t]+"([^"\n]{1,4096})"', re.MULTILINE).findall(src)
    return [one.decode("utf-8", "replace") for one in found]


class _Judge:
    """Walks over one rule's expressions."""

    def __init__(self, texts: Sequence[str], port: int, sets: dict[str, str], interface: Interface) -> None:
        self.interface = interface
        self.texts = texts
        self.port = port
        self.sets = sets
        self.at = 0
        self.mapped = self.leads = ""

    def take(self) -> str:
        self.at += 1
        return self.texts[self.at - 1] if self.at <= len(self.texts) else ""

    def run(self) -> tuple[int, str, str]:
        """Return whether the packet matches, the verdict, and the chain that a jump names."""
        match, verdict, target = YES, "", ""
        while self.at < len(self.texts):
            word = self.take()
            if word in _VERDICTS:
                verdict = _VERDICTS[word]
                break
            if word in ("jump", "goto"):
                verdict, target = word, self.take()
                break
            match = min(match, self._expression(word))
        return match, verdict or self.mapped, target or self.leads

    def _value(self) -> tuple[str, bool]:
        """Return the value that is compared with, sets looked up, and whether the comparison is negated."""
        value, negated = self.take(), False
        if value in ("!=", "==", "eq", "ne"):
            value, negated = self.take(), value in ("!=", "ne")
        while self.at < len(self.texts) and (value.endswith(",") or self.texts[self.at].startswith(",")):
            value += self.take()
        if value.startswith("@"):
            value = self.sets.get(value[1:], "?")
        return value.strip("{} "), negated

    def _expression(self, word: str) -> int:
        if word in ("tcp", "th"):
            if self.take() != "dport":
                self._value()
                return MAYBE
            value, negated = self._value()
            if value == "vmap":
                return self._mapped()
            found = MAYBE if value == "?" else YES if port_in(value.replace(" ", ""), self.port) else NO
            return {YES: NO, NO: YES}.get(found, found) if negated else found
        if word == "ct":
            return self._state()
        if word in ("iif", "iifname", "meta"):
            return self._meta(word)
        if word in ("ip", "ip6"):
            return self._address(word)
        if word in ("udp", "icmp", "icmpv6", "sctp", "dccp", "ah", "esp", "arp", "ether", "vlan"):
            self.take()
            self._value()
            return NO if word not in ("ether", "vlan") else MAYBE
        return self._aside(word)

    def _mapped(self) -> int:
        """Read a verdict map of ports: { 22 : accept, 80 : drop }."""
        for part in self.take().strip("{} ").split(","):
            ports, _, verdict = part.rpartition(":")
            if port_in(ports.strip(), self.port):
                self._map_to(verdict)
                return YES
        return NO

    def _map_to(self, verdict: str) -> None:
        word, _, self.leads = verdict.strip().partition(" ")
        self.mapped = word if word in ("jump", "goto") else _VERDICTS.get(word, "")

    def _mapped_interface(self) -> int:
        """Read a verdict map of interfaces: { "eth0" : jump outside, "lo" : accept }."""
        value = self.take()
        text = self.sets.get(value[1:], "?") if value.startswith("@") else value
        best = NO
        for part in text.strip("{} ").split(","):
            name, _, verdict = part.rpartition(":")
            match = self.interface(name.strip('" ')) if name.strip() else MAYBE
            if match > best:
                best = match
                self._map_to(verdict)
        return best

    def _state(self) -> int:
        key = self.take()
        if self.texts[self.at : self.at + 1] == ["vmap"]:
            self.at += 1
            return NO if "new" not in self.take() else MAYBE
        value, negated = self._value()
        if key != "state":
            return MAYBE
        return YES if ("new" in regex(r"[^a-z]+").split(value)) is not negated else NO

    def _meta(self, word: str) -> int:
        key = word if word != "meta" else self.take()
        if key in ("iif", "iifname") and self.texts[self.at : self.at + 1] == ["vmap"]:
            self.at += 1
            return self._mapped_interface()
        value, negated = self._value()
        if key in ("iif", "iifname"):
            found = max((self.interface(one.strip('" ')) for one in value.split(",") if one.strip()), default=MAYBE)
            return {YES: NO, NO: YES}.get(found, found) if negated else found
        if key in ("l4proto", "protocol", "nfproto"):
            taken = any(one in ("tcp", "6", "ip", "ipv4") for one in regex(r"[^a-z0-9]+").split(value))
            return YES if taken is not negated else NO
        return MAYBE

    def _address(self, word: str) -> int:
        key = self.take()
        value, negated = self._value()
        if key in ("protocol", "nexthdr"):
            return YES if ("tcp" in regex(r"[^a-z0-9]+").split(value)) is not negated else NO
        if word == "ip6" or value.startswith("127."):
            return NO
        return YES if value in ("0.0.0.0/0",) and not negated else MAYBE

    def _aside(self, word: str) -> int:
        """Pass over statements that decide nothing."""
        if word in ("counter", "log", "notrack"):
            while self.at < len(self.texts) and self.texts[self.at] in ("packets", "bytes", "prefix", "level", "flags"):
                self.at += 2
            return YES
        if word in ("comment", "with"):
            self.at += 1
            return YES
        return YES if word in ("type", "tcp", "reset", "icmpx", "port-unreachable", "admin-prohibited") else MAYBE


__all__ = ["CLOSED", "LIMITED", "includes", "judge"]
