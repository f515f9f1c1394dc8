"""GRUB 2's grub.cfg: a shell-like language, read into commands with byte spans. Nothing is printed back.

The reader follows GRUB's own lexer (script/yylex.l, script/parser.y): words with quotes and ``$``
expansions, ``;`` and newlines between commands, ``{ }`` blocks after menuentry, submenu and function,
if/elif/else/fi, for, while, until. A line that makes no sense costs that line (``Script.problems``).

It must keep up with files of a megabyte, so one regular expression reads a whole command, and lines
that can't matter to booting (insmod, echo, loadfont ...) are passed over in bulk.
"""

from __future__ import annotations

import bisect
import functools
import re
from collections.abc import Iterator

from guestfix.base.bounds import MENU_COMMANDS, MENU_PROBLEM
from guestfix.base.patterns import regex
from guestfix.base.record import frozen
from guestfix.formats.shellvars import decode

MAX_DEPTH = 64
"""Blocks within blocks that are followed; deeper ones are skipped as a problem."""

MAX_PROBLEMS = 100
MAX_OPEN = 1000
"""Blocks that may be open at once, followed or not."""

MAX_COMMAND = 1 << 18
"""Bytes of one command, or of the comments before it."""

_WORD_PARTS = rb"""[^\s;{}'"\\$]++ | '[^']*+' | "(?:[^"\\]++|\\[\s\S])*+" | \\[\s\S] | \$\{[^}{$\s]{0,200}+\} | \$"""
_BORING = rb"insmod|echo|load_video|gfxmode|recordfail|savedefault|loadfont|true"
_STEP = regex(
    rb"""(?:
        [\s;]++ | \\\n | \#[^\n]*+
        | (?:(?<=\n)|(?<=\n\t)|(?<=\n\t\t)|(?<=\n[ ]{2})|(?<=\n\t[ ]{2}))
          (?:"""
    + _BORING
    + rb""")(?=[ \t\n]) (?:[^\n;{}'"\\\#]++|'[^'\n]*+')*+ \n
    ){0,1000}+
    (?: (?P<keyword>if|then|elif|else|fi|while|until|do|done)(?=[\s;{}]|\Z) | (?P<name>(?:"""
    + _WORD_PARTS
    + rb""")++)
        (?P<rest>(?: [^\n;{}'"\\$\#]++ | '[^']*+' | "(?:[^"\\]++|\\[\s\S])*+" | \\[\s\S] | \$\{[^}{$\s]{0,200}+\} | \$
            | (?<=[^\s])\# )*+) )?""",
    re.VERBOSE,
)
WORD = regex(rb"(?:" + _WORD_PARTS + rb")++", re.VERBOSE)
_TO_BRACE = regex(rb"(?:\s*+(?=\{))?+")
_NEEDS_CARE = regex(rb"['\"\\$]")
_PART = regex(
    rb"""(?P<bare>[^'"\\$]++) | '(?P<single>[^']*+)' | "(?P<double>(?:[^"\\]++|\\[\s\S])*+)" | \\(?P<escaped>[\s\S])
    | \$\{(?P<braced>[^}{$\s]{0,200}+)\} | \$(?P<name>[A-Za-z_]\w*+|[0-9?\#*@]) | (?P<odd>[\s\S])""",
    re.VERBOSE,
)
_IN_DOUBLE = regex(
    rb"""(?P<bare>[^\\$]++) | \\(?P<escaped>[$"\\]) | \\(?P<joined>\n) | \$\{(?P<braced>[^}{$\s]{0,200}+)\}
    | \$(?P<name>[A-Za-z_]\w*+|[0-9?\#*@]) | (?P<odd>[\s\S])""",
    re.VERBOSE,
)
MAX_LAZY = 65536
"""Bytes within which the end of a menu entry is looked for the quick way."""


_SUFFIXED = regex(rb"\A(linux|initrd)\$\{?\w+\}?\Z")
"""``linux$suf``, where a menu has 16 or efi in a variable: the same command."""


class Node:
    """One command. ``start`` is its first byte, ``rest_start`` to ``rest_end`` its words, ``end`` its end.

    ``block`` holds the commands between braces or do and done. An ``if`` has ``branches`` of
    (condition, commands), the condition of else being None.
    """

    __slots__ = ("_block", "_body", "_src", "branches", "end", "name", "rest_end", "rest_start", "start")

    def __init__(self, name: bytes, start: int, rest_start: int, rest_end: int) -> None:
        self.name = name
        self.start = start
        self.rest_start = rest_start
        self.rest_end = rest_end
        self.end = rest_end
        self._block: list[Node] | None = None
        self._body: tuple[int, int] | None = None
        self.branches: list[tuple[list[Node] | None, list[Node]]] | None = None

    @property
    def block(self) -> list[Node] | None:
        """The commands of the block; those of a simple menu entry are read when first asked for."""
        if self._body is not None:
            reader = _Reader(self._src, *self._body)
            reader.read()
            self._block, self._body = reader.top, None
        return self._block

    @property
    def unread(self) -> tuple[int, int] | None:
        """Where the body lies that nobody has asked for yet. It has no braces and no comments."""
        return self._body

    def defer(self, src: bytes, start: int, end: int) -> None:
        """Leave the body between two offsets for later."""
        self._src, self._body, self.end = src, (start, end), end + 1

    def open_block(self) -> list[Node]:
        """Give the command a block, still empty."""
        self._block = []
        return self._block


@frozen
class Script:
    """A file's commands. ``problems`` has (line, what) for what GRUB would refuse."""

    src: bytes
    nodes: list[Node]
    problems: tuple[tuple[int, str], ...]
    _newlines: list[int]

    def line_of(self, offset: int) -> int:
        """Return the 1-based line of an offset."""
        if not self._newlines:
            self._newlines.extend(match.start() for match in regex(rb"\n").finditer(self.src))
            self._newlines.append(len(self.src) + 1)
        return bisect.bisect_left(self._newlines, offset) + 1

    def walk(self) -> Iterator[Node]:
        """Return every command in file order, whatever conditions stand around it."""
        todo = [iter(self.nodes)]
        while todo:
            node = next(todo[-1], None)
            if node is None:
                todo.pop()
                continue
            yield node
            if node.block:
                todo.append(iter(node.block))
            for condition, body in reversed(node.branches or ()):
                todo += [iter(body), iter(condition or ())]


class _Frame:
    __slots__ = ("kind", "node", "nodes")

    def __init__(self, kind: bytes, node: Node | None, nodes: list[Node]) -> None:
        self.kind, self.node, self.nodes = kind, node, nodes


class _Reader:
    """Reads one file; the stack of open blocks is explicit, so a hostile file can't exhaust Python's."""

    def __init__(self, src: bytes, start: int, end: int) -> None:
        self.src = src
        self.at, self.size = start, end
        self.top: list[Node] = []
        self.stack = [_Frame(b"", None, self.top)]
        self.problems: list[tuple[int, str]] = []

    def read(self) -> None:
        src, step, stack = self.src, _STEP.match, self.stack
        size, nodes, at = self.size, self.top, self.at
        left = MENU_COMMANDS
        while at < size:
            match = step(src, at, min(size, at + MAX_COMMAND))
            left -= 1
            if match is None or self._is_too_much(match.end() - at, left):
                self._too_much(at)
                break
            name, end = match[2], match.end()
            if name is None:
                self.at = end
                if match[1]:
                    self._keyword(match[1], match.start(1))
                elif end < size and end == at:
                    self._odd(src[end : end + 1])
                if self.at - end > MAX_COMMAND:
                    self._too_much(end)
                at = self.at
            elif name == b"for":
                self._loop(Node(name, match.start(2), match.end(2), end))
                at = end
            else:
                if b"$" in name:
                    name = _SUFFIXED.sub(rb"\1", name)
                node = Node(name, match.start(2), match.end(2), end)
                nodes.append(node)
                if name == b"function":
                    end = _TO_BRACE.match(src, end, size).end()  # type: ignore[union-attr]
                at = end
                if end < size and src[end] == _BRACE:
                    at = self._block(node, end + 1)
                elif name == b"function":
                    self._problem(node.start, "a function without commands")
            nodes = stack[-1].nodes
        for frame in stack[1:]:
            self._problem(frame.node.start if frame.node else size, "never closed")

    def _is_too_much(self, length: int, left: int) -> bool:
        """Tell whether reading ends here: a command, the number of them or their depth is no menu's."""
        return length >= MAX_COMMAND or left < 0 or len(self.stack) > MAX_OPEN

    def _too_much(self, offset: int) -> None:
        """Say so whatever other problems there are."""
        line = self.src.count(b"\n", 0, offset) + 1
        self.problems = [*self.problems[: MAX_PROBLEMS - 1], (line, MENU_PROBLEM)]

    def _problem(self, offset: int, what: str) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append((self.src.count(b"\n", 0, offset) + 1, what))

    def _block(self, node: Node, at: int) -> int:
        """Begin a block after its brace, or pass over the whole of it where that is safe."""
        if node.name == b"menuentry" and len(self.stack) < MAX_DEPTH // 4:
            end = _simple_end(self.src, node.start, at, self.size)
            if end:
                node.defer(self.src, at, end)
                return end + 1
        if len(self.stack) >= MAX_DEPTH:
            self._problem(at, "too many blocks within blocks")
            self.stack.append(_Frame(b"{", node, []))
        else:
            self.stack.append(_Frame(b"{", node, node.open_block()))
        return at

    def _odd(self, char: bytes) -> None:
        """Deal with a byte that starts no command: a brace, or a quote that is never closed."""
        frame = self.stack[-1]
        self.at += 1
        if char == b"}" and any(one.kind == b"{" for one in self.stack):
            while frame.kind != b"{":
                self._problem(self.at - 1, "a block ends before what began in it")
                self.stack.pop()
                frame = self.stack[-1]
            self.stack.pop()
            if frame.node:
                frame.node.end = self.at
            return
        self._problem(self.at - 1, f"unexpected {decode(char)}")
        if char not in b"{}":
            newline = self.src.find(b"\n", self.at)
            self.at = len(self.src) if newline < 0 else newline + 1

    def _keyword(self, name: bytes, at: int) -> None:
        frame = self.stack[-1]
        if name in (b"if", b"while", b"until"):
            node = Node(name, at, self.at, self.at)
            condition: list[Node] = []
            node.branches = [] if name == b"if" else [(condition, [])]
            self._attach(node)
            self.stack.append(_Frame(b"if" if name == b"if" else b"while", node, condition))
        elif name in (b"then", b"elif", b"else", b"fi"):
            self._branch(name, frame, at)
        else:
            self._do(name, frame, at)

    def _attach(self, node: Node) -> None:
        """Put a compound command in its place, unless it lies too deep to be followed."""
        if len(self.stack) < MAX_DEPTH:
            self.stack[-1].nodes.append(node)
        else:
            self._problem(node.start, "too many blocks within blocks")

    def _loop(self, node: Node) -> None:
        self._attach(node)
        self.stack.append(_Frame(b"while", node, []))

    def _branch(self, name: bytes, frame: _Frame, offset: int) -> None:
        node = frame.node
        if node is None or frame.kind not in (b"if", b"then", b"else") or node.branches is None:
            self._problem(offset, f"unexpected {decode(name)}")
            return
        if name == b"then" and frame.kind == b"if":
            body: list[Node] = []
            node.branches.append((frame.nodes, body))
            self.stack[-1] = _Frame(b"then", node, body)
        elif name == b"elif" and frame.kind == b"then":
            self.stack[-1] = _Frame(b"if", node, [])
        elif name == b"else" and frame.kind == b"then":
            body = []
            node.branches.append((None, body))
            self.stack[-1] = _Frame(b"else", node, body)
        elif name == b"fi":
            self.stack.pop()
            node.end = offset + 2
        else:
            self._problem(offset, f"unexpected {decode(name)}")

    def _do(self, name: bytes, frame: _Frame, offset: int) -> None:
        node = frame.node
        if node is None or frame.kind != (b"while" if name == b"do" else b"do"):
            self._problem(offset, f"unexpected {decode(name)}")
            return
        if name == b"do":
            self.stack[-1] = _Frame(b"do", node, node.open_block())
        else:
            self.stack.pop()
            node.end = offset + 4


_BRACE = ord("{")


def _simple_end(src: bytes, start: int, at: int, size: int) -> int:
    """Return the offset of the brace that ends a menu entry, or 0 where only reading it all can tell.

    The first line that has nothing but a brace, indented as the entry is, ends it if what lies between
    has no other brace, no comment, no backslash, and quotes of one kind only, in pairs.
    """
    indent = start
    while indent and src[indent - 1] in b" \t":
        indent -= 1
    closing = b"\n" + src[indent:start] + b"}"
    end = src.find(closing, at, min(size, at + MAX_LAZY))
    if end < 0:
        return 0
    body = src[at : end + 1]
    plain = b"#" not in body and b"\\" not in body and body.count(b"{") == body.count(b"${") == body.count(b"}")
    single, double = body.count(b"'"), body.count(b'"')
    return end + len(closing) - 1 if plain and not (single and double) and not (single + double) % 2 else 0


@functools.lru_cache(maxsize=4)
def parse(src: bytes) -> Script:
    """Read a grub.cfg. Never fails: what GRUB would refuse is in ``problems``."""
    reader = _Reader(src, 0, len(src))
    reader.read()
    return Script(src, reader.top, tuple(reader.problems), [])


def raw_words(src: bytes, node: Node) -> list[tuple[int, int]]:
    """Return the offsets of a command's words after its name."""
    return [match.span() for match in WORD.finditer(src, node.rest_start, node.rest_end)]


def literal(raw: bytes) -> str | None:
    """Return a word without its quotes, or None where it holds an expansion."""
    if not _NEEDS_CARE.search(raw):
        return decode(raw)
    out = []
    for part in _PART.finditer(raw):
        kind = part.lastgroup
        if kind == "double":
            inner = _literal_double(part["double"])
            if inner is None:
                return None
            out.append(inner)
        elif kind in ("braced", "name"):
            return None
        elif part["escaped"] != b"\n":
            out.append(part[kind or 0])
    return decode(b"".join(out))


def _literal_double(raw: bytes) -> bytes | None:
    out = []
    for part in _IN_DOUBLE.finditer(raw):
        if part.lastgroup in ("braced", "name"):
            return None
        if part.lastgroup != "joined":
            out.append(part[part.lastgroup or 0])
    return b"".join(out)


def parts_of(raw: bytes) -> Iterator[tuple[str, bytes]]:
    """Return a word's parts as ("text"|"quoted"|"variable"|"quoted-variable", bytes)."""
    for part in _PART.finditer(raw):
        kind = part.lastgroup or ""
        if kind == "double":
            yield "quoted", b""
            for inner in _IN_DOUBLE.finditer(part["double"]):
                where = inner.lastgroup or ""
                if where in ("braced", "name"):
                    yield "quoted-variable", inner[where]
                elif where != "joined":
                    yield "quoted", inner[where]
        elif kind in ("braced", "name"):
            yield "variable", part[kind]
        elif kind == "single":
            yield "quoted", part["single"]
        elif part["escaped"] != b"\n":
            yield "text", part[kind]
