"""Writes docs/reference, docs/man and docs/completions: made of the tables, the rule pack that ships, the parsers."""

from __future__ import annotations

import sys
from pathlib import Path

from guestfix.base.text import to_json
from guestfix.commands.documents import DOCUMENTS, document_schema
from guestfix.pack.cache import load_pack
from guestfix.report.entries import KINDS, entries
from guestfix.report.reference import page
from tests.build import manual

DOCS = Path(__file__).resolve().parents[2] / "docs"


def pages() -> dict[Path, str]:
    """Return every file that is made, with its text."""
    pack = load_pack()
    made = {DOCS / "reference" / f"{kind}.md": page(kind, entries(kind, pack)) for kind in KINDS}
    made |= manual.pages() | manual.completions()
    return made | {DOCS / "schemas" / f"{name}.json": to_json(document_schema(name)) + "\n" for name in DOCUMENTS}


def main() -> None:
    for path, text in pages().items():
        path.parent.mkdir(exist_ok=True)
        if not path.is_file() or path.read_text() != text:
            path.write_text(text)
            sys.stdout.write(f"{path.relative_to(DOCS.parent)}\n")


if __name__ == "__main__":
    main()
