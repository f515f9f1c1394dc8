"""Makes what is made of the commands' parsers: docs/man and docs/completions."""

from __future__ import annotations

import argparse
import importlib
import re
from pathlib import Path

import shtab

from guestfix import __version__
from guestfix.backends.disks.hostfiles import TYPES
from guestfix.base.catalog.findings import STAGES
from guestfix.commands.examples import Example
from guestfix.commands.help import ABOUT, OF_ALL, about, examples_of, groups, synopsis, told, verbs_of
from guestfix.commands.names import COMMANDS, EXITS
from guestfix.commands.parser import Parser, parser_for

ROOT = Path(__file__).resolve().parents[2]
MAN, COMPLETIONS = ROOT / "docs/man", ROOT / "docs/completions"
FILES = {"bash": "guestfix.bash", "zsh": "_guestfix", "fish": "guestfix.fish"}

# completions


ZSH = """
_guestfix_names() {
  compadd "${@[1,-2]}" -- ${(f)"$(guestfix list ${@[-1]} --format names 2>/dev/null)"}
}
"""


def _listed(kind: str) -> dict[str, object]:
    """Return what completes an argument by what guestfix lists, asked for no earlier than somebody wants it.

    shtab.cmd would not do: in zsh it runs every command of the whole parser at each completion.
    """
    asked = shtab.cmd(f"guestfix list {kind} --format names 2>/dev/null")
    before = {**asked["preamble"], "zsh": ZSH}
    return {**asked, "zsh": f"_guestfix_names {kind}", "preamble": before}


def _one_of(words: tuple[str, ...]) -> dict[str, object]:
    return {**shtab.cmd(f"echo {' '.join(words)}"), "zsh": f"({' '.join(words)})"}


COMPLETED = {
    "DIR": shtab.DIRECTORY,
    **dict.fromkeys(("FILE", "PATH", "GUEST", "PLAN", "PLAN|GUEST", "HIVE", "PLACE", "OLD", "NEW"), shtab.FILE),
    "TARGET": _listed("targets"),
    "RULE": _listed("rules"),
    "CODE": _listed("findings"),
    "ID=VALUE": _listed("policies"),
    "SYSTEM": _listed("systems"),
    "TYPE": _one_of(tuple(TYPES)),
    "STEP": _one_of(STAGES),
}
"""What stands for an argument, by its metavar: files, or what guestfix lists."""
NO_FILES = dict.fromkeys((("fleet", "guest"), ("fleet", "old"), ("fleet", "new")))
OTHERS = {("explain", "names"): _listed("all"), **NO_FILES}
"""The same by command and argument, where the metavar says something else there."""


def whole() -> argparse.ArgumentParser:
    """Return one parser with every command, as completions need it."""
    parser = Parser(prog="guestfix", description=ABOUT)
    for option, says in OF_ALL.items():
        if option != "--help":
            parser.add_argument(option, action="store_true", help=says)
    commands = parser.add_subparsers(metavar="COMMAND")
    for name, says in COMMANDS.items():
        one = commands.add_parser(name, help=says, description=says)
        importlib.import_module(f"guestfix.commands.{name}").add_arguments(one)
        for inner in (one, *verbs_of(one).values()):
            _complete(name, inner)
    commands.add_parser("help", help="print the help of a command").add_argument("name", choices=tuple(COMMANDS))
    return parser


def _complete(name: str, parser: argparse.ArgumentParser) -> None:
    for action in parser._actions:
        found = OTHERS.get((name, action.dest), COMPLETED.get(str(action.metavar)))
        if found and not action.choices:
            action.complete = found  # type: ignore[attr-defined]


def completions() -> dict[Path, str]:
    """Return the completion of each shell."""
    made = {}
    for shell, name in FILES.items():
        tidy = "\n".join(line.rstrip() for line in shtab.complete(whole(), shell).splitlines())
        made[COMPLETIONS / name] = re.sub(r"\n{3,}", "\n\n", tidy) + "\n"
    return made


# man pages


def released() -> str:
    """Return the day of this version, by the change log."""
    heading = rf"^## {re.escape(__version__)} \((\d{{4}}-\d\d-\d\d)\)$"
    found = re.search(heading, (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    return found[1] if found else ""


SIGNS = {"\\": "\\e", "-": "\\-", "~": "\\(ti", "^": "\\(ha", "`": "\\(ga", "'": "\\(aq", '"': "\\(dq"}
"""What roff would take for something else, or print as another sign."""


def plain(text: str) -> str:
    """Return text as roff sets it as it is: no line of it is a request, and no sign of it means another."""
    text = "".join(SIGNS.get(sign, sign) for sign in text)
    return "\n".join(f"\\&{line}" if line.startswith(".") else line for line in text.split("\n"))


def _head(name: str, says: str, called: str) -> list[str]:
    title = f'.TH {plain(name.upper())} 1 "{released()}" "guestfix {__version__}" "User Commands"'
    return [title, ".ad l", ".SH NAME", f"{plain(name)} \\- {plain(says)}", ".SH SYNOPSIS", *_called(called)]


def _called(synopsis: str) -> list[str]:
    command, bracket, rest = synopsis.partition(" [")
    return [".nh", f".B {plain(command)}", *([plain(f"[{rest}")] if bracket else []), ".hy"]


def _rows(rows: dict[str, str]) -> list[str]:
    return [line for name, says in rows.items() for line in (".TP", f".B {plain(name)}", plain(says))]


def _arguments(parser: argparse.ArgumentParser) -> list[str]:
    lines: list[str] = []
    for group in groups(parser):
        shown = [one for one in group._group_actions if not isinstance(one, argparse._SubParsersAction)]
        if shown:
            lines.append(f".SS {plain(str(group.title).capitalize())}")
            lines += [plain(group.description)] if group.description else []
            lines += [line for action in shown for line in _argument(action)]
    return lines


def _argument(action: argparse.Action) -> list[str]:
    value = str(action.metavar or (", ".join(map(str, action.choices)) if action.choices else action.dest.upper()))
    names = ", ".join(f"\\fB{plain(one)}\\fR" for one in action.option_strings)
    value = "" if action.nargs == 0 else f"\\fI{plain(value)}\\fR"
    return [".TP", f"{names} {value}".strip(), plain(told(action).replace("%%", "%"))]


def _examples(found: list[Example]) -> list[str]:
    lines = [".SH EXAMPLES"]
    for at, one in enumerate(found):
        says = f"{plain(one.says[0].upper() + one.says[1:])}:"
        lines += [*([".PP"] if at else []), says, ".PP", ".in +4n", ".nf", plain(one.line), ".fi", ".in"]
    return lines


def _exits() -> list[str]:
    return [".SH EXIT STATUS", *_rows({str(status): says for status, says in EXITS.items()})]


def command_page(name: str) -> str:
    """Return the man page of a command, with its verbs."""
    parser = parser_for(name)
    verbs = verbs_of(parser)
    lines = [*_head(f"guestfix-{name}", COMMANDS[name], synopsis(parser)), ".SH DESCRIPTION", plain(about(parser))]
    lines += [".SH OPTIONS", *_arguments(parser)] if not verbs else []
    for verb, one in verbs.items():
        lines += [f".SH GUESTFIX {plain(f'{name} {verb}'.upper())}", *_called(synopsis(one)), ".PP", plain(about(one))]
        lines += _arguments(one)
    lines += [*_examples(examples_of(f"guestfix {name}")), *_exits(), ".SH SEE ALSO", ".BR guestfix (1)"]
    return "\n".join(lines) + "\n"


FOUND = {
    "guestfix.toml, /etc/guestfix/guestfix.toml": "the choices of a site: target, policies, rules, accepted blockers",
    "/var/lib/guestfix": "in the guest: the journal of each apply, which revert reads",
}
HEARD = {
    "COLUMNS": "columns that text is set for",
    "NO_COLOR": "if it is not empty, no colour",
    "PAGER, LESS": "the pager of guestfix diff, and its options",
    "XDG_CACHE_HOME": "where compiled rule packs are kept",
}


def main_page() -> str:
    """Return guestfix(1): what it is, and its commands."""
    says = ABOUT.partition(".")[0]
    lines = [*_head("guestfix", says[0].lower() + says[1:], "guestfix COMMAND [OPTIONS] ..."), ".SH DESCRIPTION"]
    lines += [plain(ABOUT), ".SH COMMANDS"]
    for name, text in COMMANDS.items():
        lines += [".TP", f".BR guestfix\\-{name} (1)", plain(text)]
    for title, rows in (("OPTIONS", OF_ALL), ("ENVIRONMENT", HEARD), ("FILES", FOUND)):
        lines += [f".SH {title}", *_rows(rows)]
    lines += [*_exits(), ".SH SEE ALSO"]
    others = [f".BR guestfix\\-{name} (1)" for name in sorted(COMMANDS)]
    return "\n".join([*lines, *(f"{one}," for one in others[:-1]), others[-1]]) + "\n"


def pages() -> dict[Path, str]:
    """Return every man page."""
    made = {MAN / "guestfix.1": main_page()}
    return made | {MAN / f"guestfix-{name}.1": command_page(name) for name in COMMANDS}
