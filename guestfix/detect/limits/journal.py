"""Limits of the journal: without a place for it in the guest nothing can be applied, for nothing could be undone."""

from __future__ import annotations

from guestfix.base.facts import Evidence, Facts, Finding
from guestfix.base.guest import GuestFS
from guestfix.base.names import home_problem
from guestfix.pack.model import Target


def check(guest: GuestFS, facts: Facts, target: Target) -> list[Finding]:
    """Report what stands where the journals' folder, or a folder above it, should be."""
    problem = home_problem(guest)
    if problem is None:
        return []
    where, what = problem
    summary = f"apply could keep no journal in the guest, and so nothing could be undone: {where}: {what}"
    remedy = f"make {where} an ordinary folder, or move away what is there"
    return [Finding("GF-JOURNAL-HOME", "blocker", summary, (Evidence(where),), remedy)]
