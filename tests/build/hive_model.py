"""A plain model of a hive, with steps that change it."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import strategies as st

from guestfix.formats.windows.regf import Hive
from tests.build.hive_oracles import Listing
from tests.build.hive_soundness import units, upper

NAMES = ("a", "B", "b ", "Services", "é", "Éa", "ß", "ÿ", "Ÿx", "中文", "💾", "z.z")
SIZES = (0, 1, 3, 4, 5, 8, 60, 500, 4000, 16343, 16344, 16345, 32688, 32689, 50000)


@dataclass
class Node:
    """A key in the model."""

    name: str
    values: dict[str, tuple[str, int, bytes]] = field(default_factory=dict)
    subkeys: dict[str, Node] = field(default_factory=dict)

    def listing(self, path: str = "") -> Listing:
        found = [(path, [(name, kind, data.hex()) for name, kind, data in self.values.values()])]
        for child in sorted(self.subkeys.values(), key=lambda one: units(one.name)):
            found += child.listing(f"{path}\\{child.name}" if path else child.name)
        return found

    def find(self, path: tuple[str, ...]) -> Node | None:
        node: Node | None = self
        for name in path:
            node = node and node.subkeys.get(upper(name))
        return node

    def make(self, path: tuple[str, ...]) -> Node:
        node = self
        for name in path:
            node = node.subkeys.setdefault(upper(name), Node(name))
        return node


paths = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map(tuple)
names = st.sampled_from(("", *NAMES))
data = st.tuples(st.sampled_from(SIZES), st.integers(0, 255)).map(lambda one: bytes([one[1]]) * one[0])
steps = st.one_of(
    st.tuples(st.just("set"), paths, names, st.sampled_from((0, 1, 3, 4, 7, 11, 0xFFFF0011)), data),
    st.tuples(st.just("set"), paths, names, st.sampled_from((1, 3)), data),
    st.tuples(st.just("unset"), paths, names),
    st.tuples(st.just("create"), paths),
    st.tuples(st.just("delete"), paths),
    st.tuples(st.just("many"), paths, st.integers(1, 1200)),
    st.tuples(st.just("few"), paths, st.integers(2, 7)),
)


def act(hive: Hive, model: Node, step: tuple) -> None:
    """Do one step to both."""
    kind, path = step[0], step[1]
    place = "\\".join(path)
    if kind == "set":
        _, _, name, number, raw = step
        hive.set_value(place, name, number, raw)
        values = model.make(path).values
        values[upper(name)] = (values.get(upper(name), (name,))[0], number, raw)
    elif kind == "unset":
        found = model.find(path)
        expected = found is not None and found.values.pop(upper(step[2]), None) is not None
        assert hive.delete_value(place, step[2]) == expected
    elif kind == "create":
        hive.create_key(place)
        model.make(path)
    elif kind == "delete":
        parent = model.find(path[:-1])
        expected = parent is not None and parent.subkeys.pop(upper(path[-1]), None) is not None
        assert hive.delete_key(place, recursive=True) == expected
    else:
        act_on_many(hive, model, kind, path, step[2])


def act_on_many(hive: Hive, model: Node, kind: str, path: tuple[str, ...], number: int) -> None:
    """Create so many subkeys that lists split, or delete all but each number-th."""
    node = model.make(path)
    hive.create_key("\\".join(path))
    if kind == "many":
        for one in range(number):
            name = f"n{one * 7919 % 1201}"
            hive.create_key("\\".join((*path, name)))
            node.subkeys.setdefault(upper(name), Node(name))
        return
    for one, child in enumerate(list(node.subkeys.values())):
        if one % number:
            assert hive.delete_key("\\".join((*path, child.name)), recursive=True)
            del node.subkeys[upper(child.name)]
