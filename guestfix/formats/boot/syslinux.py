"""extlinux.conf, syslinux.cfg and isolinux.cfg.

Source: the Syslinux wiki, "Config" (KERNEL, LINUX, APPEND, INITRD, DEFAULT, MENU DEFAULT, ONTIMEOUT).
"""

from __future__ import annotations

import re

from guestfix.base.patterns import regex
from guestfix.base.record import field, mutable
from guestfix.formats.boot import cmdline
from guestfix.formats.boot.cmdline import ArgLine
from guestfix.formats.shellvars import decode

_LINE = regex(rb"^[ \t]*+(?P<name>[A-Za-z0-9]+)(?:[ \t]++(?P<rest>[^\n]*+))?$", re.MULTILINE)


@mutable
class Label:
    """One LABEL: kernel, initrds, arguments and where it begins."""

    name: str
    line: int
    title: str = ""
    kernel: str = ""
    append: str | None = None
    initrd: list[str] = field(default_factory=list)


@mutable
class Menu:
    """The whole file. ``default`` is the label that boots when nobody types."""

    labels: list[Label] = field(default_factory=list)
    default: str = ""
    append: str = ""


def parse(src: bytes) -> Menu:
    """Read a configuration. Lines that are not known are passed over."""
    menu, ontimeout, command, last, line = Menu(), "", "", 0, 1
    for match in _LINE.finditer(src):
        line += src.count(b"\n", last, match.start())
        last = match.start()
        name, rest = decode(match["name"]).lower(), decode((match["rest"] or b"").rstrip(b" \t\r"))
        label = menu.labels[-1] if menu.labels else None
        if name == "label":
            menu.labels.append(Label(rest, line))
        elif name == "ontimeout":
            ontimeout = rest.split(" ")[0]
        elif name == "default":
            command = rest.split(" ")[0]
        elif name == "menu" and label and rest.lower().split() == ["default"]:
            menu.default = label.name
        elif label:
            _setting(label, name, rest)
        elif name == "append":
            menu.append = rest
    menu.default = ontimeout or menu.default or command or (menu.labels[0].name if menu.labels else "")
    return menu


def _setting(label: Label, name: str, rest: str) -> None:
    if name in ("kernel", "linux"):
        label.kernel = rest
    elif name == "append":
        label.append = rest
    elif name == "initrd":
        label.initrd = rest.split(",")
    elif name == "menu" and rest.lower().startswith("label"):
        label.title = rest[5:].strip().replace("^", "")


def arguments(menu: Menu, label: Label) -> tuple[list[str], list[str]]:
    """Return (kernel arguments, initrds) of a label; ``initrd=`` among the arguments names initrds too."""
    words = cmdline.split(menu.append if label.append is None else "" if label.append == "-" else label.append)
    named = [cmdline.value_of(word) for word in words if cmdline.name_of(word) == "initrd"]
    initrds = label.initrd or [one for value in named for one in value.split(",")]
    return [word for word in words if cmdline.name_of(word) != "initrd"], initrds


def arg_lines(src: bytes) -> list[ArgLine]:
    """Return every APPEND line's arguments."""
    found = []
    for match in _LINE.finditer(src):
        if match["name"].lower() == b"append" and match["rest"]:
            words = cmdline.words_at(match["rest"])
            has = any(word.text.startswith("initrd=") for word in words) or None
            end = words[-1].end if words else 0
            found.append(ArgLine(words, match.start("rest"), end, match.start(), "plain", has, ""))
    return found
