"""Where RAID levels 4, 5, 6 and 10 keep each chunk, and reading them, without one disk or (level 6) two too.

Sources: md(4) and the kernel's drivers/md/raid5.c (raid5_compute_sector) and raid10.c (raid10_find_phys, calc_sectors).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, reduce

from guestfix.backends.volumes.block import Block, DiskError, SeekableBlock, read_exact
from guestfix.base.record import frozen

Member = tuple[Block, int] | None
"""A disk and where its data begin on it, in bytes; None where it is not there."""

MOST_DISKS = 1024

_LEFT_ASYMMETRIC, _RIGHT_ASYMMETRIC, _LEFT_SYMMETRIC, _RIGHT_SYMMETRIC, _FIRST, _LAST = range(6)
_ZERO_RESTART, _N_RESTART, _N_CONTINUE = 8, 9, 10
_SIX = 16
"""What is added to a layout of level 5 that is used on all disks but the last, which has the second parity (Q)."""


@frozen
class Row:
    """A stripe's disks: that of each chunk of data in order, that of the parity, that of Q (-1 on level 4 and 5)."""

    data: tuple[int, ...]
    parity: int
    second: int = -1


def row_five(stripe: int, disks: int, layout: int) -> Row:
    """Return where level 5 (level 4: layout 5) keeps a stripe. DiskError for a layout that is unknown."""
    last = disks - 1
    if layout in (_LEFT_ASYMMETRIC, _LEFT_SYMMETRIC):
        parity = last - stripe % disks
    elif layout in (_RIGHT_ASYMMETRIC, _RIGHT_SYMMETRIC):
        parity = stripe % disks
    elif layout in (_FIRST, _LAST):
        parity = 0 if layout == _FIRST else last
    else:
        raise DiskError(f"RAID layout {layout} is unknown")
    if layout in (_LEFT_SYMMETRIC, _RIGHT_SYMMETRIC):
        return Row(tuple((parity + 1 + index) % disks for index in range(last)), parity)
    return Row(tuple(disk for disk in range(disks) if disk != parity), parity)


def row_six(stripe: int, disks: int, layout: int) -> Row:
    """Return where level 6 keeps a stripe. DiskError for a layout that is unknown."""
    if layout >= _SIX:
        inner = row_five(stripe, disks - 1, layout - _SIX)
        return Row(inner.data, inner.parity, disks - 1)
    if layout in (_LEFT_SYMMETRIC, _RIGHT_SYMMETRIC, _N_CONTINUE):
        parity = stripe % disks if layout == _RIGHT_SYMMETRIC else disks - 1 - stripe % disks
        second, first = ((parity - 1) % disks, 1) if layout == _N_CONTINUE else ((parity + 1) % disks, 2)
        return Row(tuple((parity + first + index) % disks for index in range(disks - 2)), parity, second)
    if layout in (_RIGHT_ASYMMETRIC, _ZERO_RESTART):
        parity = stripe % disks
    elif layout in (_LEFT_ASYMMETRIC, _N_RESTART):
        parity = disks - 1 - (stripe + (layout == _N_RESTART)) % disks
    elif layout in (_FIRST, _LAST):
        parity = 0 if layout == _FIRST else disks - 2
    else:
        raise DiskError(f"RAID layout {layout} is unknown")
    second = (parity + 1) % disks
    return Row(tuple(disk for disk in range(disks) if disk not in (parity, second)), parity, second)


class Parity(SeekableBlock):
    """Levels 4, 5 and 6 as a Block: ``members`` in the order of their roles, ``size`` bytes of data on each.

    DiskError where too many members are missing, or the layout is unknown.
    """

    def __init__(self, members: Sequence[Member], level: int, layout: int, chunk: int, size: int) -> None:
        super().__init__()
        spare = 2 if level == 6 else 1
        missing = sum(1 for one in members if one is None)
        if missing > spare:
            raise DiskError(f"{missing} of {len(members)} disks of the RAID array are missing")
        if not spare + 1 <= len(members) <= MOST_DISKS or chunk < 512 or chunk % 512:
            raise DiskError("a RAID array of a form that can't be")
        self._row: Callable[[int, int, int], Row] = row_six if level == 6 else row_five
        self._members, self._layout, self._chunk = members, _LAST if level == 4 else layout, chunk
        self._columns = len(self._row(0, len(members), self._layout).data)
        self.size = size // chunk * chunk * self._columns

    def _next(self, count: int) -> bytes:
        index, within = divmod(self._at, self._chunk)
        disks = len(self._members)
        stripe, column = divmod(index, self._columns)
        row = self._row(stripe, disks, self._layout)
        length = min(count, self._chunk - within)
        place = stripe * self._chunk + within
        if self._members[row.data[column]] is not None:
            return self._piece(row.data[column], place, length)
        return self._computed(row, column, place, length)

    def _piece(self, disk: int, place: int, length: int) -> bytes:
        member = self._members[disk]
        assert member is not None
        return read_exact(member[0], member[1] + place, length, "a chunk of a RAID array")

    def _computed(self, row: Row, column: int, place: int, length: int) -> bytes:
        """Return a chunk whose disk is missing, of all others in its stripe."""
        lost = [other for other, disk in enumerate(row.data) if other != column and self._members[disk] is None]
        there = {other: disk for other, disk in enumerate(row.data) if self._members[disk] is not None}
        pieces = {other: self._piece(disk, place, length) for other, disk in there.items()}
        if not lost and self._members[row.parity] is not None:
            return _sum([*pieces.values(), self._piece(row.parity, place, length)])
        order = self._powers(row)
        known = _sum([_times(piece, order[other]) for other, piece in pieces.items()] or [bytes(length)])
        second = _sum([self._piece(row.second, place, length), known])
        if not lost:
            return _times(second, _POWER[(255 - _LOG[order[column]]) % 255])
        first = _sum([self._piece(row.parity, place, length), *pieces.values()])
        other = order[lost[0]]  # first = D + E, second = a * D + b * E, so D = (second + b * first) / (a + b)
        return _times(_sum([second, _times(first, other)]), _POWER[(255 - _LOG[order[column] ^ other]) % 255])

    def _powers(self, row: Row) -> list[int]:
        """Return what each chunk of data is multiplied with in Q: powers of 2.

        The data are counted from Q on by disk; in the layouts that DDF has, every disk counts, from the first.
        """
        disks = len(self._members)
        if self._layout in (_ZERO_RESTART, _N_RESTART, _N_CONTINUE):
            return [_POWER[disk % 255] for disk in row.data]
        turn = sorted(range(len(row.data)), key=lambda index: (row.data[index] - row.second - 1) % disks)
        found = [0] * len(row.data)
        for number, index in enumerate(turn):
            found[index] = _POWER[number % 255]
        return found


def _sum(pieces: Sequence[bytes]) -> bytes:
    total = reduce(lambda one, other: one ^ other, (int.from_bytes(piece, "little") for piece in pieces))
    return total.to_bytes(len(pieces[0]), "little")


def _tables() -> tuple[list[int], list[int]]:
    """Return the powers of 2 and their logarithms in the field GF(2^8) of polynomial 0x11d (H. P. Anvin, RAID-6)."""
    power, log, value = [0] * 255, [0] * 256, 1
    for exponent in range(255):
        power[exponent], log[value] = value, exponent
        value = value << 1 ^ (0x11D if value & 0x80 else 0)
    return power, log


_POWER, _LOG = _tables()


def _times(data: bytes, factor: int) -> bytes:
    """Return each byte multiplied with a factor that is not 0."""
    return data.translate(_multiples(factor))


@cache
def _multiples(factor: int) -> bytes:
    return bytes([0, *(_POWER[(_LOG[value] + _LOG[factor]) % 255] for value in range(1, 256))])


class Copies(SeekableBlock):
    """Level 10 as a Block, whatever its near and far copies; ``size`` bytes are used on each member at most.

    DiskError where all copies of a chunk are missing, when it is read, and for a layout that is not read here.
    """

    def __init__(self, members: Sequence[Member], layout: int, chunk: int, size: int) -> None:
        super().__init__()
        self._near, self._far, self._offset = layout & 255, layout >> 8 & 255, bool(layout >> 16 & 1)
        disks, copies = len(members), self._near * self._far
        if layout >> 17 or not 0 < copies <= disks <= MOST_DISKS or chunk < 512 or chunk % 512:
            raise DiskError(f"RAID 10 with layout {layout:#x} is not read here")
        self._members, self._chunk = members, chunk
        chunks = size // chunk // self._far * disks // self._near
        self.size = chunks * chunk
        used = -(-chunks * copies // disks)
        self._stride = 1 if self._offset else used // self._far

    def places(self, index: int) -> list[tuple[int, int]]:
        """Return the disk and the chunk on it of every copy of a chunk."""
        disks = len(self._members)
        stripe, disk = divmod(index * self._near, disks)
        found = []
        for near in range(self._near):
            at, row = (disk + near) % disks, stripe + (disk + near) // disks
            row = row * self._far if self._offset else row
            found += [((at + far * self._near) % disks, row + far * self._stride) for far in range(self._far)]
        return found

    def _next(self, count: int) -> bytes:
        index, within = divmod(self._at, self._chunk)
        for disk, row in self.places(index):
            member = self._members[disk]
            if member is not None:
                length = min(count, self._chunk - within)
                place = member[1] + row * self._chunk + within
                return read_exact(member[0], place, length, "a chunk of a RAID array")
        raise DiskError("both copies of a part of the RAID array are missing", remedy="add the missing disks")
