"""Linux software RAID put together from its superblocks, read only (md(4), mdadm's md_p.h)."""

from __future__ import annotations

import struct

from guestfix.backends.volumes.block import BACKEND, ELSEWHERE, Block, DiskError, Pieces, Window, read_at, told
from guestfix.backends.volumes.lvm import striped
from guestfix.backends.volumes.raid import MOST_DISKS, Copies, Parity
from guestfix.base.record import frozen


@frozen
class Member:
    """A disk of a software RAID: where its data is, in bytes, and its place in the array.

    ``partial``: it is being rebuilt, so not all of its data are there; ``reshaped``: the array is changing its form.
    """

    array: bytes
    name: str
    level: int
    chunk: int
    disks: int
    role: int
    start: int
    size: int
    events: int
    number: int
    layout: int
    block: Block
    partial: bool = False
    reshaped: bool = False

    @property
    def uuid(self) -> str:
        """The array's UUID as mdadm writes it; in version 0.90 each of its words is kept with its last byte first."""
        words = [self.array[at : at + 4] for at in range(0, 16, 4)]
        return ":".join((word[::-1] if self.number >= 0 else word).hex() for word in words)


_RECOVERING, _RESHAPING, _REPLACING = 2, 4, 16


def read_member(block: Block) -> Member:
    """Read a RAID superblock of version 0.90 or 1.x. DiskError where there is none that is whole."""
    sectors = block.size // 512
    for at in (0, 4096, ((sectors - 16) & ~7) * 512):
        raw = read_at(block, at, 4096)
        if raw[:8] == b"\xfc\x4e\x2b\xa9\1\0\0\0" and len(raw) >= 256:
            return _version1(block, raw)
    raw = read_at(block, ((sectors & ~127) - 128) * 512, 4096)
    if raw[:4] == b"\xfc\x4e\x2b\xa9" and len(raw) == 4096:
        return _version0(block, raw)
    raise DiskError("the RAID superblock is damaged")


def _version1(block: Block, raw: bytes) -> Member:
    level, layout, size, chunk, disks = struct.unpack_from("<iIQII", raw, 72)
    start, length = struct.unpack_from("<QQ", raw, 128)
    number, events = struct.unpack_from("<I", raw, 160)[0], struct.unpack_from("<Q", raw, 200)[0]
    role = struct.unpack_from("<H", raw, 256 + 2 * number)[0] if 256 + 2 * number + 2 <= len(raw) else 0xFFFF
    name = raw[32:64].partition(b"\0")[0].decode("utf-8", "replace")
    data, features = (size or length) * 512, struct.unpack_from("<I", raw, 8)[0]
    kinds = (bool(features & (_RECOVERING | _REPLACING)), bool(features & _RESHAPING))
    place = (role, start * 512, data, events, -1, layout, block)
    return Member(raw[16:32], name, level, chunk * 512, disks, *place, *kinds)


def _version0(block: Block, raw: bytes) -> Member:
    words = struct.unpack("<1024I", raw)
    array = struct.pack("<4I", words[5], words[13], words[14], words[15])
    role, number = words[992 + 3], words[10]
    level = struct.unpack("<i", struct.pack("<I", words[7]))[0]
    events = words[39] | words[40] << 32
    size, chunk = words[8] * 1024, words[65]
    return Member(array, "", level, chunk, words[11], role, 0, size, events, number, words[64], block)


@frozen
class Array:
    """An array as found: its newest member, its data (None: can't be read here), and what is wrong with that.

    ``missing`` of its disks are not there or out of date; ``lost``: too many for it to start.
    """

    member: Member
    block: Block | None
    problem: str
    missing: int
    lost: bool


def arrays(members: list[Block]) -> tuple[list[Array], list[str]]:
    """Put RAID arrays together."""
    sets: dict[bytes, list[Member]] = {}
    problems: list[str] = []
    for block in members:
        try:
            member = read_member(block)
            sets.setdefault(member.array, []).append(member)
        except (DiskError, struct.error) as error:
            problems.append(told(f"a RAID member can't be read: {error}", of=getattr(error, "what", "")))
    return [_array(group) for group in sets.values()], problems


def _array(group: list[Member]) -> Array:
    newest = max(group, key=lambda member: member.events)
    fresh = [one for one in group if one.events + 1 >= newest.events and not one.partial]
    current = {one.role: one for one in fresh if one.role < _JOURNAL}
    missing = sum(1 for role in range(min(newest.disks, MOST_DISKS)) if role not in current)
    lost = missing > _spared(newest)
    try:
        return Array(newest, _data(newest, current), "", missing, lost)
    except DiskError as error:
        return Array(newest, None, error.what, missing, lost)


_JOURNAL = 0xFFFD
"""The role of a journal, and above it those of a failed disk and of a spare one."""


def _spared(member: Member) -> int:
    """Return how many disks an array can do without; of level 10 that half of them whose copies may be on the rest."""
    known = {1: member.disks - 1, 4: 1, 5: 1, 6: 2, 10: member.disks // 2}
    return known.get(member.level, 0)


def _data(newest: Member, current: dict[int, Member]) -> Block:
    if newest.reshaped:
        raise DiskError(told(f"the RAID array is changing its form, which is not read here; {ELSEWHERE}", BACKEND))
    if newest.level == 1 and current:
        member = current[min(current)]
        return Window(member.block, member.start, member.size)
    missing = [role for role in range(newest.disks) if role not in current]
    if newest.level in (0, -1) and missing:
        raise DiskError(f"{len(missing)} of {newest.disks} disks of the RAID array are missing")
    members = [(current[role].block, current[role].start) for role in range(newest.disks)] if not missing else []
    if newest.level == -1 and members:
        return Pieces([(one.block, one.start, one.size) for _, one in sorted(current.items())])
    if newest.level == 0 and members and newest.chunk:
        size = min(one.size for one in current.values()) // newest.chunk * newest.chunk
        return striped(members, newest.chunk, size * newest.disks)
    if newest.level in (4, 5, 6, 10) and newest.disks <= MOST_DISKS:
        places = [
            (current[role].block, current[role].start) if role in current else None for role in range(newest.disks)
        ]
        size = min(one.size for one in current.values())
        if newest.level == 10:
            return Copies(places, newest.layout, newest.chunk, size)
        return Parity(places, newest.level, newest.layout, newest.chunk, size)
    raise DiskError(told(f"RAID level {newest.level} is not read here; {ELSEWHERE}", BACKEND))
