"""modprobe.d(5): modules that must not be loaded by themselves, and options that they are loaded with."""

from __future__ import annotations

import re
from collections.abc import Sequence

from guestfix.base.edit import Content, append_lines
from guestfix.base.errors import EditError
from guestfix.base.patterns import regex
from guestfix.editors.system.text import checked
from guestfix.formats.initramfs.modprobe import directives
from guestfix.formats.shellvars import encode

_MODULE = regex(r"[A-Za-z0-9_.+-]{1,64}\Z")
_OPTION = regex(r"[A-Za-z0-9_.-]+(?:=[^\s#\\]*)?\Z")


def blacklist(src: bytes | None, *, modules: Sequence[str], create: bool = False) -> Content:
    """Make the file keep these modules from being loaded by an alias; lines are added for those that it doesn't name.

    A file that is not there is made with ``create`` only. Raises EditError for what is no module's name.
    """
    known = {one.module for one in directives(src or b"") if one.verb == "blacklist"}
    wanted = [name for name in dict.fromkeys(modules) if _normal(name) not in known]
    if not wanted or (src is None and not create):
        return src
    return append_lines(src or b"", *(encode(f"blacklist {name}") for name in wanted))


def options(src: bytes | None, *, module: str, options: str, create: bool = False) -> Content:
    """Make the file give the module these options (``a=1 b=2``); others that it gives stay.

    An option is changed in the last line that gives it, and added in a line of its own where none does. A file that
    is not there is made with ``create`` only. Raises EditError for what is no module's name or option.
    """
    name, words = _normal(module), checked(options, "options").split()
    if odd := [word for word in words if not _OPTION.match(word)]:
        raise EditError(f"{odd[0][:80]!r} is no option of a module")
    if src is None and not create:
        return None
    found, missing = src or b"", []
    for word in words:
        after = _change(found, name, word)
        if after is None:
            missing.append(word)
        else:
            found = after
    if not missing:
        return src if found == src else found
    return append_lines(found, encode(f"options {module} {' '.join(missing)}"))


def _normal(name: str) -> str:
    if not _MODULE.match(name):
        raise EditError(f"{name[:80]!r} is no name of a kernel module")
    return name.replace("-", "_")


def _change(src: bytes, module: str, word: str) -> bytes | None:
    """Return src with the option's last occurrence saying so, None where no line gives it."""
    option = re.compile(
        rb"(?<=[ \t])" + _escaped(word.partition("=")[0]) + rb"(?:=(?:\"[^\"\n]*\"|[^\s\\]*+))?(?=[ \t\r\n\\]|\Z)"
    )
    for one in reversed(directives(src)):
        if one.verb != "options" or one.module != module:
            continue
        head = src.index(one.module[:1].encode(), src.index(b"options", one.start) + 7)
        hits = list(option.finditer(src, head, one.end))
        if hits:
            last = hits[-1]
            return src[: last.start()] + encode(word) + src[last.end() :]
    return None


def _escaped(name: str) -> bytes:
    return b"".join(
        b"[-_]" if char in b"-_" else b"\\" + bytes([char]) if char in b".+" else bytes([char]) for char in encode(name)
    )
