"""GRUB's search command, and its names of devices.

Source: GNU GRUB manual, "search" and "Device syntax"; grub-core/commands/search_wrap.c, lib/arg.c (``--set`` and ``-s``
take a variable behind ``=`` or as the next word; without another word that is what to look for). The GRUB of container
hosts has ``--part-label``, ``--part-uuid`` and ``--disk-uuid`` besides.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from guestfix.base.patterns import regex

Kind = Literal["fs-uuid", "label", "file", "part-label", "part-uuid", "disk-uuid"]

_KINDS: dict[str, Kind] = {
    "--fs-uuid": "fs-uuid",
    "-u": "fs-uuid",
    "--label": "label",
    "--fs-label": "label",
    "-l": "label",
    "--file": "file",
    "-f": "file",
    "--part-label": "part-label",
    "--part-uuid": "part-uuid",
    "--disk-uuid": "disk-uuid",
    "search.fs_uuid": "fs-uuid",
    "search.fs_label": "label",
    "search.file": "file",
    "search.part_label": "part-label",
    "search.part_uuid": "part-uuid",
    "search.disk_uuid": "disk-uuid",
}
_SHORT = regex(r"-[flunsrh]+\Z")
_NUMBERED = regex(r"hd(?P<disk>\d{1,3})(?:,(?:msdos|gpt)?(?P<part>\d{1,3}))?\Z")


class Search(NamedTuple):
    """What a search command looks for, and the variable that gets the device; empty for none."""

    kind: Kind
    value: str
    variable: str


def parse(name: str, words: Sequence[str]) -> Search | None:
    """Read a search command; None where it looks for nothing."""
    if name in _KINDS:
        return Search(_KINDS[name], words[0], words[1] if len(words) > 1 else "root") if words else None
    kind: Kind = "file"
    given: str | None = None
    values: list[str] = []
    todo = [one for word in words for one in (map("-{}".format, word[1:]) if _SHORT.match(word) else (word,))]
    while todo:
        word = todo.pop(0)
        option, _, value = word.partition("=")
        follows = bool(todo) and not todo[0].startswith("-")
        if option in ("--set", "-s"):
            given = value or (todo.pop(0) if follows else "")
        elif option.startswith("--hint") or option == "-h":
            todo = todo[1:] if follows and not value else todo
        elif word in _KINDS:
            kind = _KINDS[word]
        elif not word.startswith("-"):
            values.append(word)
    if not values:
        return Search(kind, given, "root") if given else None
    return Search(kind, values[0], given or ("root" if given is not None else ""))


def layered(device: str) -> str:
    """Return the name that Linux has for a device above partitions, empty for any other (Device syntax)."""
    kind, _, name = device.partition("/")
    if kind == "lvm" and name:
        return f"/dev/mapper/{name}"
    if kind == "lvmid" and name.count("/") == 1:
        return f"/dev/disk/by-id/dm-uuid-LVM-{name.replace('/', '').replace('-', '')}"
    if kind == "mduuid" and len(name) == 32:
        return f"/dev/disk/by-id/md-uuid-{':'.join(name[at : at + 8] for at in range(0, 32, 8))}"
    return f"/dev/md/{name}" if kind == "md" and name else ""


def numbered(device: str) -> tuple[int, int] | None:
    """Return (disk from 0, partition from 1, 0 for the whole disk) of a device that is named by numbers."""
    match = _NUMBERED.match(device)
    return (int(match["disk"]), int(match["part"] or 0)) if match else None
