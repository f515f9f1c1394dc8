"""The backend ``uml``: read and write disk images through User-mode Linux, as an ordinary user."""

from __future__ import annotations

from guestfix.backends import Request
from guestfix.backends.machine.guest import MachineGuest, open_by
from guestfix.backends.uml.start import UML


def open_place(place: str, request: Request) -> MachineGuest:
    """Open disk images as the user named them."""
    return open_by(UML, place, request)
