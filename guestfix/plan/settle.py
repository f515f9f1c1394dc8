"""What a plan settles: findings are looked at again in the guest as it would be, before they are told.

A rule says which findings it settles (``settles`` in rule.yaml). That is a claim; what counts is the planned state:
whatever made the finding (a detector, the compatibility table, another rule) is run once more on the overlay. A
finding that it no longer makes is settled; one that it makes with a milder severity has that severity; and a
blocker that only the planned state has is told too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from guestfix.actions.workbench import Workbench
from guestfix.base.catalog.facts.system import KERNEL_DEFAULT
from guestfix.base.catalog.findings import SEVERITIES
from guestfix.base.facts import Evidence, Finding
from guestfix.base.record import replace
from guestfix.base.recorder import Recorder
from guestfix.compat import judge, put_kernels
from guestfix.detect import DETECTORS, detect_by, still_there, touched, with_needs
from guestfix.pack.model import Pack, Rule
from guestfix.plan.model import Decision

COMPAT = "compat"
"""The origin of what the compatibility table says. Others are a detector's name or a rule's id."""

Seen = tuple[str, Finding]
"""A finding with its origin."""

Runner = Callable[[Rule, Workbench], object]
"""Runs one rule's steps; what it finds is put down on the workbench."""


class Planned:
    """The guest as it would be, looked at no further than questions need."""

    def __init__(
        self,
        pack: Pack,
        bench: Workbench,
        decisions: Iterable[Decision],
        run: Runner,
        looked: Mapping[str, Recorder],
    ) -> None:
        self._pack, self._bench, self._run, self._looked = pack, bench, run, looked
        self.facts = bench.facts
        outcomes = {one.rule: one.outcome for one in decisions}
        self._applied = [rule for rule in pack.rules if outcomes[rule.id] == "applied"]
        self._ran = [rule for rule in pack.rules if outcomes[rule.id] in ("applied", "unchanged")]

    def claim(self, finding: Finding) -> str:
        """Return the applied rule that says it settles this finding: the one that changed its place, if several do."""
        rules = [rule.id for rule in self._applied if finding.code in rule.settles]
        changers = {rule for place in finding.evidence for rule in self._bench.fs.changers(_path(place))}
        return next((rule for rule in rules if rule in changers), rules[0] if rules else "")

    def still(self, finding: Finding) -> bool | None:
        """Tell whether the fault is still there; None where only the finding's origin can tell."""
        return still_there(self._bench.fs, finding) if finding.evidence else None

    def touched(self) -> set[str]:
        """Return the detectors that would see something else in the planned guest.

        Images are left out: whether a plan leaves one as it was is told by :meth:`still`.
        """
        return touched(self._looked, (draft.path for draft in self._bench.fs.drafts())) - {"initramfs.images"}

    def look(self, origins: Collection[str]) -> dict[str, list[Finding]]:
        """Return what these origins, and all that they build upon, find in the planned guest.

        Where another kernel boots by default, every judgement of how the guest boots is made once more. ``facts``
        are then those of the planned guest.
        """
        bench = replace(self._bench, facts=self._bench.facts.copy(), findings=[], follow_ups=[])
        rules = [rule for rule in self._ran if rule.id in origins]
        names = with_needs([one for one in DETECTORS if one in origins])
        if rules or COMPAT in origins:
            names |= with_needs(["boot.kernels"])
        default = bench.facts.value(KERNEL_DEFAULT)
        found = detect_by(bench.fs, bench.facts, bench.target, self._pack.systems, names)
        if bench.facts.value(KERNEL_DEFAULT) != default:
            others = {"initramfs.images"} & self._looked.keys() - names
            found |= detect_by(bench.fs, bench.facts, bench.target, self._pack.systems, others)
            rules = self._ran
        self.facts = bench.facts
        verdict = judge(self._pack.systems, bench.facts)
        put_kernels(verdict, bench.facts)
        return {**found, COMPAT: list(verdict.findings)} | {rule.id: self._again(rule, bench) for rule in rules}

    def _again(self, rule: Rule, bench: Workbench) -> list[Finding]:
        before = bench.fs.snapshot()
        trial = replace(bench, findings=[])
        self._run(rule, trial)
        bench.fs.restore(before)
        return trial.findings


def _path(place: Evidence) -> str:
    """Return the guest's path in a place; one inside an image follows that image's name."""
    return place.path.partition(":")[0]


def settle(seen: Sequence[Seen], planned: Planned) -> list[Finding]:
    """Return the findings as they hold for the planned state."""
    claims = {at: rule for at, (_, one) in enumerate(seen) if (rule := planned.claim(one))}
    told = {at: planned.still(seen[at][1]) for at in claims}
    asked = {seen[at][0] for at, answer in told.items() if answer is None}
    asked |= planned.touched()
    again = planned.look(asked) if asked else {}
    out = []
    for at, (origin, one) in enumerate(seen):
        if at not in claims or told[at]:
            out.append(one)
        elif told[at] is None:
            out.append(_compared(one, again.get(origin, ()), claims[at]))
        else:
            out.append(_settled(one, claims[at]))
    return [*out, *_new_blockers(seen, again)]


def _compared(one: Finding, again: Iterable[Finding], rule: str) -> Finding:
    same = [other for other in again if _is_same(one, other)]
    if not same:
        return _settled(one, rule)
    worst = max(same, key=lambda other: SEVERITIES.index(other.severity))
    severity = min(one.severity, worst.severity, key=SEVERITIES.index)
    return replace(one, severity=severity, outcome=worst.outcome, seconds=worst.seconds)


def _settled(one: Finding, rule: str) -> Finding:
    severity = min(one.severity, "warning", key=SEVERITIES.index)
    remedy = f"nothing to do: the rule {rule} fixes it in this plan"
    return replace(one, severity=severity, remedy=remedy, settled_by=rule)


def _is_same(one: Finding, other: Finding) -> bool:
    """Tell whether two findings speak of the same fault: of one code, and with a place or its text in common."""
    if one.code != other.code:
        return False
    places = [{(item.path, item.text) for item in finding.evidence} for finding in (one, other)]
    return not all(places) or bool(places[0] & places[1])


def _new_blockers(seen: Sequence[Seen], again: Mapping[str, Sequence[Finding]]) -> list[Finding]:
    blockers = [one for _, one in seen if one.severity == "blocker"]
    return [
        one
        for found in again.values()
        for one in found
        if one.severity == "blocker" and not any(_is_same(one, known) for known in blockers)
    ]
