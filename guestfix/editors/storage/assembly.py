"""What keeps arrays and volume groups from being put together of the disks that are there now: mdadm.conf, lvm.conf.

Sources: mdadm.conf(5) (DEVICE: "partitions" is every partition and disk that the kernel knows; devices= in ARRAY),
lvm.conf(5) (filter, global_filter; the first pattern that matches counts), lvmdevices(8).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from guestfix.base.edit import Content, Edit, Note, Splice, apply_splices
from guestfix.base.errors import TooLarge
from guestfix.base.patterns import regex
from guestfix.formats.storage import lvmconf, lvmdevices

_DEVICE_LINE = regex(
    rb"^(?P<key>dev[a-z]*+)(?=\s|\Z)(?P<words>(?:[ \t\r][^\n#]*+|\n[ \t]++[^\n#]++)*+)", re.MULTILINE | re.IGNORECASE
)
_ARRAY_LINE = regex(rb"^arr[a-z]*+(?:[ \t][^\n#]*+|\n[ \t]++[^\n#]++)*+", re.MULTILINE | re.IGNORECASE)
_MEMBERS = regex(rb"\s++devices=(?P<names>[^\s\"']++)", re.IGNORECASE)
_IDENTITY = regex(rb"\s(?:uuid|name|super-minor)=", re.IGNORECASE)
_OLD_NAMES = regex(
    r"\^?(?:/dev/)?(?:sd|hd|vd|xvd|nvme|cciss|emcpower|mapper/mpath|\[[hsvx]+\]v?d"
    r"|disk/by-(?:path/|id/(?!md-|lvm-|dm-uuid-LVM|dm-name-)))"
)
_SETTING = regex(
    rb"^[ \t]*+(?P<name>global_filter|filter)[ \t]*+=[ \t]*+"
    rb"""(?P<value>\[(?:[^\]"'#]|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+'|#[^\n]*+\n)*+\])""",
    re.MULTILINE,
)
_EVERYTHING = b'[ "a|.*|" ]'
_ALL = ("", ".*", "^.*$")


def any_member(src: bytes | None) -> Content:
    """Make mdadm look for members on every disk where DEVICE lines name disks of the old platform alone.

    Such lines become ``DEVICE partitions``; one that looks everywhere already, or at names that go with the data,
    stays. ``devices=`` with such names goes from an array that its UUID, name or number tells. Lines of a file that
    can't be read as one stay too.
    """
    if src is None or b"/dev/" not in src:
        return src
    src = _any_named(src)
    if not _DEVICE_LINE.search(src):
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


def _any_named(src: bytes) -> bytes:
    splices = []
    for line in _ARRAY_LINE.finditer(src):
        members = _MEMBERS.search(line[0])
        if members and _IDENTITY.search(line[0]) and any(map(_is_old, members["names"].split(b","))):
            splices.append(Splice(line.start() + members.start(), len(members[0]), b""))
    return apply_splices(src, splices) if splices else src


def _is_old(name: bytes) -> bool:
    return _OLD_NAMES.match(name.decode("utf-8", "surrogateescape")) is not None


def any_device(src: bytes | None) -> Content | Edit:
    """Take the list of the disks that LVM may use away where it has disks of the old platform: lvm then uses all.

    One by what goes with the data alone (an encrypted volume, an array) stays.
    """
    if src is None or lvmdevices.first_old(src) is None:
        return src
    text = "lvm uses all disks, as its devices file had the old ones: vgimportdevices -a makes a new one"
    return Edit(None, (Note("follow_up", text),))


def any_volume(src: bytes | None, *, prefix: str = "") -> Content:
    """Let LVM look at every disk where ``filter`` or ``global_filter`` shuts the target's disks out.

    That is one that accepts disks of the old platform and no other, or that rejects each name that a disk of the target
    can have (``prefix``: sd, vd, xvd, nvme; "" where that is not known). The filter becomes ``[ "a|.*|" ]``; one that
    rejects some disks and accepts the rest stays.
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
        if setting is None or not _shuts_out(lvmconf.patterns(setting), prefix):
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


_LASTING = regex(
    r"/md|by-(?:uuid|label|partuuid|partlabel)|lvm-pv-uuid|dm-|/mapper/(?!mpath)|/drbd|/loop|/zd|/rbd|/bcache"
)
_SAFE = regex(r"[\^]?(?:[\w/. :-]|\((?:[\w/|-]){1,80}\)(?![*+?])|\[[\w-]{1,20}\]|\\[./]|[*+?](?![*+?])){0,100}\$?")


def _shuts_out(patterns: tuple[tuple[bool, str], ...], prefix: str) -> bool:
    """Tell whether a filter hides the disks of the target; one that can't be followed hides none."""
    seen = _accepted(patterns, prefix) if prefix else []
    if seen and all(seen):
        return False
    lasting = any(accepted and _LASTING.search(one) for accepted, one in patterns)
    return _only_old(patterns) or (bool(seen) and not any(seen) and not lasting)


def lets_in(src: bytes, names: Sequence[str], prefix: str) -> bool:
    """Tell whether the filters of a configuration take all of these disks; without names, any that is called so."""
    try:
        known = lvmconf.read(src)
    except TooLarge:
        return False
    settings = [one for name in ("filter", "global_filter") if (one := known.get(f"devices/{name}")) is not None]
    filters = [lvmconf.patterns(one) for one in settings]
    if names:
        return all((seen := _taken(one, names)) and all(seen) for one in filters)
    return all(any(_accepted(one, prefix)) for one in filters)


def _accepted(patterns: tuple[tuple[bool, str], ...], prefix: str) -> list[bool]:
    """Return for each name that a disk or partition of the target can have whether a filter takes it; else nothing."""
    disks = ("nvme0n1", "nvme1n1") if prefix == "nvme" else (f"{prefix}a", f"{prefix}b")
    between = "p" if prefix == "nvme" else ""
    parts = [f"/dev/{disk}{between}{number}" for disk in disks for number in range(1, 10)]
    return _taken(patterns, [*(f"/dev/{disk}" for disk in disks), *parts])


def _taken(patterns: tuple[tuple[bool, str], ...], names: Sequence[str]) -> list[bool]:
    """Return for each name whether a filter takes it; nothing where the filter can't be followed."""
    if any(not _SAFE.fullmatch(one) or one.count("*") + one.count("+") > 4 for _, one in patterns):
        return []
    try:
        rules = [(accepted, re.compile(one)) for accepted, one in patterns]
    except re.error:
        return []
    return [next((accepted for accepted, rule in rules if rule.search(name)), True) for name in names]
