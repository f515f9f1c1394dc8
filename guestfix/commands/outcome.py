"""What becomes of a changed disk image: arguments, the checks after writing, and what the user is told."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from guestfix.backends.damage import remedy_of
from guestfix.backends.disks.overlaydisk import MORE_ROOM, NO_ROOM, HalfWritten
from guestfix.backends.outcome import Check, ImageWriter, Saved
from guestfix.base.errors import ApplyError, GuestError, UsageError
from guestfix.base.guest import GuestFS
from guestfix.base.record import frozen
from guestfix.base.text import clean
from guestfix.commands.common import events_of

FORMATS = ("raw", "qcow2", "vmdk", "vpc", "vhdx", "vdi")
LENIENT = ("vfat",)
"""Filesystems whose checker calls a dirty bit or a stale backup sector an error; that is told, not fatal."""


@frozen
class Outcome:
    """Where the changed disks are, and what the filesystem checkers said of them."""

    saved: Saved
    checks: tuple[Check, ...]


def add_outcome(parser: argparse.ArgumentParser) -> None:
    """Add what is to become of a disk image."""
    group = parser.add_argument_group(
        "disk images",
        "By default the images stay as they are; the changes are kept beside them in NAME.guestfix.qcow2.",
    )
    group.add_argument("--in-place", action="store_true", help="write the changes into the images themselves")
    group.add_argument("--output", metavar="FILE", default="", help="where the outcome goes")
    group.add_argument(
        "--image-format", choices=FORMATS, default="", help="make whole new images of this format, not overlays"
    )


def using(args: argparse.Namespace, guest: GuestFS) -> AbstractContextManager[object]:
    """Check the arguments against the guest; return a context that closes an image however the work ends."""
    image = isinstance(guest, ImageWriter)
    if args.in_place and (args.output or args.image_format):
        raise UsageError("--in-place goes with neither --output nor --image-format")
    if not image and (args.output or args.image_format):
        raise UsageError("--output and --image-format are for disk images; a folder is changed in place")
    if isinstance(guest, ImageWriter):
        try:
            guest.can_save(in_place=args.in_place, output=args.output, fmt=args.image_format)
        except BaseException:
            guest.close()
            raise
        return guest.closing()
    return nullcontext()


@contextmanager
def untouched(guest: GuestFS) -> Iterator[None]:
    """Say of a failed write to an image what is true: its overlay goes, and the images are as they were."""
    try:
        yield
    except ApplyError as error:
        if not isinstance(guest, ImageWriter) or error.restored:
            raise
        what = f"{error.what}; the disk images are as they were, for nothing was written to them yet"
        remedy = remedy_of(error.__cause__) or "fix the cause, then apply again"
        raise ApplyError(what, restored=True, where=error.where, remedy=remedy) from error


def finish(args: argparse.Namespace, guest: GuestFS, changed: bool) -> Outcome | None:
    """Check the filesystems and make the changes last. None where there is no image, or nothing changed.

    Raises ApplyError where a filesystem is not clean; the images are as they were then.
    """
    if not isinstance(guest, ImageWriter) or not changed:
        return None
    tell = events_of(args)
    tell("check", 0, 1)
    checks = guest.check()
    tell("check", 1, 1)
    if guest.overlays.full():
        what = f"{NO_ROOM}; the images are as they were"
        raise ApplyError(what, restored=True, where=guest.overlays.folder, remedy=MORE_ROOM)
    bad = [one for one in checks if one.clean is False and one.filesystem not in LENIENT]
    if bad:
        raise ApplyError(
            f"{bad[0].command} finds errors on {bad[0].device} after writing; the images are as they were",
            restored=True,
            where=bad[0].said.strip().rpartition("\n")[2],
            remedy="check and repair the filesystem in a copy of the image, then apply again",
        )
    tell("convert", 0, 1)
    try:
        return Outcome(guest.save(in_place=args.in_place, output=args.output, fmt=args.image_format), checks)
    except GuestError as error:
        whole = not isinstance(error, HalfWritten)
        raise ApplyError(error.what, restored=whole, where=error.where, remedy=error.remedy) from error


def outcome_out(outcome: Outcome | None) -> dict[str, object]:
    """Return the JSON members of an outcome; none where there is none."""
    if outcome is None:
        return {}
    checks = [
        {"device": c.device, "filesystem": c.filesystem, "command": c.command, "code": c.code, "clean": c.clean}
        for c in outcome.checks
    ]
    return {"image": {"how": outcome.saved.how, "files": list(outcome.saved.files), "checks": checks}}


_HOW = {
    "overlay": "Changes kept in an overlay; the image itself is untouched, and the overlay needs it",
    "committed": "Written into the image",
    "converted": "Written as a new image",
}


def render_outcome(outcome: Outcome | None) -> str:
    """Return the outcome as text."""
    if outcome is None:
        return ""
    lines = [f"{_HOW[outcome.saved.how]}: {name}" for name in outcome.saved.files]
    for one in outcome.checks:
        state = "clean" if one.clean else "not checked: " + one.said if one.clean is None else f"status {one.code}"
        lines.append(f"Checked {one.device} ({one.filesystem}){': ' + one.command if one.command else ''}: {state}")
    return clean("\n".join([*lines, ""]))
