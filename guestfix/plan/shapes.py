"""The types of a plan and an inspection as documents, see :mod:`guestfix.base.shapes`."""

from __future__ import annotations

from typing import Annotated, NotRequired, TypedDict

from guestfix.base.catalog.findings import SEVERITIES
from guestfix.base.record import Says
from guestfix.base.shapes import Code, Digest, EvidenceOut, FileOut, GuestPath, State, Whole
from guestfix.compat.shapes import CompatOut, Confidence
from guestfix.compat.verdict import STATUSES
from guestfix.plan.model import SCHEMA
from guestfix.walk.shapes import WalksOut

Number = Annotated[int, Says(const=SCHEMA)]
Verdict = Annotated[str, Says(enum=[*STATUSES, "unknown"])]


class GuestOut(TypedDict):
    """The guest: where it is, what tells it from others, and the host's files that were opened for it."""

    uri: str
    identity: Digest
    files: list[FileOut]


class FactOut(TypedDict):
    """A fact; of one that is unknown the reason, and null for its value."""

    value: object
    evidence: list[EvidenceOut]
    unknown: NotRequired[str]


class FindingOut(TypedDict):
    """A finding; ``outcome`` is what it means for the step of the boot that it is about."""

    code: Code
    severity: Annotated[str, Says(enum=SEVERITIES)]
    summary: str
    evidence: list[EvidenceOut]
    remedy: str
    rule: str | None
    settled_by: str | None
    step: str
    outcome: Annotated[str, Says(enum=["waits", "stops", "unknown"])] | None
    seconds: Whole


class DecisionOut(TypedDict):
    """What became of one rule."""

    rule: str
    outcome: Annotated[str, Says(enum=["applied", "unchanged", "no", "undecided", "skipped", "failed"])]
    because: str
    confidence: Confidence
    title: str
    why: str
    selected: bool
    unknown: list[str]


class MetaOut(TypedDict):
    """Mode (octal), owner and extended attributes (base64) of what did not exist before."""

    mode: str
    uid: int | None
    gid: int | None
    xattrs: dict[str, str]


class ChangeOut(TypedDict):
    """One path's change as it is shown; ``utf16`` has in base64 what no UTF-8 can say of it."""

    path: GuestPath
    utf16: NotRequired[dict[str, str]]
    kind: Annotated[str, Says(enum=["edit", "create", "delete", "link"])]
    rules: list[str]
    before: State | None
    after: State | None
    size: Whole
    meta: MetaOut | None
    diff: str


class SpliceOut(TypedDict):
    """What takes the place of some bytes of a file."""

    offset: Whole
    length: Whole
    base64: str


class ContentOut(TypedDict):
    """What apply writes at a path: bytes of the guest's files, secrets included."""

    path: str
    splices: list[SpliceOut]


class ChoiceOut(TypedDict):
    """What somebody chose, and where that was said."""

    name: str
    value: str
    origin: str


class OverrideOut(TypedDict):
    """What a pack changes in those beneath it."""

    what: str
    kind: str
    id: str


class PackOut(TypedDict):
    """One pack of several."""

    id: str
    version: str
    digest: Digest
    changes: list[OverrideOut]


class VersionsOut(TypedDict):
    """What made the document."""

    guestfix: str
    pack: str
    pack_digest: str
    compat: str
    packs: NotRequired[list[PackOut]]


class SeenOut(TypedDict):
    """What every document of a guest begins with."""

    schema: Number
    guest: GuestOut
    target: str
    verdict: Verdict
    compat: CompatOut
    facts: dict[str, FactOut]
    findings: list[FindingOut]
    versions: VersionsOut


class InspectionOut(SeenOut):
    """What is known about a guest."""


class ShownOut(SeenOut):
    """What is shown of a plan, its digest aside."""

    policies: dict[str, str]
    walk: WalksOut
    decisions: list[DecisionOut]
    changes: list[ChangeOut]
    follow_ups: list[str]
    choices: list[ChoiceOut]


class PlannedOut(ShownOut):
    """What is shown of a plan."""

    plan_digest: Digest


class PlanOut(PlannedOut):
    """A plan as it is saved: with what apply writes."""

    holds: str
    contents: list[ContentOut]
