"""extlinux.conf, syslinux.cfg and isolinux.cfg, with the files that they include.

Source: the Syslinux wiki, "Config" (KERNEL, LINUX, APPEND, INITRD, DEFAULT, UI, INCLUDE, ONTIMEOUT) and "Menu" (MENU
INCLUDE, MENU DEFAULT, MENU HIDE); com32/elflink/ldlinux/readconfig.c. ONTIMEOUT counts where there is a time-out: at
the prompt (PROMPT 1) and in a menu; without either DEFAULT starts at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

from guestfix.base.patterns import regex
from guestfix.base.record import field, mutable
from guestfix.formats.boot import cmdline
from guestfix.formats.boot.cmdline import ArgLine
from guestfix.formats.shellvars import decode

MOST_FILES = 32
"""Files that one menu may be made of."""

MOST_DEPTH = 8

_LINE = regex(rb"^[ \t]*+(?P<name>[A-Za-z0-9]+)(?:[ \t]++(?P<rest>[^\n]*+))?$", re.MULTILINE)

Include = Callable[[str], tuple[str, bytes] | None]
"""Gives the path and bytes of a file by the name that a configuration has for it, or None."""


class Directive(NamedTuple):
    """One line: its word in lower case, what follows, and where both are in the file."""

    name: str
    rest: str
    line: int
    at: int
    rest_start: int
    rest_end: int


@mutable
class Label:
    """One LABEL: kernel, initrds, arguments, and the file and line where it begins.

    ``shown``: a menu lists it. ``config`` is another configuration that it leads to.
    """

    name: str
    line: int
    path: str = ""
    title: str = ""
    kernel: str = ""
    append: str | None = None
    initrd: list[str] = field(default_factory=list)
    shown: bool = True
    config: str = ""


@mutable
class Menu:
    """The whole menu. ``default`` is the label that boots when nobody types, ``files`` all that it is made of.

    ``extra`` is what DEFAULT has behind the label's name. ``waits``: a menu or prompt without a time-out.
    """

    labels: list[Label] = field(default_factory=list)
    default: str = ""
    append: str = ""
    files: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    """Names in INCLUDE lines that no file answers to."""

    extra: str = ""
    waits: bool = False


def directives(src: bytes) -> Iterator[Directive]:
    """Yield the lines that say something; what stands between TEXT and ENDTEXT is shown to people alone."""
    last, line, text = 0, 1, False
    for match in _LINE.finditer(src):
        line += src.count(b"\n", last, match.start())
        last = match.start()
        name, raw = decode(match["name"]).lower(), (match["rest"] or b"").rstrip(b" \t\r")
        start = match.start("rest") if match["rest"] is not None else match.end("name")
        if text or name == "text":
            text = name != "endtext"
        else:
            yield Directive(name, decode(raw), line, match.start(), start, start + len(raw))


class _Reader:
    """Follows a configuration and its includes, as one text."""

    def __init__(self, include: Include) -> None:
        self.menu, self.include = Menu(), include
        self.ontimeout = self.command = self.shown = ""
        self.place = ("", 0)
        self.ui = self.prompt = self.timed = False

    def run(self, src: bytes, path: str, depth: int = 0) -> None:
        self.menu.files.append(path)
        for one in directives(src):
            words = one.rest.split()
            if one.name == "include" or (one.name == "menu" and one.rest.lower().startswith("include ")):
                self._other(words[-1] if one.name == "include" else words[1], depth)
            elif one.name in ("ui", "default") and words[:1] and words[0].lower().endswith(".c32"):
                self.ui = True
                for name in words[1:]:
                    self._other(name, depth)
            else:
                self._line(one, path)

    def _other(self, name: str, depth: int) -> None:
        found = self.include(name) if depth < MOST_DEPTH and len(self.menu.files) < MOST_FILES else None
        if found is None:
            self.menu.lost.append(name)
        elif found[0] not in self.menu.files:
            self.run(found[1], found[0], depth + 1)

    def _line(self, one: Directive, path: str) -> None:
        label = self.menu.labels[-1] if self.menu.labels else None
        words = one.rest.split()
        if one.name == "label":
            name = words[0] if words else ""
            self.menu.labels.append(Label(name, one.line, path, kernel=name))
        elif one.name == "ontimeout":
            self.ontimeout = words[0] if words else ""
        elif one.name == "default":
            self.command, self.place = one.rest, (path, one.line)
        elif one.name == "prompt":
            self.prompt = words[:1] not in ([], ["0"])
        elif one.name in ("timeout", "totaltimeout"):
            self.timed = (self.timed and one.name != "timeout") or words[:1] not in ([], ["0"])
        elif one.name == "menu" and label and words[:1] and words[0].lower() in ("default", "hide", "disable"):
            self.shown = label.name if words[0].lower() == "default" else self.shown
            label.shown = label.shown and words[0].lower() == "default"
        elif label:
            _setting(label, one.name, one.rest)
        elif one.name == "append":
            self.menu.append = one.rest

    def done(self) -> Menu:
        """Say which label boots: with a menu on the screen DEFAULT counts where it names a label of the menu."""
        menu, (named, _, extra) = self.menu, self.command.partition(" ")
        first = next((one.name for one in menu.labels if one.shown), menu.labels[0].name if menu.labels else "")
        known = any(one.name == named for one in menu.labels)
        command = named if known or not (self.shown or self.ui) else ""
        asks = self.ui or self.prompt
        menu.waits = asks and not self.timed
        menu.default = (self.ontimeout if asks else "") or command or self.shown or first
        menu.extra = extra.strip() if menu.default == named else ""
        if menu.default == named and not known and menu.extra:  # a kernel with its arguments, and no label
            menu.labels.append(Label(named, self.place[1], self.place[0], kernel=named))
        return menu


def parse(src: bytes, path: str = "", include: Include = lambda _: None) -> Menu:
    """Read a configuration, its includes in their places. Lines that are not known are passed over."""
    reader = _Reader(include)
    reader.run(src, path)
    return reader.done()


def _setting(label: Label, name: str, rest: str) -> None:
    if name in ("kernel", "linux"):
        label.kernel = rest
    elif name in ("append", "appe"):
        label.append = rest
    elif name == "initrd":
        label.initrd = rest.split(",")
    elif name == "config":
        label.kernel, label.config = "", (rest.split() or [""])[0]
    elif name in ("boot", "bss", "pxe", "fdimage", "comboot", "com32", "localboot"):
        label.kernel = ""
    elif name == "menu" and rest.lower().startswith("label"):
        label.title = rest[5:].strip().replace("^", "")


def arguments(menu: Menu, label: Label) -> tuple[list[str], list[str]]:
    """Return (kernel arguments, initrds) of a label; ``initrd=`` among the arguments names initrds too."""
    words = cmdline.split(menu.append if label.append is None else "" if label.append == "-" else label.append)
    words += cmdline.split(menu.extra) if label.name == menu.default else []
    named = [cmdline.value_of(word) for word in words if cmdline.name_of(word) == "initrd"]
    initrds = label.initrd or [one for value in named for one in value.split(",")]
    return [word for word in words if cmdline.name_of(word) != "initrd"], initrds


def arg_lines(src: bytes) -> list[ArgLine]:
    """Return every APPEND line's arguments, with what its label says of kernel and initrd, and those behind DEFAULT."""
    found: list[ArgLine] = []
    waiting: list[int] = []
    kernel, initrd, inside = "", False, False
    labels = {one.rest.split()[0] for one in directives(src) if one.name == "label" and one.rest}

    def settle() -> None:
        for at in waiting:
            has = initrd or any(word.text.startswith("initrd=") for word in found[at].words)
            found[at] = found[at]._replace(initrd=(has or None) if not kernel else has, kernel=kernel)
        waiting.clear()

    for one in directives(src):
        if one.name == "label":
            settle()
            kernel, initrd, inside = "", False, True
        elif one.name in ("kernel", "linux") and inside:
            kernel = one.rest
        elif one.name == "initrd" and inside:
            initrd = True
        elif one.name == "default" and " " in one.rest and not one.rest.split()[0].lower().endswith(".c32"):
            found.append(_of_default(src, one, labels))
        elif one.name == "append" and one.rest:
            words = cmdline.words_at(src[one.rest_start : one.rest_end])
            waiting.append(len(found))
            found.append(ArgLine(words, one.rest_start, words[-1].end if words else 0, one.at, "plain", None, ""))
    settle()
    return found


def _of_default(src: bytes, one: Directive, labels: Collection[str]) -> ArgLine:
    """Return the arguments behind DEFAULT's label, or behind the kernel that it names itself."""
    start = one.rest_start + len(src[one.rest_start : one.rest_end].split()[0])
    words = cmdline.words_at(src[start : one.rest_end])
    named = one.rest.split()[0]
    initrd = any(word.text.startswith("initrd=") for word in words)
    own = named not in labels and any("=" in word.text for word in words)  # else some other word, as a title
    at = words[-1].end if words else 0
    return ArgLine(words, start, at, one.at, "plain", initrd if own else None, named if own else "", own)
