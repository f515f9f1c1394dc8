"""Which detectors a run can do without: costly ones whose facts nobody asks for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from fnmatch import fnmatchcase

from guestfix.base.errors import UsageError
from guestfix.base.nearest import did_you_mean
from guestfix.detect import DETECTORS, Detector
from guestfix.pack.bind import facts_in
from guestfix.pack.known import known_facts
from guestfix.pack.model import Pack, Rule, Target
from guestfix.pack.when import facts_of


def detectors_for(pack: Pack, target: Target, chosen: Collection[str], skip: Iterable[str]) -> set[str]:
    """Return the detectors that a plan with these rules for this target needs.

    One on demand runs where a chosen rule asks for its facts or acts by them, and also where an action takes them if
    they are known or a rule settles its findings, unless ``skip`` leaves out every rule of its topic: who does that
    doesn't want it looked at.
    """
    rules = [rule for rule in pack.rules if rule.id in chosen]
    asked = {name for rule in rules for name in _asks(rule)}
    asked |= {name for one in target.refuses for each in one.when for name in facts_of(each)}
    skipped = {rule.id for rule in pack.rules if any(fnmatchcase(rule.id, one) for one in skip)}
    return {name for name, one in DETECTORS.items() if _is_needed(name, one, pack, asked, skipped)}


def _is_needed(name: str, one: Detector, pack: Pack, asked: set[str], skipped: set[str]) -> bool:
    if not one.on_demand or _any(asked, one.on_demand):
        return True
    topic = name.partition(".")[0]
    own = {rule.id for rule in pack.rules if rule.id.startswith(f"{topic}/")}
    return _any(asked, one.helps) and not own <= skipped


def _asks(rule: Rule) -> Iterator[str]:
    """Yield the facts that a rule's conditions and arguments name, its actions, and the findings that it settles."""
    yield from rule.settles
    for condition in (*rule.when, *(one for step in rule.steps for one in step.when)):
        yield from facts_of(list(condition))
    for step in rule.steps:
        yield step.action
        yield from facts_in({**step.args, "": ("text", step.follow_up)})


def _any(names: Iterable[str], patterns: Iterable[str]) -> bool:
    patterns = list(patterns)
    return any(fnmatchcase(name, pattern) for name in names for pattern in patterns)


def detectors_of(facts: Collection[str]) -> set[str]:
    """Return the detectors that an inspection of these facts needs: all but those on demand that make none of them."""
    return {name for name, one in DETECTORS.items() if not one.on_demand or _any(facts, one.on_demand)}


def facts_like(patterns: Iterable[str], pack: Pack) -> frozenset[str]:
    """Return the names of the facts that are meant: by name, by glob, or by what stands before a dot.

    Raises UsageError for what means none.
    """
    known = known_facts(pack.policies.values(), pack.targets)
    found: set[str] = set()
    for pattern in patterns:
        meant = {name for name in known if fnmatchcase(name, pattern) or name.startswith(f"{pattern}.")}
        if not meant:
            topics = {name.partition(".")[0] for name in known}
            remedy = did_you_mean(pattern, [*sorted(topics), *known]) or "guestfix list facts has all"
            raise UsageError(f"no fact is named {pattern!r}", remedy=remedy)
        found |= meant
    return frozenset(found)
