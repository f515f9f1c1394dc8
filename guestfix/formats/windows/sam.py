r"""Local accounts of Windows, as the hive SAM has them: names, and whether each is switched off or lacks a password.

No hash is read. Source: the layout of ``SAM\Domains\Account\Users\RID`` (values F and V) as public descriptions of SAM
and tools that reset passwords (chntpw) have it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from guestfix.base.record import frozen
from guestfix.formats.windows.registry import Registry

USERS = r"SAM\Domains\Account\Users"
_BASE = 0xCC
"""Where the data begins that V's table of places and lengths leads to."""
_NAME, _HASH = 0x0C, 0xA8
"""Places of the table's rows for the account's name and its NT hash."""
_FLAGS = 0x38
"""Place of the account's flags in F."""
DISABLED, NO_PASSWORD_NEEDED = 1, 4
EMPTY = (0, 4, 0x18)
"""Lengths of a hash's record that holds none: absent, a head of the old form, a head of the one with AES."""


@frozen
class Account:
    """A local account. ``relative_id`` is the last part of its SID; 500 is the administrator that setup made."""

    name: str
    relative_id: int
    disabled: bool
    has_password: bool


def accounts(sam: Registry) -> Iterator[Account]:
    """Yield the accounts that can be read."""
    for key in sam.names(USERS):
        try:
            relative_id = int(key, 16)
        except ValueError:
            continue  # Names
        general, places = sam.get(rf"{USERS}\{key}", "F"), sam.get(rf"{USERS}\{key}", "V")
        if not isinstance(general, bytes) or not isinstance(places, bytes):
            continue
        if len(general) < _FLAGS + 2 or len(places) < _BASE:
            continue
        start, length = struct.unpack_from("<II", places, _NAME)
        name = places[_BASE + start : _BASE + start + min(length, 512)].decode("utf-16-le", "replace")
        flags = struct.unpack_from("<H", general, _FLAGS)[0]
        held = struct.unpack_from("<I", places, _HASH + 4)[0] not in EMPTY
        yield Account(name, relative_id, bool(flags & DISABLED), held)
