"""``guestfix backends``: which ways to a guest's files work here, and what makes the others work."""

from __future__ import annotations

import argparse

from guestfix.backends.status import Status, all_backends
from guestfix.base.record import asdict
from guestfix.commands.common import add_format, write, write_json
from guestfix.plan.model import SCHEMA

TYPE_CHECKING = False
if TYPE_CHECKING:
    from guestfix.report.shapes import BackendsOut


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_format(parser)


def run(args: argparse.Namespace) -> int:
    """Print one block a backend."""
    found = all_backends()
    if args.format == "json":
        document: BackendsOut = {"schema": SCHEMA, "backends": [asdict(one) for one in found]}
        write_json(document)
    else:
        write("".join(_block(one) for one in found))
    return 0


def _block(one: Status) -> str:
    state = "usable" if one.usable else f"not usable: {', '.join(one.missing)} missing"
    lines = [f"{one.name:<11} {one.title} ({'reads and writes' if one.writes else 'reads'}): {state}"]
    lines += [f"{'':<11} {note}" for note in one.notes]
    lines += [f"{'':<11} to change that: {one.command}"] if one.command else []
    return "\n".join(lines) + "\n"
