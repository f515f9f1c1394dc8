"""Where a report is written: its width, and colour where somebody looks at it on a terminal.

rich is loaded for a terminal alone: a report that goes into a pipe is done before rich would be loaded.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence

from guestfix.base.text import ascii_only
from guestfix.commands.common import OUTPUT, clear_screen, write
from guestfix.commands.parser import Group, group
from guestfix.report.layout import WIDTH, Line, Style, View, plain

_STYLES: dict[Style, str] = {
    "title": "bold",
    "head": "bold underline",
    "good": "green",
    "bad": "bold red",
    "warn": "yellow",
    "dim": "dim",
    "add": "green",
    "del": "red",
    "hunk": "cyan",
}
_SYMBOLS: dict[Style, str] = {"good": "\u2714", "bad": "\u2718", "warn": "\u25b2"}
"""What stands before the first line of a part, on a terminal that has them."""


def add_view(parser: argparse.ArgumentParser, *, diff: bool = True, color: bool = True) -> None:
    """Add how much is shown, and how."""
    shown = group(parser, OUTPUT)
    much = shown.add_mutually_exclusive_group()
    much.add_argument("--brief", action="store_true", help="the first screen alone")
    much.add_argument("--verbose", action="store_true", help="all evidence, every step and every rule with its reason")
    if diff:
        shown.add_argument("--diff", action="store_true", help="whole diffs, not each file's first changed lines")
    if color:
        add_color(shown)


def add_color(shown: Group) -> None:
    """Add whether there is colour."""
    shown.add_argument(
        "--color",
        choices=("auto", "always", "never"),
        default="auto",
        help="colour and symbols: on a terminal unless NO_COLOR is set (auto), always, or never",
    )


def view_from(args: argparse.Namespace) -> View:
    """Return how the arguments and the place of output want a report to be set."""
    detail = "brief" if args.brief else "verbose" if args.verbose else "normal"
    return View(columns_of(os.environ), detail, getattr(args, "diff", False))  # type: ignore[arg-type]


def columns_of(environment: Mapping[str, str]) -> int:
    """Return the columns of the terminal, or what COLUMNS says; 80 where neither is known."""
    given = environment.get("COLUMNS", "")
    if given.isascii() and given.isdigit() and int(given) > 0:
        return int(given)
    try:
        return os.get_terminal_size(1).columns or WIDTH
    except OSError:
        return WIDTH


def is_unicode(environment: Mapping[str, str], *, terminal: bool) -> bool:
    """Tell whether the locale has UTF-8 (setlocale(3): LC_ALL, LC_CTYPE, LANG); a pipe without any locale has."""
    name = next((value for key in ("LC_ALL", "LC_CTYPE", "LANG") if (value := environment.get(key))), "")
    return "utf8" in name.lower().replace("-", "") if name else not terminal


def given_locale() -> Mapping[str, str]:
    """Return the environment as the user set it: in the locale C, Python puts a LC_CTYPE of its own there (PEP 538)."""
    if os.environ.get("LC_ALL") or not os.environ.get("LC_CTYPE", "").startswith("C.U"):
        return os.environ
    try:
        with open("/proc/self/environ", "rb") as stream:
            own = b"LC_CTYPE=" not in stream.read()
    except OSError:
        return os.environ
    return {name: value for name, value in os.environ.items() if not (own and name == "LC_CTYPE")}


def wants_color(choice: str, environment: Mapping[str, str], *, terminal: bool) -> bool:
    """Tell whether to write colour (https://no-color.org)."""
    if choice != "auto":
        return choice == "always"
    return terminal and not environment.get("NO_COLOR") and environment.get("TERM", "") != "dumb"


def show(lines: Sequence[Line], color: str = "auto") -> None:
    """Write a report's lines to standard output."""
    terminal = os.isatty(1)
    unicode = is_unicode(given_locale(), terminal=terminal)
    if not unicode:
        lines = [(ascii_only(text), style) for text, style in lines]
    if wants_color(color, os.environ, terminal=terminal):
        write(colored(lines, symbols=unicode))
    else:
        write(plain(lines))


def colored(lines: Sequence[Line], *, symbols: bool) -> str:
    """Return lines with the colours of a terminal, and a symbol before each first line of a mood."""
    import io

    from rich.console import Console
    from rich.text import Text

    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100_000, highlight=False, emoji=False, soft_wrap=True)
    last: Style = ""
    for text, style in lines:
        mark = _SYMBOLS.get(style, "") if symbols and style != last and text[:1] not in ("", " ") else ""
        console.print(Text(f"{mark} {text}" if mark else text, style=_STYLES.get(style, "")), soft_wrap=True)
        last = style
    return out.getvalue()


def page(lines: Sequence[Line], color: str) -> None:
    """Write lines through the user's pager on a terminal (PAGER, else less, which quits where all fits).

    The bar is gone before the pager begins, and Ctrl-C is the pager's alone.
    """
    if not os.isatty(1) or not os.isatty(0):
        show(lines, color)
        return
    import shlex
    import signal
    import subprocess

    clear_screen()
    unicode = is_unicode(given_locale(), terminal=True)
    colour = wants_color(color, os.environ, terminal=True)
    text = colored(lines, symbols=False) if colour else plain(lines)
    pager = os.environ.get("PAGER") or "less"
    environment = {**os.environ, "LESS": os.environ.get("LESS", "FRX")}
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        sys.stdout.flush()
        shown = text if unicode else ascii_only(text)
        subprocess.run(
            shlex.split(pager), input=shown.encode("utf-8", "backslashreplace"), env=environment, check=False
        )
    except (OSError, ValueError):
        show(lines, color)
    finally:
        signal.signal(signal.SIGINT, before)
