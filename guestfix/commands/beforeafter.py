"""The three starts of ``verify --before-and-after``: broken by the move, repaired, and back on the old hardware."""

from __future__ import annotations

import argparse
import os
import tempfile

from guestfix.backends import named_backend
from guestfix.base.errors import GuestfixError
from guestfix.commands.images import images_from
from guestfix.commands.verify import started
from guestfix.pack.model import Pack
from guestfix.plan.planner import choose_target
from guestfix.stage.session import Session
from guestfix.stage.starts import Started


def three_starts(args: argparse.Namespace, pack: Pack) -> list[Started]:
    """Start the guest as it is on the target, repaired on the target, and reverted as it was on its old hardware.

    What apply and revert write goes into overlays in a folder of its own, which is gone afterwards. Raises
    GuestfixError where the plan has blockers.
    """
    target, old = choose_target(pack, args.target), choose_target(pack, args.old)
    allow = tuple(sorted({os.path.dirname(os.path.realpath(named_backend(one)[1])) for one in args.guest}))
    with tempfile.TemporaryDirectory(prefix="guestfix-verify.") as folder:
        repaired = _repaired(args, pack, f"{folder}/repaired.qcow2")
        reverted = _reverted(args, repaired, allow, f"{folder}/reverted.qcow2")
        return [
            started(args, pack, "before", target, args.guest),
            started(args, pack, "after", target, repaired, allow),
            started(args, pack, "reverted", old, reverted, allow),
        ]


def _repaired(args: argparse.Namespace, pack: Pack, place: str) -> list[str]:
    with Session(args.guest, pack=pack, **images_from(args)) as session:
        if not session.is_image:
            what = "only disk images can be started"
            raise GuestfixError(what, where=session.uri, remedy="name the guest's disk images")
        plan = session.report(args.target)
        if plan.blockers:
            first = plan.blockers[0]
            raise GuestfixError(f"a blocker forbids the repair: {first.summary}", remedy=first.remedy, code=first.code)
        session.apply(plan)
        return list(session.save(output=place).saved.files)


def _reverted(args: argparse.Namespace, paths: list[str], allow: tuple[str, ...], place: str) -> list[str]:
    words = images_from(args)
    words["allow_backing"] = [*words["allow_backing"], *allow]
    with Session(paths, **words) as session:
        session.revert()
        return list(session.save(output=place).saved.files)
