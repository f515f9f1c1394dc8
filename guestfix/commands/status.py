"""``guestfix status``: the applies that are in a guest, and what became of them."""

from __future__ import annotations

import argparse

from guestfix.apply.status import SCHEMA, GuestStatus, status_of
from guestfix.backends import open_guest
from guestfix.base.record import asdict
from guestfix.base.text import clean
from guestfix.commands.common import add_format, add_place, write, write_json
from guestfix.commands.images import images_from
from guestfix.formats.firststart import FirstStart
from guestfix.plan.planner import files_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from guestfix.report.shapes import AppliesOut, PlaceOut, StatusOut


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_place(parser)
    add_format(parser)


def run(args: argparse.Namespace) -> int:
    """Print the applies, oldest first."""
    guest = open_guest(args.guest, **images_from(args))
    found = status_of(guest)
    if args.format == "json":
        place: PlaceOut = {"uri": guest.uri, "files": files_of(guest)}
        document: StatusOut = {"schema": SCHEMA, "guest": place, **status_out(found)}
        write_json(document)
    else:
        write(render_status(found))
    return 0


def status_out(found: GuestStatus) -> AppliesOut:
    """Return the JSON members of a status."""
    return {
        "state": found.state,
        "running": found.running,
        "applies": asdict(found.applies),
        "first_start": None if found.first_start is None else asdict(found.first_start),
        "still_applied": list(found.still_applied),
        "changed_since": list(found.changed_since),
    }


_STATES = {
    "none": "nothing of guestfix is in this guest",
    "applied": "applied, and as it was applied",
    "changed": "applied, and changed since",
    "running": "another guestfix is changing it now",
    "interrupted": "an apply was interrupted; undo it: guestfix revert GUEST",
}
_FILES = {"applied": "as applied", "original": "as before", "changed": "changed since", "missing": "gone since"}


def render_status(found: GuestStatus) -> str:
    """Return a status as text: the whole in one line, then each apply with its files."""
    lines = [f"{found.uri}: {_STATES[found.state]}"]
    for one in found.applies:
        by = f"guestfix {one.guestfix}" + (f", pack {one.pack} ({one.pack_digest[:12]})" if one.pack else "")
        lines += ["", f"{one.journal}: {one.state}", f"  by     {by}"]
        lines += [f"  target {one.target}"] if one.target else []
        lines.append(f"  plan   {one.plan_digest}")
        for file in one.files:
            lost = {"missing": "; its original is gone", "changed": "; its original was changed"}.get(file.original, "")
            lines.append(f"  {file.kind} {file.path}: {_FILES.get(file.state, file.state)}{lost}")
    lines += _of_first_start(found.first_start) if found.first_start else []
    return clean("\n".join([*lines, ""]))


def _of_first_start(found: FirstStart) -> list[str]:
    ended = f", finished {found.finished}" if found.finished else ", not finished"
    lines = ["", f"first start: began {found.started or 'at a time that is not kept'}{ended}; its log is {found.log}"]
    for one in found.tasks:
        how = one.why or ("no end was seen" if one.code is None else f"exit code {one.code}")
        lines.append(f"  {one.name}: {how}")
    return lines
