"""A Plan: what would change in a guest and why, as one value that a file can hold.

A Plan has no clock and no chance in it: same guest, same pack, same engine, same bytes. ``apply`` needs
nothing but the Plan; it evaluates no rule.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from guestfix.base.digest import chunks_of
from guestfix.base.edit import Splice
from guestfix.base.facts import Fact, Finding, Unknown, evidence_list
from guestfix.base.guest import GuestFS, Meta
from guestfix.base.record import field, frozen, preset
from guestfix.base.secrets import masked
from guestfix.base.text import to_json, utf8
from guestfix.walk.model import Walks, walks_out

if TYPE_CHECKING:
    from guestfix.compat.shapes import CompatOut
    from guestfix.plan.shapes import (
        ChangeOut,
        ContentOut,
        FactOut,
        FindingOut,
        GuestOut,
        MetaOut,
        PlannedOut,
        ShownOut,
        SpliceOut,
        VersionsOut,
    )

SCHEMA = 2
"""Number of the JSON form. It rises when a reader of the older form could misread the newer one."""


@frozen
class Change:
    """One path's change.

    ``kind`` is ``edit``, ``create``, ``delete`` or ``link``. ``before`` and ``after`` are states as
    :mod:`guestfix.base.digest` writes them. ``splices`` turn the old bytes into the new ones (for ``create``:
    one splice into nothing). ``meta`` is for what did not exist before; else the original's is kept.
    """

    path: str
    kind: str
    rules: tuple[str, ...]
    before: str | None
    after: str | None
    splices: tuple[Splice, ...] = ()
    meta: Meta | None = None
    diff: str = ""
    size: int = 0

    @property
    def target(self) -> str:
        """The link's target, for the kind ``link``."""
        return (self.after or "").removeprefix("link:")


@frozen
class Decision:
    """What became of one rule: ``applied``, ``unchanged``, ``no``, ``undecided``, ``skipped`` or ``failed``.

    ``selected`` is false where the administrator left the rule out. ``unknown`` names the facts that an
    undecided rule lacks.
    """

    rule: str
    outcome: str
    because: str = ""
    confidence: str = ""
    title: str = ""
    why: str = ""
    selected: bool = True
    unknown: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Hide secrets: the reason may quote what the guest holds."""
        preset(self, "because", masked(self.because))


@frozen
class Choice:
    """What somebody chose for a plan: an option or policy, its value, and where that was said."""

    name: str
    value: str
    origin: str


@frozen
class Plan:
    """Everything that a report shows and that apply does."""

    guest: Mapping[str, Any]
    target: str
    verdict: str
    compat: Mapping[str, Any]
    facts: tuple[Fact, ...]
    decisions: tuple[Decision, ...]
    findings: tuple[Finding, ...]
    changes: tuple[Change, ...]
    follow_ups: tuple[str, ...]
    versions: Mapping[str, Any]
    policies: Mapping[str, str] = field(default_factory=dict)
    walk: Walks = Walks()
    choices: tuple[Choice, ...] = ()
    told_digest: str = ""
    """What a document without contents says that its digest is: of such a Plan, which can only be shown."""

    @property
    def blockers(self) -> tuple[Finding, ...]:
        """The findings that forbid apply."""
        return tuple(finding for finding in self.findings if finding.severity == "blocker")

    @property
    def digest(self) -> str:
        """SHA-256 of the Plan's JSON without the digest itself, as hex: of what it shows and of what apply writes."""
        return self.told_digest or digest_of(_whole(self))


def new_chunks(guest: GuestFS, change: Change) -> Iterable[bytes]:
    """Yield the bytes that the changed file will hold, copying what stays from the guest's file."""
    at = 0
    for splice in sorted(change.splices, key=lambda item: item.offset):
        if splice.offset > at:
            yield from chunks_of(guest, change.path, at, splice.offset - at)
        yield splice.data
        at = splice.offset + splice.length
    if change.before is not None:
        yield from chunks_of(guest, change.path, at)


def contents_out(plan: Plan) -> list[ContentOut]:
    """Return what apply writes, for each change in turn: bytes of the guest's files, secrets included, in base64."""
    return [{"path": change.path, "splices": [_splice_out(one) for one in change.splices]} for change in plan.changes]


def _splice_out(splice: Splice) -> SpliceOut:
    data = base64.b64encode(splice.data).decode("ascii")
    return {"offset": splice.offset, "length": splice.length, "base64": data}


def _meta_out(meta: Meta | None) -> MetaOut | None:
    if meta is None:
        return None
    xattrs = {name: base64.b64encode(value).decode("ascii") for name, value in meta.xattrs}
    return {"mode": f"{meta.mode:04o}", "uid": meta.uid, "gid": meta.gid, "xattrs": xattrs}


EXACT = ("path", "before", "after")
"""Members of a change that may hold what UTF-8 can't: a path, a link's target."""


def _exact_out(change: Change) -> dict[str, str]:
    """Return what no UTF-8 can say of the change, as base64 of UTF-16-LE; nothing where it can say all."""
    texts = {name: getattr(change, name) or "" for name in EXACT}
    odd = {name: text.encode("utf-16-le", "surrogatepass") for name, text in texts.items() if utf8(text) != text}
    return {name: base64.b64encode(data).decode() for name, data in odd.items()}


def change_out(change: Change) -> ChangeOut:
    """Return a change as it is shown, in its JSON form; what is written stands in :func:`contents_out`."""
    exact = _exact_out(change)
    shown: ChangeOut = {
        "path": change.path,
        "kind": change.kind,
        "rules": list(change.rules),
        "before": change.before,
        "after": change.after,
        "size": change.size,
        "meta": _meta_out(change.meta),
        "diff": change.diff,
    }
    return {**shown, "utf16": exact} if exact else shown


def finding_out(finding: Finding) -> FindingOut:
    """Return a finding in its JSON form."""
    return {
        "code": finding.code,
        "severity": finding.severity,
        "summary": finding.summary,
        "evidence": evidence_list(finding.evidence),
        "remedy": finding.remedy,
        "rule": finding.rule or None,
        "settled_by": finding.settled_by or None,
        "step": finding.step,
        "outcome": finding.outcome or None,
        "seconds": finding.seconds,
    }


def fact_out(fact: Fact) -> FactOut:
    """Return a fact's value and evidence in JSON form; an unknown value is null with its reason."""
    if isinstance(fact.value, Unknown):
        return {"value": None, "unknown": fact.value.reason, "evidence": evidence_list(fact.evidence)}
    return {"value": fact.value, "evidence": evidence_list(fact.evidence)}


HOLDS = "contents has bytes of the guest's files as apply writes them, secrets included: keep this file to yourself"


DIGEST: Final = "plan_digest"
"""Name of the digest in every document that has one."""


def digest_of(document: Mapping[str, object]) -> str:
    """Return the digest of a Plan's whole JSON form, as hex; the digest that stands in it does not count.

    It is taken of one line: Python writes indented JSON ten times as slowly.
    """
    told = {name: value for name, value in document.items() if name != DIGEST}
    return hashlib.sha256(to_json(told, indent=None).encode()).hexdigest()


def plan_out(plan: Plan) -> PlannedOut:
    """Return the shown part of the Plan in its JSON form: all of it but what apply writes. No secret is in it."""
    return {**_shown(plan), DIGEST: plan.digest}


def _whole(plan: Plan) -> dict[str, object]:
    return {**_shown(plan), "holds": HOLDS, "contents": contents_out(plan)}


def _shown(plan: Plan) -> ShownOut:
    return {
        "schema": SCHEMA,
        "guest": cast("GuestOut", dict(plan.guest)),
        "target": plan.target,
        "verdict": plan.verdict,
        "compat": cast("CompatOut", dict(plan.compat)),
        "policies": dict(plan.policies),
        "walk": walks_out(plan.walk),
        "facts": {fact.name: fact_out(fact) for fact in plan.facts},
        "decisions": [
            {
                "rule": one.rule,
                "outcome": one.outcome,
                "because": one.because,
                "confidence": one.confidence,
                "title": one.title,
                "why": one.why,
                "selected": one.selected,
                "unknown": list(one.unknown),
            }
            for one in plan.decisions
        ],
        "findings": [finding_out(finding) for finding in plan.findings],
        "changes": [change_out(change) for change in plan.changes],
        "follow_ups": list(plan.follow_ups),
        "versions": cast("VersionsOut", dict(plan.versions)),
        "choices": [{"name": one.name, "value": one.value, "origin": one.origin} for one in plan.choices],
    }


def dump_plan(plan: Plan) -> bytes:
    """Return the Plan as JSON bytes, the same for the same Plan: its shown part, and what apply writes."""
    whole = _whole(plan)
    return (to_json({**whole, DIGEST: digest_of(whole)}) + "\n").encode()
