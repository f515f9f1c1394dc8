"""What the backend itself saw: damaged tables, unclean filesystems, what can't be read; and a guestfix at work."""

from __future__ import annotations

from guestfix.backends.guestlock import busy
from guestfix.base.errors import GuestError
from guestfix.base.facts import Evidence, Facts, Finding
from guestfix.base.guest import GuestFS
from guestfix.base.homes import FILE, unfinished_homes
from guestfix.base.names import home_of
from guestfix.pack.model import Target


def detect(guest: GuestFS, facts: Facts, target: Target) -> list[Finding]:
    """Return the findings of a backend that has any (its method ``findings``), and what an apply left or does."""
    ask = getattr(guest, "findings", None)
    return [*(ask() if ask is not None else []), *_applies(guest)]


def _applies(guest: GuestFS) -> list[Finding]:
    """Tell of an apply or revert that changes this guest now, or that was interrupted."""
    try:
        homes = unfinished_homes(guest)
    except GuestError:  # what stands in the way of journals is a finding of its own
        homes = []
    if busy(guest):
        place = f"{homes[-1]}/{FILE}" if homes else home_of(guest)
        what = "another guestfix is changing this guest now: what was read may be half of two states"
        return [Finding("GF-APPLY-RUNNING", "blocker", what, (Evidence(place),))]
    return [
        Finding("GF-APPLY-UNFINISHED", "blocker", f"an apply was interrupted: {home}", (Evidence(f"{home}/{FILE}"),))
        for home in homes
    ]
