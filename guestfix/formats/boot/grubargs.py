"""Where a grub.cfg holds kernel arguments: its linux commands, and the variables that BLS entries use."""

from __future__ import annotations

import re

from guestfix.base.patterns import regex
from guestfix.formats.boot.cmdline import ArgLine, Change, Style, Word, rewrite_lines, words_at
from guestfix.formats.boot.grubcfg import WORD, Node, literal, parse
from guestfix.formats.shellvars import decode

LINUX = frozenset((b"linux", b"linux16", b"linuxefi"))
MODULE = frozenset((b"module", b"module2"))
"""After a Xen hypervisor (multiboot): the first is the kernel, the second its initrd."""
INITRD = frozenset((b"initrd", b"initrd16", b"initrdefi"))
ARGUMENT_VARIABLES = (b"kernelopts", b"default_kernelopts", b"tuned_params")
"""Variables of grub.cfg and grubenv that hold kernel arguments for BLS entries."""

_LINUX_LINE = regex(
    rb"\n[ \t]*+(?P<name>linux(?:16|efi)?)[ \t]++(?P<kernel>[^\s;{}'\"$#]++)(?=\s)(?P<args>[^\n;{}'\"]*+)\n"
)
_INITRD_LINE = regex(rb"\n[ \t]*+initrd(?:16|efi)?[ \t]++(?P<files>[^\n;{}'\"]*+)(?=\n)")
_IF = regex(rb"(?<![\w$])if(?=[ \t])")
_FI = regex(rb"(?<![\w$])fi(?![\w])")
_SET = regex(rb"[ \t]*+(?:" + b"|".join(ARGUMENT_VARIABLES) + rb")=(?P<quote>[\"'])")


def _text(src: bytes, span: tuple[int, int]) -> str:
    raw = src[span[0] : span[1]]
    found = literal(raw)
    return decode(raw) if found is None else found


Lines = tuple[re.Match[bytes], re.Match[bytes] | None]


def plain_lines(src: bytes, start: int, end: int) -> Lines | None:
    """Return the one linux line of an unread menu entry and the initrd line after it, if there is one.

    None where only reading it all can tell: several of them, quotes around them, several on a line.
    """
    linux = _LINUX_LINE.search(src, start, end)
    if linux is None or src.count(b"linux", start, end) != linux[0].count(b"linux"):
        return None
    initrd = _INITRD_LINE.search(src, linux.end() - 1, end)
    seen = linux[0].count(b"initrd") + (initrd[0].count(b"initrd") if initrd else 0)
    if src.count(b"initrd", start, end) != seen or _in_quotes(src, start, linux.start()):
        return None
    if initrd and _in_quotes(src, linux.end(), initrd.start()):
        return None
    return linux, initrd


def _in_quotes(src: bytes, start: int, at: int) -> bool:
    """Tell whether an offset may lie inside quotes, in a body that has quotes of one kind only."""
    return bool(src.count(b"'", start, at) % 2 or src.count(b'"', start, at) % 2)


def plain_entry(src: bytes, start: int, end: int) -> tuple[int, str, tuple[str, ...], list[str]] | None:
    """Return (offset, kernel, arguments, initrds) of an unread entry whose commands depend on nothing.

    None where they do: variables, or a condition around them.
    """
    found = plain_lines(src, start, end)
    if found is None:
        return None
    linux, initrd = found
    last = initrd.start() if initrd else linux.start()
    if len(_IF.findall(src, start, last)) != len(_FI.findall(src, start, last)):
        return None
    files = initrd["files"] if initrd else b""
    if b"$" in linux[0] or b"$" in files:
        return None
    return (
        linux.start("name"),
        decode(linux["kernel"]),
        tuple(decode(linux["args"]).split()),
        [decode(word) for word in files.split()],
    )


class Places:
    """Collects the places that hold kernel arguments. Equal arguments share their words."""

    def __init__(self, src: bytes) -> None:
        self.src = src
        self.found: list[ArgLine] = []
        self.shared: dict[bytes, tuple[Word, ...]] = {}
        self.current = False

    def quick(self, start: int, end: int) -> bool:
        """Take the linux command of an unread menu entry; False where the entry must be read."""
        if self.src.find(b"linux", start, end) < 0 and self.src.find(b"multiboot", start, end) < 0:
            return True
        found = plain_lines(self.src, start, end)
        if found is None:
            return False
        linux, initrd = found
        self._add(linux.span("args"), linux.start("name"), decode(linux["kernel"]), initrd is not None)
        return True

    def _add(self, span: tuple[int, int], at: int, kernel: str, initrd: bool) -> None:
        raw = self.src[span[0] : span[1]]
        words = self.shared.get(raw)
        if words is None:
            words = self.shared[raw] = _words(raw)
        self.found.append(ArgLine(words, span[0], words[-1].end if words else 0, at, "grub", initrd, kernel))

    def command(self, node: Node) -> None:
        """Take a command of an entry that was read."""
        if node.name in (b"menuentry", b"submenu"):
            self.current = False
        elif node.name in INITRD or (node.name in MODULE and self.current):
            if self.current:
                self.found[-1] = self.found[-1]._replace(initrd=True)
        elif node.name in LINUX or node.name in MODULE:
            self._linux(node)
        elif node.name == b"set":
            self._set(node)

    def _linux(self, node: Node) -> None:
        first = WORD.search(self.src, node.rest_start, node.rest_end)
        kernel = _text(self.src, first.span()) if first else ""
        if first is None or not kernel.strip() or (node.name in MODULE and "vmlinu" not in kernel):
            return
        self._add((first.end(), node.rest_end), node.start, kernel, False)
        self.current = True

    def _set(self, node: Node) -> None:
        match = _SET.match(self.src, node.rest_start, node.rest_end)
        end = self.src.find(match["quote"], match.end(), node.rest_end) if match else -1
        if match is None or end < 0:
            return
        words = words_at(self.src[match.end() : end])
        style: Style = "double" if match["quote"] == b'"' else "single"
        at = words[-1].end if words else 0
        more = b"kernelopts" in match[0]
        self.found.append(ArgLine(words, match.end(), at, node.start, style, None, "", more))


_RECENT: dict[bytes, list[ArgLine]] = {}
_RECENT_MOST = 2


def _remember(src: bytes, lines: list[ArgLine]) -> list[ArgLine]:
    while len(_RECENT) >= _RECENT_MOST:
        del _RECENT[next(iter(_RECENT))]
    _RECENT[src] = lines
    return lines


def arg_lines(src: bytes) -> list[ArgLine]:
    """Return every place of the file that holds kernel arguments, in file order, whatever the conditions."""
    known = _RECENT.get(src)
    return _remember(src, read_lines(src)) if known is None else known


def rewrite(src: bytes, change: Change) -> bytes:
    """Do one change at every place; where the places of the new file are is known without reading it again."""
    after, moved = rewrite_lines(src, arg_lines(src), change)
    if after is not src:
        shared: dict[bytes, tuple[Word, ...]] = {}
        _remember(after, [_moved(*one, shared) for one in moved])
    return after


def _moved(line: ArgLine, by: int, text: bytes, shared: dict[bytes, tuple[Word, ...]]) -> ArgLine:
    words = shared.get(text) if line.style == "grub" else words_at(text)
    if words is None:
        words = shared[text] = _words(text)
    end = words[-1].end if words else 0
    return ArgLine(words, line.base + by, end, line.at + by, line.style, line.initrd, line.kernel, line.takes_more)


def _words(raw: bytes) -> tuple[Word, ...]:
    return tuple(Word(_text(raw, match.span()), *match.span()) for match in WORD.finditer(raw))


def read_lines(src: bytes) -> list[ArgLine]:
    """Return what :func:`arg_lines` does, always by reading."""
    places = Places(src)
    todo = [iter(parse(src).nodes)]
    while todo:
        node = next(todo[-1], None)
        if node is None:
            todo.pop()
            continue
        if node.unread and places.quick(*node.unread):
            continue
        places.command(node)
        if node.block:
            todo.append(iter(node.block))
        for condition, body in reversed(node.branches or ()):
            todo += [iter(body), iter(condition or ())]
    return places.found
