"""The backend ``qemu``: read and write disk images through a throw-away QEMU machine, on any Linux host."""

from __future__ import annotations

from guestfix.backends import Request
from guestfix.backends.machine.guest import MachineGuest, open_by
from guestfix.backends.qemu.start import QEMU


def open_place(place: str, request: Request) -> MachineGuest:
    """Open disk images as the user named them."""
    return open_by(QEMU, place, request)
