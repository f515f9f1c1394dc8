"""NetworkManager's device lists (NetworkManager.conf(5), "Device List Format"): which devices a setting is about.

list = (entry ("," | ";")*)*       entry = "except:"? (tag ":" value | "*" | name | MAC)
a backslash takes the meaning from the next character; blanks around an entry are none of it
"""

from __future__ import annotations

import functools
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from guestfix.base.errors import TooLarge
from guestfix.base.patterns import regex
from guestfix.base.record import frozen
from guestfix.formats.network.nic import is_mac, norm_mac

if TYPE_CHECKING:
    import pyparsing as pp

MAX_LENGTH = 10_000
MAX_PATTERN = 64
"""Characters that a pattern for names may have; a NIC has a name of at most 15."""
TAGS = ("interface-name", "mac", "type", "driver", "s390-subchannels", "dhcp-plugin")
_ESCAPED = regex(r"\\((?s:.))")


@frozen
class Device:
    """A device that a list is asked about; what is "" is not known. ``type`` as NetworkManager says: ethernet."""

    name: str = ""
    mac: str = ""
    type: str = "ethernet"
    driver: str = ""


@frozen
class DeviceMatch:
    """One entry: ``tag`` is ``*``, one of TAGS, or ``name`` for a name or address without any."""

    tag: str
    value: str
    excluded: bool = False


@functools.cache
def _grammar() -> pp.ParserElement:
    """Return the grammar of a list; pyparsing is loaded at the first one."""
    import pyparsing as pp

    value = pp.Regex(r"(?:[^\\,;]|\\.)+").set_parse_action(lambda found: _ESCAPED.sub(r"\1", found[0].strip()))
    tag = pp.Regex("|".join(TAGS)) + pp.Suppress(":")
    anything = pp.Regex(r"\*(?=\s*(?:[,;]|\Z))")
    entry = pp.Group(
        pp.Opt(pp.Literal("except:")("except")) + (tag("tag") + value("value") | anything("any") | value("value"))
    )
    return pp.ZeroOrMore(pp.Regex("[,;]").suppress() | entry).leave_whitespace(recursive=False)


def parse(text: str) -> tuple[DeviceMatch, ...]:
    """Return the entries of a list in order. Raises TooLarge for one of more than MAX_LENGTH characters."""
    if len(text) > MAX_LENGTH:
        raise TooLarge(f"a device list has more than {MAX_LENGTH} characters")
    found = []
    for one in _grammar().parse_string(text):
        words = one.as_dict()
        tag = "*" if "any" in words else words["tag"][0] if "tag" in words else "name"
        found.append(DeviceMatch(tag, words.get("value", ""), "except" in words))
    return tuple(found)


def matches(entries: tuple[DeviceMatch, ...], device: Device) -> bool | None:
    """Tell whether a list is about a device; None where that hangs on what is not known of it.

    An exception that holds goes before all else; a list of exceptions alone is about every other device.
    """
    excluded = [_holds(one, device) for one in entries if one.excluded]
    included = [_holds(one, device) for one in entries if not one.excluded]
    if not entries or True in excluded:
        return False
    wanted = True if not included or True in included else None if None in included else False
    return None if wanted and None in excluded else wanted


def _holds(entry: DeviceMatch, device: Device) -> bool | None:
    if entry.tag == "*":
        return True
    if entry.tag == "type":
        return _equal(entry.value, device.type)
    if entry.tag == "mac" or (entry.tag == "name" and is_mac(entry.value)):
        return _equal(norm_mac(entry.value), norm_mac(device.mac))
    if entry.tag == "name":
        return _equal(entry.value, device.name)
    if entry.tag == "interface-name":
        exact = entry.value.startswith("=")
        return _equal(entry.value[1:], device.name) if exact else _like(device.name, entry.value.removeprefix("~"))
    if entry.tag == "driver":
        return _like(device.driver, entry.value.partition("/")[0])
    return None


def _equal(wanted: str, known: str) -> bool | None:
    return wanted == known if known else None


def _like(known: str, pattern: str) -> bool | None:
    """Compare with a pattern of ``*`` and ``?``; brackets stand for themselves."""
    return len(pattern) <= MAX_PATTERN and fnmatchcase(known, pattern.replace("[", "[[]")) if known else None
