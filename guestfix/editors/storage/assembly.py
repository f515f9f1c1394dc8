"""What keeps arrays and volume groups from being put together of the disks that are there now: mdadm.conf, lvm.conf.

Sources: mdadm.conf(5) (DEVICE: "partitions" is every partition and disk that the kernel knows), lvm.conf(5) (filter,
global_filter), lvmdevices(8).
"""

from __future__ import annotations

import re

from guestfix.base.edit import Content, Splice, apply_splices
from guestfix.base.errors import TooLarge
from guestfix.base.patterns import regex

_DEVICE_LINE = regex(
    rb"^(?P<key>dev[a-z]*+)(?P<words>(?:[ \t][^\n#]*+|\n[ \t]++[^\n#]++)*+)", re.MULTILINE | re.IGNORECASE
)
_OLD_NAMES = regex(r"\^?(?:/dev/)?(?:sd|hd|vd|xvd|nvme|\[hsv]+d|disk/by-(?:path|id)/)")
_SETTING = regex(
    rb"^[ \t]*+(?P<name>global_filter|filter)[ \t]*+=[ \t]*+(?P<value>\[[^\]\n]*+(?:\n[^\]\n#]*+)*+\])", re.MULTILINE
)
_EVERYTHING = b'[ "a|.*|" ]'
_SECTION = regex(rb"([A-Za-z_]+)[ \t]*\{")
_PLAIN_LINE = regex(rb"""[A-Za-z_/]+[ \t]*=[ \t]*(?:[0-9]+|"[^"{}#\\\n]*"|\[(?:[ \t,]*"[^"{}#\\\n]*")*[ \t,]*\])""")
_PATTERN = regex(rb'"([ar])([|])([^"|\\]*)[|]"')
_PLAIN_LIST = regex(rb'\[[ \t]*+(?:"[ar][|][^"|\\]*+[|]"[ \t]*+(?:,[ \t]*+)?)*+\]')
_ALL = ("", ".*", "^.*$")


def any_member(src: bytes | None) -> Content:
    """Make mdadm look for members on every disk where DEVICE lines name disks of the old platform alone.

    Such lines become ``DEVICE partitions``; one that looks everywhere already, or at names that go with the data,
    stays. Lines of a file that can't be read as one stay too.
    """
    if src is None or b"/dev/" not in src or not _DEVICE_LINE.search(src):
        return src
    from guestfix.formats.storage import mdadmconf

    try:
        known = mdadmconf.read(src).all("DEVICE")
    except TooLarge:
        return src
    words = [word for line in known for word in line.words]
    if not any(_OLD_NAMES.match(word) for word in words) or {"partitions", "containers"} & set(words):
        return src
    splices = []
    for match in _DEVICE_LINE.finditer(src):
        if "DEVICE".startswith(match["key"].decode().upper()) or match["key"].upper() == b"DEVICES":
            splices.append(Splice(match.start("words"), len(match["words"].rstrip()), b" partitions"))
    return apply_splices(src, splices)


def any_volume(src: bytes | None) -> Content:
    """Let LVM look at every disk where ``filter`` or ``global_filter`` accepts disks of the old platform and no other.

    The filter becomes ``[ "a|.*|" ]``. One that rejects some disks and accepts the rest stays.
    """
    if src is None or not _SETTING.search(src):
        return src
    plain = _plain(src)
    if plain is not None:
        start, end = plain.span("value")
        return apply_splices(src, [Splice(start, end - start, _EVERYTHING)]) if _plainly_old(plain["value"]) else src
    from guestfix.formats.storage import lvmconf

    try:
        known = lvmconf.read(src)
    except TooLarge:
        return src
    splices: list[Splice] = []
    for name in ("filter", "global_filter"):
        setting = known.get(f"devices/{name}")
        if setting is None or not _only_old(lvmconf.patterns(setting)):
            continue
        for match in _SETTING.finditer(src):
            if match["name"].decode() == name and src.count(b"\n", 0, match.start("name")) + 1 == setting.line:
                start, end = match.span("value")
                splices.append(Splice(start, end - start, _EVERYTHING))
    return apply_splices(src, sorted(splices, key=lambda one: one.offset))


def _plain(src: bytes) -> re.Match[bytes] | None:
    """Return the one filter of a file that is plain enough to be read by lines, so that no grammar has to be loaded.

    Plain is: one filter in one line, in a ``devices {`` section that begins and ends on lines of its own, before
    which every line is a comment, a section's begin or end, or a setting with neither braces nor open quotes.
    """
    found = list(_SETTING.finditer(src))
    if (
        len(found) != 1
        or not _PLAIN_LIST.fullmatch(found[0]["value"])
        or src.count(b"filter") != src.count(b"filter", *found[0].span())
    ):
        return None
    inside: list[bytes] = []
    for line in src[: found[0].start()].split(b"\n"):
        text = line.strip()
        begun = _SECTION.fullmatch(text)
        if begun:
            inside.append(begun[1])
        elif text == b"}" and inside:
            inside.pop()
        elif text and not text.startswith(b"#") and not _PLAIN_LINE.fullmatch(text):
            return None
    return found[0] if inside == [b"devices"] else None


def _plainly_old(value: bytes) -> bool:
    patterns = tuple((one[1] == b"a", one[3].decode("utf-8", "surrogateescape")) for one in _PATTERN.finditer(value))
    return _only_old(patterns)


def _only_old(patterns: tuple[tuple[bool, str], ...]) -> bool:
    """Tell whether a filter accepts names of the old platform and then rejects all that is left."""
    taken = [pattern for accepted, pattern in patterns if accepted]
    rejects = any(not accepted and pattern in _ALL for accepted, pattern in patterns)
    return rejects and any(_OLD_NAMES.match(one) for one in taken) and not any(one in _ALL for one in taken)
