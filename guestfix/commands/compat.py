"""``guestfix compat``: print the compatibility table, ask it about one system, compare two of them."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from guestfix.base.catalog.facts.system import KERNEL_DEFAULT, KERNEL_RELEASES, OS_FAMILY, OS_ID, OS_VERSION
from guestfix.base.errors import GuestfixError, UsageError
from guestfix.base.facts import Facts
from guestfix.base.nearest import did_you_mean
from guestfix.base.text import clean
from guestfix.commands.common import add_format, add_packs, read_file, write, write_json
from guestfix.commands.parser import add_verb
from guestfix.compat import judge, rows_of
from guestfix.compat.diff import Diff, compare
from guestfix.compat.kernel import describe
from guestfix.pack.cache import load_pack
from guestfix.pack.model import System
from guestfix.pack.traits import find_system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from guestfix.compat.shapes import CompatOut

Row = Mapping[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    what = parser.add_subparsers(dest="what", metavar="list|show|diff", required=True)
    listing = add_verb(what, "list", "every row")
    listing.add_argument("--system", metavar="SYSTEM", help="only its rows, such as rhel or windows-server")
    listing.add_argument("--verdict", choices=("supported", "deprecated", "unlisted", "unsupported"), help="only these")
    show = add_verb(what, "show", "what the table says of a system, a version, a kernel")
    show.add_argument("system", metavar="SYSTEM", help="a system, such as rhel, sles or windows-server-2019")
    show.add_argument("version", metavar="VERSION", nargs="?", help="its version, such as 8.10 or '15 SP4'")
    show.add_argument("kernel", metavar="KERNEL", nargs="?", help="a kernel release (uname -r)")
    diff = add_verb(what, "diff", "what differs between two tables; exit status 1 if anything does")
    diff.add_argument("old", metavar="OLD", help="a rule pack's folder, or the output of: compat list --format json")
    diff.add_argument("new", metavar="NEW", help="the same")
    for command in (listing, show, diff):
        add_format(command)
    for command in (listing, show):
        add_packs(command)


def run(args: argparse.Namespace) -> int:
    """Print what was asked for."""
    commands = {"list": _list, "show": _show, "diff": _diff}
    return commands[args.what](args)


def _list(args: argparse.Namespace) -> int:
    systems = load_pack(args.pack).systems
    ids = [system.id for system in systems if system.rows]
    own = find_system(systems, args.system) if args.system else None
    if args.system and (own is None or not own.rows):
        raise UsageError(f"the table has no system {args.system!r}", remedy=did_you_mean(args.system, ids, len(ids)))
    wanted = [system for system in systems if own in (None, system)]
    rows = [row for row in rows_of(wanted) if args.verdict in (None, row["verdict"])]
    if args.format == "json":
        write_json(rows)
        return 0
    write(clean(_title(systems) + _columns([_cells(row) for row in rows])))
    return 0


def _title(systems: Sequence[System]) -> str:
    if not systems:
        return "This rule pack has no compatibility table.\n"
    table = systems[0].table
    return f"Compatibility table {table['version']} of {table['date']}: {table['title']}\n\n"


_HEAD = ("system", "version", "verdict", "kernels or editions", "architecture", "source, date")


def _cells(row: Row) -> tuple[str, ...]:
    version = row["version"] + (f" {row['variant']}" if row.get("variant") else "")
    verdict = row["verdict"]
    verdict += f" ({row['confidence']})" if "confidence" in row else ""
    verdict += f" since {row['deprecated']}" if "deprecated" in row else ""
    return (row["id"], version, verdict, _holds(row), ", ".join(row["arch"]), f"{row['source']}, {row['date']}")


def _holds(row: Row) -> str:
    if row["family"] == "linux":
        return describe(row)
    said = ", ".join(row.get("editions", ())) or "any"
    return said + (f", from service pack {row['min_service_pack']}" if row.get("min_service_pack") else "")


def _columns(rows: Iterable[tuple[str, ...]]) -> str:
    table = [_HEAD, *rows]
    widths = [max(len(row[at]) for row in table) for at in range(len(_HEAD) - 1)]
    return "".join(_line(row, widths) for row in table)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    padded = [f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)]
    return "  ".join([*padded, row[-1]]).rstrip() + "\n"


def _show(args: argparse.Namespace) -> int:
    systems = load_pack(args.pack).systems
    verdict = judge(systems, _facts_given(args, systems))
    own = find_system(systems, args.system)
    if args.version is None and own is not None and own.rows:
        return _list(argparse.Namespace(**{**vars(args), "verdict": None}))
    if args.format == "json":
        document: CompatOut = {**verdict.as_json(), "findings": [one.code for one in verdict.findings]}
        write_json(document)
        return 0
    origin = f"source: {verdict.source}, {verdict.date}\n" if verdict.source else ""
    kernels = "".join(f"  {one.status}: {one.summary}\n" for one in verdict.kernels)
    table = f"table: {verdict.table}\nconfidence: {verdict.confidence}\n"
    near = "" if own is not None else did_you_mean(args.system, [one.id for one in systems], 0)
    write(clean(f"{verdict.status}: {verdict.summary}\n{kernels}{origin}{table}{near and near + chr(10)}"))
    return 0


def _facts_given(args: argparse.Namespace, systems: Sequence[System]) -> Facts:
    """Return the facts of a guest that is as the arguments say."""
    facts = Facts()
    windows = any(one.family == "windows" and args.system.startswith(one.id) for one in systems)
    facts.put(OS_FAMILY, "windows" if windows else "linux")
    own = find_system(systems, args.system)
    facts.put(OS_ID, own.id if own is not None else args.system)
    if args.version is not None:
        facts.put(OS_VERSION, args.version)
    if args.kernel is not None:
        facts.put(KERNEL_DEFAULT, args.kernel)
        facts.put(KERNEL_RELEASES, [args.kernel])
    return facts


def _diff(args: argparse.Namespace) -> int:
    difference = compare(_rows_at(args.old), _rows_at(args.new))
    if args.format == "json":
        write_json(difference.as_json())
    else:
        write(clean(_diff_text(difference)))
    return 1 if difference else 0


def _rows_at(path: str) -> list[dict[str, object]]:
    """Return the rows of a pack's folder or of a saved list. Raises GuestfixError where it is neither."""
    if os.path.isdir(path):
        return rows_of(load_pack(path).systems)
    try:
        rows = json.loads(read_file(path, "the saved table"))
    except ValueError as error:
        raise _no_table(path) from error
    if not isinstance(rows, list) or not all(
        isinstance(row, dict) and isinstance(row.get("id"), str) and isinstance(row.get("version"), str) for row in rows
    ):
        raise _no_table(path)
    return rows


def _no_table(path: str) -> GuestfixError:
    remedy = "make one with: guestfix compat list --format json > FILE"
    return GuestfixError("neither a rule pack's folder nor a saved table", where=path, remedy=remedy)


def _diff_text(difference: Diff) -> str:
    head = f"{difference.old or 'unknown'} -> {difference.new or 'unknown'}\n"
    lines = [f"- {_short(row)}" for row in difference.removed]
    lines += [f"+ {_short(row)}" for row in difference.added]
    for name, fields in difference.changed:
        lines.append(f"~ {name}")
        lines += [f"    {key}: {_plain(old)} -> {_plain(new)}" for key, (old, new) in fields.items()]
    return head + "".join(line + "\n" for line in lines) if lines else head + "no row differs\n"


def _short(row: Row) -> str:
    return f"{row['id']} {row['version']}: {row.get('verdict', '')}"


def _plain(value: object) -> str:
    return "(none)" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
