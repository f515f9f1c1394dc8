"""What a step of a walk is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from guestfix.base.catalog.records.boot import MenuEntry
from guestfix.base.facts import Evidence, Facts, Finding
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


def is_whole(scene: Scene) -> bool:
    """Tell whether the guest was read from its disks: what is not seen is not there then; a tree may be an excerpt."""
    disks = scene.guest.disks()
    return disks is not None and disks.read


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


def entry_place(entry: MenuEntry) -> Evidence:
    """Return where a boot entry stands."""
    return Evidence(entry.path, entry.line, entry.title or entry.id)
