"""Loading a rule pack: every file read once, all mistakes reported at once, each at its line and column."""

from __future__ import annotations

import os
from collections.abc import Iterable
from fnmatch import fnmatchcase
from heapq import heappop, heappush
from pathlib import Path

from guestfix.base.errors import PackError, Problem
from guestfix.base.record import replace
from guestfix.pack.files import digest_of
from guestfix.pack.model import CONFIDENCES, PHASES, Pack, Policy, Rule, Target
from guestfix.pack.schema import Reader, texts_of
from guestfix.pack.steps import read_steps
from guestfix.pack.systems import load_systems
from guestfix.pack.when import Condition, ConditionError, compile_condition
from guestfix.pack.yamlpos import Mark, Node, parse

RULE_KEYS = (
    "id", "title", "why", "sources", "since", "confidence", "severity", "after", "when", "settles", "do",
    "history",
)  # fmt: skip
TARGET_KEYS = (
    "id", "title", "source", "date", "disk_bus", "disk_prefix", "nic", "firmware", "drivers", "windows_drivers",
    "console", "clock", "kernel_args", "hypervisor",
)  # fmt: skip

MAX_NODES = 100_000
"""Keys and values of all files; the pack that comes with guestfix has some 5,000."""
MOST_CONDITIONS, MOST_AFTER = 64, 16
"""Conditions of a rule, and ids or globs of the rules that it runs behind."""


def compile_pack(files: dict[str, bytes], root: str) -> Pack:
    """Return the pack. Raises PackError with every problem of every file."""
    problems: list[Problem] = []
    nodes = _parse(files, root, problems)
    rules = _rules(_below(nodes, "fix"), problems)
    targets = [_target(node, name, problems) for name, node in _below(nodes, "targets")]
    pack = _pack(nodes.get("pack.yaml"), digest_of(files), _in_order(rules, problems), targets, problems)
    systems, found = load_systems(nodes)
    problems += found
    if problems:
        raise PackError(sorted(problems, key=_place_key))
    return replace(pack, systems=systems)


def _parse(files: dict[str, bytes], root: str, problems: list[Problem]) -> dict[str, Node]:
    nodes: dict[str, Node] = {}
    total = 0
    for name, data in files.items():
        node, found = parse(data, os.path.join(root, name))
        problems += found
        if node is None:
            continue
        nodes[name] = node
        total += node.count()
        if total > MAX_NODES:
            problems.append(Mark(node.mark.file, 1, 1).problem(f"the pack has more than {MAX_NODES} keys and values"))
            raise PackError(problems)
    return nodes


def _place_key(problem: Problem) -> tuple[str, int, int]:
    file, line, column = problem.where.rsplit(":", 2)
    return file, int(line), int(column)


def _below(nodes: dict[str, Node], folder: str) -> list[tuple[str, Node]]:
    return [(name, node) for name, node in nodes.items() if name.startswith(folder + "/")]


def _pack(
    node: Node | None, digest: str, rules: tuple[Rule, ...], targets: list[Target], problems: list[Problem]
) -> Pack:
    if node is None:
        return Pack("", "", digest, "", rules, {}, {})
    reader = Reader(node, problems, "pack.yaml")
    reader.allow(("id", "version", "default_target", "policies"))
    known = {target.id: target for target in targets}
    default = reader.text("default_target")
    if default and default not in known:
        reader.complain(reader.keys["default_target"].mark, f"there is no target {default!r}")
    policies = [_policy(policy) for policy in reader.readers("policies", "a policy")]
    return Pack(
        reader.text("id"), reader.text("version"), digest, default, rules, known, {one.id: one for one in policies}
    )


def _policy(reader: Reader) -> Policy:
    reader.allow(("id", "title", "default", "values"))
    values = reader.texts("values")
    return Policy(reader.text("id"), reader.text("title"), reader.text("default", one_of=values), values)


def _target(node: Node, name: str, problems: list[Problem]) -> Target:
    reader = Reader(node, problems, "a target")
    reader.allow(TARGET_KEYS)
    stem = Path(name).stem
    if reader.text("id") != stem:
        reader.complain(node.mark, f"the target's id must be {stem!r}, as its file is named")
    return Target(
        stem,
        reader.text("title"),
        reader.text("source"),
        reader.date("date"),
        reader.text("disk_bus"),
        reader.text("disk_prefix"),
        reader.text("nic"),
        reader.texts("firmware", required=True),
        _phases(reader, "drivers"),
        _phases(reader, "windows_drivers"),
        reader.text("console", ""),
        reader.text("clock", "utc", one_of=("utc", "localtime")),
        reader.texts("kernel_args"),
        reader.text("hypervisor", "", one_of=("", "kvm", "xen", "vmware", "hyperv")),
    )


def _phases(reader: Reader, name: str) -> dict[str, tuple[str, ...]]:
    node = reader.child(name, required=True)
    if node is None:
        return {}
    inner = Reader(node, reader.problems, name)
    inner.allow(PHASES)
    return {phase: inner.texts(phase, required=True) for phase in PHASES}


def _rules(nodes: list[tuple[str, Node]], problems: list[Problem]) -> list[tuple[Rule, list[tuple[str, Mark]]]]:
    rules = []
    for name, node in nodes:
        parts = Path(name).parts
        if parts[-1] != "rule.yaml" or len(parts) != 4:
            problems.append(node.mark.problem("a rule is rules/fix/<topic>/<id>/rule.yaml; this file is none"))
            continue
        rules.append(_rule(Reader(node, problems, "a rule"), "/".join(parts[1:3])))
    return rules


def _rule(reader: Reader, wanted: str) -> tuple[Rule, list[tuple[str, Mark]]]:
    reader.allow(RULE_KEYS)
    given = reader.text("id")
    if given and given != wanted:
        reader.complain(reader.keys["id"].mark, f"the rule's id must be {wanted!r}, as its folder is named")
    conditions = _conditions(reader)
    after = reader.child("after")
    rule = Rule(
        id=wanted,
        title=reader.text("title"),
        why=reader.text("why"),
        sources=reader.texts("sources", required=True),
        since=reader.date("since"),
        confidence=reader.text("confidence", one_of=CONFIDENCES),
        severity=reader.text("severity", "warning", one_of=("info", "warning", "blocker")),
        when=tuple(compiled for _, compiled in conditions),
        steps=read_steps(reader),
        when_text=tuple(text for text, _ in conditions),
        settles=reader.texts("settles"),
        place=reader.node.mark.file,
    )
    waits = texts_of(after, "after", reader) if after is not None else []
    if len(waits) > MOST_AFTER:
        reader.complain(waits[MOST_AFTER][1], f"a rule waits for at most {MOST_AFTER} ids or globs")
    return rule, waits[:MOST_AFTER]


def _conditions(reader: Reader) -> list[tuple[str, Condition]]:
    node = reader.child("when")
    found = []
    texts = texts_of(node, "when", reader) if node is not None else []
    if len(texts) > MOST_CONDITIONS:
        reader.complain(texts[MOST_CONDITIONS][1], f"a rule has at most {MOST_CONDITIONS} conditions")
    for text, mark in texts[:MOST_CONDITIONS]:
        try:
            found.append((text, compile_condition(text)))
        except ConditionError as error:
            indent = max(mark.source.find(text), mark.column - 1)
            place = Mark(mark.file, mark.line, indent + error.column, mark.source)
            reader.complain(place, str(error), "see rules/README.md for the condition language")
    return found


def _in_order(rules: list[tuple[Rule, list[tuple[str, Mark]]]], problems: list[Problem]) -> tuple[Rule, ...]:
    """Sort by id, but each rule behind those that its ``after`` names (ids or globs)."""
    ids = sorted(rule.id for rule, _ in rules)
    waits = {rule.id: _named(rule.id, after, ids, problems) for rule, after in rules}
    by_id = {rule.id: rule for rule, _ in rules}
    behind: dict[str, list[str]] = {}
    for one, others in waits.items():
        for other in others:
            behind.setdefault(other, []).append(one)
    left = {one: len(others) for one, others in waits.items()}
    ready = [one for one in ids if not left[one]]
    done: list[str] = []
    while ready:
        done.append(heappop(ready))
        for one in behind.get(done[-1], ()):
            left[one] -= 1
            if not left[one]:
                heappush(ready, one)
    if len(done) < len(ids):
        stuck = sorted(set(ids) - set(done))
        mark = next(mark for rule, after in rules if rule.id in stuck for _, mark in after)
        problems.append(mark.problem(f"these rules wait for each other: {', '.join(stuck)}"))
    return tuple(by_id[one] for one in done)


def _named(rule: str, after: Iterable[tuple[str, Mark]], ids: list[str], problems: list[Problem]) -> set[str]:
    found: set[str] = set()
    for pattern, mark in after:
        matches = {one for one in ids if fnmatchcase(one, pattern) and one != rule}
        if not matches:
            problems.append(mark.problem(f"no rule is named {pattern!r}"))
        found |= matches
    return found
