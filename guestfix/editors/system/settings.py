"""Settings in files of groups (ini), of shell assignments, and of sysctl.

Sources: systemd.syntax(7), sh(1), sysctl.d(5), sysctl.conf(5).
"""

from __future__ import annotations

from guestfix.base.edit import Content, append_lines
from guestfix.base.errors import EditError
from guestfix.base.patterns import regex
from guestfix.editors.system.text import checked
from guestfix.formats import ini, shellvars
from guestfix.formats.shellvars import decode, encode

_NAME = regex(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_KEY = regex(r"[^=\[\]#;\s][^=\[\]\n]*\Z")
_SYSCTL = regex(rb"^[ \t]*+(?P<minus>-?)(?P<key>[^\s#;=][^\n=]*?)[ \t]*=[ \t]*(?P<value>[^\r\n]*?)[ \t]*\r?$", 8)


def set_ini(src: bytes | None, *, section: str, key: str, value: str, create: bool = False) -> Content:
    """Make the last entry of this section and key say value; entry and section are added where there is none.

    A file that is not there is made with ``create`` only. Raises EditError for what can't be a section, key or value.
    """
    if not _KEY.match(key) or any(char in checked(section, "a section") for char in "[]"):
        raise EditError(f"[{section[:80]}] {key[:80]!r} can't be a section and its key")
    if checked(value, "a value").strip() != value or value.endswith("\\"):
        raise EditError(f"{value[:80]!r} can't be a value: blanks around it, or a final backslash, would be lost")
    if src is None and not create:
        return None
    return ini.set_value(src or b"", section, key, value)


def set_shell(src: bytes | None, *, name: str, value: str, create: bool = False) -> Content:
    """Make the shell variable ``name`` say value, as a shell reads the file.

    A file that is not there is made with ``create`` only. Raises EditError for what is no name, and where a quote is
    open.
    """
    if not _NAME.match(name):
        raise EditError(f"{name[:80]!r} is no name of a shell variable")
    checked(value, "a value")
    if src is None and not create:
        return None
    return shellvars.set_value(src or b"", name, value)


def set_sysctl(src: bytes | None, *, key: str, value: str, create: bool = False) -> Content:
    """Make the file set this kernel parameter to value: in the last line that sets it, or in one that is added.

    ``net.ipv4.ip_forward`` and ``net/ipv4/ip_forward`` are the same key. A file that is not there is made with
    ``create`` only. Raises EditError for what can't be a key or a value.
    """
    if not _KEY.match(key) or checked(key, "a key").strip() != key or checked(value, "a value").strip() != value:
        raise EditError(f"{key[:80]!r} = {value[:80]!r} can't be a line of sysctl.conf")
    line = encode(f"{key} = {value}")
    if src is None:
        return line + b"\n" if create else None
    same = [one for one in _SYSCTL.finditer(src) if _plain(decode(one["key"])) == _plain(key)]
    if not same:
        return append_lines(src, line)
    last = same[-1]
    if decode(last["value"]) == value:
        return src
    return src[: last.start("value")] + encode(value) + src[last.end("value") :]


def _plain(key: str) -> str:
    """Return a key with dots as its separators; where the first one is a slash, dots belong to names (sysctl.d(5))."""
    first = next((char for char in key if char in "./"), ".")
    return key if first == "." else key.translate(str.maketrans("./", "/."))
