"""What differs between two versions of the compatibility table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from guestfix.base.record import frozen
from guestfix.pack.model import Row

TYPE_CHECKING = False
if TYPE_CHECKING:
    from guestfix.compat.shapes import DiffOut

_KEY = ("id", "version", "variant")
_APART = (*_KEY, "table", "title", "family")


@frozen
class Diff:
    """Rows by what became of them; ``changed`` has each row's name and its fields with old and new value.

    It is true where anything differs. ``old`` and ``new`` are the tables' versions, empty where unknown.
    """

    old: str
    new: str
    added: tuple[Row, ...]
    removed: tuple[Row, ...]
    changed: tuple[tuple[str, Mapping[str, tuple[object, object]]], ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)

    def as_json(self) -> DiffOut:
        """Return the difference in JSON form."""
        return {
            "old": self.old,
            "new": self.new,
            "added": [dict(row) for row in self.added],
            "removed": [dict(row) for row in self.removed],
            "changed": [
                {"row": name, "fields": {key: {"old": old, "new": new} for key, (old, new) in fields.items()}}
                for name, fields in self.changed
            ],
        }


def _key(row: Row) -> tuple[str, ...]:
    return tuple(str(row.get(name, "")) for name in _KEY)


def compare(old: Sequence[Row], new: Sequence[Row]) -> Diff:
    """Return the difference between the rows of two tables; a row is the same one by id, version and variant."""
    before, after = ({_key(row): row for row in rows} for rows in (old, new))
    changed = []
    for key in before:
        fields = _fields(before[key], after[key]) if key in after else {}
        if fields:
            changed.append((" ".join(part for part in key if part), fields))
    return Diff(
        _version(old),
        _version(new),
        tuple(after[key] for key in after if key not in before),
        tuple(before[key] for key in before if key not in after),
        tuple(changed),
    )


def _version(rows: Sequence[Row]) -> str:
    return str(rows[0].get("table", "")) if rows else ""


def _fields(old: Row, new: Row) -> dict[str, tuple[object, object]]:
    names = [name for name in dict.fromkeys((*old, *new)) if name not in _APART]
    return {name: (old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)}
