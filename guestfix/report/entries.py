"""Everything that has a name, as one kind of entry: what it is, what there is to know, what to do about it.

Lists, explanations and the reference pages are all made from these entries, and these from the tables and the pack.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from guestfix.base.catalog.findings import FINDINGS, RENAMED
from guestfix.base.record import frozen
from guestfix.pack.bind import FACT
from guestfix.pack.known import known_facts
from guestfix.pack.model import Pack, Rule, System
from guestfix.pack.operations import Operation, operations
from guestfix.pack.when import facts_of

Value = str | list[str]


@frozen
class Described:
    """One named thing. ``rows`` are what is known of it, by label, in the order in which it is told."""

    kind: str
    name: str
    says: str
    rows: Mapping[str, Value]

    def as_json(self) -> dict[str, object]:
        """Return the entry in its JSON form; a label's blanks are underscores there."""
        rows = {label.replace(" ", "_"): value for label, value in self.rows.items()}
        return {"kind": self.kind, "name": self.name, "says": self.says, **rows}


def _entry(kind: str, name: str, says: str, **rows: Value) -> Described:
    """Make an entry of the rows that hold anything; the labels' underscores stand for spaces."""
    known = {label.replace("_", " ").strip(): value for label, value in rows.items() if value}
    return Described(kind, name, says, known)


def _facts(pack: Pack) -> list[Described]:
    asked = _asked_by(pack)
    return [
        _entry(
            "fact",
            name,
            kind.says,
            is_=kind.called,
            can_be=list(kind.values),
            fields=kind.fields.split(),
            put_by=kind.by.split(),
            asked_by=asked.get(name, []),
            to_do=_seen(name),
        )
        for name, kind in known_facts(pack.policies.values(), pack.targets).items()
    ]


def _seen(name: str) -> str:
    if name.startswith("policy."):
        return f"set it with --policy {name.removeprefix('policy.')}=VALUE"
    given = {"target": "choose it with --target ID", "network": "", "payload": "give it with --payload"}
    return given.get(name.partition(".")[0], "") or "see its value and where it was seen: guestfix inspect GUEST"


def _asked_by(pack: Pack) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for rule in pack.rules:
        for name in dict.fromkeys([*_conditions(rule), *_arguments(rule)]):
            found.setdefault(name, []).append(rule.id)
    return found


def _conditions(rule: Rule) -> Iterable[str]:
    conditions = [*rule.when, *(condition for step in rule.steps for condition in step.when)]
    return (name for condition in conditions for name in facts_of(list(condition)))


def _arguments(rule: Rule) -> Iterable[str]:
    for step in rule.steps:
        yield from (given for kind, given in step.args.values() if kind == "fact")
        texts = [given for kind, given in step.args.values() if kind == "text"]
        texts += [text for kind, given in step.args.values() if kind == "texts" for text in given]
        yield from (found[1] for text in (*texts, step.follow_up) for found in FACT.finditer(text))


def _findings(pack: Pack) -> list[Described]:
    settled: dict[str, list[str]] = {}
    for rule in pack.rules:
        for code in rule.settles:
            settled.setdefault(code, []).append(rule.id)
    return [
        _entry(
            "finding",
            code,
            kind.meaning,
            about=kind.stage,
            severity=list(kind.severities),
            settled_by=settled.get(code, []),
            once_called=[old for old, new in RENAMED.items() if new == code],
            to_do=kind.remedy,
            to_go_on=f"--accept {code}" if "blocker" in kind.severities else "",
        )
        for code, kind in FINDINGS.items()
    ]


def _ops(pack: Pack) -> list[Described]:
    used: dict[str, list[str]] = {}
    for rule in pack.rules:
        for step in rule.steps:
            used.setdefault(step.op or step.action, []).append(rule.id)
    return [_operation(one, list(dict.fromkeys(used.get(one.name, [])))) for one in operations()]


def _operation(one: Operation, rules: list[str]) -> Described:
    arguments = [
        f"{arg.name}: {arg.called}" + ("" if arg.required else f", {arg.default!r} unless it is given")
        for arg in one.arguments
    ]
    more = " ".join(one.text.partition("\n\n")[2].split())
    write = f"{one.kind}: {one.name}"
    return _entry(one.kind, one.name, one.says, more=more, arguments=arguments, used_by=rules, to_do=f"write {write}")


def _rules(pack: Pack) -> list[Described]:
    return [
        _entry(
            "rule",
            rule.id,
            rule.title,
            why=rule.why,
            source=list(rule.sources),
            since=rule.since,
            confidence=rule.confidence,
            if_it_fails=rule.severity,
            when=list(rule.when_text),
            does=list(dict.fromkeys(step.op or step.action for step in rule.steps)),
            settles=list(rule.settles),
            changes_only=list(dict.fromkeys(glob for step in rule.steps for glob in step.globs)),
            to_do=f"--only {rule.id} runs it alone, --skip {rule.id} leaves it out",
        )
        for rule in sorted(pack.rules, key=lambda one: one.id)
    ]


def _targets(pack: Pack) -> list[Described]:
    return [
        _entry(
            "target",
            one.id,
            one.title,
            disks=one.disk_bus,
            network=one.nic,
            firmware=list(one.firmware),
            hypervisor=one.hypervisor,
            cloud=one.cloud,
            processors=list(one.arch),
            console=one.console,
            otherwise_on=[f"{arch}: {_keys(keys)}" for arch, keys in one.by_arch.items()],
            clock=one.clock,
            Windows_clock=one.windows_clock,
            time_servers=list(one.time_servers),
            time_device=one.time_device,
            data_sources=list(one.data_sources),
            agents=list(one.agents),
            addresses=one.addresses,
            MTU=str(one.mtu or ""),
            DNS=list(one.dns),
            network_notes=list(one.network_notes),
            refuses=[f"{refusal.says} ({refusal.source}, {refusal.date})" for refusal in one.refuses],
            kernel_arguments=list(one.kernel_args),
            import_limits=[f"{name}: {_plain(value)}" for name, value in one.limits.items()],
            Linux_drivers=[f"{phase}: {', '.join(names)}" for phase, names in one.drivers.items()],
            Windows_drivers=[f"{phase}: {', '.join(names)}" for phase, names in one.windows_drivers.items()],
            Windows_buses=[f"{name}: {', '.join(those)}" for name, those in one.windows_buses.items()],
            Windows_offers=[f"{phase}: {', '.join(names)}" for phase, names in one.windows_offers.items()],
            source=f"{one.source}, {one.date}",
            more_sources=[f"{_plain(told['tells'])}: {told['source']}, {told['date']}" for told in one.sources],
            to_do=f"--target {one.id}" + (", or none: it is the default" if one.id == pack.default_target else ""),
        )
        for one in sorted(pack.targets.values(), key=lambda one: one.id)
    ]


def _keys(keys: Mapping[str, object]) -> str:
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in keys.items()}
    return "; ".join(f"{name} {_plain(value)}" for name, value in plain.items())


def _plain(value: object) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)


def _policies(pack: Pack) -> list[Described]:
    asked = _asked_by(pack)
    return [
        _entry(
            "policy",
            one.id,
            one.title,
            can_be=list(one.values) or "any text",
            by_default=one.default,
            by_default_for=[
                f"{' on '.join(name for name in (two.system, two.target) if name)}: {two.value}"
                for two in one.default_for
            ],
            asked_by=asked.get(f"policy.{one.id}", []),
            to_do=f"--policy {one.id}=VALUE",
        )
        for one in sorted(pack.policies.values(), key=lambda one: one.id)
    ]


def _systems(pack: Pack) -> list[Described]:
    return [
        _entry(
            "system",
            one.id,
            one.title,
            family=one.family,
            architecture=list(one.arch),
            also_called=list(one.names.aliases),
            related_to=list(one.like),
            versions=[f"{row['version']}: {row['verdict']}" for row in one.rows],
            facts=_system_facts(one),
            source=list(dict.fromkeys(f"{row['source']}, {row['date']}" for row in one.rows)),
            to_do=f"guestfix compat list --system {one.id}" if one.rows else "read the plan: it has no rows of its own",
        )
        for one in sorted(pack.systems, key=lambda one: one.id)
    ]


def _system_facts(system: System) -> list[str]:
    return [
        f"system.{name} of {span}: {', '.join(map(str, value)) if isinstance(value, list | tuple) else value}"
        for name, pieces in system.facts.items()
        for span, value in pieces
    ]


KINDS: dict[str, Callable[[Pack], list[Described]]] = {
    "facts": _facts,
    "findings": _findings,
    "ops": _ops,
    "rules": _rules,
    "targets": _targets,
    "policies": _policies,
    "systems": _systems,
}
"""Every kind of named thing, with what makes its entries from a pack, by name."""

TITLES = {
    "facts": ("Facts", "What a rule can ask about a guest, the target and the choices of the administrator."),
    "findings": ("Findings", "What reports say of a guest, each by a code that stays the same."),
    "ops": ("Ops and actions", "What a rule can do: an op edits single files, an action sees the whole guest."),
    "rules": ("Rules", "What guestfix changes, and why."),
    "targets": ("Targets", "The platforms that a guest can be prepared for."),
    "policies": ("Policies", "What only the administrator can decide."),
    "systems": ("Systems", "The systems that the compatibility table and the rules know."),
}


def entries(kind: str, pack: Pack) -> list[Described]:
    """Return all entries of one of :data:`KINDS`, by name."""
    return KINDS[kind](pack)
