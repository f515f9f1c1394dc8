"""What an editor returns: new bytes, a link, nothing at all, and notes for the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from guestfix.base.record import frozen


@frozen
class Link:
    """The content of a path that is a symbolic link with this target."""

    target: str


@frozen
class Splice:
    """``length`` bytes at ``offset`` of the original are replaced by ``data`` (length 0: inserted)."""

    offset: int
    length: int
    data: bytes


@frozen
class Note:
    """What an editor has to say besides the bytes.

    ``follow_up`` notes become the report's list of what to do after the migration; the other levels
    become findings with this stable code. ``line`` is the 1-based line in the file as it was read.
    """

    level: Literal["follow_up", "info", "warning", "blocker"]
    summary: str
    line: int = 0
    text: str = ""
    remedy: str = ""
    code: str = ""


Content = bytes | Link | None
"""What a path holds: a file's bytes, a symbolic link, or nothing."""


@frozen
class Edit:
    """An editor's result when it has notes; without notes it returns the bare content.

    ``diff`` is what the report shows instead of a unified diff, for binary files. ``mode`` is that of a new file.
    """

    content: Content
    notes: tuple[Note, ...] = ()
    diff: str = ""
    mode: int | None = None


Table = Mapping[str, str]
"""A look-up table handed to an editor by a fact, such as device name to ``UUID=...``."""


def apply_splices(src: bytes, splices: list[Splice]) -> bytes:
    """Return src with the splices done; they must not overlap. No splice gives src itself back."""
    if not splices:
        return src
    out, at = [], 0
    for splice in sorted(splices, key=lambda item: item.offset):
        if splice.offset < at:
            raise ValueError(f"overlapping splice at {splice.offset}")
        out += [src[at : splice.offset], splice.data]
        at = splice.offset + splice.length
    return b"".join([*out, src[at:]])


def newline_of(src: bytes) -> bytes:
    """Return the line ending that the file uses (that of its first line)."""
    first = src.find(b"\n")
    return b"\r\n" if first > 0 and src[first - 1 : first] == b"\r" else b"\n"


def insert_lines(src: bytes, at: int, *lines: bytes) -> Splice:
    """Return the splice that puts whole lines at ``at``: where a line begins, or at the file's end.

    They end as the file's lines do. Nothing is joined: a last line without an ending gets one first, and one
    that continues in the next by a final backslash gets an empty line. Every editor adds lines by this alone.
    """
    end = newline_of(src)
    lead = end if at and src[at - 1 : at] != b"\n" else b""
    if src[max(at - 3, 0) : at].rstrip(b"\r\n").endswith(b"\\"):
        lead += end
    return Splice(at, 0, lead + b"".join(line + end for line in lines))


def append_lines(src: bytes, *lines: bytes) -> bytes:
    """Return src with whole lines added after its last one; see :func:`insert_lines`."""
    return apply_splices(src, [insert_lines(src, len(src), *lines)])
