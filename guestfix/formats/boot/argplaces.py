"""Kernel arguments in files that are no loader's own: shell assignments, /etc/kernel/cmdline, grubenv.

Sources: GRUB manual "Simple configuration handling"; kernel-install(8); dracut.conf(5) (kernel_cmdline);
SUSE's /etc/sysconfig/bootloader; Alpine's update-extlinux, whose /etc/update-extlinux.conf is a shell script.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from guestfix.base.patterns import regex
from guestfix.formats.boot import bls, cmdline, grubargs, grubenv, grublegacy, syslinux
from guestfix.formats.boot.cmdline import ArgLine, Change, Style, Word
from guestfix.formats.shellvars import Assignment, decode, encode, settled

_LINE = regex(rb"^[^\n]*+$", re.MULTILINE)
_ESCAPE = regex(r'\\([\\"$`])')
_NAMES: Mapping[str, tuple[str, ...]] = {
    "default": (
        "GRUB_CMDLINE_LINUX",
        "GRUB_CMDLINE_LINUX_DEFAULT",
        "GRUB_CMDLINE_LINUX_RECOVERY",
        "GRUB_CMDLINE_LINUX_XEN_REPLACE",
        "GRUB_CMDLINE_LINUX_XEN_REPLACE_DEFAULT",
        "EXTLINUX_PARAMETERS",
    ),
    "bootloader": ("DEFAULT_APPEND", "FAILSAFE_APPEND", "XEN_KERNEL_APPEND"),
    "dracut": ("kernel_cmdline",),
    "update-extlinux": ("default_kernel_opts",),
}
_MAIN = ("GRUB_CMDLINE_LINUX", "EXTLINUX_PARAMETERS", "DEFAULT_APPEND", "XEN_KERNEL_APPEND", "default_kernel_opts")


def _in_quotes(src: bytes, one: Assignment, main: bool) -> ArgLine | None:
    raw = src[one.value_start : one.value_end]
    mark = raw[:1]
    style: Style = "bare"
    start, end = one.value_start, one.value_end
    if mark in (b'"', b"'") and len(raw) > 1:
        inner = raw[1:-1]
        if raw[-1:] != mark or mark in (inner if mark == b"'" else inner.replace(b"\\\\", b"").replace(b'\\"', b"")):
            return None
        style = "double" if mark == b'"' else "single"
        start, end = start + 1, end - 1
    elif one.dynamic or b"\\" in raw or b"'" in raw or b'"' in raw:
        return None
    words = cmdline.words_at(src[start:end])
    if style == "double":
        words = tuple(Word(_ESCAPE.sub(r"\1", word.text), word.start, word.end) for word in words)
    at = end - start if style == "bare" else words[-1].end if words else 0
    return ArgLine(words, start, at, one.start, style, None, "", main)


def shell_lines(src: bytes, form: str) -> list[ArgLine]:
    """Return the arguments in a file of shell assignments; a value that mixes quotes is left out.

    More are added to the last one that a shell surely makes, and to those in blocks behind it that take its place.
    """
    names = _NAMES[form]
    found: list[ArgLine] = []
    chosen = [one for one in settled(src) if one.name in names and not one.value.startswith("(")]
    present = {one.name for one in chosen}
    last = {one.name: one.start for one in chosen if one.sure}
    for one in chosen:
        main = one.name in _MAIN or (one.name == "GRUB_CMDLINE_LINUX_DEFAULT" and "GRUB_CMDLINE_LINUX" not in present)
        line = _in_quotes(src, one, main and _counts(one, last.get(one.name, -1)))
        if line:
            found.append(line)
    return found


def _counts(one: Assignment, last: int) -> bool:
    """Tell whether nothing overrules an assignment, and it does not build on the one before it."""
    if one.sure:
        return one.start == last
    return one.start > last and not one.append and not re.search(rf"\$\{{?{one.name}\b", one.value)


def update_extlinux_lines(src: bytes) -> list[ArgLine]:
    """Return the arguments of update-extlinux.conf; its ``root=`` without quotes is one of them as it stands."""
    found = shell_lines(src, "update-extlinux")
    for one in settled(src):
        start = one.value_start - len(b"root=")
        text = src[max(start, 0) : one.value_end]
        if one.name == "root" and not one.dynamic and text.startswith(b"root=") and not set(text) & set(b"\"'\\"):
            words = cmdline.words_at(text)
            found.append(ArgLine(words, start, len(text), one.start, "bare", None, "", False))
    return found


def plain_lines(src: bytes) -> list[ArgLine]:
    """Return the arguments of /etc/kernel/cmdline, which are all of its lines but comments."""
    found: list[ArgLine] = []
    for match in _LINE.finditer(src):
        words = cmdline.words_at(match[0])
        if words and not match[0].lstrip().startswith(b"#"):
            found.append(ArgLine(words, match.start(), words[-1].end, match.start(), "plain", None, "", not found))
    return found


READERS: Mapping[str, Callable[[bytes], list[ArgLine]]] = {
    "grubcfg": grubargs.arg_lines,
    "menu": grublegacy.arg_lines,
    "bls": bls.arg_lines,
    "syslinux": syslinux.arg_lines,
    "cmdline": plain_lines,
    "default": lambda src: shell_lines(src, "default"),
    "bootloader": lambda src: shell_lines(src, "bootloader"),
    "dracut": lambda src: shell_lines(src, "dracut"),
    "update-extlinux": update_extlinux_lines,
}
"""How to find the arguments, by a source's form (boot.sources)."""


def env_line(value: str, name: str) -> ArgLine:
    """Return the arguments that a variable of an environment block holds; offsets are those of the value."""
    words = cmdline.words_at(encode(value))
    at = words[-1].end if words else 0
    return ArgLine(words, 0, at, 0, "plain", None, "", name == "kernelopts")


def lines_of(src: bytes, form: str) -> list[ArgLine]:
    """Return every place of a source that holds kernel arguments; in a grubenv offsets are the value's own."""
    if form == "envfile":  # only a menu tells which of its variables are arguments
        return []
    if form != "grubenv":
        return READERS[form](src)
    names = [name.decode() for name in grubargs.ARGUMENT_VARIABLES]
    return [env_line(one.value, one.name) for one in grubenv.effective(src) if one.name in names]


def rewrite(src: bytes, form: str, change: Change) -> bytes:
    """Do one change everywhere in a source. Raises EditError where a grubenv has no room for it."""
    if form == "grubcfg":
        return grubargs.rewrite(src, change)
    if form == "envfile":
        return src
    if form != "grubenv":
        return cmdline.rewrite_all(src, READERS[form](src), change)
    names = [name.decode() for name in grubargs.ARGUMENT_VARIABLES]
    for one in grubenv.effective(src):
        if one.name in names:
            value = encode(one.value)
            after = cmdline.rewrite_all(value, [env_line(one.value, one.name)], change)
            src = src if after is value else grubenv.set_value(src, one.name, decode(after))
    return src
