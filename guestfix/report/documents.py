"""JSON Schemas of every document that guestfix writes, made from the types that the documents are written from.

Version policy: each document has ``schema``, and its schema's ``$id`` has the same number. It rises where a reader of
the older form could misread the newer one. Members may be added without that: readers pass over what they don't know.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from typing import Literal, Union, get_args, get_origin, get_type_hints

from guestfix.apply.apply import Provenance
from guestfix.apply.left import Left
from guestfix.apply.status import SCHEMA as STATUS_SCHEMA
from guestfix.apply.status import AppliedPlan
from guestfix.backends.status import Status
from guestfix.base.catalog.findings import SEVERITIES, STAGES
from guestfix.base.events import STAGES as WORK
from guestfix.base.events import TYPES
from guestfix.base.facts import Evidence
from guestfix.base.record import names_of
from guestfix.compat.verdict import STATUSES
from guestfix.formats.firststart import FirstStart
from guestfix.pack.model import CONFIDENCES
from guestfix.plan.model import SCHEMA, Choice, Decision
from guestfix.walk.model import WORST

Schema = dict[str, object]

TEXT: Schema = {"type": "string"}
TEXT_OR_NOT: Schema = {"type": ["string", "null"]}
WHOLE: Schema = {"type": "integer", "minimum": 0}
CODE: Schema = {"type": "string", "pattern": "^GF-[A-Z0-9-]+$"}
DIGEST: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_SCALARS: dict[object, Schema] = {
    str: TEXT,
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    types.NoneType: {"type": "null"},
}


def of_type(kind: object) -> Schema:
    """Return the schema of a value of this type, as JSON has it."""
    if kind in _SCALARS:
        return _SCALARS[kind]
    if names_of(kind):
        return record(kind)
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return {"anyOf": [of_type(one) for one in args]}
    if origin is Literal:
        return {"enum": list(args)}
    if origin in (tuple, list) and args:
        return array(of_type(args[0]))
    if origin in (dict, Mapping) or (isinstance(origin, type) and issubclass(origin, Mapping)):
        return {"type": "object", "additionalProperties": of_type(args[1])}
    return {}


def record(kind: object, **known: Schema) -> Schema:
    """Return the schema of a record type: every field, by its own type or as ``known`` has it."""
    hints = get_type_hints(kind)
    return members(**{name: known.get(name) or of_type(hints[name]) for name in names_of(kind)})


def members(**known: Schema) -> Schema:
    """Return the schema of an object with these members, all of them needed, and others passed over."""
    return {"type": "object", "required": list(known), "properties": known}


def optional(schema: Schema, **known: Schema) -> Schema:
    """Return the schema of an object with these members besides, none of them needed."""
    properties = schema["properties"]
    assert isinstance(properties, dict)
    return {**schema, "properties": {**properties, **known}}


def array(items: Schema) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": items}


def table(items: Schema) -> Schema:
    """Return the schema of an object with any names."""
    return {"type": "object", "additionalProperties": items}


def one_of(*values: object) -> Schema:
    """Return the schema of one of these values."""
    return {"enum": list(values)}


NUMBER: Schema = {"const": SCHEMA}
EVIDENCE = array(record(Evidence, line=WHOLE))
ERROR: Schema = optional(
    members(code=CODE, kind=TEXT, what=TEXT, where=TEXT, remedy=TEXT),
    by=TEXT,
    problems=array({"$ref": "#/$defs/error"}),
)
GUEST = members(uri=TEXT, identity=DIGEST, files=array(members(path=TEXT, because=TEXT)))
FACT = optional(members(value={}, evidence=EVIDENCE), unknown=TEXT)
FINDING = members(
    code=CODE,
    severity=one_of(*SEVERITIES),
    summary=TEXT,
    evidence=EVIDENCE,
    remedy=TEXT,
    rule=TEXT_OR_NOT,
    settled_by=TEXT_OR_NOT,
    step=TEXT,
    outcome=one_of("waits", "stops", "unknown", None),
    seconds=WHOLE,
)
COMPAT = members(
    status=one_of(*STATUSES),
    summary=TEXT,
    row={"type": ["object", "null"]},
    source=TEXT,
    date=TEXT,
    confidence=one_of(*CONFIDENCES),
    owner=TEXT,
    speaks={"type": "boolean"},
    evidence=EVIDENCE,
    kernels=array(members(release=TEXT, status=one_of(*STATUSES), summary=TEXT, default={"type": "boolean"})),
    table=TEXT,
)
VERSIONS = optional(
    members(guestfix=TEXT, pack=TEXT, pack_digest=TEXT, compat=TEXT),
    packs=array(members(id=TEXT, version=TEXT, digest=DIGEST, changes=array(members(what=TEXT, kind=TEXT, id=TEXT)))),
)
STEP = one_of(*(one for one in STAGES if one not in ("disks", "system", "services", "rules", "run")))
WALK = members(
    outcome=one_of("passes", "stops", "unknown"),
    stops_at={"anyOf": [STEP, {"type": "null"}]},
    steps=array(
        members(
            id=STEP,
            title=TEXT,
            outcome=one_of(*WORST),
            because=TEXT,
            evidence=EVIDENCE,
            seconds=WHOLE,
            rule=TEXT_OR_NOT,
        )
    ),
)
STATE: Schema = {"type": ["string", "null"], "pattern": "^(sha256:[0-9a-f]{64}|link:.*)$"}
CHANGE = optional(
    members(
        path={"type": "string", "pattern": "^/"},
        kind=one_of("edit", "create", "delete", "link"),
        rules=array(TEXT),
        before=STATE,
        after=STATE,
        size=WHOLE,
        meta={"type": ["object", "null"]},
        diff=TEXT,
    ),
    utf16=table(TEXT),
)
CONTENTS = array(members(path=TEXT, splices=array(members(offset=WHOLE, length=WHOLE, base64={"type": "string"}))))
SHOWN: dict[str, Schema] = {
    "schema": NUMBER,
    "guest": GUEST,
    "target": TEXT,
    "verdict": one_of(*STATUSES, "unknown"),
    "compat": COMPAT,
    "policies": table(TEXT),
    "facts": table(FACT),
    "decisions": array(
        record(Decision, outcome=one_of("applied", "unchanged", "no", "undecided", "skipped", "failed"))
    ),
    "findings": array(FINDING),
    "changes": array(CHANGE),
    "follow_ups": array(TEXT),
    "versions": VERSIONS,
    "walk": members(before=WALK, after=WALK),
    "choices": array(record(Choice)),
    "plan_digest": DIGEST,
}
IMAGE = optional(
    members(
        how=one_of("overlay", "committed", "converted"),
        files=array(TEXT),
        checks=array(
            members(device=TEXT, filesystem=TEXT, command=TEXT, code=of_type(int | None), clean=of_type(bool | None))
        ),
    ),
    backing=array(TEXT),
)
STOPPED = members(by=TEXT, outcome=TEXT)
LEFT = array(record(Left, state=one_of("original", "planned", "absent", "other", "unreadable")))
FAILED: dict[str, Schema] = {"error": ERROR, "left": LEFT}
OUTCOME: dict[str, Schema] = {
    "applied": array(TEXT),
    "backups": table(TEXT),
    "journal": TEXT_OR_NOT,
    "journal_copy": TEXT,
    "provenance": record(Provenance),
    "stopped": STOPPED,
    "image": IMAGE,
}
COUNT = members(done=WHOLE, total=WHOLE)
EVENT = optional(
    members(message=TEXT, timestamp={"type": "string", "format": "date-time"}, type=one_of(*TYPES)),
    percent={"type": "integer", "minimum": 0, "maximum": 100},
    stage=one_of(*WORK),
    code=CODE,
    rule=TEXT,
    path=TEXT,
    remedy=TEXT,
    **{unit: COUNT for _, _, unit in WORK.values()},
    result=optional(members(status=WHOLE), plan_digest=DIGEST, **OUTCOME, **FAILED),
)
ROW = members(id=TEXT, version=TEXT, verdict=one_of(*STATUSES), source=TEXT, date=TEXT)
DIFF = members(
    old=TEXT_OR_NOT,
    new=TEXT_OR_NOT,
    added=array({"type": "object"}),
    removed=array({"type": "object"}),
    changed=array(members(row=TEXT, fields=table(members(old={}, new={})))),
)


def _receipt() -> Schema:
    whole = members(**SHOWN)
    return {"anyOf": [optional(whole, **OUTCOME, **FAILED), _error()]}


def _error() -> Schema:
    return members(schema=NUMBER, error=ERROR)


def _revert() -> Schema:
    guest = members(uri=TEXT, files=array(members(path=TEXT, because=TEXT)))
    done = members(schema=NUMBER, guest=guest, restored=array(TEXT), journals=array(TEXT), kept_aside=table(TEXT))
    half = members(schema=NUMBER, guest=guest, error=ERROR, left=LEFT)
    return {"anyOf": [optional(done, stopped=STOPPED, image=IMAGE), half, _error()]}


def _inspect() -> Schema:
    names = ("schema", "guest", "target", "verdict", "compat", "facts", "findings", "versions")
    return {"anyOf": [members(**{name: SHOWN[name] for name in names}), _error()]}


def _test() -> Schema:
    case = members(case=TEXT, ok={"type": "boolean"}, failures=array(TEXT), diff=TEXT)
    return {"anyOf": [members(schema=NUMBER, cases=array(case), passed=WHOLE, failed=WHOLE), _error()]}


def _status() -> Schema:
    guest = members(uri=TEXT, files=array(members(path=TEXT, because=TEXT)))
    told = members(
        schema={"const": STATUS_SCHEMA},
        guest=guest,
        state=one_of("none", "applied", "changed", "running", "interrupted"),
        running={"type": "boolean"},
        applies=array(record(AppliedPlan)),
        first_start={"anyOf": [record(FirstStart), {"type": "null"}]},
        still_applied=array(TEXT),
        changed_since=array(TEXT),
    )
    return {"anyOf": [told, _error()]}


DOCUMENTS: dict[str, tuple[str, Callable[[], Schema]]] = {
    "report": (
        "What guestfix report --format json prints, which is also the plan that apply takes",
        lambda: {"anyOf": [members(**SHOWN, holds=TEXT, contents=CONTENTS), _error()]},
    ),
    "receipt": ("What guestfix apply --format json prints", _receipt),
    "revert": ("What guestfix revert --format json prints", _revert),
    "status": ("What guestfix status --format json prints", _status),
    "inspect": ("What guestfix inspect --format json prints", _inspect),
    "error": ("What any command prints with --format json where it fails", _error),
    "backends": (
        "What guestfix backends --format json prints",
        lambda: members(schema=NUMBER, backends=array(record(Status))),
    ),
    "compat": (
        "What guestfix compat list, show and diff --format json print",
        lambda: {"anyOf": [array(ROW), optional(COMPAT, findings=array(CODE)), DIFF, _error()]},
    ),
    "events": ("A line of --events", lambda: EVENT),
    "test": ("What guestfix test --format json prints", _test),
}
"""Every document by name: what it is, and what makes its schema."""


def document_schema(name: str) -> Schema:
    """Return the schema of one of :data:`DOCUMENTS`."""
    title, make = DOCUMENTS[name]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:guestfix:schema:{name}:{STATUS_SCHEMA if name == 'status' else SCHEMA}",
        "title": title,
        **make(),
        "$defs": {"error": ERROR},
    }
