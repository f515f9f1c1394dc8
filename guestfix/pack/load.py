"""Loading a rule pack: every file read once, all mistakes reported at once, each at its line and column."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from heapq import heappop, heappush
from pathlib import Path

from guestfix.base.catalog.findings import FINDINGS, RENAMED
from guestfix.base.errors import PackError, Problem
from guestfix.base.nearest import did_you_mean
from guestfix.base.record import replace
from guestfix.pack.files import digest_of
from guestfix.pack.known import Known, known_facts
from guestfix.pack.model import CONFIDENCES, Pack, Policy, PolicyDefault, Rule, Target
from guestfix.pack.pathsets import Sets, read_sets
from guestfix.pack.schema import Reader, texts_of
from guestfix.pack.stack import Layer, Stack, build, stands_alone
from guestfix.pack.steps import read_conditions, read_steps
from guestfix.pack.systems import load_systems
from guestfix.pack.tables import load_tables
from guestfix.pack.targets import read_target
from guestfix.pack.yamlpos import Mark, Node, parse

RULE_KEYS = (
    "id", "title", "why", "sources", "since", "confidence", "severity", "after", "when", "settles", "do",
    "history",
)  # fmt: skip
PACK_KEYS = ("id", "version", "extends", "disable", "default_target", "policies", "paths")
MAX_NODES = 100_000
"""Keys and values of all files; the pack that comes with guestfix has some 5,000."""
MOST_DEFAULTS = 256
"""Defaults of a policy for targets and systems."""
MOST_AFTER = 16
"""Ids or globs of the rules that a rule runs behind."""


def compile_packs(roots: Sequence[str], sources: Sequence[dict[str, bytes]], *, built_in: bool) -> Pack:
    """Return the packs in these folders, laid on each other, the first at the bottom, as one pack.

    ``built_in``: the first came with guestfix and is left out where the next one stands alone. Raises PackError
    with every problem of every file.
    """
    problems: list[Problem] = []
    layers = [
        Layer(root, digest_of(files), _parse(files, root, problems)) for root, files in zip(roots, sources, strict=True)
    ]
    if built_in and len(layers) > 1 and stands_alone(layers[1]):
        del layers[0]
    stack = build(layers)
    problems += stack.problems
    nodes = stack.nodes
    top = Reader(nodes["pack.yaml"], problems, "pack.yaml") if "pack.yaml" in nodes else None
    if top is None:
        raise PackError(problems)
    sets = read_sets(top)
    tables = load_tables(nodes, top)
    limits = tables["import-limits"]
    policies = [_policy(policy) for policy in top.readers("policies", "a policy")]
    below = _below(nodes, "targets")
    known = known_facts(policies, (Path(name).stem for name, _ in below))
    targets = [read_target(node, name, limits, known, problems) for name, node in below]
    rules = _rules(_below(nodes, "fix"), sets, known, problems)
    systems, found = load_systems(nodes)
    problems += found
    pack = _pack(top, stack, _in_order(rules, stack.disabled, problems), targets, policies)
    _check_defaults(top, pack.targets, {system.id for system in systems})
    if problems:
        raise PackError(sorted(problems, key=_place_key))
    return replace(pack, systems=systems, tables=tables)


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


def _pack(reader: Reader, stack: Stack, rules: tuple[Rule, ...], targets: list[Target], policies: list[Policy]) -> Pack:
    reader.allow(PACK_KEYS)
    known = {target.id: target for target in targets}
    default = reader.text("default_target")
    if default and default not in known:
        reader.complain(
            reader.keys["default_target"].mark, f"there is no target {default!r}", did_you_mean(default, known)
        )
    versions = [part.version if at == 0 else f"{part.id} {part.version}" for at, part in enumerate(stack.parts)]
    digests = [part.digest for part in stack.parts]
    return Pack(
        reader.text("id"),
        " + ".join(versions) if reader.text("version") else "",
        digests[0] if len(digests) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest(),
        default,
        rules,
        known,
        {one.id: one for one in policies},
        parts=tuple(stack.parts),
    )


def _policy(reader: Reader) -> Policy:
    reader.allow(("id", "title", "default", "values", "default_for"))
    values = reader.texts("values")
    defaults = []
    given = reader.readers("default_for", "a default")
    if len(given) > MOST_DEFAULTS:
        reader.complain(given[MOST_DEFAULTS].node.mark, f"a policy has at most {MOST_DEFAULTS} defaults of this kind")
    for one in given[:MOST_DEFAULTS]:
        one.allow(("target", "system", "value"))
        if "target" not in one.keys and "system" not in one.keys:
            one.complain(one.node.mark, "a default for what? it names neither a target nor a system")
        value = one.text("value", one_of=values)
        defaults.append(PolicyDefault(value, one.text("target", ""), one.text("system", "")))
    default = reader.text("default", one_of=values)
    return Policy(reader.text("id"), reader.text("title"), default, values, tuple(defaults))


def _check_defaults(top: Reader, targets: Iterable[str], systems: Iterable[str]) -> None:
    """Complain of targets and systems that the policies' defaults name and that no pack has."""
    for policy in (Reader(node, [], "") for node in _list(top.keys.get("policies"))):
        for default in (Reader(node, [], "") for node in _list(policy.keys.get("default_for"))):
            for kind, known in (("target", targets), ("system", systems)):
                node = default.keys.get(kind)
                if node is not None and (node.text or "") not in known:
                    top.complain(node.mark, f"there is no {kind} {node.text!r}", did_you_mean(node.text or "", known))


def _list(node: Node | None) -> Sequence[Node]:
    return (node.items or ()) if node is not None else ()


def _rules(
    nodes: list[tuple[str, Node]], sets: Sets, known: Known, problems: list[Problem]
) -> list[tuple[Rule, list[tuple[str, Mark]]]]:
    rules = []
    for name, node in nodes:
        parts = Path(name).parts
        if parts[-1] != "rule.yaml" or len(parts) != 4:
            problems.append(node.mark.problem("a rule is rules/fix/<topic>/<id>/rule.yaml; this file is none"))
            continue
        rules.append(_rule(Reader(node, problems, "a rule"), "/".join(parts[1:3]), sets, known))
    return rules


def _rule(reader: Reader, wanted: str, sets: Sets, known: Known) -> tuple[Rule, list[tuple[str, Mark]]]:
    reader.allow(RULE_KEYS)
    given = reader.text("id")
    if given and given != wanted:
        reader.complain(reader.keys["id"].mark, f"the rule's id must be {wanted!r}, as its folder is named")
    conditions = read_conditions(reader, known)
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
        steps=read_steps(reader, sets, known),
        when_text=tuple(text for text, _ in conditions),
        settles=_settles(reader),
    )
    waits = texts_of(after, "after", reader) if after is not None else []
    if len(waits) > MOST_AFTER:
        reader.complain(waits[MOST_AFTER][1], f"a rule waits for at most {MOST_AFTER} ids or globs")
    return rule, waits[:MOST_AFTER]


def _settles(reader: Reader) -> tuple[str, ...]:
    node = reader.child("settles")
    codes = texts_of(node, "settles", reader) if node is not None else []
    for code, mark in codes:
        if code in RENAMED:
            reader.complain(mark, f"the finding {code} has another name now", f"write {RENAMED[code]}")
        elif code not in FINDINGS:
            remedy = did_you_mean(code, FINDINGS) or "see: guestfix list findings"
            reader.complain(mark, f"there is no finding {code[:80]!r}", remedy)
    return tuple(code for code, _ in codes)


def _in_order(
    rules: list[tuple[Rule, list[tuple[str, Mark]]]], disabled: Sequence[str], problems: list[Problem]
) -> tuple[Rule, ...]:
    """Sort by id, but each rule behind those that its ``after`` names (ids or globs)."""
    ids = sorted(rule.id for rule, _ in rules)
    waits = {rule.id: _named(rule.id, after, ids, disabled, problems) for rule, after in rules}
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
        stuck = _circle(set(ids) - set(done), waits)
        mark = next(mark for rule, after in rules if rule.id in stuck for _, mark in after)
        problems.append(mark.problem(f"these rules wait for each other: {', '.join(sorted(stuck))}"))
    return tuple(by_id[one] for one in done)


def _circle(stuck: set[str], waits: Mapping[str, set[str]]) -> set[str]:
    """Return the rules that wait for each other, without those that only wait for them."""
    while idle := {one for one in stuck if not any(one in waits[other] for other in stuck)}:
        stuck -= idle
    return stuck


def _named(
    rule: str, after: Iterable[tuple[str, Mark]], ids: list[str], disabled: Sequence[str], problems: list[Problem]
) -> set[str]:
    found: set[str] = set()
    for pattern, mark in after:
        if pattern == rule:
            problems.append(mark.problem(f"the rule {rule} waits for itself", "take its own id out of 'after'"))
            continue
        matches = {one for one in ids if fnmatchcase(one, pattern) and one != rule}
        if not matches and not any(fnmatchcase(one, pattern) for one in disabled):
            problems.append(mark.problem(f"no rule is named {pattern!r}", did_you_mean(pattern, ids)))
        found |= matches
    return found
