"""What keeps arrays and volume groups from being put together of the disks that are there now: mdadm.conf, lvm.conf.

Sources: mdadm.conf(5) (DEVICE: "partitions" is every partition and disk that the kernel knows), lvm.conf(5) (filter,
global_filter), lvmdevices(8).
"""

from __future__ import annotations

import re

from guestfix.base.edit import Content, Splice, apply_splices
from guestfix.base.errors import TooLarge
from guestfix.base.patterns import regex
from guestfix.formats.storage import lvmconf

_DEVICE_LINE = regex(
    rb"^(?P<key>dev[a-z]*+)(?P<words>(?:[ \t][^\n#]*+|\n[ \t]++[^\n#]++)*+)", re.MULTILINE | re.IGNORECASE
)
_OLD_NAMES = regex(r"\^?(?:/dev/)?(?:sd|hd|vd|xvd|nvme|\[hsv]+d|disk/by-(?:path|id)/)")
_SETTING = regex(
    rb"^[ \t]*+(?P<name>global_filter|filter)[ \t]*+=[ \t]*+(?P<value>\[[^\]\n]*+(?:\n[^\]\n#]*+)*+\])", re.MULTILINE
)
_EVERYTHING = b'[ "a|.*|" ]'
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


def _only_old(patterns: tuple[tuple[bool, str], ...]) -> bool:
    """Tell whether a filter accepts names of the old platform and then rejects all that is left."""
    taken = [pattern for accepted, pattern in patterns if accepted]
    rejects = any(not accepted and pattern in _ALL for accepted, pattern in patterns)
    return rejects and any(_OLD_NAMES.match(one) for one in taken) and not any(one in _ALL for one in taken)
