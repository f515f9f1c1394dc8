"""``guestfix schema``: the JSON Schema of a kind of file that people write, or of a document that guestfix writes."""

from __future__ import annotations

import argparse

from guestfix.commands.common import add_packs, pack_from, write_json
from guestfix.report.documents import DOCUMENTS as WRITTEN
from guestfix.report.schemas import DOCUMENTS, SCHEMAS, schema


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("name", choices=(*SCHEMAS, *DOCUMENTS, *WRITTEN), help="the kind of file or document")
    add_packs(parser)


def run(args: argparse.Namespace) -> int:
    """Print the schema."""
    write_json(schema(args.name, pack_from(args)))
    return 0
