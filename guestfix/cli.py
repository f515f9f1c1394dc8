"""The command line: it finds the command, runs it, and turns errors into messages and exit codes.

Only this module and :mod:`guestfix.commands` print or exit.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Callable, Sequence

from guestfix.base import patterns
from guestfix.base.errors import ApplyError, GuestfixError, Stopped, UsageError
from guestfix.base.events import Events
from guestfix.commands.names import (
    COMMANDS,
    EXIT_BLOCKED,
    EXIT_BROKEN,
    EXIT_BUG,
    EXIT_CHANGES,
    EXIT_DONE,
    EXIT_RESTORED,
    EXIT_STOPPED,
    EXIT_USAGE,
)
from guestfix.commands.parser import parser_for

OUTCOMES = {
    EXIT_DONE: "done",
    EXIT_CHANGES: "changes are planned",
    EXIT_BLOCKED: "blocked: nothing was written",
    EXIT_RESTORED: "failed: everything is as it was",
    EXIT_BROKEN: "failed half way: run revert once the cause is fixed",
    EXIT_STOPPED: "stopped: everything is as it was",
    EXIT_USAGE: "the command line can't be used as given",
    EXIT_BUG: "a defect of guestfix",
    130: "interrupted",
}
"""What the last event of a run says, by exit status."""


def run(argv: Sequence[str]) -> int:
    """Run one command and return the exit status; messages go to standard error, events where the arguments say."""
    events, opened = Events(), list[Callable[[], None]]()
    if any(word.startswith("--failure-record") for word in argv):
        from guestfix.commands.written import FailureRecord, record_of

        events.sinks += [FailureRecord(file)] if (file := record_of(list(argv))) else []
    patterns.recall()
    try:
        status = _guarded(argv, events, opened)
        events.result(OUTCOMES.get(status, f"ended with status {status}"), status)
        return status
    finally:
        patterns.retain()
        for close in opened:
            close()


def _guarded(argv: Sequence[str], events: Events, opened: list[Callable[[], None]]) -> int:
    try:
        return _dispatch(argv, events, opened)
    except GuestfixError as error:
        events.say("error", error.said, code=error.code, remedy=error.remedy)
        return fail(error, as_json=_wants_json(argv))
    except KeyboardInterrupt:
        sys.stderr.write("guestfix: interrupted\n")
        return 130
    except BrokenPipeError:
        from guestfix.commands.common import discard_output

        discard_output()
        return EXIT_DONE
    except Exception as error:  # noqa: BLE001 - the outermost frame: a traceback's status 1 would mean "changes planned"
        import traceback

        events.say("error", f"a defect of guestfix: {type(error).__name__}: {error}", code="GF-RUN-DEFECT")
        traceback.print_exc()
        sys.stderr.write("guestfix: this is a defect of guestfix; please report it with the lines above\n")
        return EXIT_BUG


def _dispatch(argv: Sequence[str], events: Events, opened: list[Callable[[], None]]) -> int:
    if not argv or argv[0] in ("-h", "--help", "help"):
        return _help(argv)
    if list(argv) == ["--machine-readable"]:
        from guestfix.commands.common import write
        from guestfix.commands.features import features

        write("".join(f"{one}\n" for one in features()))
        return EXIT_DONE
    name = argv[0]
    if name not in COMMANDS:
        raise _no_such_command(name)
    args = parser_for(name).parse_args(argv[1:])
    if hasattr(args, "backend") and (args.backend or args.kernel):
        from guestfix.commands.images import by_backend

        by_backend(args)
    if hasattr(args, "config"):
        from guestfix.commands.config import read_config

        args.site = read_config(args.config, getattr(args, "guest", ()))
        args.events = args.events or args.site.events
    if hasattr(args, "events"):
        from guestfix.commands.channels import open_channels

        opened += open_channels(args, events)
        args.tell = events
    status: int = importlib.import_module(f"guestfix.commands.{name}").run(args)
    sys.stdout.flush()
    return status


def _help(argv: Sequence[str]) -> int:
    """Print the help of a command where one is named, else that of the whole."""
    from guestfix.commands.common import write
    from guestfix.commands.help import usage

    named = [word for word in argv[1:] if argv[0] == "help"]
    if named and named[0] not in COMMANDS:
        raise _no_such_command(named[0])
    write(parser_for(named[0]).format_help() if named else usage())
    return EXIT_DONE if argv else EXIT_USAGE


def _no_such_command(name: str) -> UsageError:
    from guestfix.commands.mistakes import no_such_command

    return no_such_command(name, [*COMMANDS, "help"])


def _wants_json(argv: Sequence[str]) -> bool:
    return "--format=json" in argv or (
        "--format" in argv and list(argv)[list(argv).index("--format") + 1 :][:1] == ["json"]
    )


def exit_code(error: GuestfixError) -> int:
    """Return the exit status for an error."""
    if isinstance(error, UsageError):
        return EXIT_USAGE
    if isinstance(error, Stopped):
        return EXIT_STOPPED
    if isinstance(error, ApplyError):
        return EXIT_RESTORED if error.restored else EXIT_BROKEN
    return EXIT_BLOCKED


def fail(error: GuestfixError, *, as_json: bool) -> int:
    """Print an error for people, and as the one JSON document where that was asked for."""
    if as_json:
        from guestfix.commands.common import write
        from guestfix.report.json import error_document

        with contextlib.suppress(GuestfixError, BrokenPipeError):  # the exit status and standard error tell it too
            write(error_document(error))
    from guestfix.commands.common import clear_screen
    from guestfix.report.text import render_error

    clear_screen()
    sys.stderr.write(f"guestfix: {render_error(error)}")
    return exit_code(error)
