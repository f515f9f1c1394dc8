"""LVM's own RAID: its types as levels and layouts, and which of its images are whole.

Source: lvmraid(7) and the kernel's drivers/md/dm-raid.c (raid_types, dm_raid_superblock).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from guestfix.backends.volumes.block import Block, DiskError, Window, read_at
from guestfix.backends.volumes.raid import Copies, Member, Parity
from guestfix.base.record import frozen

LEVELS: dict[str, tuple[int, int]] = {
    "raid4": (5, 4),
    "raid5": (5, 2),
    "raid5_la": (5, 0),
    "raid5_ra": (5, 1),
    "raid5_ls": (5, 2),
    "raid5_rs": (5, 3),
    "raid5_n": (5, 5),
    "raid6": (6, 8),
    "raid6_zr": (6, 8),
    "raid6_nr": (6, 9),
    "raid6_nc": (6, 10),
    "raid6_n_6": (6, 5),
    "raid6_la_6": (6, 16),
    "raid6_ra_6": (6, 17),
    "raid6_ls_6": (6, 18),
    "raid6_rs_6": (6, 19),
}
"""The level and the layout of md that each type of segment is; raid4 has its parity on the first image."""

TENS = ("raid10", "raid10_near")
_STATE = struct.Struct("<4sIIIQQQ")
_WHOLE = (1 << 64) - 1


@frozen
class Image:
    """One image of a RAID volume: its data and what records its state, None where they are not there."""

    data: Block | None
    state: Block | None


def whole(images: Sequence[Image]) -> list[Member]:
    """Return the images that have all their data, in order; None for one that is missing, behind or being rebuilt."""
    states = [_state(one.state) for one in images]
    newest = max((one for one in states if one is not None), default=None)
    failed = newest[1] if newest is not None else 0
    found: list[Member] = []
    for index, (one, state) in enumerate(zip(images, states, strict=True)):
        behind = state is not None and newest is not None and (state[0] + 1 < newest[0] or state[2] != _WHOLE)
        bad = one.data is None or behind or (index < 64 and failed >> index & 1)
        found.append(None if bad or one.data is None else (one.data, 0))
    return found


def _state(block: Block | None) -> tuple[int, int, int] | None:
    """Return the count of events, the failed images as bits, and how far a rebuild came; None where nothing is kept."""
    raw = read_at(block, 0, _STATE.size) if block is not None else b""
    if len(raw) < _STATE.size or raw[:4] != b"DmRd":
        return None
    events, failed, rebuilt = _STATE.unpack(raw)[4:]
    return events, failed, rebuilt


def put_together(kind: str, images: Sequence[Image], chunk: int, size: int, copies: int) -> Block:
    """Return the data of a RAID volume of ``size`` bytes. DiskError where too many images are missing."""
    members = whole(images)
    there = [one for one in members if one is not None]
    if not there:
        raise DiskError("a RAID volume without an image that is whole")
    if kind == "raid1":
        return Window(there[0][0], 0, size)
    each = min(block.size for block, _ in there)
    if kind in TENS:
        return Window(Copies(members, 0x100 | (copies or 2), chunk, each), 0, size)
    level, layout = LEVELS[kind]
    return Window(Parity(members, level, layout, chunk, each), 0, size)
