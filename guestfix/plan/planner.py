"""Making a Plan: detect, judge, then every rule in order on a copy-on-write view. Nothing is written."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from guestfix import __version__
from guestfix.actions import find_action
from guestfix.actions.workbench import Workbench
from guestfix.base.edit import Edit
from guestfix.base.errors import EditError, GuestError, UsageError
from guestfix.base.facts import Evidence, Fact, Facts, Finding, Unknown
from guestfix.base.globs import glob
from guestfix.base.guest import GuestFS
from guestfix.base.overlay import Overlay
from guestfix.base.record import field, frozen, names_of, replace
from guestfix.compat import judge, table_version
from guestfix.detect import detect_all
from guestfix.detect.windows.detector import find_root
from guestfix.editors import find_op, read_limit
from guestfix.pack.bind import MissingFact, bind
from guestfix.pack.model import CONFIDENCES, Pack, Rule, Step, Target
from guestfix.pack.when import evaluate, facts_of
from guestfix.plan.changes import changes_of
from guestfix.plan.model import NOT_SELECTED, Decision, Plan

Progress = Callable[[str, int, int], None]
"""Told the stage (``detect``, ``rules``, ``write`` ...), how many steps are done, and of how many."""

IDENTITY_FILES = ("/etc/machine-id", "/etc/os-release", "/etc/redhat-release", "/etc/debian_version", "/etc/hostname")


@frozen
class Options:
    """What the administrator chose. ``only``, ``skip`` and ``accept`` hold ids or globs.

    ``confidence`` is the least sure level that is still applied. ``accept`` turns blockers with these
    codes into warnings. ``extra`` are facts from outside the guest (``network.map``, ``payload.dir``).
    """

    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    confidence: str = "confident"
    policies: Mapping[str, str] = field(default_factory=dict)
    accept: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)


def choose_target(pack: Pack, target: str | None) -> Target:
    """Return the target profile with this id, or the pack's default one. Raises UsageError."""
    wanted = target or pack.default_target
    if wanted not in pack.targets:
        raise UsageError(f"there is no target {wanted!r}", remedy=f"one of: {', '.join(sorted(pack.targets))}")
    return pack.targets[wanted]


def identity_of(guest: GuestFS) -> str:
    """Return a digest of what tells one guest from another: machine id or GUID, host name, release."""
    total = hashlib.sha256()
    for path in IDENTITY_FILES:
        try:
            data = guest.read(path, 65536)
        except GuestError:
            continue
        total.update(f"{path}\0{len(data)}\0".encode())
        total.update(data)
    for root in _windows_roots(guest):
        from guestfix.detect.windows.identity import windows_identity

        total.update(windows_identity(guest, root))
    return total.hexdigest()


def _windows_roots(guest: GuestFS) -> list[str]:
    try:
        return find_root(guest)
    except GuestError:
        return []


def learn(guest: GuestFS, pack: Pack, target: Target, options: Options | None = None) -> tuple[Facts, list[Finding]]:
    """Return all facts about the guest, with those of the target and the policies, and what was found."""
    options = options or Options()
    facts = Facts()
    _put_target(facts, target)
    _put_policies(facts, pack, options.policies)
    for name, value in options.extra.items():
        facts.put(name, value)
    return facts, detect_all(guest, facts, target)


def _put_target(facts: Facts, target: Target) -> None:
    for name in names_of(target):
        value = getattr(target, name)
        if name in ("drivers", "windows_drivers"):
            for phase, drivers in value.items():
                facts.put(f"target.{name}.{phase}", list(drivers))
        else:
            facts.put(f"target.{name}", list(value) if isinstance(value, tuple) else value)


def _put_policies(facts: Facts, pack: Pack, given: Mapping[str, str]) -> None:
    for name, value in given.items():
        policy = pack.policies.get(name)
        if policy is None:
            raise UsageError(f"there is no policy {name!r}", remedy=f"one of: {', '.join(sorted(pack.policies))}")
        if policy.values and value not in policy.values:
            raise UsageError(f"policy {name} can't be {value!r}", remedy=f"one of: {', '.join(policy.values)}")
    for name, policy in pack.policies.items():
        facts.put(f"policy.{name}", given.get(name, policy.default))


@frozen
class Inspection:
    """What is known about a guest, without any rule having run."""

    guest: Mapping[str, Any]
    target: str
    verdict: str
    compat: Mapping[str, Any]
    facts: Facts
    findings: tuple[Finding, ...]
    versions: Mapping[str, Any]


def inspect_guest(guest: GuestFS, pack: Pack, target: str | None = None) -> Inspection:
    """Return the facts, findings and verdict. The guest is only read. Raises as :func:`make_plan`."""
    profile = choose_target(pack, target)
    facts, findings = learn(guest, pack, profile)
    verdict, compat, _, judged = _judge(pack, facts)
    return Inspection(
        _guest_out(guest), profile.id, verdict, compat, facts, _sorted([*findings, *judged]), _versions(pack)
    )


def _guest_out(guest: GuestFS) -> dict[str, Any]:
    return {"uri": guest.uri, "identity": identity_of(guest)}


def _versions(pack: Pack) -> dict[str, Any]:
    return {
        "guestfix": __version__,
        "pack": pack.version,
        "pack_digest": pack.digest,
        "compat": table_version(pack.systems),
    }


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
    profile = choose_target(pack, target)
    chosen = _chosen(pack, options)
    tell = progress or (lambda stage, done, total: None)
    tell("detect", 0, 1)
    facts, findings = learn(guest, pack, profile, options)
    verdict, compat, drop, judged = _judge(pack, facts)
    bench = Workbench(Overlay(guest), facts, profile, _policies(facts, pack))
    decisions: list[Decision] = []
    for index, rule in enumerate(pack.rules):
        tell("rules", index, len(pack.rules))
        decisions.append(_decide(rule, bench, options, rule.id in chosen, drop))
    tell("rules", len(pack.rules), len(pack.rules))
    seen = [*_mended(findings, decisions), *judged, *bench.findings, *_undecided_findings(decisions, bench)]
    return Plan(
        guest=_guest_out(guest),
        target=profile.id,
        verdict=verdict,
        compat=compat,
        facts=tuple(facts[name] for name in sorted(facts)),
        decisions=tuple(decisions),
        findings=_sorted(_accepted(seen, options.accept)),
        changes=changes_of(bench.fs),
        follow_ups=tuple(bench.follow_ups),
        versions=_versions(pack),
        policies=bench.policy,
    )


def _judge(pack: Pack, facts: Facts) -> tuple[str, Mapping[str, Any], int, list[Finding]]:
    """Return the verdict, its JSON details, by how many steps confidence drops, and findings."""
    verdict = judge(pack.systems, facts)
    if verdict.kernels:
        facts.put("compat.kernels", {kernel.release: kernel.status for kernel in verdict.kernels})
    return verdict.status, verdict.as_json(), verdict.confidence_drop, list(verdict.findings)


def _policies(facts: Facts, pack: Pack) -> dict[str, str]:
    return {name: facts.value(f"policy.{name}") for name in sorted(pack.policies)}


def _chosen(pack: Pack, options: Options) -> frozenset[str]:
    """Return the ids of the rules that the options select."""
    if options.confidence not in CONFIDENCES:
        raise UsageError(f"no confidence {options.confidence!r}", remedy=f"one of: {', '.join(CONFIDENCES)}")
    ids = [rule.id for rule in pack.rules]
    for pattern in (*options.only, *options.skip):
        if not any(fnmatchcase(one, pattern) for one in ids):
            raise UsageError(f"no rule is named {pattern!r}", remedy=f"rules: {', '.join(ids)}")
    return frozenset(
        one for one in ids if (not options.only or _any_match(one, options.only)) and not _any_match(one, options.skip)
    )


def _any_match(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _decide(rule: Rule, bench: Workbench, options: Options, chosen: bool, drop: int) -> Decision:
    level = min(CONFIDENCES.index(rule.confidence) + drop, len(CONFIDENCES) - 1)
    outcome, because = _outcome(rule, bench, options, chosen, level)
    return Decision(rule.id, outcome, because, CONFIDENCES[level], rule.title, rule.why)


def _outcome(rule: Rule, bench: Workbench, options: Options, chosen: bool, level: int) -> tuple[str, str]:
    if not chosen:
        return "skipped", NOT_SELECTED
    undecided: list[tuple[Sequence[Any], str]] = []
    for condition, text in zip(rule.when, rule.when_text, strict=True):
        try:
            holds = evaluate(condition, bench.facts, lambda path: bool(glob(bench.fs, path)))
        except GuestError as error:
            return _failed(rule, bench, error)
        if holds is False:
            return "no", f"not: {text}"
        if holds is None:
            undecided.append((condition, text))
    if undecided:
        return _undecided(bench, *undecided[0])
    if level > CONFIDENCES.index(options.confidence):
        return _offer(rule, bench, CONFIDENCES[level])
    return _run(rule, bench)


def _mended(findings: Iterable[Finding], decisions: Iterable[Decision]) -> list[Finding]:
    """Say of what detection found that this plan mends it, where the rule for it applies; it blocks no more."""
    applied = {one.rule for one in decisions if one.outcome == "applied"}
    return [_as_mended(one) if one.rule in applied else one for one in findings]


def _as_mended(finding: Finding) -> Finding:
    severity = "warning" if finding.severity == "blocker" else finding.severity
    return replace(finding, severity=severity, remedy=f"nothing to do: the rule {finding.rule} mends it in this plan")


def _undecided(bench: Workbench, condition: Sequence[Any], text: str) -> tuple[str, str]:
    missing = [name for name in facts_of(list(condition)) if bench.facts.value(name) is None]
    return "undecided", f"can't be decided: {text} (unknown: {', '.join(dict.fromkeys(missing))})"


def _undecided_findings(decisions: Iterable[Decision], bench: Workbench) -> list[Finding]:
    """Return one finding for each set of unknown facts that leaves rules undecided."""
    rules: dict[str, list[str]] = {}
    for one in decisions:
        if one.outcome == "undecided":
            rules.setdefault(one.because.rpartition("(unknown: ")[2].removesuffix(")"), []).append(one.rule)
    found = []
    for names, waiting in rules.items():
        facts = names.split(", ")
        reasons = [fact.value.reason for name in facts if (fact := bench.facts.get(name)) and _is_unknown(fact)]
        summary = f"{_rules_text(waiting)} can't be decided, for {names} is unknown"
        why = f": {'; '.join(dict.fromkeys(reasons))}" if reasons else ""
        rule = waiting[0] if len(waiting) == 1 else ""
        found.append(Finding("GF-RULE-UNDECIDED", "info", summary + why, _fact_evidence(bench, facts), "", rule))
    return found


def _is_unknown(fact: Fact) -> bool:
    return isinstance(fact.value, Unknown)


def _rules_text(rules: Sequence[str]) -> str:
    shown = ", ".join(rules[:5])
    return f"rule {shown}" if len(rules) == 1 else f"{len(rules)} rules ({shown}{', ...' if len(rules) > 5 else ''})"


def _fact_evidence(bench: Workbench, names: Iterable[str]) -> tuple[Evidence, ...]:
    return tuple(item for name in names for item in bench.facts.evidence(name))


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
    bench.findings.append(Finding("GF-RULE-OFFERED", "info", summary, (), remedy, rule.id))
    return "skipped", f"confidence is only {confidence}"


def _run(rule: Rule, bench: Workbench) -> tuple[str, str]:
    """Run the rule's steps; a step that fails leaves no change of this rule behind."""
    before = bench.fs.snapshot()
    bench.rule = rule.id
    try:
        for step in rule.steps:
            _step(rule, step, bench)
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
        *((Evidence(where),) if where else ()),
        remedy=getattr(error, "remedy", "") or "look at the file named here, then run the report again",
    )
    bench.rule = ""
    return "failed", str(error)


def _step(rule: Rule, step: Step, bench: Workbench) -> None:
    args = bind(step.args, bench.facts)
    with bench.fs.acting(rule.id, step.globs):
        if step.action:
            find_action(step.action)(bench, **args)
            return
        op = find_op(step.op)
        for path in _paths(step.globs, bench.fs):
            _edit(op, path, args, bench, read_limit(step.op))


def _paths(globs: Iterable[str], fs: Overlay) -> list[str]:
    """Return what the globs match; a plain path counts whether or not it exists. Each file once."""
    found: dict[str, str] = {}
    for pattern in globs:
        plain = not any(char in pattern for char in "*?[")
        for path in (pattern,) if plain else fs.glob(pattern):
            found.setdefault(fs.realpath(path), path)
    return list(found.values())


def _edit(op: Callable[..., Any], path: str, args: Mapping[str, Any], bench: Workbench, limit: int) -> None:
    before = bench.fs.content(path, limit)
    result = op(before if isinstance(before, bytes) else None, **args)
    edit = result if isinstance(result, Edit) else Edit(result)
    if edit.content is not before and edit.content != before:
        bench.fs.put(path, edit.content, diff=edit.diff)
    for note in edit.notes:
        bench.note(note, path)


def _accepted(findings: Iterable[Finding], accept: Sequence[str]) -> list[Finding]:
    return [
        replace(one, severity="warning", summary=f"{one.summary} (accepted)")
        if one.severity == "blocker" and _any_match(one.code, accept)
        else one
        for one in findings
    ]


def _sorted(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Blockers first, then warnings, then the rest, otherwise in the order found, each once."""
    order = {"blocker": 0, "warning": 1, "info": 2}
    return tuple(sorted(dict.fromkeys(findings), key=lambda one: order[one.severity]))
