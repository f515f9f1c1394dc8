"""Records behave as dataclasses with slots do, in the part of it that is used."""

import copy
import pickle
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any

import pytest

from guestfix.base.record import OFTEN, asdict, field, frozen, mutable, names_of, preset, replace


@frozen
class Point:
    """A point."""

    x: int
    y: int = 0
    tags: tuple[str, ...] = ()

    @property
    def sum(self) -> int:
        """Both together."""
        return self.x + self.y


@dataclass(frozen=True, slots=True)
class Twin:
    x: int
    y: int = 0
    tags: tuple[str, ...] = ()


@mutable
class Bag:
    name: str
    items: list[Any] = field(default_factory=list)


@dataclass(slots=True)
class BagTwin:
    name: str
    items: list[Any] = dataclass_field(default_factory=list)


@frozen
class Empty:
    pass


@pytest.mark.parametrize("kind", [Point, Twin])
def test_frozen_records(kind):
    one = kind(1, y=2)
    assert (one.x, one.y, one.tags) == (1, 2, ())
    assert one == kind(1, 2) and one != kind(1, 3) and one != (1, 2, ())
    assert hash(one) == hash(kind(1, 2)) and len({one, kind(1, 2)}) == 1
    assert repr(one) == f"{kind.__qualname__}(x=1, y=2, tags=())"
    assert copy.deepcopy(one) == one
    assert pickle.loads(pickle.dumps(one)) == one  # noqa: S301 - our own bytes
    assert not hasattr(one, "__dict__")
    for change in (lambda: setattr(one, "x", 5), lambda: delattr(one, "x")):
        with pytest.raises(AttributeError):
            change()
    with pytest.raises((AttributeError, TypeError)):
        one.other = 1
    with pytest.raises(TypeError):
        kind()
    with pytest.raises(TypeError):
        kind(1, 2, (), 4)
    with pytest.raises(TypeError):
        kind(1, z=2)


@pytest.mark.parametrize("kind", [Bag, BagTwin])
def test_mutable_records(kind):
    one, other = kind("a"), kind("b")
    one.items.append(1)
    one.name = "c"
    assert (one.name, one.items, other.items) == ("c", [1], [])
    assert kind("a", [1]) == kind("a", [1])
    with pytest.raises(TypeError):
        hash(one)
    with pytest.raises(AttributeError):
        one.other = 1


def test_records_of_different_types_differ():
    assert Point(1) != Twin(1)


def test_helpers():
    assert names_of(Point) == names_of(Point(1)) == ("x", "y", "tags")
    assert names_of(3) == ()
    assert replace(Point(1, 2), y=5) == Point(1, 5)
    assert asdict(Bag("a", [Point(1), {"k": Point(2, tags=("t",))}])) == {
        "name": "a",
        "items": [{"x": 1, "y": 0, "tags": []}, {"k": {"x": 2, "y": 0, "tags": ["t"]}}],
    }
    assert Point(1, 2).sum == 3 and Point.__doc__ == "A point."
    match Point(7):
        case Point(x, _, _):
            assert x == 7
    assert Empty() == Empty() and repr(Empty()) == "Empty()"


@pytest.mark.parametrize("uses", [1, 2 * OFTEN])
def test_a_record_is_the_same_before_and_after_its_init_is_compiled(uses):
    @frozen
    class Pair:
        left: int
        right: str = "none"
        more: list[int] = field(default_factory=list)
        sum: int = 0

        def __post_init__(self) -> None:
            preset(self, "sum", self.left + 1)

    for _ in range(uses):
        one = Pair(1)
    assert (one.left, one.right, one.more, one.sum) == (1, "none", [], 2)
    assert Pair(1).more is not one.more and Pair(3, right="b") == Pair(3, "b", [])
    for wrong in (lambda: Pair(), lambda: Pair(1, left=2), lambda: Pair(1, "", [], 0, 5), lambda: Pair(1, other=2)):
        with pytest.raises(TypeError):
            wrong()
    assert Pair(1) == one
