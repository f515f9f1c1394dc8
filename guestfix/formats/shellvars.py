"""Files of shell variable assignments: /etc/default/grub, /etc/sysconfig/*, ifcfg-*, dracut.conf.

Read as sh(1) would read plain assignments, and changed by splicing: what is not touched stays byte for
byte. Names and values are text decoded as UTF-8 with surrogateescape, so any bytes survive.
"""

from __future__ import annotations

import functools
import re

from guestfix.base.edit import Splice, apply_splices, insert_lines
from guestfix.base.errors import EditError
from guestfix.base.patterns import regex
from guestfix.base.record import field, frozen, mutable, replace
from guestfix.formats import shellblocks

_START = regex(
    rb"[ \t]*(?P<export>(?:export|declare|local|readonly)[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<op>\+?=)"
)
_NEXT = regex(rb"[ \t;]+(?=(?:export[ \t]+)?[A-Za-z_][A-Za-z0-9_]*\+?=)")
_PLAIN = regex(rb"[^\s'\"\\$`;&|<>()]+")
_SAFE = regex(r"[A-Za-z0-9_@%+:,./=^~-]*\Z")
_SINGLE = regex(rb"'(?P<inner>[^']*+)'")
_DOUBLE = regex(rb'"(?P<inner>(?:[^"\\]++|\\[\s\S])*+)"')
_ESCAPE = regex(rb"\\([\s\S])")
_EXPANDS = regex(rb"(?:[^\\$`]++|\\[\s\S])*+[$`]")
_REST = regex(
    rb"""(?: [^\n'"\\\#]++ | '[^']*+' | "(?:[^"\\]++|\\[\s\S])*+" | \\[\s\S] | (?<![^\s;&|()])\#[^\n]*+ | \# )*+""",
    re.VERBOSE,
)
"""What follows on a command's line, quoted newlines included; it ends before a quote that nothing closes."""

_HEREDOC = regex(rb"(?<!<)<<(?P<tabs>-?)[ \t]*+\\?(?P<word>[A-Za-z_]\w*+)")
_NO_CODE = regex(
    rb"""(?<=<)['"] | (?<=<[-\ \t])['"] | '[^']*+' | "(?:[^"\\]++|\\[\s\S])*+" | (?<![^\s;&|()])\#[^\n]*+""",
    re.VERBOSE,
)
"""Quoted texts and comments, but for the quotes around the word that ends a here-document."""

_ALONE = regex(rb"[ \t]*(?:[ \t]\#|\r?\n|\r?\Z|;|&&|\|\|)")
"""What follows on an assignment that is a command of its own, neither another one's prefix nor in a subshell."""


@frozen
class Assignment:
    """One ``NAME=value``. Offsets count bytes of the file; ``line`` is the 1-based line it starts on.

    ``value`` has its quotes removed. ``dynamic`` says that it holds an expansion (``$x``, backquotes,
    an array), so ``value`` is what is written, not what a shell would make of it. ``append`` is ``+=``.
    ``value_start`` to ``value_end`` is the value as written, ``start`` to ``end`` every line it is on.
    ``sure`` says that a shell makes it whatever happens: it is in no block, function or subshell, and no prefix of
    another command.
    """

    name: str
    value: str
    line: int
    start: int
    end: int
    value_start: int
    value_end: int
    dynamic: bool = False
    append: bool = False
    exported: bool = False
    sure: bool = True


def decode(raw: bytes) -> str:
    """Return bytes as text that :func:`encode` turns back into the same bytes."""
    return raw.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    """Return the bytes that :func:`decode` was given."""
    return text.encode("utf-8", "surrogateescape")


class _Open(Exception):
    """A quote or list at this offset is never closed."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at


@mutable
class _Scan:
    """Reads one file. ``opened`` is (offset of its command, line) of the first quote or list that nothing closes.

    Up to ``stop`` a quote may go: once one was open at the file's end, to the end of its line, which keeps it linear.
    ``closes`` is false once the end of a list or here-document was looked for in vain: it is looked for once.
    ``blocks`` are those that are open where it reads: what opened each, and on which line; ``commands`` are the
    spans of what is no assignment.
    """

    src: bytes
    found: list[Assignment] = field(default_factory=list)
    opened: tuple[int, int] | None = None
    closes: bool = True
    stop: int = 0
    blocks: list[tuple[bytes, int]] = field(default_factory=list)
    commands: list[tuple[int, int]] = field(default_factory=list)

    def run(self) -> None:
        at, line, src = 0, 1, self.src
        while at < len(src):
            self.stop = _line_end(src, at) if self.opened else len(src)
            try:
                end = self._line(at, line)
            except _Open as error:
                self.opened = self.opened or (at, line + src.count(b"\n", at, error.at))
                for index in range(len(self.found)):
                    if self.found[-1 - index].start < at:
                        break
                    self.found[-1 - index] = replace(self.found[-1 - index], end=len(src))  # all after it is quoted
                end = _line_end(src, at)
            line += src.count(b"\n", at, end + 1)
            at = end + 1

    def _line(self, start: int, line: int) -> int:
        """Read the assignments that begin a line; return the offset of the newline that ends the command."""
        at, src, first, sure = start, self.src, len(self.found), not self.blocks
        pos = at
        while match := _START.match(src, at):
            pos, text, dynamic = self._word(match.end())
            self.found.append(self._assignment(match, line, start, pos, text, dynamic))
            at = pos if src[match.end() : match.end() + 1] == b"(" else match.end()
            following = _NEXT.match(src, pos)
            if following is None:
                break
            at = following.end()
        end = self._rest(at)
        sure = sure and (pos == start or _ALONE.match(src, pos) is not None)
        for index in range(first, len(self.found)):
            self.found[index] = replace(self.found[index], end=min(end + 1, len(src)), sure=sure)
        depth = len(self.blocks)
        if shellblocks.mentioned(src, at, end):
            shellblocks.track(self.blocks, _NO_CODE.sub(b"", src[at:end]), line, pos == start)
        if len(self.blocks) > depth and len(self.found) > first and self.found[-1].dynamic:
            pos = self.found.pop().start  # its value goes on in the lines that follow
        rest = src[pos:end].lstrip(b" \t;\r\n")
        if rest and not rest.startswith(b"#"):
            self.commands.append((pos, end))
        return end

    def _assignment(
        self, match: re.Match[bytes], line: int, start: int, pos: int, text: bytes, dynamic: bool
    ) -> Assignment:
        return Assignment(
            decode(match["name"]),
            decode(text),
            line + self.src.count(b"\n", start, match.start()),
            start,
            min(_line_end(self.src, pos) + 1, len(self.src)),
            match.end(),
            pos,
            dynamic=dynamic,
            append=match["op"] == b"+=",
            exported=match["export"] is not None,
        )

    def _rest(self, at: int) -> int:
        rest = _REST.match(self.src, at, max(at, self.stop))
        end = rest.end() if rest else at
        if end < self.stop and self.src[end : end + 1] in b"'\"":
            raise _Open(end)
        end = _line_end(self.src, end)
        code = _NO_CODE.sub(b"", self.src[at:end]) if self.closes and b"<<" in self.src[at:end] else b""
        here = _HEREDOC.search(code)
        if here is None:
            return end
        lead = rb"\t*" if here["tabs"] else b""
        close = re.compile(rb"^" + lead + re.escape(here["word"]) + rb"\r?$", re.MULTILINE).search(self.src, end)
        self.closes = close is not None
        if close is None:
            raise _Open(at)
        return _line_end(self.src, close.start())

    def _word(self, at: int) -> tuple[int, bytes, bool]:
        """Read one shell word at ``at``: its end, its bytes without quotes, whether it expands."""
        src, out, pos, dynamic = self.src, [], at, False
        while pos < self.stop:
            char = src[pos : pos + 1]
            if char in b"'\"":
                part = (_SINGLE if char == b"'" else _DOUBLE).match(src, pos, self.stop)
                if part is None:
                    raise _Open(pos)
                dynamic = dynamic or (char == b'"' and _EXPANDS.match(part["inner"]) is not None)
                out.append(part["inner"] if char == b"'" else _ESCAPE.sub(_unescaped, part["inner"]))
                pos = part.end()
            elif char == b"\\":
                if src[pos + 1 : pos + 2] not in (b"\n", b""):
                    out.append(src[pos + 1 : pos + 2])
                pos += 2
            elif char in b"$`(":
                return self._as_written(at, pos)
            else:
                plain = _PLAIN.match(src, pos)
                if plain is None:
                    break
                out.append(plain[0])
                pos = plain.end()
        return min(pos, len(src)), b"".join(out), dynamic

    def _as_written(self, at: int, pos: int) -> tuple[int, bytes, bool]:
        """Take a word with an expansion at ``pos`` as written, to its line's end; an array to its closing line."""
        end = _line_end(self.src, pos)
        if self.src[at : at + 1] == b"(":
            close = self.src.find(b")", at) if self.closes else -1
            self.closes = close >= 0
            if close < 0:
                raise _Open(at)
            end = close + 1
        raw = self.src[at:end].rstrip(b"\r\n \t")
        return at + len(raw), raw, True


def _unescaped(match: re.Match[bytes]) -> bytes:
    char = match[1]
    return b"" if char == b"\n" else char if char in b'"\\$`' else match[0]


def _line_end(src: bytes, at: int) -> int:
    """Return the offset of the newline that ends the line at ``at``, or the length of the file."""
    end = src.find(b"\n", at)
    return len(src) if end < 0 else end


@functools.lru_cache(maxsize=4)
def _scan(src: bytes) -> _Scan:
    """Return the file, read; editors ask for the same one several times."""
    scan = _Scan(src)
    scan.run()
    return scan


def assignments(src: bytes) -> list[Assignment]:
    """Return every assignment that starts a line, or follows another on its line, in file order.

    Lines in quotes and here-documents are passed over, and other commands. A quote that nothing closes costs
    its line alone, though a shell would take all that follows for quoted: see :func:`settled`.
    """
    return list(_scan(src).found)


def settled(src: bytes) -> list[Assignment]:
    """Return the assignments that a shell takes for such: those on lines before a quote that nothing closes."""
    scan = _scan(src)
    return [one for one in scan.found if scan.opened is None or one.end <= scan.opened[0]]


def refuse_open(src: bytes, what: str, before: int | None = None) -> None:
    """Raise EditError where a quote, list or block is opened before an offset and never closed.

    Without an offset the file's end is meant, where a block that is still open counts too.
    """
    scan = _scan(src)
    opened = scan.opened
    if before is None and opened is None and scan.blocks:
        raise EditError(
            f"{what} can't be set: the block that {decode(scan.blocks[-1][0])!r} begins on line {scan.blocks[-1][1]} is"
            " never closed, so a shell would set it there at most",
            where=f"line {scan.blocks[-1][1]}",
            remedy="close it by hand, then run the report again",
        )
    if opened is not None and (before is None or before > opened[0]):
        raise EditError(
            f"{what} can't be set: the quote or list that begins on line {opened[1]} is never closed, so a shell"
            " takes all after it for its text",
            where=f"line {opened[1]}",
            remedy="close it by hand, then run the report again",
        )


def _surely(src: bytes, name: str, last: Assignment) -> bool:
    """Tell whether a shell has what the last assignment says once it has read the file."""
    if not last.sure:
        return False
    raw = encode(name)
    for start, end in reversed(_scan(src).commands):
        if start < last.value_end:
            break
        code = src[start:end]
        if raw in code and shellblocks.sets(_NO_CODE.sub(lambda one: b"" if one[0][:1] == b"#" else one[0], code), raw):
            return False
    return True


def find(src: bytes, name: str) -> Assignment | None:
    """Return the assignment that counts: the last plain one of this name.

    It is ``dynamic`` and not ``sure`` where a shell may end up with another value: it is in a block or a prefix of a
    command, or a later command may set or unset the name.
    """
    found = next((one for one in reversed(assignments(src)) if one.name == name and not one.append), None)
    return found if found is None or _surely(src, name, found) else replace(found, dynamic=True, sure=False)


def get(src: bytes, name: str) -> str | None:
    """Return the value of the last assignment of name, or None."""
    found = find(src, name)
    return found.value if found else None


def quote(value: str, like: bytes = b"") -> bytes:
    """Return value as a shell word; ``like`` is the word it replaces, whose kind of quotes is kept."""
    raw = encode(value)
    if like[:1] == b"'" and b"'" not in raw:
        return b"'" + raw + b"'"
    if like[:1] == b'"' or not _SAFE.match(value) or (not like and not value):
        return b'"' + regex(rb'([\\"$`])').sub(rb"\\\1", raw) + b'"'
    return raw


def add_lines(src: bytes, what: str, *lines: bytes) -> bytes:
    """Return src with lines after its last. Raises EditError (about ``what``) where a quote is open there."""
    refuse_open(src, what)
    return apply_splices(src, [insert_lines(src, len(src), *lines)])


def set_value(src: bytes, name: str, value: str) -> bytes:
    """Make name say value to a shell: in its last assignment, or by one added at the end where none surely counts.

    One that stands in a block is overruled, not changed. Quotes, spacing and what follows on the line are kept.
    Returns src itself where it already says so. Raises EditError where a quote or block that nothing closes comes
    before the place.
    """
    last = next((one for one in reversed(assignments(src)) if one.name == name), None)
    if last is None or last.append or not _surely(src, name, last):  # what is appended to can only be overruled
        return add_lines(src, name, encode(name) + b"=" + quote(value))
    if last.value == value and not last.dynamic:
        return src
    refuse_open(src, name, last.end)
    old = src[last.value_start : last.value_end]
    return src[: last.value_start] + quote(value, old) + src[last.value_end :]


def unset(src: bytes, name: str) -> bytes:
    """Remove every assignment of name with its line; in a block it becomes empty. Returns src itself for none."""
    return drop(src, [one for one in settled(src) if one.name == name])


def drop(src: bytes, gone: list[Assignment], mark: bytes = b"") -> bytes:
    """Remove assignments with their lines, or with ``mark`` make these comments; none gives src itself.

    One that shares its line with others or a command, stands in a block, or can't be a comment as it goes over
    several lines, becomes empty instead, which readers take for absent.
    """
    sharing: dict[int, int] = {}
    for one in assignments(src) if gone else ():
        sharing[one.start] = sharing.get(one.start, 0) + 1
    busy = {min(end + 1, len(src)) for _, end in _scan(src).commands} if gone else set()
    splices = []
    for one in gone:
        if (
            sharing[one.start] > 1
            or one.end in busy
            or not one.sure
            or (mark and b"\n" in src[one.start : one.end - 1])
        ):
            splices.append(Splice(one.value_start, one.value_end - one.value_start, b""))
        elif mark:
            splices.append(Splice(one.start, 0, mark))
        else:
            splices.append(Splice(one.start, one.end - one.start, b""))
    return apply_splices(src, [one for one in splices if one.length or one.data])
