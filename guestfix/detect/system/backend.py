"""What the backend itself saw on the guest's disks: damaged tables, unclean filesystems, what can't be read."""

from __future__ import annotations

from guestfix.base.facts import Facts, Finding
from guestfix.base.guest import GuestFS
from guestfix.pack.model import Target


def detect(guest: GuestFS, facts: Facts, target: Target) -> list[Finding]:
    """Return the findings of a backend that has any (its method ``findings``)."""
    ask = getattr(guest, "findings", None)
    return list(ask()) if ask is not None else []
