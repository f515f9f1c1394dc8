"""Packs on top of each other: what a later one adds to, replaces in, or takes out of those beneath it.

A pack whose pack.yaml says ``extends: ID`` lies on the packs beneath it, one of which has that id. Its files take the
place of files of the same name, which is to say of the same id. A rule, target or system that says ``extends: ID``
itself starts from that one of the packs beneath: its keys replace those, and a system's rows and releases come on top.
All of this is done on YAML nodes, so that every mistake is told at its place in the file that has it.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from guestfix.base.errors import Problem
from guestfix.base.nearest import did_you_mean
from guestfix.base.record import field, frozen, mutable, replace
from guestfix.pack.model import PackPart
from guestfix.pack.schema import Reader, texts_of
from guestfix.pack.yamlpos import Mark, Node

Nodes = dict[str, Node]
"""A pack's parsed files by their path in it."""

MOST_DISABLED = 256
"""Ids and globs that one pack disables."""
ON_TOP = ("rows", "releases", "sources", "refuses")
"""Lists of a system or target that an extension adds to; the added ones are looked at first."""
BY_KEY = ("facts", "names")
"""Mappings of a system that an extension adds to, key by key. A system of another id has no name of the lower one."""


@frozen
class Layer:
    """One pack as it was read."""

    root: str
    digest: str
    nodes: Nodes


@mutable
class Stack:
    """What the packs are together. ``disabled`` holds the ids of rules that a pack took out."""

    nodes: Nodes = field(default_factory=dict)
    parts: list[PackPart] = field(default_factory=list)
    disabled: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def stands_alone(layer: Layer) -> bool:
    """Tell whether a pack does not extend another one."""
    return _key(layer, "extends") is None


def build(layers: Iterable[Layer]) -> Stack:
    """Lay the packs on each other, the first at the bottom, noting every mistake."""
    stack = Stack()
    for layer in layers:
        _place(stack, layer)
    return stack


def _key(layer: Layer, name: str) -> Node | None:
    node = layer.nodes.get("pack.yaml")
    return (node.keys or {}).get(name) if node is not None else None


def _place(stack: Stack, layer: Layer) -> None:
    """Lay one pack on the stack."""
    changes: list[tuple[str, str, str]] = []
    extends = _key(layer, "extends")
    ids = [part.id for part in stack.parts]
    if extends is None and stack.parts:
        mark = layer.nodes["pack.yaml"].mark if "pack.yaml" in layer.nodes else Mark(layer.root, 1, 1)
        what = "this pack stands alone, so that no pack can be beneath it"
        stack.problems.append(mark.problem(what, f"write into it: extends: {ids[-1]}"))
    if extends is not None and extends.text not in ids:
        what = f"there is no pack {extends.text!r} beneath this one"
        stack.problems.append(extends.mark.problem(what, did_you_mean(extends.text or "", ids)))
    beneath = dict(stack.nodes)
    _disable(stack, layer, changes)
    for name, node in layer.nodes.items():
        if "/" in name and not name.startswith("tables/"):
            stack.nodes[name] = _entity(stack, beneath, name, node, changes)
        else:
            stack.nodes[name] = _merge_file(stack, name, node, changes)
    version, ident = (_key(layer, name) for name in ("version", "id"))
    text = [node.text or "" if node is not None else "" for node in (ident, version)]
    if ident is not None and ident.text in ids:
        stack.problems.append(ident.mark.problem(f"a pack beneath this one has the id {ident.text!r} already"))
    told = tuple({"what": what, "kind": kind, "id": one} for what, kind, one in changes) if ids else ()
    stack.parts.append(PackPart(text[0], text[1], layer.digest, told))


KINDS = {"fix": "rule", "os": "system", "targets": "target"}


def _ident(name: str) -> str:
    """Return the id that a file of a rule, system or target stands for."""
    parts = name.removesuffix(".yaml").split("/")
    return "/".join(parts[1:] if parts[0] == "targets" else parts[1:-1])


def _file(name: str, ident: str) -> str:
    """Return the file of the same kind that this id has."""
    kind, _, rest = name.partition("/")
    return f"targets/{ident}.yaml" if kind == "targets" else f"{kind}/{ident}/{rest.rpartition('/')[2]}"


def _entity(stack: Stack, beneath: Nodes, name: str, node: Node, changes: list[tuple[str, str, str]]) -> Node:
    """Return a rule, system or target as the packs together have it."""
    kind = KINDS.get(name.partition("/")[0], "file")
    base = (node.keys or {}).get("extends")
    what = "replaced" if name in beneath else "added"
    if base is not None:
        lower = beneath.get(_file(name, base.text or ""))
        if lower is None:
            ids = [_ident(one) for one in beneath if one.partition("/")[0] == name.partition("/")[0]]
            what = f"there is no {kind} {base.text!r} in the packs beneath"
            stack.problems.append(base.mark.problem(what, did_you_mean(base.text or "", ids)))
            return node
        what = "extended" if base.text == _ident(name) else "added"
        node = _extend(_nameless(lower) if what == "added" else lower, node)
    changes.append((what, kind, _ident(name)))
    return node


def _extend(lower: Node, upper: Node) -> Node:
    """Return the upper mapping's keys over the lower one's; of a system's rows, releases, facts and the like both."""
    own = {key: node for key, node in (upper.keys or {}).items() if key != "extends"}
    keys = {**(lower.keys or {}), **own}
    for name in ON_TOP:
        above, below = own.get(name), (lower.keys or {}).get(name)
        if above is not None and below is not None and above.items is not None and below.items is not None:
            keys[name] = replace(above, items=(*above.items, *below.items))
    for name in BY_KEY:
        above, below = own.get(name), (lower.keys or {}).get(name)
        if above is not None and below is not None and above.keys is not None and below.keys is not None:
            both = {**below.keys, **above.keys}
            keys[name] = replace(above, keys=both, key_marks={**below.key_marks, **above.key_marks})
    marks = {name: mark for name, mark in {**lower.key_marks, **upper.key_marks}.items() if name in keys}
    return replace(upper, keys=keys, key_marks=marks)


def _nameless(lower: Node) -> Node:
    keys = {name: node for name, node in (lower.keys or {}).items() if name != "names"}
    return replace(lower, keys=keys, key_marks={name: lower.key_marks[name] for name in keys})


def _disable(stack: Stack, layer: Layer, changes: list[tuple[str, str, str]]) -> None:
    """Take the rules out that a pack disables, by id or glob."""
    node = _key(layer, "disable")
    if node is None:
        return
    reader = Reader(layer.nodes["pack.yaml"], stack.problems, "pack.yaml")
    rules = {_ident(name): name for name in stack.nodes if name.startswith("fix/")}
    patterns = texts_of(node, "disable", reader)
    if len(patterns) > MOST_DISABLED:
        reader.complain(patterns[MOST_DISABLED][1], f"a pack disables at most {MOST_DISABLED} ids and globs")
    for pattern, mark in patterns[:MOST_DISABLED]:
        found = [one for one in rules if fnmatchcase(one, pattern)]
        if not found:
            what = f"no rule of the packs beneath is named {pattern!r}"
            stack.problems.append(mark.problem(what, did_you_mean(pattern, rules)))
        for one in found:
            stack.nodes.pop(rules.pop(one))
            stack.disabled.append(one)
            changes.append(("disabled", "rule", one))


def _merge_file(stack: Stack, name: str, node: Node, changes: list[tuple[str, str, str]]) -> Node:
    """Merge pack.yaml, compat.yaml and tables key by key; of policies and sets of paths one by one."""
    lower = stack.nodes.get(name)
    if lower is None or lower.keys is None or node.keys is None:
        return node
    keys = {**lower.keys, **node.keys}
    if "policies" in lower.keys and "policies" in node.keys:
        keys["policies"] = _policies(lower.keys["policies"], node.keys["policies"], changes)
    if "paths" in lower.keys and "paths" in node.keys:
        keys["paths"] = _paths(lower.keys["paths"], node.keys["paths"], changes)
    if name.startswith("tables/"):
        table = name.removeprefix("tables/").removesuffix(".yaml")
        changes += [("replaced" if key in lower.keys else "added", "row of " + table, key) for key in node.keys]
    return replace(node, keys=keys, key_marks={**lower.key_marks, **node.key_marks})


def _policies(lower: Node, upper: Node, changes: list[tuple[str, str, str]]) -> Node:
    """Return both lists of policies; one that is in both has the upper one's keys over the lower one's."""
    if lower.items is None or upper.items is None:
        return upper
    found = {_id_of(item): item for item in lower.items}
    for item in upper.items:
        ident = _id_of(item)
        changes.append(("extended" if ident in found else "added", "policy", ident))
        found[ident] = _extend(found[ident], item) if ident in found else item
    return replace(upper, items=tuple(found.values()))


def _id_of(node: Node) -> str:
    ident = (node.keys or {}).get("id")
    return ident.text or "" if ident is not None else ""


def _paths(lower: Node, upper: Node, changes: list[tuple[str, str, str]]) -> Node:
    """Return both mappings of named sets; a set that names itself means what is beneath it."""
    if lower.keys is None or upper.keys is None:
        return upper
    keys = dict(lower.keys)
    for name, node in upper.keys.items():
        changes.append(("replaced" if name in keys else "added", "paths", name))
        below = keys.get(name)
        if below is not None and node.items is not None and below.items is not None:
            inner = [one for item in node.items for one in (below.items if item.text == f"@{name}" else (item,))]
            node = replace(node, items=tuple(inner))
        keys[name] = node
    return replace(upper, keys=keys, key_marks={**lower.key_marks, **upper.key_marks})
