"""``guestfix rules``: the rule author's kit."""

from __future__ import annotations

import argparse
import datetime
from pathlib import Path

from guestfix.base.record import asdict
from guestfix.commands.common import add_format, write, write_json
from guestfix.commands.parser import add_verb
from guestfix.plan.model import SCHEMA

VERBS = {
    "new": "write the files that a new fix, system or target starts from",
    "lint": "tell every mistake of a pack in its line, and what it lacks",
    "coverage": "tell which rules, operations, findings and rows no case shows",
    "docs": "print the pack's reference: rules, targets, policies, systems",
    "sign": "sign a pack with an SSH key",
    "verify": "tell who signed a pack",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verbs and their arguments."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="|".join(VERBS))
    made = {name: add_verb(verbs, name, says) for name, says in VERBS.items()}
    from guestfix.authoring.skeleton import KINDS

    made["new"].add_argument("kind", choices=KINDS, help="what to begin")
    made["new"].add_argument("name", metavar="NAME", help="TOPIC/NAME of a fix, ID of a system, name of a target")
    made["new"].add_argument(
        "--pack", metavar="DIR", default=".", help="the pack it goes into, made where there is none"
    )
    for name in ("lint", "coverage", "docs", "sign", "verify"):
        made[name].add_argument("pack", metavar="DIR", nargs="?", default=".", help="the pack")
    for name in ("lint", "coverage"):
        add_format(made[name])
    made["docs"].add_argument("--kind", choices=("rules", "targets", "policies", "systems"), help="just these")
    made["sign"].add_argument(
        "--key", metavar="FILE", required=True, help="private key, or public one of an agent's key"
    )
    _add_allowed(made["verify"], required=True)


def _add_allowed(parser: argparse.ArgumentParser, *, required: bool) -> None:
    parser.add_argument(
        "--allowed-signers",
        metavar="FILE",
        required=required,
        help="who may sign, a line each: NAME KEY, as ssh-keygen(1) says under ALLOWED SIGNERS",
    )


def run(args: argparse.Namespace) -> int:
    """Run one verb; 1 where lint finds a mistake."""
    return {"new": _new, "lint": _lint, "coverage": _coverage, "docs": _docs, "sign": _sign, "verify": _verify}[
        args.verb
    ](args)


def _new(args: argparse.Namespace) -> int:
    from guestfix.authoring.skeleton import new

    today = datetime.date.today().isoformat()
    for path in new(args.kind, args.name, args.pack, today):
        write(f"{path}\n")
    write(f"Fill them in, then: guestfix rules lint {args.pack}; guestfix test {args.pack} --bless\n")
    return 0


def _lint(args: argparse.Namespace) -> int:
    from guestfix.authoring.lint import lint, lint_text

    remarks = lint(args.pack)
    if args.format == "json":
        write_json({"schema": SCHEMA, "remarks": [asdict(one) for one in remarks]})
    else:
        write(lint_text(remarks))
    return 1 if any(one.kind == "mistake" for one in remarks) else 0


def _coverage(args: argparse.Namespace) -> int:
    from guestfix.authoring.coverage import cover, coverage_text
    from guestfix.commands.test import pack_root
    from guestfix.pack.cache import load_pack

    found = cover(Path(args.pack), load_pack(pack_root(Path(args.pack))))
    if args.format == "json":
        write_json({"schema": SCHEMA, **asdict(found)})
    else:
        write(coverage_text(found))
    return 0


def _docs(args: argparse.Namespace) -> int:
    from guestfix.pack.cache import load_pack
    from guestfix.report.entries import entries
    from guestfix.report.reference import page

    pack = load_pack(args.pack)
    kinds = (args.kind,) if args.kind else ("rules", "targets", "policies", "systems")
    write("\n".join(page(kind, entries(kind, pack)) for kind in kinds))
    return 0


def _sign(args: argparse.Namespace) -> int:
    from guestfix.authoring.signature import sign

    write(f"{sign(args.pack, args.key)}\n")
    return 0


def _verify(args: argparse.Namespace) -> int:
    from guestfix.authoring.signature import verify

    signer, digest = verify(args.pack, args.allowed_signers)
    write(f"signed by {signer}: {digest}\n")
    return 0
