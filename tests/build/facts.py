"""Facts in tests: in their JSON form, and held to the table when they are put."""

import pytest

from guestfix.base.catalog.facts import FACTS
from guestfix.base.catalog.records.boot import MenuEntry
from guestfix.base.facts import Facts, Unknown, plain


def told(facts: Facts, name: str):
    """Return a fact's value as a report has it; None where it is unknown."""
    fact = facts.get(name)
    return None if fact is None or isinstance(fact.value, Unknown) else plain(fact.value)


def menu_entry(**fields) -> MenuEntry:
    """Return a boot entry with these fields; the others are empty."""
    empty = {"id": "", "title": "", "kernel": "", "initrd": (), "args": (), "loader": "grub2", "path": "", "line": 0}
    return MenuEntry(**{name: tuple(one) if isinstance(one, list) else one for name, one in (empty | fields).items()})


def hold_to_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a fact that the table does not have, or a value that its row does not allow, fail the test."""
    put = Facts.put

    def checked(self, row, value, *evidence):
        name = row if isinstance(row, str) else row.name
        kind = FACTS.get(name)
        assert kind is not None or name.startswith("policy."), f"the table of facts has no {name}"
        fits = kind is None or isinstance(value, Unknown) or kind.fits(plain(value))
        assert fits, f"{name} should be {kind.called} of {kind.values or kind.fields or 'any'}: {value!r}"
        put(self, row, value, *evidence)

    monkeypatch.setattr(Facts, "put", checked)
