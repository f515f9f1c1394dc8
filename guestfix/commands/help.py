"""Help of the whole and of each command: defaults, groups, examples, exit status, as wide as the terminal."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from guestfix.commands.examples import EXAMPLES, Example
from guestfix.commands.names import COMMANDS, EXITS
from guestfix.commands.terminal import columns_of
from guestfix.report.layout import LEAST, wrapped

if TYPE_CHECKING:
    from guestfix.commands.parser import Parser

MOST = 120
"""Columns that no line of help is wider than, so that it is read with ease."""
COLUMN = 28
"""Where an option's text begins at the latest."""
OPTIONS = "other options"

ABOUT = (
    "Repair a guest operating system offline, so that it boots and is reachable on another platform. "
    "The guest is not started and none of its programs are run, but by verify in a throw-away copy."
)
OF_ALL = {
    "--version": "print the version",
    "--help": "print this; guestfix COMMAND --help, or guestfix help COMMAND, prints a command's own",
    "--machine-readable": "print what this version can do, a feature a line, for programs",
}


def width() -> int:
    """Return the columns that help is set for."""
    return max(LEAST, min(columns_of(os.environ), MOST))


class Formatter(argparse.HelpFormatter):
    """Sets help for the terminal's width, with each default."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=width(), max_help_position=min(COLUMN, width() // 3))

    def _get_help_string(self, action: argparse.Action) -> str:
        return told(action)


def told(action: argparse.Action) -> str:
    """Return the help of an argument, with its default where it has one that the text does not tell itself."""
    text, default = action.help or "", action.default
    if "%(default)" in text or "(default" in text or default in (None, "", False, argparse.SUPPRESS):
        return text
    if isinstance(default, list | tuple):
        default = ", ".join(map(str, default))
    shown = f"{default:g}" if isinstance(default, float) else str(default)
    return f"{text} (default: {shown.replace('%', '%%')})" if shown else text


def about(parser: argparse.ArgumentParser) -> str:
    """Return what a command, or a verb of it, is for."""
    text = parser.description or COMMANDS[parser.prog.split()[1]]
    return text[0].upper() + text[1:] + ("" if text.endswith(".") else ".")


def synopsis(parser: argparse.ArgumentParser) -> str:
    """Return how a command is called: what must be given, and that there are options."""
    needed = [one for one in parser._actions if one.option_strings and one.required]
    shown = [f"{one.option_strings[0]} {_called(one)}" for one in needed]
    for one in parser._actions:
        if not one.option_strings:
            name = _called(one)
            forms = {"+": f"{name} ...", "*": f"[{name} ...]", "?": f"[{name}]", argparse.PARSER: f"{name} ..."}
            shown.append(forms.get(str(one.nargs), name) if one.nargs is not None else name)
    return " ".join([parser.prog, "[OPTIONS]", *shown])


def _called(action: argparse.Action) -> str:
    if action.metavar:
        return str(action.metavar)
    return "{" + ",".join(map(str, action.choices)) + "}" if action.choices else action.dest.upper()


def groups(parser: argparse.ArgumentParser) -> list[argparse._ArgumentGroup]:
    """Return the groups of a parser that hold anything, the one with ``--help`` last."""
    arguments, options, *others = parser._action_groups
    arguments.title, options.title = "arguments", OPTIONS if others else "options"
    return [one for one in (arguments, *others, options) if one._group_actions]


def verbs_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the parsers of a command's verbs, by name; none where it has no verbs."""
    for one in parser._actions:
        if isinstance(one, argparse._SubParsersAction):
            return dict(one.choices)
    return {}


def help_text(parser: Parser, made: Callable[[], str]) -> str:
    """Return the help of a command, or of a verb of it."""
    said, parser.formatter_class = about(parser), Formatter
    called = "\n".join(wrapped(synopsis(parser), width() - len("usage: "), "", " " * len("usage: ")))
    parser.usage, parser.description = called.replace("%", "%%"), said.replace("%", "%%")
    parser._action_groups = groups(parser)
    return "\n".join([made(), *_examples(examples_of(parser.prog)), *exits(width())]) + "\n"


def examples_of(prog: str) -> list[Example]:
    """Return the examples of a command or verb."""
    words = prog.split()
    return [one for one in EXAMPLES[words[1]] if one.line.split()[: len(words)] == words]


def _examples(found: Iterable[Example]) -> list[str]:
    lines = [f"  {one.line}\n" + "\n".join(wrapped(one.says, width(), "      ")) for one in found]
    return ["examples:", *lines, ""] if lines else []


def exits(columns: int) -> list[str]:
    """Return what each exit status means."""
    rows = [line for status, says in EXITS.items() for line in wrapped(says, columns, f"  {status:<4}", " " * 6)]
    return ["exit status:", *rows]


def usage() -> str:
    """Return the text of ``guestfix --help``."""
    columns = width()
    lines = ["usage: guestfix COMMAND [OPTIONS] ...", "", *wrapped(ABOUT, columns), "", "commands:"]
    for name, says in COMMANDS.items():
        lines += wrapped(says, columns, f"  {name:<10} ")
    lines += ["", "options:"]
    for name, says in OF_ALL.items():
        lines += wrapped(says, columns, f"  {name:<20} ")
    return "\n".join([*lines, "", *exits(columns)]) + "\n"
