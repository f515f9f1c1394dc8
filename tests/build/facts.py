"""A check on every fact that is put: it has a row in the table, and its value is of the row's kind."""

import pytest

from guestfix.base.facts import Facts, Unknown
from guestfix.catalog.facts import FACTS


def hold_to_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a fact that the table does not have, or a value that its row does not allow, fail the test."""
    put = Facts.put

    def checked(self, name, value, *evidence):
        kind = FACTS.get(name)
        assert kind is not None or name.startswith("policy."), f"the table of facts has no {name}"
        fits = kind is None or isinstance(value, Unknown) or kind.fits(value)
        assert fits, f"{name} should be {kind.called} of {kind.values or kind.fields or 'any'}: {value!r}"
        put(self, name, value, *evidence)

    monkeypatch.setattr(Facts, "put", checked)
