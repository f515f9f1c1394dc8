"""``guestfix revert``: every path as it was before the first apply."""

from __future__ import annotations

import argparse

from guestfix.apply.undo import revert
from guestfix.backends import open_writable
from guestfix.backends.outcome import ImageWriter
from guestfix.base.errors import Blocked
from guestfix.base.guest import GuestFS
from guestfix.commands.channels import add_events
from guestfix.commands.common import add_format, add_place, events_of, write, write_json
from guestfix.commands.images import images_from
from guestfix.commands.outcome import add_outcome, finish, outcome_out, render_outcome, using
from guestfix.plan.planner import files_of
from guestfix.report.text import render_reverted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_place(parser)
    parser.add_argument(
        "--force", action="store_true", help="restore files changed since apply too; that content is kept beside them"
    )
    add_format(parser)
    add_outcome(parser)
    add_events(parser)


def nothing_to_revert(guest: GuestFS) -> Blocked:
    """Return the error that says so."""
    what = "there is no journal in this guest, so nothing to revert"
    return Blocked(what, where=guest.uri, code="GF-APPLY-NO-JOURNAL")


def run(args: argparse.Namespace) -> int:
    """Revert and print what was restored."""
    tell = events_of(args)
    tell("open", 0, 1)
    guest = open_writable(args.guest, **images_from(args))
    tell.expect("open", "write", *(("check", "convert") if isinstance(guest, ImageWriter) else ()))
    with using(args, guest):
        done = revert(guest, force=args.force, progress=tell)
        if not done.journals:
            raise nothing_to_revert(guest)
        outcome = finish(args, guest, changed=True)
    files = files_of(guest)
    if args.format == "json":
        write_json(
            {
                "guest": {"uri": guest.uri, "files": files},
                "restored": list(done.restored),
                "journals": list(done.journals),
                "kept_aside": done.kept_aside,
                **outcome_out(outcome),
            }
        )
    else:
        write(render_reverted(guest.uri, done, files) + render_outcome(outcome))
    return 0
