"""``guestfix apply``: carry out a plan, made now or read from a file."""

from __future__ import annotations

import argparse
import shlex

from guestfix.apply.apply import Receipt, apply_plan
from guestfix.apply.preflight import preflight
from guestfix.backends import open_writable
from guestfix.backends.outcome import ImageWriter
from guestfix.base.errors import GuestfixError
from guestfix.base.guest import GuestWriter
from guestfix.commands.channels import add_events
from guestfix.commands.common import (
    add_choices,
    add_guest,
    add_pack,
    events_of,
    options_from,
    pack_from,
    read_file,
    write,
    write_json,
)
from guestfix.commands.images import images_from
from guestfix.commands.outcome import Outcome, add_outcome, finish, outcome_out, render_outcome, untouched, using
from guestfix.plan.model import Plan, plan_out
from guestfix.plan.planner import make_plan
from guestfix.plan.reader import MAX_PLAN, load_plan
from guestfix.report.events import tell_plan
from guestfix.report.json import error_out
from guestfix.report.text import render_plan, render_receipt


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_guest(parser)
    add_pack(parser)
    add_choices(parser)
    add_outcome(parser)
    add_events(parser)
    parser.add_argument("--plan", metavar="FILE", help="do what this JSON report says, if the guest is still as it was")
    parser.add_argument(
        "--journal-copy", metavar="DIR", help="also keep the journal and all originals in a host folder"
    )


def run(args: argparse.Namespace) -> int:
    """Apply and print what was done."""
    tell = events_of(args)
    tell("open", 0, 1)
    guest = open_writable(args.guest, disks=args.disks, **images_from(args))
    made = () if args.plan else ("read", "plan")
    tell.expect("open", *made, "write", *(("check", "convert") if isinstance(guest, ImageWriter) else ()))
    with using(args, guest):
        return _run(args, guest)


def _run(args: argparse.Namespace, guest: GuestWriter) -> int:
    plan = _plan(args, guest)
    tell_plan(events_of(args), plan)
    try:
        with untouched(guest):
            receipt = _apply(args, guest, plan)
        outcome = finish(args, guest, receipt.journal is not None)
    except GuestfixError as error:
        if args.format == "text":
            write(render_plan(plan, advice=False))
            raise
        from guestfix.cli import exit_code

        write_json({**plan_out(plan), "applied": [], "backups": {}, "journal": None, "error": error_out(error)})
        return exit_code(error)
    if args.format == "json":
        done = {"applied": list(receipt.applied), "backups": receipt.backups, "journal": receipt.journal}
        write_json({**plan_out(plan), **done, **outcome_out(outcome)})
    else:
        write(render_plan(plan, advice=False) + render_receipt(receipt) + render_outcome(outcome))
        if receipt.journal is not None:
            write(f"To undo it: {_undoing(args, outcome)}\n")
    return 0


def _undoing(args: argparse.Namespace, outcome: Outcome | None) -> str:
    """Return the command that undoes the apply: a new image is dropped, or reverted where it must stay."""
    if outcome is None:
        return shlex.join(["guestfix", "revert", *args.guest])
    allowed = [word for folder in outcome.saved.elsewhere for word in ("--allow-backing", folder)]
    told = [word for text in outcome.saved.told for word in ("--image-type", text)]
    command = shlex.join(["guestfix", "revert", *outcome.saved.files, "--in-place", *allowed, *told])
    return command if outcome.saved.how == "committed" else f"delete what was written, or: {command}"


def _plan(args: argparse.Namespace, guest: GuestWriter) -> Plan:
    if args.plan:
        return load_plan(read_file(args.plan, "the plan", MAX_PLAN), args.plan)
    return make_plan(guest, pack_from(args), args.target, options_from(args), events_of(args))


def _apply(args: argparse.Namespace, guest: GuestWriter, plan: Plan) -> Receipt:
    if args.journal_copy is None:
        return apply_plan(guest, plan, events_of(args))
    from guestfix.apply.copies import copy_journal, copy_originals

    preflight(guest, plan)
    copy_originals(guest, plan, args.journal_copy)
    receipt = apply_plan(guest, plan, events_of(args))
    copy_journal(guest, receipt.journal, args.journal_copy)
    return receipt
