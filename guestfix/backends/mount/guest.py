"""The backend ``mount``: read and write disk images by the host's own kernel, as root, where that was chosen."""

from __future__ import annotations

import os

from guestfix.backends import Request
from guestfix.backends.machine.guest import MachineGuest, open_by
from guestfix.backends.mount.start import MOUNT
from guestfix.base.errors import UsageError


def open_place(place: str, request: Request) -> MachineGuest:
    """Open disk images as the user named them. UsageError for anybody but root."""
    if os.geteuid() != 0:
        raise UsageError("only root can mount a guest on this host", where=place, remedy="see: guestfix backends")
    return open_by(MOUNT, place, request)
