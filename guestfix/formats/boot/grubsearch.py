"""GRUB's search command, and its names of devices.

Source: GNU GRUB manual, "search" and "Device syntax"; grub-core/commands/search_wrap.c (``-s`` and ``--set`` take their
variable behind ``=`` alone).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from guestfix.base.patterns import regex

Kind = Literal["fs-uuid", "label", "file"]

_KINDS: dict[str, Kind] = {
    "--fs-uuid": "fs-uuid",
    "-u": "fs-uuid",
    "--label": "label",
    "--fs-label": "label",
    "-l": "label",
    "--file": "file",
    "-f": "file",
    "search.fs_uuid": "fs-uuid",
    "search.fs_label": "label",
    "search.file": "file",
}
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
    variable, values = "", []
    for word in words:
        option, _, value = word.partition("=")
        if option in ("--set", "-s"):
            variable = value or "root"
        elif word in _KINDS:
            kind = _KINDS[word]
        elif not word.startswith("-"):
            values.append(word)
    return Search(kind, values[-1], variable) if values else None


def numbered(device: str) -> tuple[int, int] | None:
    """Return (disk from 0, partition from 1, 0 for the whole disk) of a device that is named by numbers."""
    match = _NUMBERED.match(device)
    return (int(match["disk"]), int(match["part"] or 0)) if match else None
