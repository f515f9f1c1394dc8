"""The table of facts: every fact there is, of which type, and who puts it. Rows are constants of the rooms' modules."""

from __future__ import annotations

from guestfix.base.catalog.facts import boot, network, software, storage, system, windows
from guestfix.base.catalog.facts.kind import KINDS, SCALARS, FactKind

__all__ = ["FACTS", "KINDS", "SCALARS", "FactKind"]

_ROWS = [row for room in (boot, network, software, storage, system, windows) for row in vars(room).values()]

FACTS: dict[str, FactKind[object]] = {
    row.name: row for row in sorted((row for row in _ROWS if isinstance(row, FactKind)), key=lambda row: row.name)
}
"""By name. A pack's policies are facts besides: ``policy.<id>``, a text (:func:`guestfix.pack.known.known_facts`)."""
