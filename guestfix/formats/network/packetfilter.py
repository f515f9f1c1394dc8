"""Chains of packet filter rules, walked as the kernel walks them.

Rules are tried in order and jumps are followed, for the first packet of a TCP connection that comes from
anywhere on a network interface. Not judged: sets by name, marks, rates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from guestfix.base.record import field, frozen, mutable
from guestfix.formats.network.firewall import CLOSED, LIMITED, OPEN

YES, MAYBE, NO = 2, 1, 0
MAX_STEPS = 20_000
"""Rules that are tried for one answer; a longer way counts as limited."""

MAX_DEPTH = 32


Interface = Callable[[str], int]
"""Tells of an interface's name or pattern in a rule whether the packet comes in by it."""


def any_interface(name: str) -> int:
    """Tell of an interface's name whether a packet comes in by it, where nothing is known of the network."""
    return NO if name == "lo" else YES if name in ("+", "*") else MAYBE


@frozen
class FilterRule:
    """One rule: whether the packet matches, what happens then, and where it stands."""

    match: int
    verdict: str
    target: str = ""
    line: int = 0
    text: str = ""


@mutable
class Chain:
    """A chain's rules; a base chain has a policy (``accept`` or ``drop``)."""

    rules: list[FilterRule] = field(default_factory=list)
    policy: str = ""
    line: int = 0
    hooked: bool = False


@frozen
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
        state = {"accept": OPEN, "drop": CLOSED, "unknown": LIMITED}.get(rule.verdict, "")
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
