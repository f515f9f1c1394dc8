"""Whether a packet filter lets a new TCP connection to a port in: iptables-save(8) and nft(8) rule files.

Answers: ``open``; ``limited`` (from some addresses, interfaces or under conditions that can't be judged
here); ``closed``. Rules are tried in order, jumps are followed, as the kernel would for a first packet that
comes from anywhere on a network interface. Not judged: sets by name, marks, rates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

OPEN, LIMITED, CLOSED = "open", "limited", "closed"
YES, MAYBE, NO = 2, 1, 0
MAX_STEPS = 20_000
"""Rules that are tried for one answer; a longer way counts as limited."""

MAX_DEPTH = 32


@dataclass(frozen=True, slots=True)
class FilterRule:
    """One rule: whether the packet matches, what happens then, and where it stands."""

    match: int
    verdict: str
    target: str = ""
    line: int = 0
    text: str = ""


@dataclass(slots=True)
class Chain:
    """A chain's rules; a base chain has a policy (``accept`` or ``drop``)."""

    rules: list[FilterRule] = field(default_factory=list)
    policy: str = ""
    line: int = 0
    hooked: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What a filter does with the packet, and the line that decides."""

    state: str
    line: int = 0
    text: str = ""


class _Walk:
    def __init__(self, chains: Mapping[str, Chain]) -> None:
        self.chains = chains
        self.steps = 0
        self.maybe: FilterRule | None = None

    def run(self, chain: Chain, depth: int = 0) -> Answer | None:
        for rule in chain.rules:
            self.steps += 1
            if self.steps > MAX_STEPS or depth > MAX_DEPTH:
                return Answer(LIMITED, rule.line, rule.text)
            if rule.match == NO:
                continue
            if rule.verdict == "return" and rule.match == YES:
                return None
            done = self._apply(rule, depth)
            if done is not None:
                return done
        return None

    def _apply(self, rule: FilterRule, depth: int) -> Answer | None:
        state = {"accept": OPEN, "drop": CLOSED}.get(rule.verdict, "")
        if rule.verdict in ("jump", "goto"):
            below = self.run(self.chains.get(rule.target, Chain()), depth + 1)
            if rule.match == YES:
                return below
            state = below.state if below else ""
        if state == OPEN and rule.match == MAYBE:
            self.maybe = self.maybe or rule
            return None
        return Answer(state, rule.line, rule.text) if state and rule.match == YES else None


def decide(chains: Mapping[str, Chain], start: Chain) -> Answer:
    """Return what happens to the packet that enters at this base chain."""
    walk = _Walk(chains)
    found = walk.run(start)
    if found is None:
        drops = start.policy == "drop"
        found = Answer(CLOSED if drops else OPEN, start.line, f"policy {start.policy}" if start.policy else "")
    if found.state == CLOSED and walk.maybe is not None:
        return Answer(LIMITED, walk.maybe.line, walk.maybe.text)
    return found


_NAMES = {22: "ssh"}


def port_in(text: str, port: int) -> bool:
    """Tell whether a port list holds port: ``22``, ``ssh``, ``20:30``, ``20-30``, ``22,80``."""
    return any(_in_range(part.strip(), port) for part in text.split(","))


def _in_range(part: str, port: int) -> bool:
    if part == _NAMES.get(port):
        return True
    low, colon, high = part.replace("-", ":").partition(":")
    if not colon:
        return _number(low) == port
    first, last = _number(low or "0"), _number(high or "65535")
    return first is not None and last is not None and first <= port <= last


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else None
