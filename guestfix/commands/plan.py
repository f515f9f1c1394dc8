"""``guestfix plan``: look at a saved plan, sign it, tell who signed it."""

from __future__ import annotations

import argparse
import os

from guestfix.base import sshsig
from guestfix.base.errors import GuestfixError
from guestfix.commands.common import read_file, write
from guestfix.commands.parser import add_verb
from guestfix.plan.model import Plan
from guestfix.plan.reader import MAX_PLAN, load_plan

NAMESPACE = "guestfix-plan"
UNSIGNED = "GF-PLAN-UNSIGNED"
VERBS = {
    "show": "print a saved plan as text, for a review",
    "sign": "sign a plan that was reviewed with an SSH key; the signature is PLAN.sig",
    "verify": "tell who signed a plan, and its digest",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verbs and their arguments."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="|".join(VERBS))
    made = {name: add_verb(verbs, name, says) for name, says in VERBS.items()}
    for one in made.values():
        one.add_argument("plan", metavar="PLAN", help="the JSON that guestfix report --format json printed")
    made["sign"].add_argument(
        "--key", metavar="FILE", required=True, help="private key, or public one of an agent's key"
    )
    made["verify"].add_argument(
        "--allowed-signers",
        metavar="FILE",
        required=True,
        help="who may sign, a line each: NAME KEY, as ssh-keygen(1) says under ALLOWED SIGNERS",
    )


def run(args: argparse.Namespace) -> int:
    """Run one verb."""
    data = read_file(args.plan, "the plan", MAX_PLAN)
    plan = load_plan(data, args.plan)
    if args.verb == "show":
        from guestfix.report.text import render_plan

        write(render_plan(plan, advice=False))
    elif args.verb == "sign":
        sshsig.sign(data, f"{args.plan}.sig", args.key, NAMESPACE, "plan")
        write(f"{args.plan}.sig: {plan.digest}\n")
    else:
        write(f"signed by {signer_of(data, args.plan, args.allowed_signers)}: {plan.digest}\n")
    return 0


def signer_of(data: bytes, path: str, allowed: str) -> str:
    """Return who signed the plan in this file, whose bytes these are. Raises GuestfixError where nobody may who did."""
    place = f"{path}.sig"
    if path == "-" or not os.path.exists(place):
        what, remedy = "the plan is not signed", f"guestfix plan sign {'PLAN' if path == '-' else path} --key KEY"
        raise GuestfixError(what, where=path, remedy=remedy, code=UNSIGNED)
    signature = read_file(place, "the plan's signature", sshsig.MAX_SIGNATURE)
    return sshsig.signer_of(data, signature, allowed, NAMESPACE, "plan", path, UNSIGNED)


def reviewed(args: argparse.Namespace) -> Plan:
    """Return the plan of ``--plan``, signed where that is demanded. Raises PlanError and GuestfixError."""
    data = read_file(args.plan, "the plan", MAX_PLAN)
    if args.require_plan_signature:
        signer_of(data, args.plan, args.require_plan_signature)
    return load_plan(data, args.plan)
