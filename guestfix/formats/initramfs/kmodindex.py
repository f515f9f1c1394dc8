"""kmod's index files (modules.dep.bin, modules.alias.bin, ...): a radix tree of keys, read and written.

The layout is that of libkmod-index.h and depmod.c of kmod: big-endian words; magic and version; the
root's offset. An offset's top four bits tell which parts a node has: a prefix (NUL-terminated text),
children (first and last character, then an offset for each), values (a count, then for each a priority
and text). Children are written before their parent.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from guestfix.base.errors import Corrupt
from guestfix.base.record import field, mutable

MAGIC, VERSION = 0xB007F457, 0x00020001
_PREFIX, _VALUES, _CHILDS, _MASK = 0x80000000, 0x40000000, 0x20000000, 0x0FFFFFFF
MAX_DEPTH = 512
MAX_VALUES = 500_000
MAX_TEXT = 32 * 1024 * 1024
"""Characters of all keys and values; those of a distribution's modules.alias.bin come to 2 MB."""

MAX_SLOTS = 10_000_000
"""Places for children in all nodes, used or not: nodes may be shared, so the file's size does not bound them."""


Row = tuple[str, int, str]
"""A key, its priority (the lower comes first), its value."""


@mutable
class _Node:
    prefix: bytes = b""
    children: dict[int, _Node] = field(default_factory=dict)
    values: list[tuple[int, bytes]] = field(default_factory=list)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


class _Parser:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.rows: list[Row] = []
        self.nodes = 0
        self.slots = 0
        self.text = 0

    def word(self, at: int) -> int:
        if at + 4 > len(self.data):
            raise Corrupt("a kmod index ends too early", offset=at)
        found: int = struct.unpack_from(">I", self.data, at)[0]
        return found

    def string(self, at: int) -> tuple[bytes, int]:
        end = self.data.find(b"\0", at)
        if end < 0:
            raise Corrupt("a text of a kmod index has no end", offset=at)
        return self.data[at:end], end + 1

    def walk(self, offset: int, key: bytes, depth: int) -> None:
        at = offset & _MASK
        self.nodes += 1
        if depth > MAX_DEPTH or self.nodes > MAX_VALUES or len(key) > 4096:
            raise Corrupt("a kmod index is nested too deeply or refers to itself", offset=at)
        if offset & _PREFIX:
            prefix, at = self.string(at)
            key += prefix
        if offset & _CHILDS:
            first, last = self.data[at : at + 2] if at + 2 <= len(self.data) else (1, 0)
            at += 2
            self.slots += max(0, last - first)
            if self.slots > MAX_SLOTS:
                raise Corrupt("a kmod index has too many nodes", offset=at)
            children = [(char, self.word(at + 4 * (char - first))) for char in range(first, last + 1)]
            at += 4 * len(children)
        else:
            children = []
        if offset & _VALUES:
            self.values(at, key)
        for char, child in children:
            if child:
                self.walk(child, key + bytes([char]), depth + 1)

    def values(self, at: int, key: bytes) -> None:
        count, at = self.word(at), at + 4
        if len(self.rows) + count > MAX_VALUES:
            raise Corrupt(f"a kmod index has more than {MAX_VALUES} values", offset=at)
        name = _text(key)
        for _ in range(count):
            priority = self.word(at)
            value, at = self.string(at + 4)
            self.text += len(key) + len(value)
            if self.text > MAX_TEXT:
                raise Corrupt(f"a kmod index has more than {MAX_TEXT} bytes of text", offset=at)
            self.rows.append((name, priority, _text(value)))


def read(data: bytes) -> list[Row]:
    """Return every row of an index, keys in byte order. Raises Corrupt."""
    parser = _Parser(data)
    if (parser.word(0), parser.word(4) >> 16) != (MAGIC, VERSION >> 16):
        raise Corrupt("not a kmod index of version 2", offset=0)
    parser.walk(parser.word(8), b"", 0)
    return parser.rows


def _insert(root: _Node, key: bytes, priority: int, value: bytes) -> None:
    node, at = root, 0
    while True:
        common = _common(node.prefix, key[at:])
        if common < len(node.prefix):
            tail = _Node(node.prefix[common + 1 :], node.children, node.values)
            node.children, node.values = {node.prefix[common]: tail}, []
            node.prefix = node.prefix[:common]
        at += common
        if at == len(key):
            node.values.append((priority, value))
            return
        if key[at] not in node.children:
            node.children[key[at]] = _Node(key[at + 1 :], {}, [(priority, value)])
            return
        node, at = node.children[key[at]], at + 1


def _common(one: bytes, other: bytes) -> int:
    if other.startswith(one):
        return len(one)
    return next((i for i in range(len(one)) if one[i : i + 1] != other[i : i + 1]), len(one))


def _emit(node: _Node, out: bytearray) -> int:
    """Append a node behind its children; return its offset with its flags. Depth is that of the keys."""
    stack: list[tuple[_Node, list[int], dict[int, int]]] = [(node, sorted(node.children), {})]
    while True:
        at, todo, offsets = stack[-1]
        if todo:
            child = at.children[todo[0]]
            stack.append((child, sorted(child.children), {}))
            continue
        offset = _emit_one(at, offsets, out)
        stack.pop()
        if not stack:
            return offset
        _, todo, offsets = stack[-1]
        offsets[todo.pop(0)] = offset


def _emit_one(node: _Node, offsets: dict[int, int], out: bytearray) -> int:
    at, flags = len(out), 0
    if node.prefix:
        flags |= _PREFIX
        out += node.prefix + b"\0"
    if offsets:
        flags |= _CHILDS
        first, last = min(offsets), max(offsets)
        out += bytes([first, last])
        for char in range(first, last + 1):
            out += struct.pack(">I", offsets.get(char, 0))
    if node.values:
        flags |= _VALUES
        out += struct.pack(">I", len(node.values))
        for priority, value in sorted(node.values, key=lambda item: item[0]):
            out += struct.pack(">I", priority) + value + b"\0"
    return at | flags


def write(rows: Iterable[Row]) -> bytes:
    """Return an index that holds these rows, byte for byte as depmod(8) of kmod 26 to 30 writes it.

    Later ones put parents before their children, which reads the same.
    Rows whose key is not ASCII are left out, as depmod refuses them.
    """
    root = _Node()
    for key, priority, value in rows:
        if key.isascii() and "\0" not in key + value:
            _insert(root, key.encode(), priority, value.encode("utf-8", "surrogateescape"))
    out = bytearray(struct.pack(">III", MAGIC, VERSION, 0))
    struct.pack_into(">I", out, 8, _emit(root, out))
    return bytes(out)
