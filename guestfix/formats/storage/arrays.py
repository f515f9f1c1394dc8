"""The names that a guest's mdadm.conf gives to arrays by their UUIDs.

Read without the grammar of :mod:`guestfix.formats.storage.mdadmconf`: disks are laid out where pyparsing is not.
"""

from __future__ import annotations

import re

from guestfix.base.patterns import regex

PATHS = ("/etc/mdadm.conf", "/etc/mdadm/mdadm.conf")

_ARRAY = regex(rb"^ARRAY[ \t]+([^\s=#\"'<>]+)((?:[^#\n]|\n[ \t])*)", re.I | re.M)
_UUID = regex(rb"(?:^|\s)uuid=[\"']?([0-9a-f:.-]{32,48})", re.I)


def named(src: bytes) -> list[tuple[str, str]]:
    """Return each array's device, as a path, and the hex digits of its UUID, where the file gives both."""
    found = []
    for match in _ARRAY.finditer(src):
        uuid = _UUID.search(match[2])
        if uuid:
            name = match[1].decode("utf-8", "replace")
            found.append((name if name.startswith("/") else f"/dev/md/{name}", uuid_of(uuid[1].decode())))
    return found


def uuid_of(text: str) -> str:
    """Return the UUID of an array, however it is grouped, as its hex digits in lower case."""
    return "".join(letter for letter in text.lower() if letter in "0123456789abcdef")
