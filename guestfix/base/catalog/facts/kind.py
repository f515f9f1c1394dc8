"""What the table of facts says of one fact."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar, cast

from guestfix.base.record import frozen, names_of

T = TypeVar("T")
H = TypeVar("H")
Seen = TypeVar("Seen", covariant=True)

KINDS = {
    "text": "a text",
    "number": "a whole number",
    "flag": "true or false",
    "list": "a list of texts",
    "numbers": "a list of whole numbers",
    "table": "a table from text to text",
    "record": "a record",
    "records": "a list of records",
}
"""What a fact's value can be, with what an author calls it."""

SCALARS = ("text", "number", "flag")


class Asked(Protocol[Seen]):
    """A row as a reader sees it: what is a list of texts is a sequence of objects too."""

    @property
    def name(self) -> str:
        """The fact's name."""

    def typed(self, value: object) -> Seen:
        """Return a value that was put by this row, as its type."""


@frozen
class FactKind(Generic[T]):
    """One fact, whose values are of the type T: its name, its kind, one sentence, and who puts it, in words.

    Who: detectors, or ``target``, ``options`` ... ``one_of`` has all values of a text, or all items of a list, in
    words; empty where any may be. ``may_lack``: the value may be None. ``fields`` names the fields of a record or of
    each record of a list.
    """

    name: str
    kind: str
    says: str
    by: str
    one_of: str | tuple[str, ...] = ""
    fields: str = ""
    may_lack: bool = False

    @property
    def values(self) -> tuple[str, ...]:
        """Every value that a rule may compare the fact, or an item of it, with; empty where any will do."""
        if self.kind == "flag":
            return ("true", "false")
        return tuple(self.one_of.split()) if isinstance(self.one_of, str) else self.one_of

    @property
    def called(self) -> str:
        """What an author calls the kind."""
        return KINDS[self.kind]

    def held_as(self, record: type[H]) -> FactKind[list[H]]:
        """Return the row for those who know the record that detection works with; its ``told()`` is what is told."""
        return cast("FactKind[list[H]]", self)

    def typed(self, value: object) -> T:
        """Return a value that was put by this row, as its type."""
        return cast("T", value)

    def fits(self, value: object) -> bool:
        """Tell whether a value, in its JSON form, is of this kind, with fields and items that the row names."""
        if value is None:
            return self.may_lack
        if self.kind == "record":
            return isinstance(value, dict) and self._has_fields(value)
        if self.kind == "records":
            return isinstance(value, list) and all(isinstance(one, dict) and self._has_fields(one) for one in value)
        if self.kind == "table":
            pairs = value.items() if isinstance(value, dict) else [(0, 0)]
            return all(isinstance(key, str) and isinstance(one, str) for key, one in pairs)
        if self.kind in ("list", "numbers"):
            return isinstance(value, list) and all(self._is_item(one) for one in value)
        return self._is_item(value)

    def _is_item(self, value: object) -> bool:
        if self.kind in ("number", "numbers"):
            return isinstance(value, int) and not isinstance(value, bool)
        if self.kind == "flag":
            return isinstance(value, bool)
        return isinstance(value, str) and (not self.one_of or value in ("", *self.values))

    def _has_fields(self, value: dict[str, object]) -> bool:
        return not self.fields or set(value) <= set(self.fields.split())


Words = str | tuple[str, ...]


def text(name: str, says: str, by: str, one_of: Words = "") -> FactKind[str]:
    """Return the row of a fact that is a text."""
    return FactKind(name, "text", says, by, one_of)


def number(name: str, says: str, by: str, *, may_lack: bool = False) -> FactKind[int]:
    """Return the row of a fact that is a whole number."""
    return FactKind(name, "number", says, by, may_lack=may_lack)


def flag(name: str, says: str, by: str) -> FactKind[bool]:
    """Return the row of a fact that is true or false."""
    return FactKind(name, "flag", says, by)


def texts(name: str, says: str, by: str, one_of: Words = "") -> FactKind[list[str]]:
    """Return the row of a fact that is a list of texts."""
    return FactKind(name, "list", says, by, one_of)


def numbers(name: str, says: str, by: str) -> FactKind[list[int]]:
    """Return the row of a fact that is a list of whole numbers."""
    return FactKind(name, "numbers", says, by)


def table(name: str, says: str, by: str) -> FactKind[dict[str, str]]:
    """Return the row of a fact that is a table from text to text."""
    return FactKind(name, "table", says, by)


def record(name: str, made: type[T], says: str, by: str, *, may_lack: bool = False) -> FactKind[T]:
    """Return the row of a fact that is a record of this type."""
    return FactKind(name, "record", says, by, fields=_fields(made), may_lack=may_lack)


def records(name: str, made: type[T], says: str, by: str) -> FactKind[list[T]]:
    """Return the row of a fact that is a list of records of this type."""
    return FactKind(name, "records", says, by, fields=_fields(made))


def _fields(made: type[object]) -> str:
    return " ".join(name.rstrip("_") for name in names_of(made) or made.__annotations__)
