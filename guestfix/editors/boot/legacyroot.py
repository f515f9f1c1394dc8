"""Where an entry of GRUB Legacy takes its files from.

Source: the GRUB Legacy 0.97 manual, "root", "kernel", "initrd" (partitions are counted from 0).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from guestfix.base.edit import Splice, apply_splices, insert_lines
from guestfix.base.patterns import regex
from guestfix.formats.boot import grublegacy
from guestfix.formats.boot.grublegacy import Command, Stanza
from guestfix.formats.shellvars import encode

_FILE = regex(rb"(?:--\S+[ \t]+)*(?P<path>\S+)")

_GROOT = regex(rb"^#[ \t]*groot=(?P<drive>\(hd\d+(?:,\d+)?\))", re.MULTILINE)


def set_root(src: bytes, line: int, place: tuple[int, int], paths: Mapping[str, str]) -> bytes:
    """Make the entry whose kernel is in a line take its files from a partition.

    ``place`` is its disk from 0 and its number from 1 (0: the whole disk), ``paths`` leads from the names of files to
    their paths on it. Debian's ``# groot=``, from which update-grub writes new entries, follows. src itself comes back
    where the line has no kernel.
    """
    menu = grublegacy.parse(src)
    stanza = next((one for one in menu.stanzas if (found := grublegacy.kernel_of(one)) and found[2].line == line), None)
    found = grublegacy.kernel_of(stanza) if stanza else None
    if stanza is None or found is None:
        return src
    disk, part = place
    drive = f"(hd{disk},{part - 1})" if part else f"(hd{disk})"
    own = [one for one in stanza.commands if one.name in grublegacy.ROOT and one.at < found[2].at]
    splices = [_over(src, own[-1], drive)] if own else []
    if not own:
        start = src.rfind(b"\n", 0, found[2].at) + 1
        text = src[start : found[2].start]
        splices.append(insert_lines(src, start, text[: len(text) - len(text.lstrip())] + b"root " + encode(drive)))
    splices += [Splice(one.start("drive"), len(one["drive"]), encode(drive)) for one in _GROOT.finditer(src)]
    for one in _loads(stanza, found[2]):
        match = _FILE.match(src, one.start, one.end)
        wanted = paths.get(match["path"].decode("utf-8", "surrogateescape").rpartition("/")[2], "") if match else ""
        if match and wanted and match["path"] != encode(wanted):
            splices.append(Splice(match.start("path"), len(match["path"]), encode(wanted)))
    return apply_splices(src, sorted(splices, key=lambda one: one.offset))


def _over(src: bytes, command: Command, drive: str) -> Splice:
    """Return the change that makes the command name this drive; one that looks for a UUID becomes ``root``."""
    if command.name != "uuid":
        return Splice(command.start, command.end - command.start, encode(drive))
    start = command.at + len(src[command.at : command.end]) - len(src[command.at : command.end].lstrip())
    return Splice(start, command.end - start, encode(f"root\t\t{drive}"))


def _loads(stanza: Stanza, kernel: Command) -> list[Command]:
    names = ("kernel", "initrd", "module")
    return [one for one in stanza.commands if one.name in names and (one.at == kernel.at or one.name != "kernel")]
