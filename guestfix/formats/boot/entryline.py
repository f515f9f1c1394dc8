"""Where an entry stands in its file once lines were added or taken out above it.

An entry is known by which of the file's entries it is: changes to a menu add and take out settings and lines within
entries, never an entry.
"""

from __future__ import annotations

from guestfix.formats.boot import grubargs, grubcfg, grublegacy, syslinux


def lines_of(src: bytes, loader: str) -> list[tuple[int, str]]:
    """Return the line of each entry, as facts count it (the kernel's; extlinux: the label's), with its text."""
    if loader == "grub2":
        script = grubcfg.parse(src)
        found = [node for node in script.walk() if node.name in grubargs.LINUX]
        return [(script.line_of(node.start), _text(src[node.start : node.rest_end])) for node in found]
    if loader == "grub-legacy":
        kernels = (grublegacy.kernel_of(stanza) for stanza in grublegacy.parse(src).stanzas)
        return [(one[2].line, one[0]) for one in kernels if one]
    if loader == "extlinux":
        return [(one.line, one.rest) for one in syslinux.directives(src) if one.name == "label"]
    return []


def moved(before: bytes, after: bytes, loader: str, line: int) -> int:
    """Return the line of the entry that stood in a line before a file was changed; 0 where that can't be told."""
    if before == after:
        return line
    old, new = lines_of(before, loader), lines_of(after, loader)
    at = next((at for at, one in enumerate(old) if one[0] == line), -1)
    if at < 0:
        return 0
    if len(old) == len(new):
        return new[at][0]
    same = [one for one in new if one[1] == old[at][1]]
    return same[0][0] if len(same) == 1 else 0


def _text(words: bytes) -> str:
    """Return the kernel that a linux command names."""
    return (words.split() + [b"", b""])[1].decode("utf-8", "surrogateescape")
