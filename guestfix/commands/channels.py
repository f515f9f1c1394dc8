"""Where events go: ``--events``, and a bar for people on a terminal."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable

from guestfix.base.errors import GuestfixError, UsageError
from guestfix.base.events import Event, Events
from guestfix.base.nearest import did_you_mean
from guestfix.commands.common import ON_SCREEN, PROGRESS
from guestfix.commands.parser import group

CHANNELS = ("fd:N", "file:PATH", "stderr", "stdout")


def add_events(parser: argparse.ArgumentParser) -> None:
    """Add what tells how far the work is."""
    told = group(parser, PROGRESS)
    told.add_argument(
        "--events",
        metavar="WHERE",
        default="",
        help="events as JSON lines while working, to fd:N, file:PATH, stderr, or stdout (what else is written to "
        "standard output goes to standard error then)",
    )
    told.add_argument(
        "--failure-record",
        metavar="FILE",
        help="where it fails, write why: code, summary, message, remediation, as JSON",
    )
    told.add_argument("--progress", action="store_true", help="the same as --events stderr")


class Channel:
    """A descriptor that events are written to as JSON lines; once that fails no more are, and that is told."""

    def __init__(self, fd: int, restore: Callable[[], None]) -> None:
        self._fd, self._restore, self._lost = fd, restore, False

    def __call__(self, event: Event) -> None:
        """Write an event."""
        from guestfix.report.events import event_line

        data = memoryview(event_line(event).encode())
        try:
            while data and not self._lost:
                data = data[os.write(self._fd, data) :]
        except OSError as error:
            self._lost = True
            sys.stderr.write(f"guestfix: events can't be written any more: {error.strerror}\n")

    def close(self) -> None:
        """Let go of the channel."""
        self._restore()


def open_channel(where: str) -> Channel:
    """Return the channel that ``--events`` names. Raises UsageError for no such form, GuestfixError where it fails."""
    kind, _, rest = where.partition(":")
    if where == "stderr":
        sys.stderr.flush()
        return Channel(2, lambda: None)
    if where == "stdout":
        return _standard_output()
    if kind == "fd" and rest.isascii() and rest.isdigit():
        return _inherited(int(rest))
    if kind == "file" and rest:
        try:
            fd = os.open(rest, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise GuestfixError(f"events can't be written there: {error.strerror}", where=rest) from error
        return Channel(fd, lambda: os.close(fd))
    near = did_you_mean(kind, [one.partition(":")[0] for one in CHANNELS], 0)
    raise UsageError(f"--events does not go to {where!r}", remedy=near or f"one of: {', '.join(CHANNELS)}")


def _inherited(fd: int) -> Channel:
    import fcntl

    try:
        writable = fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY
    except (OSError, OverflowError):
        writable = False
    if not writable:
        raise UsageError(f"--events fd:{fd}: this descriptor is not open for writing", remedy=f"fd:{fd} {fd}>events")
    if fd == 1:
        return _standard_output()
    return Channel(fd, lambda: None)


def _standard_output() -> Channel:
    """Return standard output for events alone; what else is written there goes to standard error until it is closed."""
    ours = sys.stdout
    ours.flush()
    sys.stdout = sys.stderr

    def restore() -> None:
        sys.stdout = ours

    return Channel(ours.fileno(), restore)


def open_channels(args: argparse.Namespace, events: Events) -> list[Callable[[], None]]:
    """Let events go where the arguments say, or to a bar on a terminal; return what has to be called at the end."""
    if not hasattr(args, "events"):
        return []
    where = args.events or ("stderr" if args.progress else "")
    if args.progress and args.events not in ("", "stderr"):
        raise UsageError("--progress goes to standard error, and --events somewhere else", remedy="leave one out")
    opened = []
    if where:
        channel = open_channel(where)
        events.sinks.append(channel)
        opened.append(channel.close)
    if where not in ("stderr", "fd:2") and sys.stderr.isatty():
        from guestfix.commands.bar import Bar

        bar = Bar()
        events.sinks.append(bar)
        ON_SCREEN.append(bar.close)
    return opened
