"""The three starts of ``verify --before-and-after``: broken by the move, repaired, and back on the old hardware."""

from __future__ import annotations

import argparse
import os
import tempfile

from guestfix.apply.apply import apply_plan
from guestfix.apply.undo import revert
from guestfix.backends import open_writable
from guestfix.backends.outcome import ImageWriter
from guestfix.base.errors import GuestfixError
from guestfix.commands.images import images_from
from guestfix.commands.verify import Case, plain, started
from guestfix.pack.model import Pack
from guestfix.plan.planner import choose_target, make_plan


def three_starts(args: argparse.Namespace, pack: Pack) -> list[Case]:
    """Start the guest as it is on the target, repaired on the target, and reverted as it was on its old hardware.

    What apply and revert write goes into overlays in a folder of its own, which is gone afterwards. Raises
    GuestfixError where the plan has blockers.
    """
    target, old = choose_target(pack, args.target), choose_target(pack, args.old)
    paths = [plain(one) for one in args.guest]
    found = [started(args, pack, "before", target, paths)]
    allow = tuple(sorted({os.path.dirname(os.path.realpath(path)) for path in paths}))
    with tempfile.TemporaryDirectory(prefix="guestfix-verify.") as folder:
        repaired = _repaired(args, pack, f"{folder}/repaired.qcow2")
        found.append(started(args, pack, "after", target, repaired, allow))
        reverted = _reverted(args, repaired, allow, f"{folder}/reverted.qcow2")
        found.append(started(args, pack, "reverted", old, reverted, (*allow, folder)))
    return found


def _repaired(args: argparse.Namespace, pack: Pack, place: str) -> list[str]:
    guest = open_writable(args.guest, **images_from(args))
    if not isinstance(guest, ImageWriter):
        raise GuestfixError("only disk images can be started", where=guest.uri, remedy="name the guest's disk images")
    with guest.closing():
        plan = make_plan(guest, pack, args.target)
        if plan.blockers:
            first = plan.blockers[0]
            raise GuestfixError(f"a blocker forbids the repair: {first.summary}", remedy=first.remedy, code=first.code)
        apply_plan(guest, plan)
        guest.check()
        return list(guest.save(output=place).files)


def _reverted(args: argparse.Namespace, paths: list[str], allow: tuple[str, ...], place: str) -> list[str]:
    words = images_from(args)
    words["allow_backing"] = [*words["allow_backing"], *allow]
    guest = open_writable(paths, **words)
    assert isinstance(guest, ImageWriter)
    with guest.closing():
        revert(guest)
        guest.check()
        return list(guest.save(output=place).files)
