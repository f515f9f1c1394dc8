"""``guestfix test``: run the cases of a rule pack, or of a part of it, with their six laws."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from guestfix.base.errors import GuestfixError, UsageError
from guestfix.cases.runner import Outcome, bless, compare, find_cases, run_case
from guestfix.commands.common import add_format, add_packs, write, write_json
from guestfix.pack.cache import load_pack
from guestfix.plan.model import SCHEMA

TYPE_CHECKING = False
if TYPE_CHECKING:
    from guestfix.report.shapes import CaseOut, TestOut


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("path", metavar="DIR", nargs="?", default="rules", help="a rule pack or a folder in it")
    parser.add_argument("--bless", action="store_true", help="rewrite the golden reports; read them afterwards")
    add_packs(parser)
    add_format(parser)


def pack_root(path: Path) -> Path:
    """Return the pack that a folder belongs to: the nearest one above it with a pack.yaml."""
    for folder in (path.resolve(), *path.resolve().parents):
        if (folder / "pack.yaml").is_file():
            return folder
    raise GuestfixError("no rule pack: neither here nor above is a pack.yaml", where=str(path))


def run(args: argparse.Namespace) -> int:
    """Run every case below the folder; 1 where one fails."""
    if args.bless and os.environ.get("CI"):
        raise UsageError("--bless is refused under CI: golden reports are written by a person who reads them")
    root = Path(args.path)
    pack = load_pack(args.pack, pack_root(root))
    cases = find_cases(root, pack)
    if not cases:
        raise GuestfixError("there is no case below this folder", where=str(root))
    failed = 0
    rows: list[CaseOut] = []
    for case in cases:
        outcome = run_case(case, pack)
        difference = compare(outcome)
        if args.bless and difference:
            bless(outcome)
            difference = ""
        ok = not difference and not outcome.failures
        failed += not ok
        rows.append({"case": str(case.folder), "ok": ok, "failures": list(outcome.failures), "diff": difference})
        if args.format == "text" and not ok:
            write(_failure(outcome, difference))
    if args.format == "json":
        document: TestOut = {"schema": SCHEMA, "cases": rows, "passed": len(cases) - failed, "failed": failed}
        write_json(document)
    else:
        write(f"{len(cases) - failed} cases passed, {failed} failed\n")
    return 1 if failed else 0


def _failure(outcome: Outcome, difference: str) -> str:
    lines = [f"FAILED {outcome.case.folder}", *(f"  {law}" for law in outcome.failures)]
    return "\n".join(lines) + "\n" + difference
