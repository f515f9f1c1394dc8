"""``guestfix schema``: the JSON Schema of a kind of file that people write, or of a document that guestfix writes."""

from __future__ import annotations

import argparse

from guestfix.commands.common import add_packs, pack_from, write_json
from guestfix.commands.documents import DOCUMENTS, document_schema
from guestfix.report.schemas import SCHEMAS, schema


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    names = (*SCHEMAS, *DOCUMENTS)
    parser.add_argument("name", metavar="NAME", choices=names, help=f"the file or document: {', '.join(names)}")
    add_packs(parser)


def run(args: argparse.Namespace) -> int:
    """Print the schema."""
    write_json(document_schema(args.name) if args.name in DOCUMENTS else schema(args.name, pack_from(args)))
    return 0
