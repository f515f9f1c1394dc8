"""YAML as a tree of nodes that know their place in the text, for edits that splice and copy the rest.

PyYAML's event parser (libyaml, which netplan itself uses) does the parsing; nothing is resolved or built, so
no tag can make an object. Depth and number of nodes are bounded, what aliases repeat counted again.
"""

from __future__ import annotations

from typing import Any

from guestfix.base.bounds import YAML_DEPTH, YAML_NODES
from guestfix.base.errors import EditError
from guestfix.base.patterns import import_kept, regex
from guestfix.base.record import field, mutable

MAX_DEPTH = YAML_DEPTH
MAX_NODES = YAML_NODES
_PROPERTIES = regex(r"(?:[&!]\S*\s+)*")


@mutable
class Node:
    """A scalar (``value``), a sequence (``items``) or a mapping (``pairs``). Offsets count characters.

    ``end`` is the end of the node's own last character, without a comment or an empty line after it. ``aliases`` of a
    root: the text repeats a node by its anchor, so that a node may stand in several places of the tree.
    """

    kind: str
    start: int
    end: int
    line: int
    value: str = ""
    flow: bool = False
    plain: bool = True
    block: bool = False
    aliases: bool = False
    items: list[Node] = field(default_factory=list)
    pairs: list[tuple[Node, Node]] = field(default_factory=list)

    def get(self, key: str) -> Node | None:
        """Return the value of the last pair with this key, or None."""
        return next((value for name, value in reversed(self.pairs) if name.value == key), None)

    def key(self, key: str) -> Node | None:
        """Return the key node of the last pair with this key, or None."""
        return next((name for name, _ in reversed(self.pairs) if name.value == key), None)

    def data(self) -> Any:
        """Return the tree as dicts, lists and strings."""
        if self.kind == "map":
            return {key.value: value.data() for key, value in self.pairs}
        return [one.data() for one in self.items] if self.kind == "seq" else self.value


class _Builder:
    """Puts events together without recursion."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.root: Node | None = None
        self.open: list[Node] = []
        self.waiting: list[Node | None] = []
        self.count = 0
        self.anchors: dict[str, Node] = {}
        self.aliases = False

    def repeat(self, anchor: str, line: int) -> None:
        """Put an anchored node in once more."""
        node = self.anchors.get(anchor)
        if node is None or any(one is node for one in self.open):
            raise EditError("the YAML file repeats what is not whole yet", where=f"line {line}")
        self.aliases = True
        todo = [node]
        while todo and self.count <= MAX_NODES:
            one = todo.pop()
            self.count += 1
            todo += [*one.items, *(part for pair in one.pairs for part in pair)]
        self.add(node)

    def add(self, node: Node) -> None:
        self.count += 1
        if self.count > MAX_NODES:
            raise EditError("the YAML file has too many values to be edited")
        if not self.open:
            self.root = self.root or node
        elif self.open[-1].kind == "seq":
            self.open[-1].items.append(node)
        elif self.waiting[-1] is None:
            self.waiting[-1] = node
        else:
            self.open[-1].pairs.append((self.waiting[-1], node))
            self.waiting[-1] = None

    def enter(self, node: Node) -> None:
        self.add(node)
        if len(self.open) >= MAX_DEPTH:
            raise EditError("the YAML file is nested too deeply to be edited", where=f"line {node.line}")
        self.open.append(node)
        self.waiting.append(None)

    def leave(self, end: int) -> None:
        node = self.open.pop()
        self.waiting.pop()
        last = node.items[-1] if node.items else node.pairs[-1][1] if node.pairs else None
        if not node.flow and last is not None:
            key_end = node.pairs[-1][0].end if node.pairs else 0
            node.end = max(last.end, key_end)
        else:
            node.end = end


def parse(src: bytes) -> Node | None:
    """Return the first document's root node, None where it is empty.

    Raises EditError where the bytes are no UTF-8 or no YAML, or hold too much.
    """
    yaml = import_kept("yaml")

    try:
        text = src.decode("utf-8")
    except UnicodeDecodeError as error:
        raise EditError(f"not UTF-8 at byte {error.start}") from error
    if text.startswith("\ufeff"):
        raise EditError("the YAML file starts with a byte order mark")
    build = _Builder(text)
    try:
        for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            if isinstance(event, yaml.DocumentEndEvent):
                break
            _take(build, event, yaml, text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark else ""
        raise EditError(f"not YAML: {getattr(error, 'problem', None) or 'unreadable'}", where=where) from error
    if build.root is not None:
        build.root.aliases = build.aliases
    return build.root


def _take(build: _Builder, event: Any, yaml: Any, text: str) -> None:
    if isinstance(event, yaml.AliasEvent):
        build.repeat(event.anchor, event.start_mark.line + 1)
        return
    start, end, line = event.start_mark.index, event.end_mark.index, event.start_mark.line + 1
    if isinstance(event, yaml.ScalarEvent):
        style = event.style or ""
        start = _behind_anchor(event, text, start, end)
        node = Node("scalar", start, end, line, event.value, plain=not style, block=style in ("|", ">"))
        _remember(build, event, node)
        build.add(node)
    elif isinstance(event, yaml.CollectionStartEvent):
        kind = "map" if isinstance(event, yaml.MappingStartEvent) else "seq"
        start = _behind_anchor(event, text, start, len(text))
        node = Node(kind, start, end, line, flow=bool(event.flow_style))
        _remember(build, event, node)
        build.enter(node)
    elif isinstance(event, yaml.CollectionEndEvent):
        build.leave(end)


def _behind_anchor(event: Any, text: str, start: int, end: int) -> int:
    """Return where an anchored node's own text starts."""
    if event.anchor is None:
        return start
    found = _PROPERTIES.match(text, start, end)
    return found.end() if found else start


def _remember(build: _Builder, event: Any, node: Node) -> None:
    if event.anchor is not None:
        build.anchors[event.anchor] = node
