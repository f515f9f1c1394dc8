"""``guestfix case``: harvest a case from a guest."""

from __future__ import annotations

import argparse
from pathlib import Path

from guestfix.backends import open_guest
from guestfix.base.errors import GuestfixError
from guestfix.base.recorder import Recorder
from guestfix.cases.harvest import write_case, write_tree
from guestfix.cases.runner import read_case, run_case
from guestfix.commands.common import add_disks, add_pack, pack_from, write
from guestfix.commands.images import add_images, images_from
from guestfix.plan.planner import Options, make_plan


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--from", dest="guest", metavar="GUEST", required=True, help="the guest to take files from")
    add_disks(parser)
    parser.add_argument("--only", metavar="RULE", action="append", default=[], help="just what these rules read")
    parser.add_argument("folder", metavar="DIR", help="the case folder to make: .../cases/NAME")
    add_images(parser)
    add_pack(parser)


def run(args: argparse.Namespace) -> int:
    """Write the case; its golden report is that of this run."""
    folder = Path(args.folder)
    if folder.exists():
        raise GuestfixError("this folder exists already", where=args.folder, remedy="name a new one: .../cases/NAME")
    recorder = Recorder(open_guest(args.guest, disks=args.disks, **images_from(args)))
    pack = pack_from(args)
    plan = make_plan(recorder, pack, args.target, Options(tuple(args.only), confidence="possible"))
    try:
        left_out = write_tree(recorder, folder / "in")
        write_case(folder, f"Harvested from {Path(args.guest).name}", plan.target, recorder.disks(), tuple(args.only))
        outcome = run_case(read_case(folder), pack)
        (folder / "expect.txt").write_text(outcome.text, encoding="utf-8")
    except OSError as error:
        raise GuestfixError(f"can't write the case: {error.strerror}", where=str(error.filename)) from error
    write(f"{folder}: {len(recorder.was_read)} files read, {len(recorder.was_seen)} looked at\n")
    for path in left_out:
        write(f"  left empty, being larger than a case should be: {path}\n")
    for law in outcome.failures:
        write(f"  {law}\n")
    write("Look through in/ for secrets before you share it, then read expect.txt.\n")
    return 0
