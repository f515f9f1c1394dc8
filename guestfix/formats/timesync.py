"""Where programs that keep the clock say what they go by: chrony, ntpd, OpenNTPD, systemd-timesyncd, ntpdate.

Sources: chrony.conf(5) (server, pool, peer, refclock; files of a sourcedir), ntp.conf(5) of ntp and NTPsec,
ntpd.conf(5) of OpenNTPD, timesyncd.conf(5), Red Hat's ntpdate (/etc/ntp/step-tickers: a host on each line).
"""

from __future__ import annotations

from collections.abc import Iterator

from guestfix.base.patterns import regex
from guestfix.base.record import frozen
from guestfix.formats import ini
from guestfix.formats.shellvars import encode

DIALECTS = ("chrony", "ntp", "openntpd", "timesyncd", "hosts")
MOST_SOURCES = 256
"""Sources of one file that are looked at; daemons use a handful."""

_LINE = regex(rb"[^\n]*\n?")
_VERBS = ("server", "servers", "pool", "peer", "initstepslew")


@frozen
class Source:
    """One source of time: the host or device. ``line`` is 1-based; ``fallback``: used if others fail.

    ``start`` to ``end`` are its line, for timesyncd the value that it is part of; others may stand there too.
    """

    name: str
    line: int
    start: int
    end: int
    text: str
    fallback: bool = False


def sources(src: bytes, dialect: str) -> list[Source]:
    """Return what a file names as sources of time, in its order; what can be no name or device is passed over."""
    found = _from_settings(src) if dialect == "timesyncd" else _from_lines(src, dialect)
    fit = (one for one in found if one.name.isascii() and one.name.isprintable())
    return [one for one, _ in zip(fit, range(MOST_SOURCES), strict=False)]


def _from_settings(src: bytes) -> Iterator[Source]:
    for entry in ini.entries(ini.groups(src, continued=True), "Time"):
        if entry.key in ("NTP", "FallbackNTP"):
            for name in entry.value.split():
                text = encode(f"{entry.key}={entry.value}").decode("utf-8", "replace")[:200]
                yield Source(name, entry.line, entry.value_start, entry.value_end, text, entry.key == "FallbackNTP")


def _from_lines(src: bytes, dialect: str) -> Iterator[Source]:
    at = 0
    for number, found in enumerate(_LINE.finditer(src), 1):
        if at == len(src):
            return
        at = found.end()
        text = found[0].decode("utf-8", "replace").strip()
        words = [] if text[:1] in "#!;%" else text.partition("#")[0].split()
        for name in _named(words, dialect):
            yield Source(name, number, found.start(), found.end(), text[:200])


def _named(words: list[str], dialect: str) -> list[str]:
    if dialect == "hosts":
        return words[:1]
    verb = words[0].lower() if len(words) > 1 else ""
    if verb == "refclock" and dialect == "chrony" and words[1].upper() == "PHC" and len(words) > 2:
        return [words[2].partition(":")[0]]
    if verb == "initstepslew" and dialect == "chrony":
        return words[2:]
    rest = [word for word in words[1:] if word not in ("-4", "-6")]
    return rest[:1] if verb in _VERBS and rest and not rest[0].startswith("127.127.") else []
