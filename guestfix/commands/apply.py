"""``guestfix apply``: carry out a plan, made now or read from a file."""

from __future__ import annotations

import argparse
import shlex

from guestfix.apply.apply import Receipt
from guestfix.base.errors import ApplyError, GuestfixError, PlanError, UsageError
from guestfix.base.homes import MARK
from guestfix.base.names import split
from guestfix.base.patterns import regex
from guestfix.base.record import asdict
from guestfix.base.text import to_json
from guestfix.commands.channels import add_events
from guestfix.commands.choices import chosen_by, options_of, refuse_contradictions, refuse_unused
from guestfix.commands.common import (
    add_choices,
    add_guest,
    add_pack,
    events_of,
    session_of,
    write,
    write_done,
    write_json,
)
from guestfix.commands.outcome import (
    add_outcome,
    outcome_out,
    recovered_out,
    render_outcome,
    render_stopped,
    saving,
    stopped_out,
    tell_recovered,
)
from guestfix.commands.parser import group
from guestfix.commands.plan import reviewed
from guestfix.commands.terminal import add_view, view_from
from guestfix.commands.written import add_written, check_written, write_for_importers
from guestfix.plan.model import Choice, Plan, plan_out
from guestfix.report.events import tell_plan
from guestfix.report.json import error_out
from guestfix.report.text import render_plan, render_receipt
from guestfix.stage.outcome import Outcome
from guestfix.stage.session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from guestfix.report.shapes import AppliedOut, DoneOut, FailedOut, LaterOut, LeftOut, ReceiptOut


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_guest(parser)
    add_pack(parser)
    add_choices(parser)
    add_view(parser, color=False)
    add_outcome(parser)
    add_events(parser)
    add_written(parser)
    saved = group(parser, "a plan that was reviewed")
    saved.add_argument("--plan", metavar="FILE", help="do what this JSON report says, if the guest is still as it was")
    saved.add_argument(
        "--expect-digest", metavar="HEX", type=digest, help="apply only the plan with this digest, which its report has"
    )
    saved.add_argument(
        "--require-plan-signature",
        metavar="FILE",
        help="take the plan of --plan only where one of these allowed signers signed it (guestfix plan sign, verify)",
    )
    parser.add_argument(
        "--journal-copy", metavar="DIR", help="also keep the journal and all originals in a host folder"
    )


def run(args: argparse.Namespace) -> int:
    """Apply and print what was done."""
    tell = events_of(args)
    choices = chosen_by(args)
    check_written(args)
    if args.require_plan_signature and not args.plan:
        raise UsageError("--require-plan-signature is for --plan", remedy="name the plan that was signed: --plan FILE")
    tell("open", 0, 1)
    with session_of(args) as session:
        session.can_save(**saving(args))
        tell_recovered(session)
        made = () if args.plan else ("read", "plan")
        tell.expect("open", *made, "write", *(("check", "convert") if session.is_image else ()))
        return _run(args, session, choices)


def digest(text: str) -> str:
    """Return a digest as a plan has it, from how somebody may have copied it. Raises UsageError."""
    found = text.strip().lower().removeprefix("sha256:")
    if not regex(r"[0-9a-f]{64}").fullmatch(found):
        raise UsageError(f"{text!r} is no digest of a plan", remedy="64 hex digits, as plan_digest in its report")
    return found


def _run(args: argparse.Namespace, session: Session, choices: tuple[Choice, ...]) -> int:
    plan = _plan(args, session, choices)
    tell_plan(events_of(args), plan)
    facts, findings = list(plan.facts), list(plan.findings)
    write_for_importers(args, session.guest, session.the_pack(), facts, findings, lambda: plan.digest)
    try:
        receipt = session.apply(plan, journal_copy=args.journal_copy)
        image = session.is_image and (receipt.journal is not None or bool(args.output))
        outcome = session.save(**saving(args)) if image else None
    except GuestfixError as error:
        if args.format == "text":
            write(render_plan(plan, view_from(args), advice=False))
            raise
        from guestfix.cli import exit_code

        events_of(args).say("error", error.said, code=error.code, remedy=error.remedy)
        failed: FailedOut = {"error": error_out(error), **left_out(session, error)}
        events_of(args).outcome |= {"plan_digest": plan.digest, **failed}
        nothing: AppliedOut = {"applied": [], "backups": {}, "journal": None}
        write_json(receipt_document(plan, nothing, failed))
        return exit_code(error)
    later: LaterOut = {**recovered_out(session), **stopped_out(receipt.stopped), **outcome_out(outcome)}
    told: DoneOut = {**receipt_out(receipt), **later}
    events_of(args).outcome |= {"plan_digest": plan.digest, **told}
    if args.format == "json":
        text = to_json(receipt_document(plan, told, {})) + "\n"
    else:
        text = render_plan(plan, view_from(args), advice=False) + render_receipt(receipt) + render_outcome(outcome)
        if receipt.journal is not None:
            text += f"{render_stopped(receipt.stopped)}To undo it: {_undoing(args, outcome)}\n"
    write_done(text, receipt.journal and mark_beside(receipt.journal))
    return 0


def receipt_document(plan: Plan, told: AppliedOut | DoneOut, failed: FailedOut) -> ReceiptOut:
    """Return the document of an apply: its plan, what was done and, where it failed, why."""
    return {**plan_out(plan), **told, **failed}


def mark_beside(journal: str) -> str:
    """Return the guest path of the receipt that apply leaves beside its journal."""
    return f"{split(journal)[0]}/{MARK}"


def receipt_out(receipt: Receipt) -> AppliedOut:
    """Return the JSON members of a receipt."""
    done: AppliedOut = {"applied": list(receipt.applied), "backups": receipt.backups, "journal": receipt.journal}
    if receipt.provenance:
        done["provenance"] = asdict(receipt.provenance)
    if receipt.journal_copy:
        done["journal_copy"] = receipt.journal_copy
    return done


def left_out(session: Session, error: GuestfixError) -> LeftOut:
    """Return the JSON member that tells in which state each path is after a failure half way; none after others."""
    if not isinstance(error, ApplyError) or error.restored:
        return {}
    return {"left": [asdict(one) for one in session.left()]}


def _undoing(args: argparse.Namespace, outcome: Outcome | None) -> str:
    """Return the command that undoes the apply: a new image is dropped, or reverted where it must stay."""
    if outcome is None:
        return shlex.join(["guestfix", "revert", *args.guest])
    allowed = [word for folder in outcome.saved.elsewhere for word in ("--allow-backing", folder)]
    told = [word for text in outcome.saved.told for word in ("--image-type", text)]
    command = shlex.join(["guestfix", "revert", *outcome.saved.files, "--in-place", *allowed, *told])
    return command if outcome.saved.how == "committed" else f"delete what was written, or: {command}"


def _plan(args: argparse.Namespace, session: Session, choices: tuple[Choice, ...]) -> Plan:
    """Return the plan to apply: one that was reviewed and shows what it does, or one made now."""
    if args.plan:
        plan = reviewed(args)
        refuse_contradictions(plan, choices)
        session.review(plan)
    else:
        options = options_of(args, choices)
        plan = session.report(args.target, options)
        refuse_unused(plan, options)
    if args.expect_digest not in (None, plan.digest):
        what = f"this plan has the digest {plan.digest}, not the expected one"
        raise PlanError(what, remedy="make the plan again, review it", code="GF-PLAN-DIGEST")
    return plan
