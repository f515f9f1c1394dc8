"""The boot walk: the steps from the firmware to a login that a guest would take on a target, judged one by one.

:func:`walk` is pure: it reads the guest's files, runs nothing, and gives the same answer for the same state. A
step ends as the worst that is known of it: what detectors found about it (each code of the table of findings names
its step), what the step's own check finds, and else what the step rests on.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Sequence

from guestfix.base.catalog.facts.system import OS_FAMILY
from guestfix.base.facts import Finding
from guestfix.walk.model import WORST, Outcome, Step, Walk
from guestfix.walk.scene import Look, Scene

LOOKS = {
    "linux": (
        "linux.firmware",
        "linux.loader",
        "linux.entry",
        "linux.kernel",
        "linux.initramfs",
        "linux.root",
        "linux.mounts",
        "linux.network",
        "linux.access",
    ),
    "windows": ("windows.steps",),
}
"""By family: the modules of the steps, in the order of a boot. Each has a ``LOOK``, or several ``LOOKS``."""


def looks(family: str) -> Iterator[Look]:
    """Yield how each step of a family's boot is looked at, none for a family that isn't known."""
    for name in LOOKS.get(family, ()):
        module = importlib.import_module(f"guestfix.walk.{name}")
        yield from module.LOOKS if hasattr(module, "LOOKS") else (module.LOOK,)


def walk(scene: Scene) -> tuple[Walk, tuple[Finding, ...]]:
    """Return the walk of a guest in one state, and what only the walk found. Empty for a system that isn't known."""
    steps: list[Step] = []
    own: list[Finding] = []
    for look in looks(str(scene.facts.value(OS_FAMILY, ""))):
        found = list(look.check(scene))
        own += found
        told = [one for one in scene.findings if one.step == look.id]
        steps.append(_step(look, scene, [*told, *found]))
    if any(step.outcome == "unknown" for step in steps) and scene.facts.value(OS_FAMILY) == "linux":
        from guestfix.walk.linux.untold import untold  # most guests have nothing untold that matters

        own += untold(scene, steps)
    return Walk(tuple(steps)), tuple(own)


def _step(look: Look, scene: Scene, found: Sequence[Finding]) -> Step:
    against = [(outcome, one) for one in found if not one.settled_by and (outcome := outcome_of(one)) != "passes"]
    ground = look.ground(scene)
    seconds = sum(one.seconds for outcome, one in against if outcome == "waits")
    worst: Outcome = max((outcome for outcome, _ in against), key=WORST.index, default="passes")
    rule = next((one.settled_by for one in found if one.settled_by and not against), "")
    if WORST.index(worst) < WORST.index(ground.outcome) or not against:
        return Step(look.id, look.title, ground.outcome, ground.because, ground.evidence, seconds, rule)
    first = next(one for outcome, one in against if outcome == worst)
    return Step(look.id, look.title, worst, first.summary, first.evidence, seconds)


def outcome_of(finding: Finding) -> Outcome:
    """Return what a finding means for the step that it is about."""
    if finding.outcome:
        return finding.outcome
    return "stops" if finding.severity == "blocker" else "passes"


def blockers(found: Iterable[Finding]) -> list[Finding]:
    """Return the findings with an outcome that ends the boot."""
    return [one for one in found if outcome_of(one) == "stops"]
