"""What a step of a walk is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from guestfix.base.facts import Evidence, Facts, Finding, Unknown
from guestfix.base.guest import GuestFS
from guestfix.base.record import frozen
from guestfix.pack.model import Target
from guestfix.walk.model import Outcome


@frozen
class Scene:
    """A guest in one state, as it is or as a plan leaves it, before the target's devices.

    ``facts`` and ``findings`` are what detection said of that same state.
    """

    guest: GuestFS
    facts: Facts
    target: Target
    findings: tuple[Finding, ...]

    def value(self, name: str, default: Any = None) -> Any:
        """Return a fact's value, or default where it is missing or unknown."""
        return self.facts.value(name, default)

    def why_unknown(self, name: str) -> str:
        """Return why a fact is not known; empty where nothing says so."""
        fact = self.facts.get(name)
        return fact.value.reason if fact is not None and isinstance(fact.value, Unknown) else ""


@frozen
class Ground:
    """What a step rests on where nothing was found against it: ``passes`` or ``unknown``, in a sentence."""

    outcome: Outcome
    because: str
    evidence: tuple[Evidence, ...] = ()


def passes(because: str, *evidence: Evidence) -> Ground:
    """Return that a step passes."""
    return Ground("passes", because, evidence)


def unknown(because: str, *evidence: Evidence) -> Ground:
    """Return that a step can't be told from what was given."""
    return Ground("unknown", because, evidence)


@frozen
class Look:
    """How one step is looked at.

    ``ground`` says what it rests on. ``check`` yields what stands against it that no detector tells: findings with
    an outcome (``stops``, ``waits``, ``unknown``).
    """

    id: str
    title: str
    ground: Callable[[Scene], Ground]
    check: Callable[[Scene], Iterable[Finding]]


def nothing(scene: Scene) -> Iterable[Finding]:
    """Return no finding: detectors tell all there is about this step."""
    return ()


def entry_place(entry: dict[str, Any]) -> Evidence:
    """Return where a boot entry stands."""
    return Evidence(str(entry.get("path", "")), int(entry.get("line") or 0), str(entry.get("title") or entry.get("id")))
