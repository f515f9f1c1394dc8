"""``guestfix verify``: start a guest in QEMU with a target's hardware, from a throw-away copy of its disks."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable

from guestfix.base.errors import GuestfixError, UsageError
from guestfix.base.text import clean
from guestfix.commands.channels import add_events
from guestfix.commands.common import add_format, add_pack, add_place, events_of, pack_from, write, write_json
from guestfix.commands.images import images_from
from guestfix.commands.names import EXIT_CHANGES, EXIT_DONE
from guestfix.commands.parser import group, number, whole
from guestfix.pack.model import Pack, Target
from guestfix.plan.planner import choose_target
from guestfix.report.verify import render_start
from guestfix.stage.starts import Started, document_of, start_guest
from guestfix.verify.run import LIMIT, MEMORY, PATIENCE, REACH, Setting


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_place(parser)
    add_format(parser)
    add_pack(parser)
    start_of = group(
        parser,
        "the start",
        "It ends by itself: once somebody can log in and there is an address, at a sign that the boot ended, or after "
        "a time without progress. Nothing is written to the images, and no network outside is reached.",
    )
    start_of.add_argument(
        "--before-and-after",
        action="store_true",
        help="three starts: the guest as it is on the target, repaired on the target, reverted on its old hardware",
    )
    start_of.add_argument("--from", metavar="TARGET", dest="old", help="the target that the old hardware is like")
    start_of.add_argument(
        "--patience",
        metavar="SECONDS",
        type=_seconds,
        default=PATIENCE,
        help="without progress",
    )
    start_of.add_argument(
        "--reach",
        metavar="SECONDS",
        type=_seconds,
        default=REACH,
        help="for an address and an SSH server once somebody can log in",
    )
    start_of.add_argument("--limit", metavar="SECONDS", type=_seconds, default=LIMIT, help="in all, of each start")
    start_of.add_argument("--memory", metavar="MB", type=_megabytes, default=MEMORY, help="of the machine")
    start_of.add_argument("--console", metavar="FILE", help="keep what the guest wrote on its consoles, as text")
    start_of.add_argument("--screen", metavar="FILE", help="keep the last picture of the screen, as PNG")
    add_events(parser)


def _seconds(text: str) -> float:
    value = number(text)
    if not 1 <= value <= 86_400:
        raise argparse.ArgumentTypeError(f"{text} is not from 1 to 86400")
    return value


def _megabytes(text: str) -> int:
    value = whole(text)
    if not 64 <= value <= 1 << 20:
        raise argparse.ArgumentTypeError(f"{text} is not from 64 to 1048576")
    return value


def run(args: argparse.Namespace) -> int:
    """Start the guest and print what was seen; 1 where it did not come up, or is not reachable."""
    if args.old and not args.before_and_after:
        raise UsageError("--from goes with --before-and-after: it names the old hardware")
    if args.before_and_after and not args.old:
        raise UsageError("--before-and-after needs --from ID: which target the old hardware is like")
    for place in (args.console, args.screen):
        if place and os.path.lexists(place):
            raise GuestfixError("this file exists already", where=place, remedy="name another one")
    pack = pack_from(args)
    if args.before_and_after:
        from guestfix.commands.beforeafter import three_starts

        cases = three_starts(args, pack)
    else:
        cases = [started(args, pack, "as it is", choose_target(pack, args.target), args.guest)]
    if args.format == "json":
        write_json(document_of(cases))
    else:
        write("\n".join(render_start(one.start) for one in cases))
    if all(good(one) for one in cases):
        return EXIT_DONE
    events_of(args).last = "it did not come up, or is not reachable"
    return EXIT_CHANGES


def good(case: Started) -> bool:
    """Tell whether a start showed what it was for: the guest as it is may fail where two more starts follow."""
    return case.seen.ending == "reached" or case.name == "before"


def started(
    args: argparse.Namespace, pack: Pack, name: str, target: Target, paths: list[str], allow: tuple[str, ...] = ()
) -> Started:
    """Start the guest in these disk images as the arguments say, and keep what they want kept."""
    words = images_from(args)
    bounds = Setting(
        memory=args.memory,
        patience=args.patience,
        reach=args.reach,
        limit=args.limit,
        allow=(*words["allow_backing"], *allow),
        types=tuple(args.image_type),
    )
    tell, screen = _teller(args, name), _keeper(args.screen, name)
    chosen = {"root": words["root"], "keys": words["keys"]}
    found = start_guest(paths, target, pack, bounds, name=name, **chosen, tell=tell, keep_screen=screen)
    if args.console:
        _keep(_named(args.console, name), clean(found.seen.console).encode())
    return found


def _teller(args: argparse.Namespace, name: str) -> Callable[[str, float], None]:
    events = events_of(args)
    return lambda sign, seconds: events.say("info", f"{name}, after {seconds:.0f} s: {sign}")


def _keeper(place: str | None, name: str) -> Callable[[bytes], None] | None:
    return (lambda data: _keep(_named(place, name), data)) if place else None


def _named(place: str, name: str) -> str:
    """Return where a file of one start goes: of several starts each has its name before the suffix."""
    stem, dot, suffix = place.rpartition(".")
    return place if name == "as it is" else f"{stem}-{name}{dot}{suffix}" if dot else f"{place}-{name}"


def _keep(place: str, data: bytes) -> None:
    try:
        with open(place, "xb") as stream:
            stream.write(data)
    except OSError as error:
        raise GuestfixError(f"can't write: {error.strerror}", where=place, remedy="name another file") from error
