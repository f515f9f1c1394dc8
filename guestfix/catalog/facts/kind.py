"""What the table of facts says of one fact."""

from __future__ import annotations

from guestfix.base.record import frozen

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


@frozen
class FactKind:
    """One fact: its kind, one sentence, and who puts it (detectors, or ``target``, ``options`` ...), in words.

    ``one_of`` has all values of a text, or all items of a list, in words; empty where any may be. ``may_lack``: the
    value may be None. ``fields`` names the fields of a record or of each record of a list.
    """

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

    def fits(self, value: object) -> bool:
        """Tell whether a value is of this kind, with no field and no item that the row does not name."""
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
