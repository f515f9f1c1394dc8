"""``guestfix render``: a saved plan once more, in any form."""

from __future__ import annotations

import argparse

from guestfix.commands.common import OUTPUT, read_file, write
from guestfix.commands.parser import group
from guestfix.commands.terminal import add_view, show, view_from
from guestfix.plan.model import Plan
from guestfix.report.forms import FORMS, render
from guestfix.report.text import plan_lines


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("plan", metavar="PLAN", help="what report or apply --format json wrote; - is standard input")
    add_forms(parser, ("text",))
    add_view(parser)


def add_forms(parser: argparse.ArgumentParser, others: tuple[str, ...]) -> None:
    """Add ``--format`` with every form of a report."""
    group(parser, OUTPUT).add_argument(
        "--format",
        choices=(*others, *FORMS),
        default="text",
        help="html: one file that needs nothing else; markdown: for tickets; sarif: findings for code scanning "
        "(2.1.0); junit: for CI; csv: findings" + ("; json: the plan, for apply --plan" if "json" in others else ""),
    )


def run(args: argparse.Namespace) -> int:
    """Print the report."""
    from guestfix.plan.reader import MAX_PLAN, load_plan

    plan = load_plan(read_file(args.plan, "the plan", MAX_PLAN), args.plan, shown=True)
    write_form(plan, args)
    return 0


def write_form(plan: Plan, args: argparse.Namespace) -> None:
    """Write a plan's report in the form that was asked for, JSON apart."""
    if args.format == "text":
        show(plan_lines(plan, view_from(args)), args.color)
    else:
        write(render(plan, args.format))
