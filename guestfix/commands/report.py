"""``guestfix report``: the whole plan with its reasons. Nothing is written."""

from __future__ import annotations

import argparse

from guestfix.backends import open_guest
from guestfix.commands.channels import add_events
from guestfix.commands.choices import chosen_by, options_of, refuse_unused
from guestfix.commands.common import OUTPUT, add_choices, add_guest, add_pack, events_of, keep_private, pack_from, write
from guestfix.commands.images import images_from
from guestfix.commands.parser import group
from guestfix.commands.render import add_forms, add_verified, verified_from, write_form
from guestfix.commands.terminal import add_view
from guestfix.commands.written import add_written, check_written, write_for_importers
from guestfix.plan.model import Plan, dump_plan
from guestfix.plan.planner import make_plan
from guestfix.report.events import tell_plan


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_guest(parser, forms=False)
    add_forms(parser, ("text", "json"))
    add_pack(parser)
    add_choices(parser)
    add_events(parser)
    add_written(parser)
    add_verified(parser)
    add_view(parser)
    group(parser, OUTPUT).add_argument(
        "--detailed-exitcode", action="store_true", help="exit with status 1 where changes are planned, not with 0"
    )


def status_of(plan: Plan, *, detailed: bool) -> int:
    """Return 2 where a blocker stands in the way, 1 where changes are planned and that is to be told, else 0."""
    if plan.blockers:
        return 2
    return 1 if plan.changes and detailed else 0


def run(args: argparse.Namespace) -> int:
    """Print the plan as text, or as the JSON that ``apply --plan`` takes."""
    tell = events_of(args)
    options = options_of(args, chosen_by(args))
    check_written(args)
    starts = verified_from(args)
    tell.expect("open", "read", "plan")
    tell("open", 0, 1)
    guest = open_guest(args.guest, disks=args.disks, **images_from(args))
    pack = pack_from(args)
    tell.ask(rule.id for rule in pack.rules)
    plan = make_plan(guest, pack, args.target, options, tell)
    refuse_unused(plan, options)
    tell_plan(tell, plan)
    if tell.sinks:
        tell.outcome["plan_digest"] = plan.digest
    write_for_importers(args, guest, pack, list(plan.facts), list(plan.findings), lambda: plan.digest)
    if args.format == "json":
        keep_private()
        write(dump_plan(plan).decode("utf-8", "surrogateescape"))
    else:
        write_form(plan, args, starts)
    return status_of(plan, detailed=args.detailed_exitcode)
