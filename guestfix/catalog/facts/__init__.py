"""The table of facts: every fact there is, of which kind, and who puts it."""

from __future__ import annotations

from guestfix.catalog.facts.boot import BOOT
from guestfix.catalog.facts.kind import KINDS, SCALARS, FactKind
from guestfix.catalog.facts.network import NETWORK
from guestfix.catalog.facts.storage import STORAGE
from guestfix.catalog.facts.system import CHOICES, SYSTEM
from guestfix.catalog.facts.windows import WINDOWS

__all__ = ["FACTS", "KINDS", "SCALARS", "FactKind"]

FACTS: dict[str, FactKind] = dict(sorted({**BOOT, **CHOICES, **NETWORK, **STORAGE, **SYSTEM, **WINDOWS}.items()))
"""By name. A pack's policies are facts besides: ``policy.<id>``, a text (:func:`guestfix.pack.known.known_facts`)."""
