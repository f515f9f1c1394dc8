"""What is wrong with a command line, and what was probably meant."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from guestfix.base.errors import UsageError
from guestfix.base.nearest import did_you_mean

if TYPE_CHECKING:
    from guestfix.commands.parser import Parser


def no_such_command(name: str, commands: list[str]) -> UsageError:
    """Return the error for a command that there is not."""
    return UsageError(f"there is no command {name!r}", remedy=did_you_mean(name, commands, len(commands)))


def no_such_value(parser: Parser, action: argparse.Action, value: str) -> UsageError:
    """Return the error for a value that an argument can't have, or a verb that a command does not have."""
    known = [str(one) for one in action.choices or ()]
    if isinstance(action, argparse._SubParsersAction):
        return UsageError(f"{parser.prog} has no {value!r}", remedy=did_you_mean(value, known, len(known)))
    name = "/".join(action.option_strings) or action.metavar or action.dest.upper()
    return UsageError(f"{name} can't be {value!r}", remedy=did_you_mean(value, known, len(known)))


def mistake(parser: Parser, message: str) -> UsageError:
    """Return the error for words that a parser did not take.

    A mistyped option comes first: argparse takes its value for the argument that is then said to be too many or, with
    ``--optoin=value``, leaves it out and misses another.
    """
    known = sorted(parser._option_string_actions)
    for word in _options(parser.words):
        name = word.partition("=")[0]
        if name not in known:
            near = did_you_mean(name, known, 0)
            return UsageError(f"there is no option {name}", remedy=near or f"see: {parser.prog} --help")
    return UsageError(message, remedy=f"see: {parser.prog} --help")


def _options(words: tuple[str, ...]) -> list[str]:
    """Return the words that argparse takes for options: before ``--``, with a dash, no blank, and no number."""
    end = words.index("--") if "--" in words else len(words)
    return [word for word in words[:end] if word[:1] == "-" and word != "-" and " " not in word and not _number(word)]


def _number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
