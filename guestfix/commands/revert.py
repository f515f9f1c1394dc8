"""``guestfix revert``: every path as it was before the first apply."""

from __future__ import annotations

import argparse

from guestfix.base.errors import ApplyError, Blocked
from guestfix.base.record import asdict
from guestfix.base.text import to_json
from guestfix.commands.channels import add_events
from guestfix.commands.common import add_format, add_place, events_of, session_of, write_done, write_json
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
from guestfix.plan.model import SCHEMA
from guestfix.report.json import error_out
from guestfix.report.text import render_reverted
from guestfix.stage.session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from guestfix.report.shapes import HalfOut, PlaceOut, RevertOut, TakenBackOut


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_place(parser)
    parser.add_argument(
        "--force", action="store_true", help="restore files changed since apply too; that content is kept beside them"
    )
    add_format(parser)
    add_outcome(parser)
    add_events(parser)


def nothing_to_revert(uri: str) -> Blocked:
    """Return the error that says so."""
    what = "there is no journal in this guest, so nothing to revert"
    return Blocked(what, where=uri, code="GF-APPLY-NO-JOURNAL")


def _half_way(args: argparse.Namespace, session: Session, error: ApplyError) -> int:
    """Tell that it failed half way, and in which state each path is."""
    from guestfix.cli import exit_code

    events_of(args).say("error", error.said, code=error.code, remedy=error.remedy)
    guest: PlaceOut = {"uri": session.uri, "files": session.files}
    left = [asdict(one) for one in session.left()]
    document: HalfOut = {"schema": SCHEMA, "guest": guest, "error": error_out(error), "left": left}
    write_json(document)
    return exit_code(error)


def run(args: argparse.Namespace) -> int:
    """Revert and print what was restored."""
    tell = events_of(args)
    tell("open", 0, 1)
    with session_of(args) as session:
        session.can_save(**saving(args))
        tell_recovered(session)
        tell.expect("open", "write", *(("check", "convert") if session.is_image else ()))
        try:
            done = session.revert(force=args.force)
        except ApplyError as error:
            if args.format == "text" or error.restored:
                raise
            return _half_way(args, session, error)
        if not done.journals and not session.recovered:  # else it was a revert that was finished just now
            raise nothing_to_revert(session.uri)
        outcome = session.save(**saving(args)) if session.is_image else None
        uri, files, first = session.uri, session.files, recovered_out(session)
    told: TakenBackOut = {
        "guest": {"uri": uri, "files": files},
        "restored": list(done.restored),
        "journals": list(done.journals),
        "kept_aside": done.kept_aside,
        **first,
        **stopped_out(done.stopped),
        **outcome_out(outcome),
    }
    events_of(args).outcome |= told
    if args.format == "json":
        document: RevertOut = {"schema": SCHEMA, **told}
        write_done(to_json(document) + "\n", None)
    else:
        write_done(render_reverted(uri, done, files) + render_stopped(done.stopped) + render_outcome(outcome), None)
    return 0
