"""``guestfix list``: everything of one kind that has a name, or what a text or a pattern fits."""

from __future__ import annotations

import argparse
import os

from guestfix.base.errors import UsageError
from guestfix.base.nearest import did_you_mean
from guestfix.commands.common import OUTPUT, add_packs, pack_from, write, write_json
from guestfix.commands.parser import group
from guestfix.commands.terminal import add_color, columns_of, show
from guestfix.plan.model import SCHEMA
from guestfix.report.entries import KINDS, entries
from guestfix.report.reference import ALL, list_lines, matching


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("kind", metavar="KIND", choices=(*KINDS, ALL), help=f"what to list: {', '.join((*KINDS, ALL))}")
    parser.add_argument(
        "words",
        metavar="WORD",
        nargs="*",
        help="only what each of these fits: a pattern (GF-BOOT-*) its name, other text anything that is shown of it",
    )
    group(parser, OUTPUT).add_argument(
        "--format",
        choices=("text", "json", "names"),
        default="text",
        help="json: all that is known of each, one document; names: the name alone, a line each",
    )
    add_color(group(parser, OUTPUT))
    add_packs(parser)


def run(args: argparse.Namespace) -> int:
    """Print a table, or the whole of each as JSON, or the names. Raises UsageError where nothing fits."""
    pack = pack_from(args)
    known = [one for kind in (KINDS if args.kind == ALL else (args.kind,)) for one in entries(kind, pack)]
    found = matching(known, args.words)
    if not found and args.words:
        remedy = did_you_mean(args.words[0], [one.name for one in known], 0) or f"guestfix list {args.kind}"
        raise UsageError(f"none of {args.kind} fits: {' '.join(args.words)}", remedy=remedy)
    if args.format == "json":
        write_json({"schema": SCHEMA, args.kind: [one.as_json() for one in found]})
    elif args.format == "names":
        write("".join(f"{one.name}\n" for one in found))
    else:
        show(list_lines(args.kind, found, columns_of(os.environ)), args.color)
    return 0
