"""``guestfix explain``: what a name means, why it is, where that is said, and what to do."""

from __future__ import annotations

import argparse
import os

from guestfix.base.catalog.findings import RENAMED
from guestfix.base.errors import UsageError
from guestfix.base.nearest import did_you_mean
from guestfix.commands.common import OUTPUT, add_format, add_packs, pack_from, write_json
from guestfix.commands.parser import group
from guestfix.commands.terminal import add_color, columns_of, show
from guestfix.pack.model import Pack
from guestfix.plan.model import SCHEMA
from guestfix.report.entries import KINDS, Described, entries
from guestfix.report.layout import Line
from guestfix.report.reference import explain_lines, is_pattern, matching


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "names",
        metavar="NAME",
        nargs="+",
        help="a fact, finding, op, action, rule, target, policy or system, or a pattern for several: GF-BOOT-*",
    )
    add_format(parser)
    add_color(group(parser, OUTPUT))
    add_packs(parser)


def run(args: argparse.Namespace) -> int:
    """Print all that is known of every thing with these names."""
    pack = pack_from(args)
    found = [one for name in args.names for one in find(name, pack)]
    if args.format == "json":
        write_json({"schema": SCHEMA, "entries": [one.as_json() for one in found]})
        return 0
    lines: list[Line] = []
    for one in found:
        lines += [("", "")] if lines else []
        lines += explain_lines(one, columns_of(os.environ))
    show(lines, args.color)
    return 0


def find(name: str, pack: Pack) -> list[Described]:
    """Return every entry with this name, also by a finding's name of old, in any case of its letters, or by a pattern.

    Raises UsageError with the nearest name where there is none.
    """
    known = [one for kind in KINDS for one in entries(kind, pack)]
    wanted = RENAMED.get(name.upper(), name)
    found = [one for one in known if one.name == wanted]
    found = found or [one for one in known if one.name.casefold() == wanted.casefold()]
    found = found or (matching(known, [name]) if is_pattern(name) else [])
    if found:
        return found
    remedy = did_you_mean(name, {one.name for one in known}) or "see what there is: guestfix list --help"
    raise UsageError(f"nothing is named {name!r}", remedy=remedy)
