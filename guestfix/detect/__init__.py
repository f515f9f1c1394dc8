"""Detectors: each learns facts from a guest and says where it saw them.

A detector is ``detect(guest: GuestFS, facts: Facts, target: Target) -> list[Finding]``. It sees the facts of those
before it in ``DETECTORS``, and those of the distribution (``system.*``), which come from the rule pack. It never
raises for what a guest holds (an unreadable file becomes an Unknown fact or a finding), and reads no more than it
needs. The one that tells the system gets the pack's systems instead of the target.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from guestfix.base.catalog.facts.system import OS_FAMILY
from guestfix.base.facts import Facts, Finding
from guestfix.base.guest import GuestFS
from guestfix.base.overlay import Overlay
from guestfix.base.record import frozen
from guestfix.base.recorder import Recorder
from guestfix.base.watched import Watched
from guestfix.pack.model import System, Target


@frozen
class Detector:
    """Which families a detector is for, in words (its module is not loaded for another), and which it builds upon.

    ``needs`` are those whose facts a plan can change under it; ``tells_system``: it is given the pack's systems.
    ``on_demand``: it is costly, and runs where somebody asks for one of these facts or by one of these actions (globs);
    ``helps`` are actions that take its facts where they are known, and its findings, which a rule may settle.
    """

    family: str = ""
    needs: tuple[str, ...] = ()
    tells_system: bool = False
    on_demand: tuple[str, ...] = ()
    helps: tuple[str, ...] = ()


DETECTORS: dict[str, Detector] = {
    "system.backend": Detector(),
    "system.os": Detector(tells_system=True),
    "storage.disks": Detector(),
    "system.unix": Detector("freebsd openbsd netbsd", ("storage.disks",)),
    "storage.fstab": Detector("linux"),
    "storage.mountunits": Detector("linux"),
    "boot.loaders": Detector("linux", ("storage.fstab",)),
    "boot.kernels": Detector("linux", ("boot.loaders",)),
    "network.stacks": Detector("linux", ("boot.loaders",)),
    "services.access": Detector("linux", ("network.stacks",)),
    "services.cloudinit": Detector("linux", ("boot.loaders", "network.stacks")),
    "services.repositories": Detector("linux"),
    "services.timesync": Detector("linux", ("boot.loaders",)),
    "initramfs.images": Detector(
        "linux", ("boot.kernels",), on_demand=("initramfs.*",), helps=("boot.repair_default", "GF-INITRAMFS-*")
    ),
    "windows.detector": Detector("windows"),
    "windows.limits": Detector("windows", ("windows.detector",)),
    "limits.checks": Detector("", ("boot.kernels", "network.stacks", "services.access", "windows.detector")),
}
"""By module name, in the order in which they run."""

SHORT_CUTS = dict.fromkeys(("GF-INITRAMFS-BLOCKED", "GF-INITRAMFS-LACKS", "GF-INITRAMFS-STORED"), "initramfs.planned")
"""Findings whose detector is costly: the module that can tell by less whether a plan leaves the fault there."""


def detect_by(
    guest: GuestFS,
    facts: Facts,
    target: Target,
    systems: Sequence[System],
    names: Collection[str] | None = None,
    looked: dict[str, Recorder] | None = None,
    identified: Callable[[], Target | None] = lambda: None,
    tell: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> dict[str, list[Finding]]:
    """Run the detectors with these names (all, where none are given) in order; return what each one found.

    ``looked`` is given, for each detector, what it looked at. ``identified`` is called where the system is told,
    before the detectors that rest on it: a Windows tells its release later than its family. It may return the target as
    it is for that system. ``tell`` is told of the
    stage ``read`` how many detectors have run.
    """
    found: dict[str, list[Finding]] = {}
    watched = Watched(guest)
    for index, (name, detector) in enumerate(DETECTORS.items()):
        tell("read", index, len(DETECTORS))
        if names is not None and name not in names:
            continue
        if detector.family and facts.value(OS_FAMILY, detector.family) not in detector.family.split():
            continue
        module = importlib.import_module(f"guestfix.detect.{name}")
        seen: GuestFS = watched
        if looked is not None and name != "system.backend":
            seen = looked[name] = Recorder(watched)
        found[name] = list(module.detect(seen, facts, systems if detector.tells_system else target))
        found[name] += watched.told()
        if name in ("system.os", "windows.detector"):
            target = identified() or target
    tell("read", len(DETECTORS), len(DETECTORS))
    return found


def still_there(planned: Overlay, finding: Finding) -> bool | None:
    """Tell whether the planned guest still has a finding's fault; None where only its detector can tell."""
    name = SHORT_CUTS.get(finding.code)
    if name is None:
        return None
    answer: bool | None = importlib.import_module(f"guestfix.detect.{name}").still_there(planned, finding)
    return answer


def with_needs(names: Collection[str]) -> set[str]:
    """Return these detectors with all that they build upon."""
    wanted, todo = set(names), list(names)
    while todo:
        fresh = set(DETECTORS[todo.pop()].needs) - wanted
        wanted |= fresh
        todo += fresh
    return wanted


def touched(looked: Mapping[str, Recorder], paths: Iterable[str]) -> set[str]:
    """Return the detectors that looked at one of these paths, and those that build upon them."""
    paths = list(paths)
    names = {name for name, seen in looked.items() if any(seen.concerns(path) for path in paths)}
    while more := {name for name, one in DETECTORS.items() if names & set(one.needs)} - names:
        names |= more
    return names
