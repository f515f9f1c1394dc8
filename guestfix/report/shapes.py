"""The types of what commands print besides plans; see :mod:`guestfix.base.shapes`."""

from __future__ import annotations

from typing import Annotated, NotRequired, TypedDict

from guestfix.apply.apply import Provenance
from guestfix.apply.left import Left
from guestfix.apply.status import GUEST_STATES, AppliedPlan
from guestfix.apply.status import SCHEMA as STATUS_SCHEMA
from guestfix.backends.status import Status
from guestfix.base.events import STAGES, TYPES
from guestfix.base.record import Says
from guestfix.base.shapes import Code, Digest, ErrorOut, FileOut, Moment, Percent, Whole
from guestfix.formats.firststart import FirstStart
from guestfix.plan.shapes import Number, PlannedOut


class FailureOut(TypedDict):
    """What any command prints where it fails."""

    schema: Number
    error: ErrorOut


class CheckOut(TypedDict):
    """A filesystem's check after writing; null where there was no checker."""

    device: str
    filesystem: str
    command: str
    code: int | None
    clean: bool | None


class ImageOut(TypedDict):
    """What became of disk images; ``backing`` is, for each overlay, the file that it needs."""

    how: Annotated[str, Says(enum=["overlay", "committed", "converted"])]
    files: list[str]
    checks: list[CheckOut]
    backing: NotRequired[list[str]]


class StoppedOut(TypedDict):
    """Who wished to stop what was finished all the same."""

    by: str
    outcome: Annotated[str, Says(const="finished")]


class AppliedOut(TypedDict):
    """What apply did; no journal means that nothing was to do."""

    applied: list[str]
    backups: dict[str, str]
    journal: str | None
    provenance: NotRequired[Provenance]
    journal_copy: NotRequired[str]


class LaterOut(TypedDict, total=False):
    """What may be told besides: it could not be stopped any more; what became of disk images.

    ``recovered`` are images whose change in place had been cut off, and was finished first.
    """

    recovered: list[str]
    stopped: StoppedOut
    image: ImageOut


class LeftOut(TypedDict, total=False):
    """In which state each path is after a failure half way."""

    left: list[Left]


class FailedOut(LeftOut, total=False):
    """Why an apply did nothing, or failed."""

    error: ErrorOut


class DoneOut(AppliedOut, LaterOut):
    """What apply did, and what became of it."""


class ReceiptOut(PlannedOut, AppliedOut, LaterOut, FailedOut):
    """The plan that was to be applied, and what came of it."""


class PlaceOut(TypedDict):
    """The guest, and the host's files that were opened for it."""

    uri: str
    files: list[FileOut]


class TakenBackOut(LaterOut):
    """What revert did."""

    guest: PlaceOut
    restored: list[str]
    journals: list[str]
    kept_aside: dict[str, str]


class RevertOut(TakenBackOut):
    """What revert did, as a document."""

    schema: Number


class HalfOut(FailureOut):
    """A revert that failed half way."""

    guest: PlaceOut
    left: list[Left]


class AppliesOut(TypedDict):
    """The applies in a guest, oldest first."""

    state: Annotated[str, Says(enum=GUEST_STATES)]
    running: bool
    applies: list[AppliedPlan]
    first_start: Annotated[FirstStart | None, Says(description="what the guest kept of installing what was brought")]
    still_applied: Annotated[list[str], Says(description="paths that are as their last apply left them")]
    changed_since: Annotated[
        list[str], Says(description="paths that are neither as their last apply left them nor as they were before")
    ]


class StatusOut(AppliesOut):
    """The applies in a guest, as a document."""

    schema: Annotated[int, Says(const=STATUS_SCHEMA)]
    guest: PlaceOut


class BackendsOut(TypedDict):
    """The ways to a guest, and what makes them work."""

    schema: Number
    backends: list[Status]


class CaseOut(TypedDict):
    """What became of one case."""

    case: str
    ok: bool
    failures: list[str]
    diff: str


class TestOut(TypedDict):
    """What became of a pack's cases."""

    schema: Number
    cases: list[CaseOut]
    passed: Whole
    failed: Whole


class CountOut(TypedDict):
    """How much of a stage is done, in its unit."""

    done: Whole
    total: Whole


class OutcomeOut(FailedOut, LaterOut, total=False):
    """What a document says of the outcome of a run, whichever command it was."""

    plan_digest: Digest
    applied: list[str]
    backups: dict[str, str]
    journal: str | None
    provenance: Provenance
    journal_copy: str
    guest: PlaceOut
    restored: list[str]
    journals: list[str]
    kept_aside: dict[str, str]
    run: Whole
    outcomes: dict[str, Whole]


class ResultOut(OutcomeOut):
    """How a run ended: its exit status, and what is told of the outcome."""

    status: Whole


class EventOut(TypedDict):
    """A line of events. Of steps, rules, bytes and guests there is the stage's unit, in a progress.

    With guests, ``rate`` is how many a second were done and ``rest`` the seconds that the others need at that rate.
    """

    message: str
    timestamp: Moment
    type: Annotated[str, Says(enum=TYPES)]
    percent: NotRequired[Percent]
    stage: NotRequired[Annotated[str, Says(enum=[*STAGES])]]
    code: NotRequired[Code]
    rule: NotRequired[str]
    path: NotRequired[str]
    remedy: NotRequired[str]
    steps: NotRequired[CountOut]
    rules: NotRequired[CountOut]
    bytes: NotRequired[CountOut]
    guests: NotRequired[CountOut]
    rate: NotRequired[float]
    rest: NotRequired[Whole]
    result: NotRequired[ResultOut]
