"""The types of a walk in a document, see :mod:`guestfix.base.shapes`."""

from __future__ import annotations

from typing import Annotated, TypedDict

from guestfix.base.record import Says
from guestfix.base.shapes import EvidenceOut, StepId, Whole
from guestfix.walk.model import WORST


class StepOut(TypedDict):
    """One step of a boot; ``rule`` is what made it pass."""

    id: StepId
    title: str
    outcome: Annotated[str, Says(enum=WORST)]
    because: str
    evidence: list[EvidenceOut]
    seconds: Whole
    rule: str | None


class WalkOut(TypedDict):
    """A boot, and the step at which it stops."""

    outcome: Annotated[str, Says(enum=["passes", "stops", "unknown"])]
    stops_at: StepId | None
    steps: list[StepOut]


class WalksOut(TypedDict):
    """The guest as it is, and as the plan leaves it."""

    before: WalkOut
    after: WalkOut
