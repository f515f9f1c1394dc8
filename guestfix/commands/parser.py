"""The parser of a command. What is for help and for mistakes alone is loaded where somebody asks, or errs."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence
from typing import NoReturn

from guestfix.base.errors import UsageError


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


def _no_width(prog: str) -> argparse.HelpFormatter:
    """Return what checks metavars; asking the terminal for its width would load shutil and all compressors."""
    return argparse.HelpFormatter(prog, width=80)


def whole(text: str) -> int:
    """Return a whole number. Raises ArgumentTypeError."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number") from None


def number(text: str) -> float:
    """Return a number. Raises ArgumentTypeError."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from None


class Parser(argparse.ArgumentParser):
    """An argument parser that raises UsageError with the nearest name, takes an option once, and has no short forms."""

    def __init__(self, **kwargs: object) -> None:
        super().__init__(**{"formatter_class": _no_width, **kwargs, "allow_abbrev": False})  # type: ignore[arg-type]
        self.words: tuple[str, ...] = ()
        for name in (None, "store"):
            self.register("action", name, Once)
        self.register("type", int, whole)
        self.register("type", float, number)

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Return the arguments; none is left over. Raises UsageError for what the command does not take."""
        self.words = tuple(args or ())
        found, rest = super().parse_known_args(args, namespace)
        if rest:
            self.error(f"one argument too many: {rest[0]}")
        return found, rest

    def error(self, message: str) -> NoReturn:
        """Raise UsageError: for an option that there is not, if that is the reason, else with argparse's message."""
        from guestfix.commands.mistakes import mistake

        raise mistake(self, message)

    def _check_value(self, action: argparse.Action, value: object) -> None:
        if action.choices is not None and value not in action.choices:
            from guestfix.commands.mistakes import no_such_value

            raise no_such_value(self, action, str(value))

    def format_help(self) -> str:
        """Return the help, as wide as the terminal."""
        from guestfix.commands.help import help_text

        return help_text(self, super().format_help)


Group = argparse._ArgumentGroup


def group(parser: argparse.ArgumentParser, title: str, says: str | None = None) -> Group:
    """Return the group of a parser with this title, which is made where there is none yet."""
    for one in parser._action_groups:
        if one.title == title:
            return one
    return parser.add_argument_group(title, says)


Verbs = argparse._SubParsersAction


def add_verb(verbs: Verbs[argparse.ArgumentParser], name: str, says: str) -> argparse.ArgumentParser:
    """Add a verb to a command's verbs and return its parser."""
    return verbs.add_parser(name, help=says, description=says)


def parser_for(name: str) -> Parser:
    """Return the parser of one command."""
    parser = Parser(prog=f"guestfix {name}")
    importlib.import_module(f"guestfix.commands.{name}").add_arguments(parser)
    return parser
