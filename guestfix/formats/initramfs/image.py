"""A whole initramfs image: its segments, every name in it, and the few contents that are asked for.

An image is any sequence of cpio archives, compressed or not, with zero bytes between them (the kernel's
buffer-format.rst); a later member of a name replaces an earlier one. Other kinds of initrd are recognised
by their magic numbers and not read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import IO

from guestfix.base.bounds import INITRAMFS, INITRAMFS_RATIO
from guestfix.base.errors import Corrupt
from guestfix.base.record import field, frozen, mutable
from guestfix.formats.initramfs import cpio, decompress
from guestfix.formats.initramfs.ending import Ending
from guestfix.formats.initramfs.streams import Chunks, Flow, Source

MAX_UNPACKED = INITRAMFS
"""Bytes that all segments of an image may unpack to; more is an error, not a hang."""

MAX_KEPT_FILE = 8 * 1024 * 1024
MAX_KEPT = 64 * 1024 * 1024
MAX_LINK = 4096
MAX_NAMES = 16 * 1024 * 1024
"""Bytes of names and link targets, and MAX_ENTRIES how many, that are held of one image."""

MAX_ENTRIES = 200_000
MAX_SEGMENTS = 1000
_EXT2_MAGIC, _EXT2_AT = b"\x53\xef", 1080
_FOREIGN = {b"hsqs": "squashfs", b"sqsh": "squashfs", b"\x45\x3d\xcd\x28": "cramfs", b"-rom1fs-": "romfs"}
_FRAME_LZ4 = b"\x04\x22\x4d\x18"


@frozen
class Segment:
    """One archive or compressed run of archives: ``offset`` up to ``end`` in the image, in bytes."""

    offset: int
    end: int
    compression: str
    unpacked: int
    members: int


@frozen
class ArchiveEntry:
    """What an image holds under a name. ``target`` is a symbolic link's, ``segment`` counts from 0 (-1: another file).

    ``shared`` tells that other names may be hard links to the same content.
    """

    mode: int
    size: int
    segment: int
    target: str = ""
    shared: bool = False

    @property
    def is_dir(self) -> bool:
        """True for a directory."""
        return self.mode & cpio.TYPE == cpio.DIR


@mutable
class Image:
    """What was read of an image. ``kind`` is ``cpio``, a foreign kind, ``empty`` or ``unknown``.

    With a ``problem`` the rest was not read; what comes before it is here all the same. ``ending`` is the last
    segment's, for whoever goes on with it.
    """

    size: int
    kind: str = "cpio"
    segments: list[Segment] = field(default_factory=list)
    entries: dict[str, ArchiveEntry] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    problem: Corrupt | None = None
    ending: Ending | None = None

    @property
    def end(self) -> int:
        """Where the last segment ends; what follows is padding."""
        return self.segments[-1].end if self.segments else 0

    def resolve(self, name: str) -> str:
        """Return name with the image's symbolic links followed, at most 40 of them."""
        todo, at, links = name.strip("/").split("/")[::-1], "", 0
        while todo:
            part = todo.pop()
            if part in ("", "."):
                continue
            if part == "..":
                at = at.rpartition("/")[0]
                continue
            step = f"{at}/{part}" if at else part
            entry = self.entries.get(step)
            if entry is None or not entry.target or links >= 40:
                at = step
                continue
            links += 1
            todo += entry.target.split("/")[::-1]
            at = "" if entry.target.startswith("/") else at
        return at

    def has(self, *names: str) -> bool:
        """Tell whether any of the names is there, links followed."""
        return any(self.resolve(name) in self.entries for name in names)

    def read(self, name: str) -> bytes | None:
        """Return the content of a file that was kept, links followed."""
        return self.files.get(self.resolve(name))


class _Reader:
    """Collects one image. ``want`` tells by name which contents are kept."""

    def __init__(self, stream: IO[bytes], want: Callable[[str], bool], start: int, size: int | None) -> None:
        self.source = Source(stream, start, size)
        self.image = Image(self.source.size)
        self.want = want
        self.kept = 0
        self.unpacked = 0
        self.names = 0
        self._linked: dict[tuple[int, int, tuple[int, int]], tuple[list[str], bytes]] = {}

    def run(self) -> Image:
        try:
            start = self.source.peek(_EXT2_AT + 2)
            if not start.strip(b"\0"):
                self.image.kind = "empty" if cpio.skip_zeros(self.source) == self.source.size else "cpio"
            foreign = _foreign(start)
            if foreign:
                self.image.kind = foreign
                return self.image
            self._segments()
        except Corrupt as problem:
            # Another one: that which was raised holds the frames that it came through, and by them the guest.
            self.image.problem = Corrupt(
                problem.what, where=problem.where, remedy=problem.remedy, offset=problem.offset
            )
            if not self.image.segments and not self.image.entries and self.image.kind == "cpio":
                self.image.kind = "unknown" if problem.offset == 0 else "cpio"
        return self.image

    def _segments(self) -> None:
        while True:
            cpio.skip_zeros(self.source)
            start = self.source.peek(16)
            at = self.source.offset
            if not start:
                return
            kind = decompress.kind_of(start)
            if len(self.image.segments) >= MAX_SEGMENTS:
                raise Corrupt(f"more than {MAX_SEGMENTS} archives one after the other", offset=at)
            if start[:6] in cpio.MAGICS:
                self._plain(at)
            elif kind:
                if self._packed(at, kind):
                    return
            else:
                raise Corrupt(_no_segment(start), offset=at)

    def _plain(self, at: int) -> None:
        if at & 3:
            raise Corrupt("an uncompressed archive begins at an offset that 4 does not divide", offset=at)
        self.image.ending = None
        count = self._archive(self.source)
        self.image.segments.append(Segment(at, self.source.offset, "none", self.source.offset - at, count))

    def _most(self) -> int:
        """Return how many bytes all segments together may unpack to."""
        return min(MAX_UNPACKED, (64 << 20) + INITRAMFS_RATIO * self.source.size)

    def _packed(self, at: int, kind: str) -> bool:
        """Read a compressed segment; True where it holds something else than archives."""
        self.image.ending = Ending()
        pieces = decompress.chunks(kind, self.source, self.image.ending)
        flow = Chunks(pieces, self._most() - self.unpacked, self.source)
        count = 0
        try:
            foreign = _foreign(flow.peek(_EXT2_AT + 2))
            if foreign:
                self.image.kind = foreign
                return True
            while flow.peek(1):
                count += self._archive(flow)
                cpio.skip_zeros(flow)
        finally:
            self.unpacked += flow.offset
        self.image.segments.append(Segment(at, self.source.offset, kind, flow.offset, count))
        return False

    def _archive(self, flow: Flow) -> int:
        count = 0
        self._linked = {}
        for member, data in cpio.members(flow, self._keeps):
            count += 1
            target = data.decode("utf-8", "surrogateescape").rstrip("\0") if data and member.kind == cpio.LINK else ""
            if member.name:
                number = len(self.image.segments)
                self.image.entries[member.name] = ArchiveEntry(
                    member.mode, member.size, number, target, _shared(member)
                )
                self.image.files.pop(member.name, None)
                self.names += len(member.name) + len(target)
                if self.names > MAX_NAMES or len(self.image.entries) > MAX_ENTRIES:
                    raise flow.fail(f"more than {MAX_ENTRIES} names, or {MAX_NAMES} bytes of them", member.offset)
            if member.kind == cpio.FILE:
                self._store(member, data)
        return count

    def _keeps(self, member: cpio.Member) -> bool:
        if member.kind == cpio.LINK:
            return member.size <= MAX_LINK
        if member.kind != cpio.FILE or member.size > MAX_KEPT_FILE or self.kept + member.size > MAX_KEPT:
            return False
        return self.want(member.name) or (member.nlink > 1 and _key(member) in self._linked)

    def _store(self, member: cpio.Member, data: bytes | None) -> None:
        """Keep a content. Of hard links only one holds the data (the last one, as cpio(1) writes them)."""
        self.kept += len(data or b"")
        wanted = self.want(member.name)
        if member.nlink < 2:
            if wanted and data is not None:
                self.image.files[member.name] = data
            return
        names, known = self._linked.get(_key(member), ([], b""))
        if wanted:
            names = [*names, member.name]
        known = data or known
        if names:
            self._linked[_key(member)] = (names, known)
        for name in names:
            self.image.files[name] = known


def _shared(member: cpio.Member) -> bool:
    return member.kind == cpio.FILE and member.nlink > 1


def _key(member: cpio.Member) -> tuple[int, int, tuple[int, int]]:
    return member.ino, member.nlink, member.device


def _foreign(start: bytes) -> str:
    if start[:2] == b"MZ":
        return "pe"
    if start[_EXT2_AT : _EXT2_AT + 2] == _EXT2_MAGIC and start[:6] not in cpio.MAGICS:
        return "ext2"
    return next((kind for magic, kind in _FOREIGN.items() if start.startswith(magic)), "")


def _no_segment(start: bytes) -> str:
    if start.startswith(_FRAME_LZ4):
        return "an lz4 frame that the kernel can't unpack: it knows only the legacy format (lz4 -l)"
    return f"no archive begins here (the bytes are {start[:8].hex(' ')})"


def scan(stream: IO[bytes], want: Callable[[str], bool], start: int = 0, size: int | None = None) -> Image:
    """Read the image that begins at ``start`` of a file and has ``size`` bytes (None: to the file's end).

    Contents for which ``want(name)`` is false are inflated in chunks and dropped; those of an
    uncompressed archive are not read at all. Never raises Corrupt: see :attr:`Image.problem`.
    """
    return _Reader(stream, want, start, size).run()
