"""``guestfix verify``: start a guest in QEMU with a target's hardware, from a throw-away copy of its disks."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable

from guestfix.backends import open_guest
from guestfix.base.catalog.facts.boot import BOOT_EFI, BOOT_FIRMWARE
from guestfix.base.catalog.facts.system import OS_ARCH, OS_FAMILY, SSH_INSTALLED
from guestfix.base.errors import GuestfixError, UsageError
from guestfix.base.record import frozen
from guestfix.base.text import clean
from guestfix.commands.channels import add_events
from guestfix.commands.common import add_format, add_pack, add_place, events_of, pack_from, write, write_json
from guestfix.commands.images import images_from
from guestfix.commands.parser import group, number, whole
from guestfix.pack.model import Pack, Target
from guestfix.plan.model import SCHEMA, Plan
from guestfix.plan.planner import choose_target, make_plan
from guestfix.report.verify import render_start
from guestfix.verify.model import Seen, verification_out
from guestfix.verify.run import LIMIT, MEMORY, PATIENCE, Setting, start
from guestfix.walk.model import Walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from guestfix.report.shapes import VerifyOut
    from guestfix.verify.shapes import StartOut


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


@frozen
class Case:
    """One start of ``verify``: which state, on which target, what the walk said, and what was seen."""

    name: str
    target: Target
    walk: Walk
    ssh: bool
    seen: Seen

    @property
    def out(self) -> StartOut:
        """Its JSON form."""
        return {"state": self.name, **verification_out(self.seen, self.walk, ssh=self.ssh)}


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
        cases = [started(args, pack, "as it is", choose_target(pack, args.target), [*map(plain, args.guest)])]
    if args.format == "json":
        document: VerifyOut = {"schema": SCHEMA, "starts": [one.out for one in cases]}
        write_json(document)
    else:
        write("\n".join(render_start(one.name, one.seen, one.walk, ssh=one.ssh) for one in cases))
    return 0 if all(good(one) for one in cases) else 1


def good(case: Case) -> bool:
    """Tell whether a start showed what it was for: the guest as it is may fail where two more starts follow."""
    return case.seen.ending == "reached" or case.name == "before"


def plain(uri: str) -> str:
    """Return the path of a disk image that was named with a backend, as for writing."""
    return uri if os.path.exists(uri) else uri.removeprefix("image:").removeprefix("uml:").removeprefix("libguestfs:")


def started(
    args: argparse.Namespace, pack: Pack, name: str, target: Target, paths: list[str], allow: tuple[str, ...] = ()
) -> Case:
    """Walk the guest in these images, start it, and return both."""
    words = images_from(args)
    words["allow_backing"] = [*words["allow_backing"], *allow]
    if any(os.path.isdir(path) for path in paths):
        raise UsageError("only disk images can be started, and this is a folder", where=paths[0])
    guest = open_guest(paths, **words)
    plan = make_plan(guest, pack, target.id)
    setting = setting_of(args, plan, (*words["allow_backing"],))
    del guest
    screen = _keeper(args.screen, name)
    seen = start(paths, target, setting, _teller(args, name), screen)
    if args.console:
        _keep(_named(args.console, name), clean(seen.console).encode())
    return Case(name, target, plan.walk.before, setting.ssh, seen)


def setting_of(args: argparse.Namespace, plan: Plan, allow: tuple[str, ...]) -> Setting:
    """Return how a guest is to be started, by what its plan says of it."""
    facts = {fact.name: fact.value for fact in plan.facts}
    arch = facts.get(OS_ARCH.name)
    if isinstance(arch, str) and arch not in ("", "x86_64", "i686", "i586", "i486", "i386"):
        raise GuestfixError(f"a guest for {arch} can't be started here, only those for x86")
    folders = facts.get(BOOT_EFI.name)
    names = [str(name).lower() for one in folders for name in one["files"]] if isinstance(folders, list) else []
    return Setting(
        firmware=str(facts.get(BOOT_FIRMWARE.name) or "bios"),
        shim=any(name.startswith("shim") for name in names),
        ssh=facts.get(SSH_INSTALLED.name) is True and facts.get(OS_FAMILY.name) == "linux",
        memory=args.memory,
        patience=args.patience,
        limit=args.limit,
        allow=allow,
        types=tuple(args.image_type),
    )


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
