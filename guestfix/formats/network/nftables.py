"""nft(8) rule files: what they do with a new TCP connection to a port.

Read as blocks (``table``, ``chain``, ``set``) and rules, one a line or ended by ``;``. Commands of the
form ``add rule inet filter input ...`` are read too. An ``include`` is left to the caller.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from guestfix.base.patterns import regex
from guestfix.base.record import field, frozen, mutable
from guestfix.formats.network.firewall import CLOSED, LIMITED, port_in
from guestfix.formats.network.packetfilter import MAYBE, NO, YES, Answer, Chain, FilterRule, decide

_WORD = regex(r'"[^"\n]*"|[{};]|\n|[^\s{};"#]+|#[^\n]*|"')
_VERDICTS = {"accept": "accept", "drop": "drop", "reject": "drop", "return": "return", "continue": "", "queue": ""}
_BLOCKS = ("table", "chain", "set", "map")
_COMMANDS = ("add", "create", "insert")
_FAMILIES = ("ip", "inet")
MAX_WORDS = 500_000
MAX_SET = 4096
"""Characters of a named set that is looked into; ports take few, and only ports are asked for."""


@mutable
class _Table:
    chains: dict[str, Chain] = field(default_factory=dict)
    sets: dict[str, str] = field(default_factory=dict)


@frozen
class _Word:
    text: str
    line: int


def judge(src: bytes, port: int) -> Answer | None:
    """Return the strictest answer of all input chains for IPv4, or None where there is none."""
    answers = []
    for table in _parse(src, port).values():
        answers += [decide(table.chains, chain) for chain in table.chains.values() if chain.hooked]
    order = (CLOSED, LIMITED)
    return min(answers, key=lambda one: order.index(one.state) if one.state in order else len(order), default=None)


def includes(src: bytes) -> list[str]:
    """Return the paths or patterns that the file includes."""
    found = re.findall(rb'^[ \t]*include[ \t]+"([^"\n]{1,4096})"', src, re.MULTILINE)
    return [one.decode("utf-8", "replace") for one in found]


def _words(src: bytes) -> Iterator[_Word]:
    line = 1
    for count, match in enumerate(_WORD.finditer(src.decode("utf-8", "replace"))):
        if count > MAX_WORDS:
            return
        text = match[0]
        if not text.startswith("#"):
            yield _Word(text, line)
        line += text == "\n"


class _Reader:
    def __init__(self, src: bytes, port: int) -> None:
        self.words = list(_words(src))
        self.at = 0
        self.port = port
        self.tables: dict[str, _Table] = {}

    def statement(self) -> list[_Word]:
        """Return the words up to the end of the line, a semicolon or an opening or closing block.

        Braces inside a rule (``{ 22, 80 }``) belong to it; a block's brace is left where it is.
        """
        found: list[_Word] = []
        while self.at < len(self.words):
            word = self.words[self.at]
            if word.text in ("\n", ";"):
                self.at += 1
                if found:
                    break
                continue
            if word.text == "}" or (word.text == "{" and self._opens_block(found)):
                break
            if word.text == "{":
                found.append(_Word(self._braced(), word.line))
                continue
            self.at += 1
            found.append(word)
        return found

    @staticmethod
    def _opens_block(words: Sequence[_Word]) -> bool:
        return any(word.text in _BLOCKS for word in words[:2]) and words[0].text in (*_BLOCKS, *_COMMANDS)

    def _braced(self) -> str:
        """Take a set in braces as one word."""
        depth, parts = 0, []
        while self.at < len(self.words):
            text = self.words[self.at].text
            self.at += 1
            depth += {"{": 1, "}": -1}.get(text, 0)
            parts.append(text if text != "\n" else " ")
            if depth <= 0:
                break
        return " ".join(parts)

    def peek(self) -> str:
        return self.words[self.at].text if self.at < len(self.words) else ""

    def run(self) -> None:
        """Read the whole file."""
        while self.at < len(self.words):
            words = self.statement()
            if not words:
                self.at += 1  # a closing brace too many
                continue
            texts = [word.text for word in words]
            if texts[0] in _COMMANDS:
                texts, words = texts[1:], words[1:]
            if texts and texts[0] in _BLOCKS and self.peek() == "{":
                self.at += 1
                self._top(texts)
            elif texts[:1] == ["rule"] and len(texts) > 4:
                self._rule(self._table(" ".join(texts[1:3])), texts[3], words[4:])

    def _table(self, name: str) -> _Table:
        return self.tables.setdefault(name, _Table())

    def _top(self, texts: Sequence[str]) -> None:
        family = texts[1] if len(texts) > 2 else "ip"
        table = self._table(f"{family} {texts[2]}" if texts[0] != "table" and len(texts) > 3 else self._name(texts))
        if texts[0] == "table":
            self._body(table, family in _FAMILIES)
        elif texts[0] == "chain":
            self._chain(table, texts[-1], family in _FAMILIES)
        else:
            self._set(table, texts[-1])

    @staticmethod
    def _name(texts: Sequence[str]) -> str:
        return " ".join(texts[1:3]) if len(texts) > 2 else f"ip {texts[-1]}"

    def _body(self, table: _Table, judged: bool) -> None:
        while self.at < len(self.words):
            words = self.statement()
            texts = [word.text for word in words]
            if not texts:
                self.at += 1
                return
            if self.peek() == "{":
                self.at += 1
                if texts[0] == "chain":
                    self._chain(table, texts[-1], judged)
                else:
                    self._set(table, texts[-1])

    def _set(self, table: _Table, name: str) -> None:
        """Keep a set's elements as text; the block is passed over."""
        while self.at < len(self.words):
            words = self.statement()
            if not words:
                self.at += 1
                return
            if words[0].text == "elements":
                text = words[-1].text.strip("{} ").replace(" ", "")
                table.sets[name] = text if len(text) <= MAX_SET else "?"

    def _chain(self, table: _Table, name: str, judged: bool) -> None:
        chain = table.chains.setdefault(name, Chain())
        while self.at < len(self.words):
            words = self.statement()
            texts = [word.text for word in words]
            if not texts:
                self.at += 1
                return
            if texts[0] == "type" and "hook" in texts:
                chain.hooked = judged and texts[1:2] == ["filter"] and "input" in texts
                chain.line = words[0].line
            elif texts[0] == "policy":
                chain.policy = "drop" if texts[1:2] == ["drop"] else "accept"
                chain.line = words[0].line
            else:
                self._rule(table, name, words)

    def _rule(self, table: _Table, chain: str, words: Sequence[_Word]) -> None:
        texts = [word.text for word in words]
        match, verdict, target = _Judge(texts, self.port, table.sets).run()
        rule = FilterRule(match, verdict, target, words[0].line, " ".join(texts)[:200])
        table.chains.setdefault(chain, Chain()).rules.append(rule)


def _parse(src: bytes, port: int) -> dict[str, _Table]:
    reader = _Reader(src, port)
    reader.run()
    return reader.tables


class _Judge:
    """Walks over one rule's expressions."""

    def __init__(self, texts: Sequence[str], port: int, sets: dict[str, str]) -> None:
        self.texts = texts
        self.port = port
        self.sets = sets
        self.at = 0
        self.mapped = ""

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
        return match, verdict or self.mapped, target

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
                self.mapped = _VERDICTS.get(verdict.strip(), "")
                return YES
        return NO

    def _state(self) -> int:
        key = self.take()
        if self.texts[self.at : self.at + 1] == ["vmap"]:
            self.at += 2
            return NO if "new" not in self.texts[self.at - 1] else MAYBE
        value, negated = self._value()
        if key != "state":
            return MAYBE
        return YES if ("new" in re.split(r"[^a-z]+", value)) is not negated else NO

    def _meta(self, word: str) -> int:
        key = word if word != "meta" else self.take()
        value, negated = self._value()
        if key in ("iif", "iifname"):
            loopback = value.strip('"') == "lo"
            return (YES if loopback is negated else NO) if loopback else MAYBE
        if key in ("l4proto", "protocol", "nfproto"):
            taken = any(one in ("tcp", "6", "ip", "ipv4") for one in re.split(r"[^a-z0-9]+", value))
            return YES if taken is not negated else NO
        return MAYBE

    def _address(self, word: str) -> int:
        key = self.take()
        value, negated = self._value()
        if key in ("protocol", "nexthdr"):
            return YES if ("tcp" in re.split(r"[^a-z0-9]+", value)) is not negated else NO
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
