"""Where hibernation looks for its image besides the kernel's arguments.

Sources: initramfs.conf(5) and initramfs-tools' conf.d (RESUME=), uswsusp's s2disk(8) and older pm-utils
(``resume device = ...`` in /etc/uswsusp.conf and /etc/suspend.conf).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from guestfix.base.edit import Content, Edit, Note, Splice, Table, apply_splices
from guestfix.base.patterns import regex
from guestfix.formats import shellvars
from guestfix.formats.storage import devices
from guestfix.formats.storage.known import Known, known

_LINE = regex(rb"^[ \t]*resume[ _]device[ \t]*[=:][ \t]*(?P<value>[^\s#]++)", re.MULTILINE)


def set_resume(
    src: bytes | None,
    *,
    table: Table,
    specs: list[str],
    complete: bool,
    tagged: bool = True,
    doubtful: Sequence[str] = (),
    old_names: Sequence[str] = (),
) -> Content | Edit:
    """Make RESUME= and ``resume device =`` say a UUID where they name a device.

    A swap volume that did not come along becomes ``none`` in RESUME, so that no initrd waits for it.
    """
    if src is None:
        return src
    names = known(table, specs, tagged, complete, doubtful, old_names)
    splices: list[Splice] = []
    notes: list[Note] = []
    for one in shellvars.settled(src):
        if one.name == "RESUME" and one.value and not one.dynamic:
            value = _after(one.value, names, "none")
            if value != one.value:
                old = src[one.value_start : one.value_end]
                splices.append(Splice(one.value_start, len(old), shellvars.quote(value, old)))
                notes += _note(one.value, value)
    for match in _LINE.finditer(src):
        before = shellvars.decode(match["value"])
        value = _after(before, names, before)
        if value != before:
            value = _as_link(value)
            splices.append(Splice(match.start("value"), len(match["value"]), shellvars.encode(value)))
    after = apply_splices(src, splices)
    return Edit(after, tuple(notes)) if notes else after


def _after(value: str, names: Known, absent: str) -> str:
    if value in ("none", "auto"):
        return value
    if names.is_gone(value):
        return absent
    found = devices.resolve(value, names.table) if names.is_old(value) else None
    return found or value


def _as_link(value: str) -> str:
    """Return a tag as its link in /dev/disk, for programs that open a path."""
    tag, equals, identity = value.partition("=")
    return f"/dev/disk/by-{tag.lower()}/{identity}" if equals else value


def _note(before: str, after: str) -> list[Note]:
    if after != "none":
        return []
    text = f"RESUME={before} is none now: that swap volume did not come along; name another one to hibernate"
    return [Note("follow_up", text)]
