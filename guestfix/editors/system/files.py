"""Whole files: made, taken away, turned into a link. The original stays under its backup name, as always.

``file.delete`` and ``file.link`` are about the name itself: where it is a link, not about what that names.
"""

from __future__ import annotations

from guestfix.base.edit import Content, Edit, Link
from guestfix.base.errors import EditError
from guestfix.base.patterns import regex
from guestfix.formats.shellvars import encode

LONGEST_LINK = 4095
"""Bytes of a link's target (PATH_MAX without its final NUL)."""

_MODE = regex(r"0?[0-7]{3}\Z")


def create(src: bytes | None, *, text: str, replace: bool = False, mode: str = "0644") -> Content | Edit:
    """Make the file hold this text, where there is none yet; with ``replace`` also where it holds something else.

    ``mode`` is the octal mode of a new file. Raises EditError for a mode that is none, or that sets an id.
    """
    if not _MODE.match(mode):
        raise EditError(f"{mode!r} is no mode of a file, like 0644")
    wanted = encode(text)
    if src == wanted or (src is not None and not replace):
        return src
    return Edit(wanted, mode=int(mode, 8))


def empty(src: bytes | None) -> Content:
    """Make the file hold nothing, where it holds anything but blanks."""
    return src if src is None or not src.strip() else b""


def delete(src: Content, *, links: bool = True) -> Content:
    """Take the file away, or the link that is in its place; without ``links``, a link stays."""
    return src if isinstance(src, Link) and not links else None


def link(src: Content, *, to: str) -> Content:
    """Make the path a symbolic link to ``to``, whatever file or link was there. Raises EditError for no target."""
    if not to or "\0" in to or "\n" in to or len(encode(to)) > LONGEST_LINK:
        raise EditError(f"{to[:80]!r} can't be a link's target")
    return src if isinstance(src, Link) and src.target == to else Link(to)
