"""``guestfix list``: everything of one kind that has a name."""

from __future__ import annotations

import argparse

from guestfix.commands.common import add_format, add_packs, pack_from, write, write_json
from guestfix.report.entries import KINDS, entries
from guestfix.report.reference import list_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("what", choices=tuple(KINDS), help="what to list")
    add_format(parser)
    add_packs(parser)


def run(args: argparse.Namespace) -> int:
    """Print one line for each, or the whole of each as JSON."""
    found = entries(args.what, pack_from(args))
    if args.format == "json":
        write_json({args.what: [one.as_json() for one in found]})
    else:
        write(list_text(found))
    return 0
