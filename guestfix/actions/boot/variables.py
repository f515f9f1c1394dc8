"""Kernel arguments that a menu keeps in variables: ``set rootpartition=/dev/sda2`` and ``root=$rootpartition``.

Source: GNU GRUB manual, "Shell-like scripting". The variables are those that a linux command of the file uses.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from guestfix.actions.boot.menu import grub_word
from guestfix.base.edit import Splice, apply_splices
from guestfix.base.patterns import regex
from guestfix.editors.boot.args import DEVICE_ARGUMENTS
from guestfix.formats import shellvars
from guestfix.formats.boot import cmdline, grubargs, grubcfg, grubenv
from guestfix.formats.boot.cmdline import ArgLine, Change

_USE = regex(rb"[\"']?(?:(?P<argument>[A-Za-z_.]+)=)?\"?\$\{?(?P<variable>[A-Za-z_]\w*)\}?\"?\Z")
_EMPTY = ArgLine((), 0, 0, 0)


def rewrite_variables(src: bytes, change: Change) -> bytes:
    """Do a change to the arguments that variables hold; src itself comes back where nothing changes.

    A variable holds one argument's value (``root=$x``) or whole arguments (``$x``). Nothing is added to one.
    """
    if b"$" not in src:
        return src
    script = grubcfg.parse(src)
    used = _used(src, script)
    splices = []
    for node in script.walk() if used else ():
        spans = grubcfg.raw_words(src, node) if node.name == b"set" else []
        word = grubcfg.literal(src[slice(*spans[0])]) if spans else None
        name, equals, value = (word or "").partition("=")
        if not equals or name not in used or not value:
            continue
        after = _after(used[name], value, change)
        if after != value:
            start, end = spans[0]
            splices.append(Splice(start, end - start, shellvars.encode(name) + b"=" + grub_word(after)))
    return apply_splices(src, splices)


def used_variables(menus: Iterable[bytes]) -> dict[str, str]:
    """Return the variables in these menus' linux commands, each with the argument whose value it is, or empty."""
    return {name: one for src in menus if b"$" in src for name, one in _used(src, grubcfg.parse(src)).items()}


def rewrite_block(src: bytes, used: Mapping[str, str], change: Change) -> bytes:
    """Do a change to the variables of an environment block that a menu loads and uses; src itself where none changes.

    Raises EditError where the block has no room for it.
    """
    for one in grubenv.effective(src):
        if one.name in used and (after := _after(used[one.name], one.value, change)) != one.value:
            src = grubenv.replace_value(src, one.name, after)
    return src


def _used(src: bytes, script: grubcfg.Script) -> dict[str, str]:
    """Return the variables in linux commands, each with the argument whose value it is; empty for whole arguments."""
    found: dict[str, str] = {}
    for node in script.walk():
        if node.name in grubargs.LINUX:
            for start, end in grubcfg.raw_words(src, node)[1:]:
                match = _USE.match(src[start:end])
                argument = shellvars.decode(match["argument"] or b"") if match else ""
                if match and (not argument or argument in DEVICE_ARGUMENTS):
                    found[shellvars.decode(match["variable"])] = argument
    return {name: argument for name, argument in found.items() if name.encode() not in grubargs.ARGUMENT_VARIABLES}


def _after(argument: str, value: str, change: Change) -> str:
    words = [f"{argument}={value}"] if argument else cmdline.split(value)
    replace = change(words, _EMPTY).replace
    if argument:
        new = replace.get(0, words[0])
        return value if new is None else new.partition("=")[2]
    if not replace:
        return value
    return " ".join(one for at, word in enumerate(words) if (one := replace.get(at, word)) is not None)
