"""Making a Plan: detect, judge, then every rule in order on a copy-on-write view. Nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from guestfix import __version__
from guestfix.actions.workbench import Workbench
from guestfix.base.catalog.findings import kind_of
from guestfix.base.errors import EditError, GuestError, UsageError
from guestfix.base.facts import Evidence, Facts, Finding, Unknown
from guestfix.base.globs import glob
from guestfix.base.guest import GuestFS
from guestfix.base.nearest import did_you_mean
from guestfix.base.overlay import Overlay
from guestfix.base.record import asdict, field, frozen, replace
from guestfix.base.recorder import Recorder
from guestfix.base.remembered import Remembered
from guestfix.compat import judge, put_kernels, table_version
from guestfix.pack.bind import MissingFact
from guestfix.pack.model import CONFIDENCES, Condition, Pack, Rule, Step, Target
from guestfix.pack.when import evaluate, facts_of
from guestfix.plan.accept import accepted, check_accepted
from guestfix.plan.changes import changes_of
from guestfix.plan.learn import check_policies, identity_of, learn
from guestfix.plan.model import Choice, Decision, Plan
from guestfix.plan.settle import COMPAT, Planned, Seen, settle
from guestfix.plan.steps import run_step
from guestfix.walk import walk
from guestfix.walk.model import Walks
from guestfix.walk.scene import Scene

TYPE_CHECKING = False
if TYPE_CHECKING:
    from guestfix.base.shapes import FileOut
    from guestfix.plan.shapes import GuestOut, VersionsOut

Progress = Callable[[str, int, int], None]
"""Told the stage (one of :data:`guestfix.base.events.STAGES`), how much of it is done, and of how much."""


def _no_progress(stage: str, done: int, total: int) -> None:
    """Tell nobody."""


@frozen
class Options:
    """What the administrator chose. ``only``, ``skip`` and ``accept`` hold ids or globs.

    ``confidence`` is the least sure level that is still applied. ``accept`` turns blockers with these
    codes into warnings. ``extra`` are facts from outside the guest (``network.map``, ``payload.dir``). ``choices`` are
    all of these as the plan is to tell them, with where each was said.
    """

    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    confidence: str = "confident"
    policies: Mapping[str, str] = field(default_factory=dict)
    accept: tuple[str, ...] = ()
    extra: Mapping[str, object] = field(default_factory=dict)
    choices: tuple[Choice, ...] = ()


def choose_target(pack: Pack, target: str | None) -> Target:
    """Return the target profile with this id, or the pack's default one, with the pack's tables. Raises UsageError."""
    wanted = target or pack.default_target
    if wanted not in pack.targets:
        raise UsageError(f"there is no target {wanted!r}", remedy=did_you_mean(wanted, pack.targets))
    return replace(pack.targets[wanted], tables=pack.tables)


@frozen
class Inspection:
    """What is known about a guest, without any rule having run."""

    guest: Mapping[str, object]
    target: str
    verdict: str
    compat: Mapping[str, object]
    facts: Facts
    findings: tuple[Finding, ...]
    versions: Mapping[str, object]


def inspect_guest(
    guest: GuestFS,
    pack: Pack,
    target: str | None = None,
    progress: Progress | None = None,
    asked: Collection[str] = (),
) -> Inspection:
    """Return the facts, findings and verdict. The guest is only read. Raises as :func:`make_plan`.

    ``asked`` are the facts that matter, all where it is empty: names, globs, or what stands before a dot. Others are
    left out, and what is costly to learn and not asked for is not looked at. Raises UsageError for what names none.
    """
    profile, guest = choose_target(pack, target), Remembered(guest)
    wanted, names = None, None
    if asked:
        from guestfix.plan.asked import detectors_of, facts_like

        wanted = facts_like(asked, pack)
        names = detectors_of(wanted)
    facts, found, _ = learn(guest, pack, profile, {}, {}, None, progress or _no_progress, names)
    verdict, compat, judged = _judge(pack, facts)
    findings = _sorted([*(one for seen in found.values() for one in seen), *judged])
    shown = facts if wanted is None else facts.only(wanted)
    return Inspection(_guest_out(guest), profile.id, verdict, compat, shown, findings, _versions(pack))


def _guest_out(guest: GuestFS) -> GuestOut:
    return {"uri": guest.uri, "identity": identity_of(guest), "files": files_of(guest)}


def files_of(guest: GuestFS) -> list[FileOut]:
    """Return every file that was opened as a disk image or on behalf of one, and why; none for a folder."""
    held = getattr(guest, "host_files", None)
    listed: list[FileOut] = held.listed() if held is not None else []
    return listed


def _versions(pack: Pack) -> VersionsOut:
    found: VersionsOut = {
        "guestfix": __version__,
        "pack": pack.version,
        "pack_digest": pack.digest,
        "compat": table_version(pack.systems),
    }
    return {**found, "packs": [asdict(part) for part in pack.parts]} if len(pack.parts) > 1 else found


def make_plan(
    guest: GuestFS,
    pack: Pack,
    target: str | None = None,
    options: Options | None = None,
    progress: Progress | None = None,
) -> Plan:
    """Return the Plan for this guest. The guest is only read.

    Raises UsageError for a target, rule, policy or confidence that the pack doesn't have, and GuestError
    where the guest itself can't be read at all.
    """
    options = options or Options()
    profile, guest = choose_target(pack, target), Remembered(guest)
    chosen = _chosen(pack, options)
    tell = progress or _no_progress
    looked: dict[str, Recorder] = {}
    names = _detectors(pack, profile, chosen, options)
    facts, found, profile = learn(guest, pack, profile, options.policies, options.extra, looked, tell, names)
    before, _ = walk(Scene(guest, facts, profile, tuple(one for those in found.values() for one in those)))
    verdict, compat, judged = _judge(pack, facts)
    bench = Workbench(Overlay(guest), facts, profile, _policies(facts, pack))
    decisions: list[Decision] = []
    for index, rule in enumerate(pack.rules):
        tell("plan", index, len(pack.rules))
        decisions.append(_decide(rule, bench, options, rule.id in chosen))
    tell("plan", len(pack.rules), len(pack.rules))
    seen: list[Seen] = [(name, one) for name, those in found.items() for one in those]
    seen += [*((COMPAT, one) for one in judged), *((one.rule, one) for one in bench.findings)]
    planned = Planned(pack, bench, decisions, _run, looked)
    findings = settle(seen, planned)
    after, own = walk(Scene(bench.fs, planned.facts, profile, tuple(findings)))
    known = {one.code for one in own if one.outcome == "stops"}
    findings = [one for one in findings if one.code not in known or one.outcome == "stops" or one.settled_by]
    findings = _blocking([*findings, *own], all(one.selected for one in decisions))
    findings += _undecided_findings(decisions, bench)
    return Plan(
        guest=_guest_out(guest),
        target=profile.id,
        verdict=verdict,
        compat=compat,
        facts=tuple(facts[name].plain() for name in sorted(facts)),
        decisions=tuple(decisions),
        findings=_sorted(accepted(findings, options.accept)),
        changes=changes_of(bench.fs),
        follow_ups=tuple(bench.follow_ups),
        versions=_versions(pack),
        policies=bench.policy,
        walk=Walks(before, after),
        choices=options.choices,
    )


def _blocking(findings: Iterable[Finding], whole: bool) -> list[Finding]:
    """Let what stops the planned boot, or can't be told of it, forbid apply; only warn where rules were left out.

    Who chooses with --only and --skip does the rest elsewhere, or later. A guest that nobody logs in to starts.
    """
    severity = "blocker" if whole else "warning"
    return [replace(one, severity=severity) if _ends(one) and not one.settled_by else one for one in findings]


def _ends(one: Finding) -> bool:
    untold = one.outcome == "unknown" and one.severity == "blocker"
    return untold or (one.outcome == "stops" and kind_of(one.code).allows("blocker"))


def _judge(pack: Pack, facts: Facts) -> tuple[str, Mapping[str, object], list[Finding]]:
    """Return the verdict, its JSON details, and findings; put down what the table says of each kernel."""
    verdict = judge(pack.systems, facts)
    put_kernels(verdict, facts)
    return verdict.status, verdict.as_json(), list(verdict.findings)


def check_options(pack: Pack, options: Options) -> None:
    """Raise UsageError for a choice that :func:`make_plan` would refuse for every guest."""
    _chosen(pack, options)
    check_policies(pack, options.policies)


def _policies(facts: Facts, pack: Pack) -> dict[str, str]:
    return {name: str(facts.value(f"policy.{name}")) for name in sorted(pack.policies)}


def _chosen(pack: Pack, options: Options) -> frozenset[str]:
    """Return the ids of the rules that the options select. Raises UsageError for a choice that there is not."""
    check_accepted(options.accept)
    if options.confidence not in CONFIDENCES:
        raise UsageError(f"no confidence {options.confidence!r}", remedy=did_you_mean(options.confidence, CONFIDENCES))
    ids = [rule.id for rule in pack.rules]
    for pattern in (*options.only, *options.skip):
        if not any(fnmatchcase(one, pattern) for one in ids):
            raise UsageError(
                f"no rule is named {pattern!r}", remedy=did_you_mean(pattern, ids) or "guestfix list rules has all"
            )
    return frozenset(
        one for one in ids if (not options.only or _any_match(one, options.only)) and not _any_match(one, options.skip)
    )


def _detectors(pack: Pack, target: Target, chosen: Collection[str], options: Options) -> Collection[str] | None:
    """Return the detectors that run, None for all: a boot is walked from end to end where no rule is left out."""
    if len(chosen) == len(pack.rules):
        return None
    from guestfix.plan.asked import detectors_for

    return detectors_for(pack, target, chosen, options.skip)


def _any_match(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _decide(rule: Rule, bench: Workbench, options: Options, chosen: bool) -> Decision:
    made = Decision(rule.id, "skipped", "not selected", rule.confidence, rule.title, rule.why, chosen)
    if not chosen:
        return made
    try:
        first = _holds(rule, bench)
        steps = [(step, _holds(step, bench)) for step in rule.steps] if first.holds else []
    except GuestError as error:
        outcome, because = _failed(rule, bench, error)
        return replace(made, outcome=outcome, because=because)
    if first.holds is False:
        return replace(made, outcome="no", because=f"not: {first.text}")
    unsure = next((one for one in (first, *(one for _, one in steps)) if one.holds is None), None)
    if unsure is not None:
        return _undecided(made, bench, unsure.condition, unsure.text)
    rule = replace(rule, steps=tuple(step for step, one in steps if one.holds))
    sure = CONFIDENCES.index(rule.confidence) <= CONFIDENCES.index(options.confidence)
    outcome, because = _run(rule, bench) if sure else _offer(rule, bench, rule.confidence)
    return replace(made, outcome=outcome, because=because)


@frozen
class _Answer:
    """Whether conditions hold, and the one that decides it: which fails, or can't be decided."""

    holds: bool | None
    condition: Condition = field(default_factory=list)
    text: str = ""


def _holds(one: Rule | Step, bench: Workbench) -> _Answer:
    """Ask all conditions of a rule or step."""
    answer = _Answer(True)
    for condition, text in zip(one.when, one.when_text, strict=True):
        holds = evaluate(condition, bench.facts, lambda path: bool(glob(bench.fs, path)))
        if holds is False:
            return _Answer(False, condition, text)
        if holds is None and answer.holds:
            answer = _Answer(None, condition, text)
    return answer


def _undecided(made: Decision, bench: Workbench, condition: Condition, text: str) -> Decision:
    missing = tuple(dict.fromkeys(name for name in facts_of(list(condition)) if not bench.facts.knows(name)))
    because = f"can't be decided: {text} (unknown: {', '.join(missing)})"
    return replace(made, outcome="undecided", because=because, unknown=missing)


def _undecided_findings(decisions: Iterable[Decision], bench: Workbench) -> list[Finding]:
    """Return one finding for each set of unknown facts that leaves rules undecided."""
    rules: dict[tuple[str, ...], list[str]] = {}
    for one in decisions:
        if one.outcome == "undecided":
            rules.setdefault(one.unknown, []).append(one.rule)
    found = []
    for names, waiting in rules.items():
        known = (bench.facts.get(name) for name in names)
        reasons = [fact.value.reason for fact in known if fact and isinstance(fact.value, Unknown)]
        summary = f"{_rules_text(waiting)} can't be decided because {', '.join(names)} is unknown"
        why = f": {'; '.join(dict.fromkeys(reasons))}" if reasons else ""
        rule = waiting[0] if len(waiting) == 1 else ""
        found.append(Finding("GF-RULE-UNDECIDED", "info", summary + why, _fact_evidence(bench, names), "", rule))
    return found


def _rules_text(rules: Sequence[str]) -> str:
    shown = ", ".join(rules[:5])
    return f"rule {shown}" if len(rules) == 1 else f"{len(rules)} rules ({shown}{', ...' if len(rules) > 5 else ''})"


def _fact_evidence(bench: Workbench, names: Iterable[str]) -> tuple[Evidence, ...]:
    """Return where facts were seen; the facts themselves where nothing shows them."""
    names = tuple(dict.fromkeys(names))
    seen = tuple(dict.fromkeys(item for name in names for item in bench.facts.evidence(name)))
    return seen or (Evidence("facts", 0, ", ".join(names)),)


def _offer(rule: Rule, bench: Workbench, confidence: str) -> tuple[str, str]:
    """Try a rule that is not sure enough, take its changes back, and say so where there were any."""
    before = bench.fs.snapshot()
    trial = replace(bench, findings=[], follow_ups=[])
    outcome, because = _run(rule, trial)
    bench.fs.restore(before)
    if outcome != "applied":
        bench.findings += trial.findings
        return outcome, because
    summary = f"rule {rule.id} would apply but is only {confidence}: {rule.title}"
    remedy = f"to apply it: --confidence {confidence}"
    seen = _fact_evidence(bench, [name for condition in rule.when for name in facts_of(list(condition))])[:3]
    bench.findings.append(Finding("GF-RULE-OFFERED", "info", summary, seen, remedy, rule.id))
    return "skipped", f"confidence is only {confidence}"


def _run(rule: Rule, bench: Workbench) -> tuple[str, str]:
    """Run the rule's steps; a step that fails leaves no change of this rule behind."""
    before = bench.fs.snapshot()
    bench.rule = rule.id
    try:
        for step in rule.steps:
            run_step(rule, step, bench)
    except (EditError, GuestError, MissingFact) as error:
        bench.fs.restore(before)
        return _failed(rule, bench, error)
    finally:
        bench.rule = ""
    changed = bench.fs.touched_since(before)
    return ("applied", "") if changed else ("unchanged", "nothing to change")


def _failed(rule: Rule, bench: Workbench, error: Exception) -> tuple[str, str]:
    """Say that a rule could not run."""
    where = getattr(error, "where", "")
    bench.rule = rule.id
    bench.find(
        "GF-RULE-FAILED",
        rule.severity,
        f"rule {rule.id} was left out: {getattr(error, 'what', error)}",
        Evidence(where or rule.steps[0].globs[0]),
        remedy=getattr(error, "remedy", "") or "look at the file named here, then run the report again",
    )
    bench.rule = ""
    return "failed", getattr(error, "said", str(error))  # the finding has the remedy


def _sorted(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Blockers first, then warnings, then the rest, otherwise in the order found, each once."""
    order = {"blocker": 0, "warning": 1, "info": 2}
    return tuple(sorted(dict.fromkeys(findings), key=lambda one: order[one.severity]))
