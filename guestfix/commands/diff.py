"""``guestfix diff``: every line that a plan changes, of all files or of some."""

from __future__ import annotations

import argparse
import os

from guestfix.backends import open_guest
from guestfix.base.errors import UsageError
from guestfix.base.nearest import nearest
from guestfix.commands.channels import add_events
from guestfix.commands.choices import chosen_by, options_of, refuse_unused
from guestfix.commands.common import (
    OUTPUT,
    add_choices,
    add_config,
    add_disks,
    add_pack,
    add_root,
    events_of,
    pack_from,
    read_file,
)
from guestfix.commands.images import add_images, images_from
from guestfix.commands.parser import group
from guestfix.commands.terminal import add_color, page
from guestfix.plan.model import Change, Plan
from guestfix.plan.planner import make_plan
from guestfix.plan.reader import MAX_PLAN, load_plan
from guestfix.report.layout import Line
from guestfix.report.text import diff_lines


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "guest",
        metavar="PLAN|GUEST",
        nargs=1,
        help="a saved plan (a file that ends with .json, or -), or a guest as for report",
    )
    parser.add_argument("path", metavar="PATH", nargs="*", help="guest paths, or folders; without any: all")
    add_root(parser)
    add_disks(parser)
    add_images(parser)
    add_pack(parser)
    add_choices(parser)
    add_config(parser)
    add_events(parser)
    add_color(group(parser, OUTPUT))


def run(args: argparse.Namespace) -> int:
    """Print the diffs; 0 also where there are none."""
    plan = plan_from(args)
    chosen = [one for one in plan.changes if not args.path or any(_below(one.path, path) for path in args.path)]
    for path in args.path:
        if not any(_below(one.path, path) for one in plan.changes):
            raise _no_such(plan, path)
    page([line for one in chosen for line in _lines(one)], args.color)
    return 0


def plan_from(args: argparse.Namespace) -> Plan:
    """Return the saved plan that is named, or make one of the guest."""
    name = args.guest[0]
    if is_plan(name):
        return load_plan(read_file(name, "the plan", MAX_PLAN), name, shown=True)
    options = options_of(args, chosen_by(args))
    guest = open_guest(args.guest, disks=args.disks, **images_from(args))
    plan = make_plan(guest, pack_from(args), args.target, options, events_of(args))
    refuse_unused(plan, options)
    return plan


def is_plan(name: str) -> bool:
    """Tell whether a saved plan is named: standard input, or a file whose name ends as one of JSON."""
    return name == "-" or (name.endswith(".json") and os.path.isfile(name))


def _lines(change: Change) -> list[Line]:
    lines = diff_lines(change.diff)
    if change.diff.startswith("--- "):
        return lines
    return [(f"{change.kind} {change.path}", "title"), *lines]


def _below(path: str, given: str) -> bool:
    given = "/" + given.strip("/")
    return path == given or path.startswith(f"{given}/") or given == "/"


def _no_such(plan: Plan, path: str) -> UsageError:
    like = nearest(path, [one.path for one in plan.changes])
    remedy = f"did you mean {like}?" if like else "guestfix report lists every path that the plan changes"
    return UsageError(f"the plan does not change {path}", remedy=remedy)
