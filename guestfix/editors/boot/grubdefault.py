"""The menu settings of /etc/default/grub and /etc/default/grub.d/*.cfg, which grub-mkconfig reads.

Source: GNU GRUB manual, "Simple configuration handling". Only assignments that are there are changed:
what is absent has a safe default already. Values that a shell would expand are left as they are.
"""

from __future__ import annotations

from guestfix.base.edit import Content, Edit, Note
from guestfix.base.errors import EditError
from guestfix.base.patterns import regex
from guestfix.formats.shellvars import Assignment, drop, find, set_value, settled

MAX_BYTES = 256 * 1024
"""A larger file is refused before any time is spent on it."""

_NUMBER = regex(r"\s*([+-]?[0-9]{1,9})(?:\.[0-9]*)?\s*\Z")
_INDEX = regex(r"[0-9]+(?:>[0-9]+)*\Z")


def _check_size(src: bytes) -> None:
    if len(src) > MAX_BYTES:
        raise EditError(f"larger than {MAX_BYTES} bytes, so these are no settings that somebody wrote")


def _assigned(src: bytes, name: str) -> Assignment | None:
    """Return the assignment that counts, unless it is empty (as if it were absent), expands or spans lines."""
    found = find(src, name)
    plain = found and found.value and not found.dynamic and b"\n" not in src[found.start : found.value_end]
    return found if plain else None


def _out_of_range(src: bytes, name: str, least: int, most: int) -> bool:
    found = _assigned(src, name)
    if found is None:
        return False
    match = _NUMBER.match(found.value)
    return match is None or not least <= int(match[1]) <= most


def set_timeout(src: bytes | None, *, seconds: int, longest: int, recordfail: int) -> Content | Edit:
    """Make the menu show for a short while, on every console.

    GRUB_TIMEOUT outside 1 to ``longest`` becomes ``seconds``: -1 waits for a key that nobody presses, 0
    leaves no moment to choose another kernel on the serial console. A hidden menu is shown, for a serial
    console shows no hint of which key to press. GRUB_RECORDFAIL_TIMEOUT (Ubuntu: after a boot that failed)
    that waits for ever, or longer than ``recordfail`` seconds, becomes ``recordfail``.
    """
    if src is None:
        return src
    _check_size(src)
    if _out_of_range(src, "GRUB_TIMEOUT", 1, longest):
        src = set_value(src, "GRUB_TIMEOUT", str(seconds))
    if _out_of_range(src, "GRUB_RECORDFAIL_TIMEOUT", 0, recordfail):
        src = set_value(src, "GRUB_RECORDFAIL_TIMEOUT", str(recordfail))
    style = _assigned(src, "GRUB_TIMEOUT_STYLE")
    if style and style.value == "hidden":
        src = set_value(src, "GRUB_TIMEOUT_STYLE", "menu")
    return drop(src, [one for one in settled(src) if _hides(src, one)], b"#")


def _hides(src: bytes, one: Assignment) -> bool:
    """Tell whether the assignment hides the menu in the way of GRUB 1.98 to 2.02, and is a single line."""
    return one.name == "GRUB_HIDDEN_TIMEOUT" and one.value != "" and b"\n" not in src[one.start : one.value_end]


def set_default(src: bytes | None) -> Content | Edit:
    """Make GRUB_DEFAULT the first entry where it counts to another one.

    A count means another kernel, or another system, as soon as the menu is regenerated. ``saved``, titles
    and ids name an entry and stay.
    """
    if src is None:
        return src
    _check_size(src)
    found = _assigned(src, "GRUB_DEFAULT")
    if found is None or found.value == "0" or not _INDEX.match(found.value):
        return src
    value = found.value[:40]
    summary = (
        f"GRUB_DEFAULT was {value}, a place in the menu; it is 0 now. To start another kernel, name its entry's id"
    )
    return Edit(set_value(src, "GRUB_DEFAULT", "0"), (Note("follow_up", summary),))
