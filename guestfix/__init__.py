"""guestfix repairs a guest operating system offline, so that it boots and is reachable elsewhere.

The Python API. What is named in ``__all__`` stays as it is documented; anything else may change.

    import guestfix

    guest = guestfix.open_guest("dir:/srv/guest", disks="disks.yaml")
    plan = guestfix.make_plan(guest, guestfix.load_pack(), "aws-nitro")
    if not plan.blockers:
        guestfix.apply_plan(guestfix.open_writable("dir:/srv/guest"), plan)

Errors are those of :mod:`guestfix.base.errors`; all of them are GuestfixError.
"""

from __future__ import annotations

import importlib

__version__ = "0.1.0"

__all__ = [
    "GuestfixError",
    "Options",
    "Plan",
    "Session",
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
    "GuestfixError": "base.errors",
    "Options": "plan.planner",
    "Plan": "plan.model",
    "Session": "stage.session",
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
    from guestfix.apply.apply import apply_plan
    from guestfix.apply.undo import revert
    from guestfix.backends import open_guest, open_writable
    from guestfix.base.errors import GuestfixError
    from guestfix.pack.cache import load_pack
    from guestfix.plan.model import Plan, dump_plan
    from guestfix.plan.planner import Options, inspect_guest, make_plan
    from guestfix.plan.reader import load_plan
    from guestfix.stage.session import Session, session


def __getattr__(name: str) -> object:
    """Load the parts of the API when they are asked for: ``guestfix --version`` needs none of them."""
    if name not in _HOMES:
        raise AttributeError(f"module 'guestfix' has no attribute {name!r}")
    return getattr(importlib.import_module(f"guestfix.{_HOMES[name]}"), name)
