"""What a walk is: the steps of a boot in order, each with how it ends and what shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from guestfix.base.facts import Evidence, evidence_list
from guestfix.base.record import frozen, preset
from guestfix.base.secrets import masked

if TYPE_CHECKING:
    from guestfix.walk.shapes import StepOut, WalkOut, WalksOut

Outcome = Literal["passes", "waits", "stops", "unknown"]
"""How a step ends: it passes, passes after some seconds, the boot stops there, or what was given can't tell."""

WORST: tuple[Outcome, ...] = ("passes", "waits", "unknown", "stops")
"""From the best to the worst: a step ends as the worst that is known of it."""


@frozen
class Step:
    """One step of a boot.

    ``because`` says in a sentence what the outcome rests on, ``evidence`` where that stands, ``seconds`` how long a
    step that waits takes at least, ``rule`` which rule of the plan made the step pass.
    """

    id: str
    title: str
    outcome: Outcome
    because: str
    evidence: tuple[Evidence, ...] = ()
    seconds: int = 0
    rule: str = ""

    def __post_init__(self) -> None:
        """Hide secrets: a step is there to be shown."""
        preset(self, "because", masked(self.because))


@frozen
class Walk:
    """A boot from the firmware to a login, as far as a guest's files tell."""

    steps: tuple[Step, ...] = ()

    @property
    def outcome(self) -> Literal["passes", "stops", "unknown"]:
        """``stops`` where a step stops, ``unknown`` where no step could be told, else ``passes``."""
        if self.stops_at is not None:
            return "stops"
        return "passes" if any(step.outcome != "unknown" for step in self.steps) else "unknown"

    @property
    def stops_at(self) -> str | None:
        """The id of the first step that stops, or None."""
        return next((step.id for step in self.steps if step.outcome == "stops"), None)

    @property
    def untold(self) -> tuple[str, ...]:
        """The ids of the steps that can't be told."""
        return tuple(step.id for step in self.steps if step.outcome == "unknown")


@frozen
class Walks:
    """Both walks of a plan: of the guest as it is, and as the plan leaves it."""

    before: Walk = Walk()
    after: Walk = Walk()


def walks_out(walks: Walks) -> WalksOut:
    """Return both walks in their JSON form."""
    return {"before": walk_out(walks.before), "after": walk_out(walks.after)}


def walk_out(walk: Walk) -> WalkOut:
    """Return a walk in its JSON form."""
    return {"outcome": walk.outcome, "stops_at": walk.stops_at, "steps": [_step_out(step) for step in walk.steps]}


def _step_out(step: Step) -> StepOut:
    return {
        "id": step.id,
        "title": step.title,
        "outcome": step.outcome,
        "because": step.because,
        "evidence": evidence_list(step.evidence),
        "seconds": step.seconds,
        "rule": step.rule or None,
    }
