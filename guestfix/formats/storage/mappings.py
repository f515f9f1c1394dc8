"""The lines of /etc/crypttab, read. Sources: crypttab(5) of systemd and of Debian's cryptsetup."""

from __future__ import annotations

from guestfix.base.record import frozen
from guestfix.formats.storage.fstab import fields, lines, unescape

CRYPTTAB = "/etc/crypttab"
MOST = 512
_RANDOM = ("/dev/urandom", "/dev/random", "/dev/hw_random")


@frozen
class Mapping:
    """A line of crypttab(5): the mapping's name, what it is on, its key ("": asked for), its options, its line.

    ``random``: with a new key at each boot.
    """

    name: str
    source: str
    key: str
    random: bool
    options: tuple[str, ...]
    line: int


def mappings(src: bytes) -> list[Mapping]:
    """Return the lines that have a name and a device, at most 512."""
    found = []
    for number, start, raw in lines(src):
        texts = [unescape(raw[one.start - start : one.end - start]) for one in fields(raw, start)[:4]]
        if len(texts) > 1:
            options = tuple(texts[3].split(",")) if len(texts) > 3 else ()
            key = texts[2] if len(texts) > 2 and texts[2] not in ("none", "-") else ""
            found.append(Mapping(texts[0], texts[1], key, key in _RANDOM, options, number))
    return found[:MOST]
