"""JSON Schemas of the files that people write, so that an editor completes and checks them.

Made of the same tables as the loader's checks. Every value in these files is read as text; an editor takes 7.10 for a
number and yes for true all the same, so a text may be any scalar here. What only a whole pack can tell (that a target
is there, that rows don't overlap) is left to the loader.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from guestfix.actions import ACTIONS
from guestfix.backends.disks.sidecar import DISK_KEYS, VOLUME_KEYS
from guestfix.base.catalog.facts import FACTS
from guestfix.base.catalog.findings import FINDINGS
from guestfix.base.record import names_of
from guestfix.cases.runner import CASE_KEYS
from guestfix.editors import OPS
from guestfix.pack.load import RULE_KEYS
from guestfix.pack.model import CONFIDENCES, FAMILIES, PHASES, Names, Pack
from guestfix.pack.operations import Argument, operation
from guestfix.pack.ranges import SCHEMES
from guestfix.pack.steps import STEP_KEYS
from guestfix.pack.systemfacts import SYSTEM_FACTS
from guestfix.pack.systems import KERNEL_KEYS, ROW_KEYS, SYSTEM_KEYS, VERDICTS
from guestfix.pack.tables import LIMIT_KEYS
from guestfix.pack.targets import ARCH_KEYS, REFUSAL_KEYS, SOURCE_KEYS, TARGET_KEYS, TELLABLE, UNREAD

Schema = dict[str, Any]

TEXT: Schema = {"type": ["string", "number", "boolean"]}
TEXTS: Schema = {"anyOf": [TEXT, {"type": "array", "items": TEXT}]}
NUMBER: Schema = {"type": ["integer", "string"], "pattern": "^[0-9]+$"}
DATE: Schema = {"type": "string", "format": "date", "pattern": r"^\d{4}-\d{2}-\d{2}$"}
READ: Schema = {"anyOf": [DATE, {"const": UNREAD}]}
"""When a source of a target was read."""
FACT = r"\{[a-z_][a-z0-9_]*(\.[a-z0-9_]+)+\}"


def _one_of(values: Iterable[str | bool]) -> Schema:
    return {"enum": list(values)}


def _table(items: Schema | None = None) -> Schema:
    return {"type": "object", "additionalProperties": items or TEXT}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _mapping(keys: Iterable[str], known: dict[str, Schema], required: Iterable[str] = ()) -> Schema:
    """Return the schema of a mapping with these keys; what ``known`` does not tell is a text."""
    properties = {key: known.get(key, TEXT) for key in keys}
    return {"type": "object", "additionalProperties": False, "properties": properties, "required": list(required)}


def _described(schema: Schema, text: str) -> Schema:
    return {**schema, "description": text}


def _rule(pack: Pack) -> Schema:
    known = {
        "sources": TEXTS,
        "since": DATE,
        "confidence": _one_of(CONFIDENCES),
        "severity": _one_of(("info", "warning", "blocker")),
        "after": TEXTS,
        "when": _described(TEXTS, "conditions, all of which must hold; see: guestfix list facts"),
        "settles": {"anyOf": [_one_of(FINDINGS), _list(_one_of(FINDINGS))]},
        "do": {"type": "array", "minItems": 1, "items": _step()},
        "history": {},
    }
    return _mapping(RULE_KEYS, known, ("id", "title", "why", "sources", "since", "confidence", "do"))


def _step() -> Schema:
    names = {"op": _one_of(sorted(OPS)), "action": _one_of(sorted(ACTIONS))}
    base = _mapping(STEP_KEYS, {"in": TEXTS, "when": TEXTS, **names, "args": {"type": "object"}}, ("in",))
    return {
        **base,
        "oneOf": [{"required": ["op"]}, {"required": ["action"]}],
        "allOf": [_arguments("op", one) for one in sorted(OPS)]
        + [_arguments("action", one) for one in sorted(ACTIONS)],
    }


def _arguments(kind: str, name: str) -> Schema:
    """Return the schema of a step's arguments where it is this op or action."""
    found = operation(name)
    args = _mapping([one.name for one in found.arguments], {one.name: _argument(one) for one in found.arguments})
    args |= {"description": found.says, "required": [one.name for one in found.arguments if one.required]}
    then: Schema = {"properties": {"args": args}}
    if args["required"]:
        then["required"] = ["args"]
    return {"if": {"required": [kind], "properties": {kind: {"const": name}}}, "then": then}


def _argument(argument: Argument) -> Schema:
    fact = {"type": "string", "pattern": f"^{FACT}$"}
    kinds: dict[str, Schema] = {
        "flag": {"enum": [True, False, "true", "false"]},
        "number": {"type": ["integer", "string"], "pattern": r"^-?\d+$"},
        "list": TEXTS,
        "numbers": TEXTS,
        "table": _table(),
    }
    kind = kinds.get(argument.kind, TEXT)
    return _described({"anyOf": [kind, fact]}, f"{argument.called}, or the fact that has it: {{fact.name}}")


def _target(pack: Pack) -> Schema:
    phases = _mapping(PHASES, dict.fromkeys(PHASES, TEXTS), PHASES)
    known = {
        "date": READ,
        "firmware": {"anyOf": [_one_of(("bios", "uefi")), _list(_one_of(("bios", "uefi")))]},
        "drivers": phases,
        "windows_drivers": phases,
        "windows_buses": _table(TEXTS),
        "windows_offers": _mapping(PHASES, dict.fromkeys(PHASES, TEXTS)),
        "clock": _one_of(FACTS["target.clock"].values),
        "windows_clock": _one_of(("", *FACTS["target.clock"].values)),
        "kernel_args": TEXTS,
        "hypervisor": _one_of(("", *FACTS["target.hypervisor"].values)),
        "cloud": _one_of(("", *FACTS["target.cloud"].values)),
        "limits": _mapping(LIMIT_KEYS, {"root_filesystems": TEXTS}),
        "arch": TEXTS,
        "addresses": _one_of(("", *FACTS["target.addresses"].values)),
        "mtu": NUMBER,
        **dict.fromkeys(("agents", "time_servers", "data_sources", "dns", "network_notes"), TEXTS),
        "by_arch": _table(_mapping(ARCH_KEYS, {"firmware": TEXTS, "kernel_args": TEXTS})),
        "refuses": _list(_mapping(REFUSAL_KEYS, {"when": TEXTS, "date": READ}, REFUSAL_KEYS)),
        "sources": _list(_mapping(SOURCE_KEYS, {"tells": _list(_one_of(TELLABLE)), "date": READ}, SOURCE_KEYS)),
    }
    needed = ("id", "title", "source", "date", "disk_bus", "disk_prefix", "nic", "firmware", "drivers")
    return _mapping(TARGET_KEYS, known, (*needed, "windows_drivers"))


def _system(pack: Pack) -> Schema:
    lists = ("point_parts", "codenames", "variants")
    names = {name: TEXTS for name in names_of(Names) if name not in lists}
    known = {
        "family": _one_of(FAMILIES),
        "scheme": _one_of((*SCHEMES, "listed")),
        "releases": _list(TEXT),
        "arch": TEXTS,
        "like": TEXTS,
        "base_versions": {"anyOf": [TEXT, _table()]},
        "names": _mapping(names_of(Names), {**names, "codenames": _table(), "variants": _table()}),
        "flavours": _table(TEXTS),
        "facts": _mapping(SYSTEM_FACTS, {name: _system_fact(kind.values) for name, kind in SYSTEM_FACTS.items()}),
        "sources": {},
        "rows": {"type": "array", "items": _row()},
    }
    return _mapping(SYSTEM_KEYS, known, ("id", "title", "family"))


def _system_fact(values: Iterable[str]) -> Schema:
    allowed = {"yes", "no", True, False} if tuple(values) == ("true", "false") else set(values)
    one: Schema = {"enum": sorted(allowed, key=str)} if allowed else TEXTS
    return {"anyOf": [one, _table(one)]}


def _row() -> Schema:
    known = {
        "kernels": _list({"anyOf": [TEXT, _mapping(KERNEL_KEYS, {}, ("flavour",))]}),
        "except": TEXTS,
        "editions": TEXTS,
        "builds": TEXTS,
        "arch": TEXTS,
        "min_service_pack": NUMBER,
        "verdict": _one_of(VERDICTS),
        "deprecated": DATE,
        "confidence": _one_of(CONFIDENCES),
        "date": DATE,
    }
    return _mapping(ROW_KEYS, known, ("version", "verdict", "source", "date"))


def _case(pack: Pack) -> Schema:
    policies = {one.id: _one_of(_as_read(one.values)) if one.values else TEXT for one in pack.policies.values()}
    disks = _disks(pack)
    known = {
        "target": _one_of(sorted(pack.targets)),
        "disks": {"anyOf": [disks, disks["properties"]["disks"]]},
        "policy": _mapping(policies, policies),
        "rules": TEXTS,
        "fails": TEXTS,
        "confidence": _one_of(CONFIDENCES),
    }
    return _mapping(CASE_KEYS, known, ("title",))


def _as_read(values: Iterable[str]) -> list[str | bool]:
    """Return values as an editor may read them, which takes some words for true and false (YAML 1.1)."""
    words = list(values)
    yes, no = {"on", "yes", "true"} & {*words}, {"off", "no", "false"} & {*words}
    return [*words, *([True] if yes else []), *([False] if no else [])]


def _disks(pack: Pack) -> Schema:
    volume = _mapping(
        VOLUME_KEYS,
        {"size": NUMBER, "start": NUMBER, "aliases": TEXTS, "unclean": _one_of(("yes", "no", True, False))},
        ("device",),
    )
    disk = {"size": NUMBER, "table": _one_of(("gpt", "mbr", "ldm")), "partitions": _list(volume)}
    return _mapping(
        ("disks", "volumes"),
        {"disks": _list(_mapping(DISK_KEYS, disk, ("device",))), "volumes": _list(volume)},
    )


SCHEMAS: dict[str, tuple[str, Callable[[Pack], Schema]]] = {
    "rule": ("A rule of a guestfix pack: fix/<topic>/<id>/rule.yaml", _rule),
    "system": ("A system of a guestfix pack: os/<id>/os.yaml", _system),
    "target": ("A target of a guestfix pack: targets/<id>.yaml", _target),
    "case": ("A case of a guestfix pack: cases/<name>/case.yaml", _case),
    "disks": ("A description of a guest's disks, for --disks", _disks),
}
"""Every schema by name: the files that it is for, and what makes it from a pack."""


def schema(name: str, pack: Pack) -> Schema:
    """Return one of :data:`SCHEMAS`, for files that go with this pack."""
    title, make = SCHEMAS[name]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title, **make(pack)}
