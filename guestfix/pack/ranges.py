"""Versions in a distribution's own order, and ranges of them as the compatibility table writes them.

A range is written ``8.10`` (that version and everything below it: 8.10.1), ``8.0 - 8.9`` (all that lies
between, the last one with everything below it), ``9.7 - 9.x`` (from 9.7 to the last 9), ``25.04 and later``
or ``any``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from guestfix.base.patterns import regex
from guestfix.base.record import frozen
from guestfix.base.versions import version_key

Key = tuple[tuple[int, int, str], ...]

LONGEST = 64
"""Characters of a version that are compared."""

_SERVICE_PACK = regex(r"(\d{1,2})(?:[ .-]*SP[ .-]*(\d{1,2})|\.(\d{1,2}))?\Z", re.IGNORECASE)


class RangeError(ValueError):
    """A range is not written in one of the known forms."""


def _plain(version: str) -> Key:
    return version_key(version)


def _service_pack(version: str) -> Key:
    """SUSE to 15: 15, 15 SP1, 15 SP2. A version without a service pack is service pack 0, not a prefix."""
    found = _SERVICE_PACK.match(version)
    if not found or int(found[1]) > 15:
        return version_key(version)
    return version_key(f"{found[1]}.{found[2] or found[3] or 0}")


def _amazon(version: str) -> Key:
    """Amazon Linux AMI 2011.09 to 2018.03, then 2, then 2023."""
    return version_key("1." + version if regex(r"201[0-9]\.").match(version) else version)


def _leap(version: str) -> Key:
    """Leap 42.1 to 42.3, then 15.0."""
    return version_key("0." + version if version.startswith("42.") else version)


SCHEMES: dict[str, Callable[[str], Key]] = {
    "plain": _plain,
    "service-pack": _service_pack,
    "amazon": _amazon,
    "leap": _leap,
}
"""How a distribution counts. ``listed`` is known besides: the order in which ``releases`` names them."""


def key_of(version: str, scheme: str, releases: Sequence[str] = ()) -> Key | None:
    """Return the sort key of a version; None where a ``listed`` scheme doesn't name it."""
    text = version.strip()[:LONGEST]
    if scheme != "listed":
        return SCHEMES[scheme](text)
    names = [name.casefold() for name in releases]
    return ((1, names.index(text.casefold()), ""),) if text.casefold() in names else None


@frozen
class Span:
    """The versions from ``low`` to ``high``, both with all that they begin; no high: open-ended."""

    low: Key
    high: Key | None

    def holds(self, version: Key) -> bool:
        """Tell whether version lies inside."""
        if version < self.low:
            return False
        return self.high is None or version <= self.high or version[: len(self.high)] == self.high

    def below(self, version: Key) -> bool:
        """Tell whether version is less precise than the range and the range lies below it (8 for 8.0 - 8.9)."""
        return len(version) < len(self.low) and self.low[: len(version)] == version

    def overlaps(self, other: Span) -> bool:
        """Tell whether some version lies in both."""
        return self.holds(other.low) or other.holds(self.low)


def _low_key(key: Key) -> Key:
    """Let 6.0.0 begin where 6.0 does: both name the first release."""
    while len(key) > 2 and key[-1] == (1, 0, ""):
        key = key[:-1]
    return key


def parse_span(text: str, scheme: str, releases: Sequence[str] = ()) -> Span:
    """Return the range that text writes. Raises RangeError where it can't be read."""
    if text.strip() == "any":
        return Span((), ())
    if len(text) > 3 * LONGEST:
        raise RangeError(f"a range has at most {3 * LONGEST} characters")
    start, later, rest = text.partition(" and later")
    if later and not rest.strip():
        return Span(_end(start, scheme, releases), None)
    first, dash, last = text.partition(" - ")
    low = _low_key(_end(first, scheme, releases))
    high = _low_key(_end(_full(first, last), scheme, releases)) if dash else low
    if high < low and low[: len(high)] != high:
        raise RangeError(f"the range {text!r} ends before it begins")
    return Span(low, high)


def _full(first: str, last: str) -> str:
    """Read ``15 SP2 - SP3`` as from 15 SP2 to 15 SP3."""
    major = first.split()[0] if first.split() else ""
    return f"{major} {last.strip()}" if last.strip().upper().startswith("SP") else last


def _end(text: str, scheme: str, releases: Sequence[str]) -> Key:
    text = text.strip()
    if (scheme != "listed" and not regex(r"\d").search(text)) or len(text) > LONGEST:
        raise RangeError(f"{text!r} is no version")
    found = key_of(text.removesuffix(".x"), "plain" if text.endswith(".x") else scheme, releases)
    if found is None:
        raise RangeError(f"{text!r} is not among the releases of this system")
    return found


_ENUMERATED = regex(r"(?P<stem>.*?)(?P<first>\d+)\s+-\s+(?P=stem)(?P<last>\d+)\Z")


def expand(text: str) -> list[str]:
    """Return the releases that ``5.0 - 5.11`` enumerates by its last number; a single one is itself.

    Raises RangeError where the two ends differ in more than that, or enumerate more than a thousand.
    """
    if " - " not in text:
        return [text.strip()]
    if len(text) > 2 * LONGEST:
        raise RangeError(f"a range of releases has at most {2 * LONGEST} characters")
    found = _ENUMERATED.match(text.strip())
    if not found or len(found["last"]) > 4 or not 0 <= int(found["last"]) - int(found["first"]) <= 1000:
        raise RangeError(f"{text!r} enumerates nothing: its ends may differ only in the last number")
    return [f"{found['stem']}{number}" for number in range(int(found["first"]), int(found["last"]) + 1)]
