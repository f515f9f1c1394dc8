"""RAID arrays that lack disks: which of them start all the same, and what a report says of one."""

from __future__ import annotations

import io
import struct

import pytest

from guestfix.backends.image import degraded_finding
from guestfix.backends.volumes.md import arrays


class BytesBlock(io.BytesIO):
    """Bytes as a partition."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.size = len(data)


def member(level: int, disks: int, role: int, events: int = 7) -> bytes:
    """Return a partition with a superblock of version 1.2 (md_p.h)."""
    raw = bytearray(4096)
    raw[:8] = b"\xfc\x4e\x2b\xa9\1\0\0\0"
    raw[16:32], raw[32:36] = b"u" * 16, b"h:0\0"
    struct.pack_into("<iIQII", raw, 72, level, 0, 64, 128, disks)
    struct.pack_into("<QQ", raw, 128, 16, 64)
    struct.pack_into("<I", raw, 160, role)
    struct.pack_into("<Q", raw, 200, events)
    struct.pack_into("<8H", raw, 256, *range(8))
    return bytes(4096) + bytes(raw) + bytes(64 << 10)


ARRAYS = [
    (1, 2, [0, 1], 0, False),
    (1, 2, [1], 1, False),
    (1, 3, [2], 2, False),
    (0, 2, [0], 1, True),
    (-1, 3, [0, 1], 1, True),
    (5, 3, [0, 2], 1, False),
    (5, 3, [0], 2, True),
    (6, 4, [0, 3], 2, False),
    (6, 4, [0], 3, True),
    (10, 4, [0, 2], 2, False),
    (10, 4, [0], 3, True),
]


@pytest.mark.parametrize(("level", "disks", "roles", "missing", "lost"), ARRAYS)
def test_how_many_disks_an_array_can_do_without(level, disks, roles, missing, lost):
    ((found,), problems) = arrays([BytesBlock(member(level, disks, role)) for role in roles])
    assert (found.missing, found.lost, problems) == (missing, lost, [])


def test_a_member_that_is_out_of_date_is_missing():
    ((found,), _) = arrays([BytesBlock(member(1, 2, 0, events=90)), BytesBlock(member(1, 2, 1, events=7))])
    assert (found.missing, found.member.role) == (1, 0)


def test_a_hostile_count_of_disks_costs_nothing():
    ((found,), _) = arrays([BytesBlock(member(1, 0xFFFFFFFF, 0))])
    assert found.missing <= 1024


@pytest.mark.parametrize(("lost", "outcome", "seconds"), [(True, "", 0), (False, "waits", 30)])
def test_what_is_told_of_an_array_that_lacks_a_disk(lost, outcome, seconds):
    told = degraded_finding("/dev/md0", 1, 2, lost)
    assert "/dev/md0 has lost 1 of its 2 disks" in told.summary and (told.outcome, told.seconds) == (outcome, seconds)
