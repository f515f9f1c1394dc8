"""cpio archives in the newc and crc formats, as the kernel reads them.

Source: the kernel's Documentation/driver-api/early-userspace/buffer-format.rst and init/initramfs.c.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from guestfix.base.record import frozen
from guestfix.formats.initramfs.streams import Flow

MAGICS = (b"070701", b"070702")
HEADER = 110
TRAILER = "TRAILER!!!"
MAX_NAME = 4096
"""PATH_MAX: the kernel passes over members with longer names; here they are an error."""

LATEST = 0x7FFFFFFF
"""A time of modification (in 2038) with which cpio -i puts a file in the place of one that it has just unpacked."""

MAX_PADDING = 16 * 1024 * 1024
"""Zero bytes between or behind archives; boot loaders pad by a few KiB at most."""

MAX_MEMBERS = 200_000
"""Members of one archive; an initramfs has some thousand."""

_FIELDS = struct.Struct(">13I")

DIR, FILE, LINK, DEVICE, TYPE = 0o040000, 0o100000, 0o120000, 0o020000, 0o170000


@frozen
class Member:
    """One header. ``name`` has no leading slash or ``./``; ``offset`` is where its header begins in the archive."""

    name: str
    mode: int
    size: int
    ino: int
    nlink: int
    device: tuple[int, int]
    mtime: int
    checksum: int | None
    offset: int

    @property
    def kind(self) -> int:
        """The file type bits of the mode."""
        return self.mode & TYPE


def plain_name(name: str) -> str:
    """Return a member's name without a leading ``/`` or ``./``; the archive's root is an empty string."""
    while name.startswith(("./", "/")):
        name = name[2:] if name.startswith("./") else name[1:]
    return "" if name == "." else name


def _member(flow: Flow, start: int) -> Member:
    head = flow.read(HEADER)
    if len(head) < HEADER:
        raise flow.fail("the archive ends without its trailer", start)
    try:
        fields = _FIELDS.unpack(bytes.fromhex(head[6:].decode("ascii")))
    except (ValueError, struct.error):
        fields = ()
    if head[:6] not in MAGICS or not fields:
        raise flow.fail("no cpio header where one has to be", start)
    ino, mode, _uid, _gid, nlink, mtime, size, major, minor, _rmajor, _rminor, length, check = fields
    if not 0 < length <= MAX_NAME:
        raise flow.fail(f"a member's name has {length} bytes", start)
    raw = flow.read(length + (-(HEADER + length) & 3))
    if len(raw) < length:
        raise flow.fail("the archive ends inside a name", start)
    name = plain_name(raw[:length].split(b"\0", 1)[0].decode("utf-8", "surrogateescape"))
    return Member(name, mode, size, ino, nlink, (major, minor), mtime, check if head[:6] == MAGICS[1] else None, start)


def _content(flow: Flow, member: Member, keep: bool) -> bytes | None:
    """Read a member's content or pass over it, in pieces where its checksum has to be known."""
    if member.checksum is None and not keep:
        got, kept = flow.skip(member.size), None
    else:
        parts, got, total = [], 0, 0
        while got < member.size:
            part = flow.read(min(member.size - got, 1 << 16))
            if not part:
                break
            got += len(part)
            total += sum(part) if member.checksum is not None else 0
            if keep:
                parts.append(part)
        kept = b"".join(parts) if keep else None
        if member.checksum is not None and got == member.size and total & 0xFFFFFFFF != member.checksum:
            raise flow.fail(f"the checksum of {member.name!r} is wrong", member.offset)
    if got < member.size:
        raise flow.fail(f"the archive ends inside {member.name!r}", member.offset)
    flow.skip(-member.size & 3)
    return kept


def members(flow: Flow, keep: Callable[[Member], bool]) -> Iterator[tuple[Member, bytes | None]]:
    """Yield one archive's members up to its trailer, with the content of those that ``keep`` asks for.

    The flow is left behind the trailer, before any padding. Raises Corrupt, whose offset counts in the
    flow; a size of which less is there is an error before any of it is kept.
    """
    for _ in range(MAX_MEMBERS):
        start = flow.offset
        member = _member(flow, start)
        if member.name == TRAILER:
            return
        yield member, _content(flow, member, keep(member))
    raise flow.fail(f"more than {MAX_MEMBERS} members", flow.offset)


def skip_zeros(flow: Flow) -> int:
    """Pass over zero bytes; return how many there were. More than MAX_PADDING of them are an error."""
    count = 0
    while True:
        piece = flow.peek(4096)
        zeros = len(piece) - len(piece.lstrip(b"\0"))
        flow.skip(zeros)
        count += zeros
        if count > MAX_PADDING:
            raise flow.fail(f"more than {MAX_PADDING} zero bytes in a row", flow.offset)
        if not piece or zeros < len(piece):
            return count


def _record(name: str, mode: int, data: bytes, ino: int, nlink: int, mtime: int) -> bytes:
    raw = name.encode("utf-8", "surrogateescape") + b"\0"
    major, minor = (0, 0) if mode & TYPE != DEVICE else data
    data = data if mode & TYPE != DEVICE else b""
    fields = (ino, mode, 0, 0, nlink, mtime, len(data), 0, 0, major, minor, len(raw), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + raw
    return head + bytes(-len(head) & 3) + data + bytes(-len(data) & 3)


def write(entries: list[tuple[str, int, bytes]], mtime: int = 0) -> bytes:
    """Return a newc archive of (name, mode, content) in this order, the same bytes for the same entries.

    Owner is root, inodes count from 1; the content of a character device is its two numbers, a byte each.
    The archive is padded to 512 bytes as cpio does.
    """
    parts = [
        _record(name, mode, data, number, 2 if mode & TYPE == DIR else 1, mtime)
        for number, (name, mode, data) in enumerate(entries, 1)
    ]
    whole = b"".join([*parts, _record(TRAILER, 0, b"", 0, 1, 0)])
    return whole + bytes(-len(whole) % 512)
