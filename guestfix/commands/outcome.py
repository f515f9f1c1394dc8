"""What becomes of a changed disk image: arguments, and what the user is told."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from guestfix.base.text import clean, one_line
from guestfix.commands.parser import group
from guestfix.stage.outcome import Outcome
from guestfix.stage.session import FINISHED, Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from guestfix.report.shapes import CheckOut, ImageOut, LaterOut

FORMATS = ("raw", "qcow2", "vmdk", "vpc", "vhdx", "vdi")


def add_outcome(parser: argparse.ArgumentParser) -> None:
    """Add what is to become of a disk image."""
    group(parser, "the guest").add_argument(
        "--live", action="store_true", help="change the root of the system that runs here, which is refused otherwise"
    )
    images = group(
        parser,
        "disk images",
        "By default the images stay as they are; the changes are kept beside them in NAME.guestfix.qcow2.",
    )
    images.add_argument("--in-place", action="store_true", help="write the changes into the images themselves")
    images.add_argument(
        "--output",
        metavar="FILE",
        default="",
        help="make this a whole new image, whether anything was to change or not",
    )
    images.add_argument(
        "--overlay", action="store_true", help="make --output an overlay, which is small and needs the image"
    )
    images.add_argument(
        "--image-format", choices=FORMATS, default="", help="make whole new images of this format, not overlays"
    )


def saving(args: argparse.Namespace) -> dict[str, Any]:
    """Return what Session.can_save and Session.save take of these arguments."""
    return {
        "in_place": args.in_place,
        "output": args.output,
        "image_format": args.image_format,
        "overlay": args.overlay,
    }


def outcome_out(outcome: Outcome | None) -> LaterOut:
    """Return the JSON members of an outcome; none where there is none."""
    if outcome is None:
        return {}
    checks: list[CheckOut] = [
        {"device": c.device, "filesystem": c.filesystem, "command": c.command, "code": c.code, "clean": c.clean}
        for c in outcome.checks
    ]
    saved = outcome.saved
    image: ImageOut = {"how": saved.how, "files": list(saved.files), "checks": checks}
    if saved.backing:
        image["backing"] = list(saved.backing)
    return {"image": image}


def tell_recovered(session: Session) -> None:
    """Say on standard error that a change in place, which had been cut off, was finished first."""
    if session.recovered:
        sys.stderr.write(one_line(f"guestfix: {FINISHED.format(', '.join(session.recovered))}") + "\n")


def recovered_out(session: Session) -> LaterOut:
    """Return the JSON member that tells the same; none where nothing had been cut off."""
    return {"recovered": list(session.recovered)} if session.recovered else {}


def stopped_out(by: str) -> LaterOut:
    """Return the JSON member that tells that a wish to stop came too late; none where there was none."""
    return {"stopped": {"by": by, "outcome": "finished"}} if by else {}


def render_stopped(by: str) -> str:
    """Return the same as text."""
    return f"{by} came when too little was left to stop, so it was finished.\n" if by else ""


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
    lines += [f"It needs: {name}" for name in outcome.saved.backing]
    for one in outcome.checks:
        state = "clean" if one.clean else "not checked: " + one.said if one.clean is None else f"status {one.code}"
        lines.append(f"Checked {one.device} ({one.filesystem}){': ' + one.command if one.command else ''}: {state}")
    return clean("\n".join([*lines, ""]))
