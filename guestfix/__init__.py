"""guestfix repairs a guest operating system offline, so that it boots and is reachable elsewhere.

The Python API. What is named in ``__all__`` stays as it is documented; anything else may change.

    import guestfix

    with guestfix.session("disk.qcow2") as session:
        plan = session.report("aws-nitro")
        if plan.changes and not plan.blockers:
            session.apply(plan)
            session.save(output="new.qcow2")

docs/importer.md has the whole way from a foreign disk to what is handed over. The functions beside it do the steps one
by one, for a guest in a folder.

Errors are those of :mod:`guestfix.base.errors`; all of them are GuestfixError.
"""

from __future__ import annotations

import importlib

__version__ = "0.2.0"

__all__ = [
    "AppliedFile",
    "AppliedPlan",
    "ApplyError",
    "Blocked",
    "Change",
    "Check",
    "Choice",
    "Decision",
    "Disk",
    "Disks",
    "Event",
    "Evidence",
    "Fact",
    "Facts",
    "Finding",
    "FirstStart",
    "GuestError",
    "GuestStatus",
    "GuestfixError",
    "Inspection",
    "Left",
    "Meta",
    "NotAGuest",
    "Options",
    "Outcome",
    "Pack",
    "PackError",
    "Placed",
    "Plan",
    "PlanError",
    "Provenance",
    "Receipt",
    "Reverted",
    "Saved",
    "Session",
    "Splice",
    "Step",
    "Stopped",
    "TaskEnd",
    "Unknown",
    "UsageError",
    "Volume",
    "Walk",
    "Walks",
    "apply_plan",
    "dump_plan",
    "inspect_guest",
    "load_pack",
    "load_plan",
    "make_plan",
    "open_guest",
    "open_writable",
    "revert",
    "session",
]

_HOMES = {
    "AppliedFile": "apply.status",
    "AppliedPlan": "apply.status",
    "ApplyError": "base.errors",
    "Blocked": "base.errors",
    "Change": "plan.model",
    "Check": "backends.outcome",
    "Choice": "plan.model",
    "Decision": "plan.model",
    "Disk": "base.guest",
    "Disks": "base.guest",
    "Event": "base.events",
    "Evidence": "base.facts",
    "Fact": "base.facts",
    "Facts": "base.facts",
    "Finding": "base.facts",
    "FirstStart": "formats.firststart",
    "GuestError": "base.errors",
    "GuestStatus": "apply.status",
    "GuestfixError": "base.errors",
    "Inspection": "plan.planner",
    "Left": "apply.left",
    "Meta": "base.guest",
    "NotAGuest": "base.errors",
    "Options": "plan.planner",
    "Outcome": "stage.outcome",
    "Pack": "pack.model",
    "PackError": "base.errors",
    "Placed": "base.guest",
    "Plan": "plan.model",
    "PlanError": "base.errors",
    "Provenance": "apply.apply",
    "Receipt": "apply.apply",
    "Reverted": "apply.undo",
    "Saved": "backends.outcome",
    "Session": "stage.session",
    "Splice": "base.edit",
    "Step": "walk.model",
    "Stopped": "base.errors",
    "TaskEnd": "formats.firststart",
    "Unknown": "base.facts",
    "UsageError": "base.errors",
    "Volume": "base.guest",
    "Walk": "walk.model",
    "Walks": "walk.model",
    "apply_plan": "apply.apply",
    "dump_plan": "plan.model",
    "inspect_guest": "plan.planner",
    "load_pack": "pack.cache",
    "load_plan": "plan.reader",
    "make_plan": "plan.planner",
    "open_guest": "backends",
    "open_writable": "backends",
    "revert": "apply.undo",
    "session": "stage.session",
}

TYPE_CHECKING = False  # importing typing would be a good part of the time of a small program
if TYPE_CHECKING:
    from guestfix.apply.apply import Provenance, Receipt, apply_plan
    from guestfix.apply.left import Left
    from guestfix.apply.status import AppliedFile, AppliedPlan, GuestStatus
    from guestfix.apply.undo import Reverted, revert
    from guestfix.backends import open_guest, open_writable
    from guestfix.backends.outcome import Check, Saved
    from guestfix.base.edit import Splice
    from guestfix.base.errors import (
        ApplyError,
        Blocked,
        GuestError,
        GuestfixError,
        NotAGuest,
        PackError,
        PlanError,
        Stopped,
        UsageError,
    )
    from guestfix.base.events import Event
    from guestfix.base.facts import Evidence, Fact, Facts, Finding, Unknown
    from guestfix.base.guest import Disk, Disks, Meta, Placed, Volume
    from guestfix.formats.firststart import FirstStart, TaskEnd
    from guestfix.pack.cache import load_pack
    from guestfix.pack.model import Pack
    from guestfix.plan.model import Change, Choice, Decision, Plan, dump_plan
    from guestfix.plan.planner import Inspection, Options, inspect_guest, make_plan
    from guestfix.plan.reader import load_plan
    from guestfix.stage.outcome import Outcome
    from guestfix.stage.session import Session, session
    from guestfix.walk.model import Step, Walk, Walks


def __getattr__(name: str) -> object:
    """Load the parts of the API when they are asked for: ``guestfix --version`` needs none of them."""
    if name not in _HOMES:
        raise AttributeError(f"module 'guestfix' has no attribute {name!r}")
    return getattr(importlib.import_module(f"guestfix.{_HOMES[name]}"), name)
