"""``guestfix render``: a saved plan, or what verify saw, once more in any form."""

from __future__ import annotations

import argparse

from guestfix.base.errors import UsageError
from guestfix.commands.common import OUTPUT, read_file, write
from guestfix.commands.parser import group
from guestfix.commands.terminal import add_view, show, view_from
from guestfix.plan.model import Plan
from guestfix.report.forms import FORMS, check_form, load_document, render, render_starts
from guestfix.report.text import plan_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from guestfix.verify.model import Starts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    told = "what report, apply or verify --format json wrote; - is standard input"
    parser.add_argument("plan", metavar="FILE", help=told)
    add_forms(parser, ("text",))
    add_view(parser)
    add_verified(parser)


def add_verified(parser: argparse.ArgumentParser) -> None:
    """Add ``--verified``."""
    parser.add_argument(
        "--verified",
        metavar="FILE",
        help="what verify --format json wrote of this guest: each start beside the walk (text, html, markdown, junit)",
    )


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
    from guestfix.plan.reader import MAX_PLAN

    write_document(read_file(args.plan, "the document", MAX_PLAN), args.plan, args, verified_from(args))
    return 0


def write_document(data: bytes, where: str, args: argparse.Namespace, starts: Starts | None = None) -> None:
    """Write a saved plan, or what verify wrote, in the form that was asked for. PlanError where it is neither."""
    found = load_document(data, where)
    if isinstance(found, Plan):
        write_form(found, args, starts)
    elif starts is not None:
        raise UsageError("--verified goes with a plan", where=where, remedy="render one of the two")
    else:
        write(render_starts(found, args.format))


def verified_from(args: argparse.Namespace) -> Starts | None:
    """Return what the file that ``--verified`` names says; None where it names none. UsageError for a form without."""
    if not args.verified:
        return None
    from guestfix.verify.reader import MAX_DOCUMENT, load_starts

    check_form(args.format)
    return load_starts(read_file(args.verified, "what verify wrote", MAX_DOCUMENT), args.verified)


def write_form(plan: Plan, args: argparse.Namespace, starts: Starts | None = None) -> None:
    """Write a plan's report in the form that was asked for, JSON apart."""
    if args.format == "text":
        show(plan_lines(plan, view_from(args), starts=starts), args.color)
    else:
        write(render(plan, args.format, starts))
