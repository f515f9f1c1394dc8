"""GRUB Legacy: menu.lst or grub.conf, and device.map. One command a line.

Source: the GRUB Legacy 0.97 manual, "Configuration" and "Menu-specific commands"; Debian's update-grub
(``# kopt=`` comments are where the automatic entries' arguments come from).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from guestfix.base.patterns import regex
from guestfix.base.record import field, mutable
from guestfix.formats.boot.cmdline import ArgLine, words_at
from guestfix.formats.shellvars import decode

_LINE = regex(
    rb"^[ \t]*+(?P<name>[A-Za-z]\w*+)(?:(?:[ \t]*+=[ \t]*+|[ \t]++)(?P<rest>[^\n]*+))?[ \t\r]*+$", re.MULTILINE
)
_SOURCE = regex(rb"^#[ \t]*(?P<name>kopt(?:_[\w.]+)?|defoptions|altoptions|xenkopt)=(?P<rest>[^\n]*+)$", re.MULTILINE)
_MAP = regex(rb"^[ \t]*(?P<drive>\([A-Za-z0-9]+\))[ \t]+(?P<device>\S+)", re.MULTILINE)
_DRIVE = regex(r"\(hd(?P<disk>\d{1,3})(?:,(?P<part>\d{1,3}))?\)")
ROOT = ("root", "rootnoverify", "uuid")
"""Commands that say on which filesystem an entry's files are."""

_KERNEL_OPTION = regex(rb"--\S+")


class Command(NamedTuple):
    """One line: its name, the rest as text, and where the rest lies in the file."""

    name: str
    rest: str
    line: int
    at: int
    start: int
    end: int


@mutable
class Stanza:
    """A title with its commands."""

    title: str
    line: int
    commands: list[Command] = field(default_factory=list)

    def last(self, name: str) -> Command | None:
        """Return the last command of this name: GRUB runs all, and a later kernel or initrd takes the place."""
        return next((one for one in reversed(self.commands) if one.name == name), None)

    def modules(self) -> list[Command]:
        """Return the module commands that follow the kernel that counts."""
        kernel = self.last("kernel")
        return [one for one in self.commands if one.name == "module" and kernel and one.at > kernel.at]


@mutable
class Menu:
    """The commands before the first title, and the titles."""

    commands: list[Command]
    stanzas: list[Stanza]

    def setting(self, name: str) -> str | None:
        """Return the value of the last menu command of this name, or None."""
        return next((one.rest for one in reversed(self.commands) if one.name == name), None)


def commands(src: bytes) -> list[Command]:
    """Return every command in file order."""
    found, line, at = [], 1, 0
    for match in _LINE.finditer(src):
        line += src.count(b"\n", at, match.start())
        at = match.start()
        start = match.start("rest") if match["rest"] is not None else match.end("name")
        end = start + len((match["rest"] or b"").rstrip(b" \t\r"))
        name = decode(match["name"]).lower()
        found.append(Command(name, decode(src[start:end]), line, match.start(), start, end))
    return found


def parse(src: bytes) -> Menu:
    """Read a menu. Lines that are no command are passed over."""
    menu = Menu([], [])
    for one in commands(src):
        if one.name == "title":
            menu.stanzas.append(Stanza(one.rest, one.line))
        elif menu.stanzas:
            menu.stanzas[-1].commands.append(one)
        else:
            menu.commands.append(one)
    return menu


def kernel_of(stanza: Stanza) -> tuple[str, str, Command] | None:
    """Return (kernel file, arguments, command); after a Xen hypervisor the first module is the kernel."""
    kernel = stanza.last("kernel")
    if kernel is None:
        return None
    module = next(iter(stanza.modules()), None)
    if module and ("xen" in kernel.rest.split(" ")[0] or "vmlinu" in module.rest.split(" ")[0]):
        kernel = module
    text = kernel.rest
    while text.startswith("--"):
        text = text.partition(" ")[2].lstrip()
    path, _, arguments = text.replace("\t", " ").partition(" ")
    return path, arguments.strip(), kernel


def initrds_of(stanza: Stanza) -> list[str]:
    """Return the initrd files of an entry."""
    last = stanza.last("initrd")
    if last:
        return last.rest.split()
    modules = stanza.modules()
    return [modules[1].rest.split()[0]] if len(modules) > 1 and modules[1].rest.split() else []


class Place(NamedTuple):
    """Where an entry takes its kernel from: disk and partition from 0 (-1 where none is named), or a UUID.

    ``path`` is that on the device, ``said`` the device as it is written, ``command`` the one that names it.
    """

    numbers: tuple[int, int]
    uuid: str
    path: str
    said: str
    command: Command | None = None


def place_of(menu: Menu, stanza: Stanza) -> Place:
    """Return where an entry that has a kernel takes it from. Debian's and Ubuntu's GRUB Legacy knows ``uuid`` too."""
    found = kernel_of(stanza)
    path = found[0] if found else ""
    match = _DRIVE.match(path)
    if match:
        return Place(_numbers(match), "", path[match.end() :], match[0])
    before = [one for one in (*menu.commands, *stanza.commands) if found and one.at < found[2].at]
    told = next((one for one in reversed(before) if one.name in ROOT), None)
    match = _DRIVE.match(told.rest) if told else None
    if told is None or (match is None and told.name != "uuid"):
        return Place((-1, -1), "", path, "", told)
    words = told.rest.split()
    uuid = words[0] if told.name == "uuid" and words else ""
    return Place(_numbers(match) if match else (-1, -1), uuid, path, match[0] if match else uuid, told)


def _numbers(match: re.Match[str]) -> tuple[int, int]:
    return int(match["disk"]), int(match["part"]) if match["part"] else -1


def default_index(menu: Menu, saved: int | None = None) -> int | None:
    """Return the default entry's number (``default saved`` takes saved), or None where it can't be told."""
    text = (menu.setting("default") or "0").strip()
    if text == "saved":
        return saved
    return int(text) if regex(r"[0-9]{1,6}").fullmatch(text) else None


def fallback_index(menu: Menu) -> int | None:
    """Return the number of the first fallback entry, or None."""
    text = (menu.setting("fallback") or "").split()
    return int(text[0]) if text and regex(r"[0-9]{1,6}").fullmatch(text[0]) else None


_BLACK = regex(rb"\S+")


def _arg_line(src: bytes, command: Command, initrd: bool) -> ArgLine | None:
    start, kernel = command.start, ""
    while True:
        match = _BLACK.search(src, start, command.end)
        if match is None:
            return None
        start = match.end()
        if not _KERNEL_OPTION.match(match[0]):
            kernel = decode(match[0])
            break
    words = words_at(src[start : command.end])
    at = words[-1].end if words else 0
    return ArgLine(words, start, at, command.at, "plain", initrd, kernel)


def arg_lines(src: bytes) -> list[ArgLine]:
    """Return every place that holds kernel arguments: entries, and Debian's ``# kopt=`` comments."""
    found = []
    for match in _SOURCE.finditer(src):
        words = words_at(match["rest"].rstrip(b" \t\r"))
        at = words[-1].end if words else 0
        more = match["name"] == b"kopt"
        found.append(ArgLine(words, match.start("rest"), at, match.start(), "plain", None, "", more))
    for stanza in parse(src).stanzas:
        kernel = kernel_of(stanza)
        line = _arg_line(src, kernel[2], bool(initrds_of(stanza))) if kernel else None
        if line:
            found.append(line)
    return sorted(found, key=lambda one: one.at)


class Drive(NamedTuple):
    """One line of device.map; ``start`` to ``end`` is the device in the file."""

    drive: str
    device: str
    line: int
    start: int
    end: int


def device_map(src: bytes) -> list[Drive]:
    """Return the drives of a device.map."""
    return [
        Drive(
            decode(match["drive"]),
            decode(match["device"]),
            src.count(b"\n", 0, match.start()) + 1,
            *match.span("device"),
        )
        for match in _MAP.finditer(src)
    ]
