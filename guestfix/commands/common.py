"""Arguments and steps that several commands share."""

from __future__ import annotations

import argparse
import contextlib
import os
import stat
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from guestfix.base.errors import GuestfixError
from guestfix.base.events import SILENT, Events
from guestfix.base.text import one_line, to_json, utf8
from guestfix.commands.images import add_images, images_from
from guestfix.commands.parser import group
from guestfix.pack.cache import load_pack
from guestfix.pack.model import CONFIDENCES, Pack

if TYPE_CHECKING:
    from guestfix.stage.session import Session


GUEST, RULES, OUTPUT, PROGRESS = "the guest", "target and rules", "output", "while it works"
"""Groups of arguments that several commands share."""


def add_guest(parser: argparse.ArgumentParser, *, forms: bool = True) -> None:
    """Add the guest, its disks and (unless the command has forms of its own) the output format."""
    add_place(parser)
    add_disks(parser)
    if forms:
        add_format(parser)
    add_config(parser)


def add_disks(parser: argparse.ArgumentParser) -> None:
    """Add what tells a folder's disks."""
    group(parser, GUEST).add_argument(
        "--disks", metavar="FILE", help="YAML description of a folder's disks, or 'host' to ask the host"
    )


def add_place(parser: argparse.ArgumentParser) -> None:
    """Add the guest itself."""
    group(parser, GUEST).add_argument(
        "guest",
        metavar="GUEST",
        nargs="+",
        help="a folder that holds the guest's root, its disk images in order, or a URI such as uml:FILE",
    )
    add_root(parser)
    add_images(parser)
    add_backend(parser)


def add_backend(parser: argparse.ArgumentParser) -> None:
    """Add how disk images are reached."""
    guest = group(parser, GUEST)
    guest.add_argument(
        "--backend",
        metavar="NAME",
        default="",
        help="reach the disk images by this one (guestfix backends); the same as NAME:FILE",
    )
    guest.add_argument(
        "--kernel", metavar="FILE", default="", help="what the backend qemu starts (default: the host's own kernel)"
    )


def add_root(parser: argparse.ArgumentParser) -> None:
    """Add which of several systems is the guest."""
    group(parser, GUEST).add_argument(
        "--root", metavar="DEV", default="", help="the volume to take where the disks hold several systems"
    )


def add_format(parser: argparse.ArgumentParser) -> None:
    """Add ``--format``."""
    group(parser, OUTPUT).add_argument(
        "--format", choices=("text", "json"), default="text", help="json: one document on standard output"
    )


def add_pack(parser: argparse.ArgumentParser) -> None:
    """Add the rule pack and the target."""
    add_target(parser)
    add_packs(parser)
    add_signature(parser)


def add_target(parser: argparse.ArgumentParser) -> None:
    """Add the target."""
    help_text = "the platform to boot on: guestfix list targets (default: the rule pack's own, kvm-virtio)"
    group(parser, RULES).add_argument("--target", metavar="TARGET", help=help_text)


def add_packs(parser: argparse.ArgumentParser) -> None:
    """Add the rule packs."""
    group(parser, RULES).add_argument(
        "--pack",
        metavar="DIR",
        action="append",
        default=[],
        help="rule pack on top of the one that came with guestfix (repeatable, in order), or instead of it where its "
        "pack.yaml does not say 'extends: guestfix'",
    )


def add_signature(parser: argparse.ArgumentParser) -> None:
    """Add who has to vouch for the packs of --pack."""
    group(parser, RULES).add_argument(
        "--require-signature",
        metavar="FILE",
        help="take a pack of --pack only where one of these allowed signers signed it (guestfix rules sign, verify)",
    )


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add the file that has a site's choices."""
    group(parser, RULES).add_argument(
        "--config",
        metavar="FILE",
        help="choices of a site: target, policies, only, skip, accept, confidence, packs, events "
        "(default: guestfix.toml here, else /etc/guestfix/guestfix.toml)",
    )


def add_choices(parser: argparse.ArgumentParser, *, one: bool = True) -> None:
    """Add what selects rules and sets policies, and, where it is for one guest, what its own NICs become."""
    choices = group(parser, RULES)
    choices.add_argument(
        "--only", metavar="RULE", action="append", default=[], help="just these rules (id or glob; repeatable)"
    )
    choices.add_argument(
        "--skip", metavar="RULE", action="append", default=[], help="not these rules (id or glob; repeatable)"
    )
    choices.add_argument("--confidence", choices=CONFIDENCES, default="confident", help="least sure rules to apply")
    choices.add_argument(
        "--policy", metavar="ID=VALUE", action="append", default=[], help="decide a policy of the pack (repeatable)"
    )
    choices.add_argument(
        "--accept",
        metavar="CODE",
        action="append",
        default=[],
        help="continue despite blockers with this code (repeatable)",
    )
    choices.add_argument(
        "--payload",
        metavar="PATH",
        help="folder or ISO image: drivers for Windows (virtio-win, ...), packages and scripts for the first start",
    )
    if one:
        choices.add_argument(
            "--network-map",
            metavar="FILE",
            help="YAML: old NIC (name or MAC): new MAC or name; for --policy network=preserve or dhcp-first",
        )


def pack_from(args: argparse.Namespace) -> Pack:
    """Return the rule pack that was asked for.

    Raises GuestfixError for a pack on top that nobody signed who may, where a signature is required.
    """
    allowed = getattr(args, "require_signature", None)
    if not allowed:
        return load_pack(args.pack)
    from guestfix.authoring.signature import verify

    signed = {verify(folder, allowed)[1] for folder in args.pack}
    pack = load_pack(args.pack)
    others = [part.id for part in pack.parts[1:] if part.digest not in signed]
    if others:
        raise GuestfixError(f"the pack {others[0]} was changed while its signature was checked", where=others[0])
    return pack


def session_of(args: argparse.Namespace) -> Session:
    """Return a session with the guest of these arguments, which nothing was opened of yet."""
    from guestfix.stage.session import Session

    pack = pack_from(args) if hasattr(args, "pack") else None
    disks = getattr(args, "disks", None)
    return Session(args.guest, disks=disks, pack=pack, progress=events_of(args), live=args.live, **images_from(args))


def events_of(args: argparse.Namespace) -> Events:
    """Return what the command tells its progress to."""
    found: Events = getattr(args, "tell", SILENT)
    return found


ON_SCREEN: list[Callable[[], None]] = []
"""What takes something away from the terminal that is not to stand among text that is written."""


def clear_screen() -> None:
    """Take away what stands on the terminal for the time of the work only."""
    while ON_SCREEN:
        ON_SCREEN.pop()()


def write(text: str) -> None:
    """Write to standard output, in UTF-8 whatever the text carries of a guest.

    Raises BrokenPipeError where its reader went away, and GuestfixError where it is full or closed.
    """
    clear_screen()
    try:
        sys.stdout.buffer.write(utf8(text).encode())
        sys.stdout.buffer.flush()
    except OSError as error:
        discard_output()
        if isinstance(error, BrokenPipeError):
            raise
        what = f"standard output can't be written: {error.strerror}"
        raise GuestfixError(what, remedy="free room there, or name another place", code="GF-RUN-OUTPUT") from error


def discard_output() -> None:
    """Let what is left to be written go nowhere, so that the interpreter does not fail when it flushes it."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def write_done(text: str, where: str | None) -> None:
    """Write what was done. Where that can't be written, say on standard error where it is to be found: it was done.

    ``where`` is the guest path of the receipt; None where nothing was to do.
    """
    try:
        write(text)
    except (BrokenPipeError, GuestfixError) as error:
        said = error.what if isinstance(error, GuestfixError) else "the reader of standard output went away"
        receipt = f"; the receipt is in the guest: {where}" if where else ""
        sys.stderr.write(one_line(f"guestfix: done, but {said}{receipt}") + "\n")


def keep_private() -> None:
    """Where standard output goes to a file of this user, let nobody else read it: a saved plan has secrets."""
    status = os.fstat(1)
    if stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid():
        os.fchmod(1, 0o600)


def write_json(document: object) -> None:
    """Write the one JSON document of a command."""
    write(to_json(document) + "\n")


def read_file(path: str, what: str, most: int = -1) -> bytes:
    """Return a host file's bytes; ``-`` is standard input. Raises GuestfixError where it can't be read.

    No more than one byte above ``most`` is read, which tells that there are more.
    """
    limit = most + 1 if most >= 0 else -1
    if path == "-":
        return sys.stdin.buffer.read(limit)
    try:
        with open(path, "rb") as stream:
            return stream.read(limit)
    except OSError as error:
        raise GuestfixError(f"can't read {what}: {error.strerror}", where=path) from error
