"""modprobe.d(5): the lines that keep a module from being loaded, and all others as they are."""

from __future__ import annotations

from collections.abc import Iterable

from guestfix.base.patterns import regex
from guestfix.base.record import frozen

FOLDERS = ("/etc/modprobe.d", "/run/modprobe.d", "/usr/local/lib/modprobe.d", "/usr/lib/modprobe.d", "/lib/modprobe.d")
"""Where modprobe(8) looks; a file name in an earlier folder hides the same name in a later one."""

_NOTHING = regex(r"(?:exec\s+)?(?:/usr)?(?:/s?bin/)?(?:true|false|:|exit(?:\s+[0-9]+)?)\s*;?$")


@frozen
class Directive:
    """One directive. ``line`` counts from 1, ``start`` to ``end`` are its bytes, continued lines included."""

    verb: str
    module: str
    rest: str
    line: int
    start: int
    end: int

    @property
    def blocks(self) -> bool:
        """True for ``blacklist X`` and for ``install X`` with a command that loads nothing."""
        return self.verb == "blacklist" or (self.verb == "install" and _NOTHING.match(self.rest) is not None)

    @property
    def text(self) -> str:
        """The directive on one line."""
        return " ".join(part for part in (self.verb, self.module, self.rest) if part)


def directives(data: bytes) -> list[Directive]:
    """Return the directives of a modprobe.d file; comments, blank and lone words are passed over."""
    found, at, number = [], 0, 0
    while at < len(data):
        start, line, parts = at, number + 1, []
        while True:
            end = data.find(b"\n", at)
            end = len(data) if end < 0 else end + 1
            number += 1
            body = data[at:end].rstrip(b"\r\n")
            at = end
            continued = body.endswith(b"\\")
            parts.append(body[:-1] if continued else body)
            if not continued or at >= len(data):
                break
        words = b" ".join(parts).decode("utf-8", "surrogateescape").split(None, 2)
        if len(words) > 1 and not words[0].startswith("#"):
            rest = words[2].strip() if len(words) > 2 else ""
            found.append(Directive(words[0], words[1].replace("-", "_"), rest, line, start, at))
    return found


def blocking(data: bytes, modules: Iterable[str]) -> list[Directive]:
    """Return the directives that keep any of these modules (normalised names) from being loaded."""
    wanted = set(modules)
    return [one for one in directives(data) if one.module in wanted and one.blocks]


def allow(data: bytes, modules: Iterable[str], mark: bytes = b"# guestfix: disabled, the boot needs it: ") -> bytes:
    """Return data with the directives that block these modules made comments; data itself where none does."""
    for found in reversed(blocking(data, modules)):
        lines = data[found.start : found.end].splitlines(keepends=True)
        data = data[: found.start] + b"".join(mark + line for line in lines) + data[found.end :]
    return data


def command_line_blocks(args: Iterable[str]) -> dict[str, str]:
    """Return the modules that kernel arguments block, each with the argument that does."""
    names = ("modprobe.blacklist", "module_blacklist", "rd.driver.blacklist", "rdblacklist", "blacklist")
    found: dict[str, str] = {}
    for arg in args:
        name, _, value = arg.partition("=")
        if name in names:
            for module in value.split(","):
                if module:
                    found.setdefault(module.replace("-", "_"), arg)
    return found
