"""``guestfix inspect``: the facts about a guest and where each was seen."""

from __future__ import annotations

import argparse

from guestfix.backends import open_guest
from guestfix.commands.channels import add_events
from guestfix.commands.choices import chosen_by
from guestfix.commands.common import add_guest, add_pack, events_of, pack_from, write_json
from guestfix.commands.images import images_from
from guestfix.commands.terminal import add_view, show, view_from
from guestfix.commands.written import add_written, check_written, write_for_importers
from guestfix.plan.planner import inspect_guest
from guestfix.report.inspection import inspection_lines
from guestfix.report.json import inspection_document


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_guest(parser)
    add_pack(parser)
    add_events(parser)
    add_written(parser)
    add_view(parser, diff=False)
    parser.add_argument(
        "--facts",
        metavar="NAME",
        action="append",
        default=[],
        help="just these facts: a name, a glob, or what stands before a dot, such as os (repeatable); initramfs images "
        "are read only where one of theirs is asked for",
    )


def run(args: argparse.Namespace) -> int:
    """Print the facts and findings."""
    tell = events_of(args)
    chosen_by(args)
    check_written(args)
    tell.expect("open", "read")
    tell("open", 0, 1)
    guest = open_guest(args.guest, disks=args.disks, **images_from(args))
    pack = pack_from(args)
    inspection = inspect_guest(guest, pack, args.target, tell, args.facts)
    facts = [inspection.facts[name].plain() for name in sorted(inspection.facts)]
    findings, identity = list(inspection.findings), str(inspection.guest["identity"])
    write_for_importers(args, guest, pack, facts, findings, lambda: identity)
    if args.format == "json":
        write_json(inspection_document(inspection))
    else:
        show(inspection_lines(inspection, view_from(args)), args.color)
    return 0
