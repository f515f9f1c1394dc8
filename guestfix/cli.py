"""The command line: it finds the command, runs it, and turns errors into messages and exit codes.

Only this module and :mod:`guestfix.commands` print or exit.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from guestfix.base.errors import ApplyError, GuestfixError, Stopped, UsageError
from guestfix.base.events import Events

EXIT_DONE, EXIT_CHANGES, EXIT_BLOCKED, EXIT_RESTORED, EXIT_BROKEN, EXIT_STOPPED = range(6)
EXIT_USAGE, EXIT_BUG = 64, 70

COMMANDS: dict[str, str] = {
    "inspect": "show what is known about a guest, with the evidence",
    "report": "show what would change, why, and what stands in the way; writes nothing",
    "diff": "show every line that a plan or a report would change, of all files or some",
    "render": "show a saved plan in another form: text, HTML, Markdown, SARIF, JUnit XML, CSV",
    "apply": "make the changes, keeping every original",
    "fleet": "many guests in one run, and what came of them",
    "verify": "start a throw-away copy of a guest in QEMU with the target's hardware, and watch it come up",
    "revert": "undo every apply, from the journal inside the guest",
    "plan": "look at a saved plan, sign it, tell who signed it",
    "status": "show which applies are in a guest, whether they are finished, and what was changed since",
    "compat": "show the compatibility table, ask it about a system, compare two tables",
    "list": "list all facts, findings, ops, rules, targets, policies or systems",
    "explain": "explain one of these by its name: what, why, source, what to do",
    "schema": "print the JSON Schema of a rule, system, target, case or disks file, for editors",
    "registry": "look into a Windows registry hive: ls, get, export",
    "rules": "write, check, cover, document and sign rules",
    "test": "run the cases of a rule pack",
    "backends": "show which ways to a guest work here, and what makes the others work",
    "case": "make a case from a guest: just the files that a run reads",
}
"""Name to one line of help; the module of the same name in :mod:`guestfix.commands` does the work."""

EXITS = """exit status:
  0   nothing to do, or done
  1   report --detailed-exitcode: changes are planned; test: a case failed; compat diff: the tables differ;
      verify: it did not come up, or is not reachable
  2   blocked: a finding, the guest's state or an unusable input forbids it; nothing was written
  3   apply failed, and everything was put back as it was
  4   apply or revert failed half way; run revert once the cause is fixed
  5   apply or revert was stopped by a signal, and everything is as it was before
  64  the command line can't be used as given
  70  a defect of guestfix itself
"""


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

WIDTH = 110
"""Columns of a command's help. Asking the terminal would load shutil and all compressors at every start."""


class Once(argparse.Action):
    """Store the one value of an option; a second one is an error, since neither would be meant to go unheard."""

    def __call__(
        self, parser: object, namespace: argparse.Namespace, values: object, option: str | None = None
    ) -> None:
        """Store the value, and that it was given."""
        if option and getattr(namespace, f"given_{self.dest}", False):
            raise UsageError(f"{option} is given twice, and only one counts", remedy="leave one of them out")
        setattr(namespace, self.dest, values)
        if option:
            setattr(namespace, f"given_{self.dest}", True)


class Parser(argparse.ArgumentParser):
    """An argument parser that raises UsageError instead of exiting with status 2, and takes an option once."""

    def __init__(self, **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        for name in (None, "store"):
            self.register("action", name, Once)

    def error(self, message: str) -> NoReturn:
        """Raise UsageError with argparse's message."""
        raise UsageError(message, remedy=f"see: {self.prog} --help")


def parser_for(name: str) -> Parser:
    """Return the parser of one command."""
    parser = Parser(
        prog=f"guestfix {name}",
        description=COMMANDS[name][0].upper() + COMMANDS[name][1:] + ".",
        epilog=EXITS,
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, width=WIDTH),
        allow_abbrev=False,
    )
    importlib.import_module(f"guestfix.commands.{name}").add_arguments(parser)
    return parser


def usage() -> str:
    """Return the text of ``guestfix --help``."""
    rows = "\n".join(f"  {name:<10} {text}" for name, text in COMMANDS.items())
    return (
        "usage: guestfix COMMAND [OPTIONS] ...\n\n"
        "Repair a guest operating system offline, so that it boots and is reachable on another platform.\n"
        "The guest is not started and none of its programs are run, but by verify in a throw-away copy.\n\n"
        f"commands:\n{rows}\n\noptions:\n"
        "  --version  print the version\n  --help     print this, or a command's own help\n"
        f"  --machine-readable  print what this version can do, a feature a line, for programs\n\n{EXITS}"
    )


def run(argv: Sequence[str]) -> int:
    """Run one command and return the exit status; messages go to standard error, events where the arguments say."""
    events, opened = Events(), list[Callable[[], None]]()
    if any(word.startswith("--failure-record") for word in argv):
        from guestfix.commands.written import FailureRecord, record_of

        events.sinks += [FailureRecord(file)] if (file := record_of(list(argv))) else []
    try:
        status = _guarded(argv, events, opened)
        events.result(OUTCOMES.get(status, f"ended with status {status}"), status)
        return status
    finally:
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
        from guestfix.commands.common import write

        write(usage())
        return EXIT_DONE if argv else EXIT_USAGE
    if list(argv) == ["--machine-readable"]:
        from guestfix.commands.common import write
        from guestfix.commands.features import features

        write("".join(f"{one}\n" for one in features()))
        return EXIT_DONE
    name = argv[0]
    if name not in COMMANDS:
        raise UsageError(f"there is no command {name!r}", remedy=f"one of: {', '.join(COMMANDS)}")
    args = parser_for(name).parse_args(argv[1:])
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
