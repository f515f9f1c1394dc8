"""Btrfs' own layout: superblocks, chunks over several devices, and its trees.

After the kernel's include/uapi/linux/btrfs_tree.h and the wiki's "On-disk Format". Check sums are not looked at.
"""

from __future__ import annotations

import struct
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise

from guestfix.backends.volumes.block import COPY, Block, DiskError, read_at, read_exact, told
from guestfix.base.errors import TooLarge
from guestfix.base.record import frozen

SUPERBLOCK = 0x10000
MAGIC = b"_BHRfS_M"
_KNOWN = 0x11FFF
"""Incompatible features up to zoned, and simple quotas; what is newer changes where things lie."""
_RAID0, _RAID10, _RAID5, _RAID6 = 0x8, 0x40, 0x80, 0x100
_HEADER, _ITEM, _POINTER = 101, 25, 33
_MAX_LEVEL, _MAX_CHUNKS, _KEPT = 8, 100_000, 512
_CHUNK_TREE_ITEMS = (256, 228)
DAMAGED = "a Btrfs tree is damaged"

Key = tuple[int, int, int]
"""Object, type of item, offset."""
LAST: Key = (1 << 64, 0, 0)


@frozen
class Super:
    """What a superblock says; ``root`` and ``chunks`` are addresses and levels of trees."""

    fsid: bytes
    device: int
    root: tuple[int, int]
    chunks: tuple[int, int]
    log: int
    total: int
    used: int
    devices: int
    sector: int
    node: int
    system: bytes


def superblock(block: Block) -> Super:
    """Return the first superblock; DiskError where there is none, or one that can't be read here."""
    raw = read_exact(block, SUPERBLOCK, 4096, "the Btrfs superblock")
    if raw[0x40:0x48] != MAGIC:
        raise DiskError("no Btrfs filesystem: the magic number is missing")
    root, chunk, log = struct.unpack_from("<QQQ", raw, 0x50)
    total, used, _, devices, sector, node = struct.unpack_from("<QQQQII", raw, 0x70)
    (size,), (features,) = struct.unpack_from("<I", raw, 0xA0), struct.unpack_from("<Q", raw, 0xBC)
    levels, (device,) = raw[0xC6:0xC8], struct.unpack_from("<Q", raw, 0xC9)
    if features & ~_KNOWN:
        raise DiskError(f"the Btrfs filesystem has features that can't be read here ({features & ~_KNOWN:#x})")
    sound = (
        512 <= sector <= 65536 and sector & (sector - 1) == 0 and 4096 <= node <= 65536 and node & (node - 1) == 0
        and size <= 2048 and max(levels) < _MAX_LEVEL and 0 < devices < 1024 and total
    )  # fmt: skip
    if not sound:
        raise DiskError(told("the Btrfs superblock is damaged", COPY))
    roots = (root, levels[0]), (chunk, levels[1])
    system = raw[0x32B : 0x32B + size]
    return Super(raw[0x20:0x30], device, *roots, log, total, used, devices, sector, node, system)


@frozen
class Chunk:
    """A range of addresses and where its stripes are: device and byte."""

    start: int
    length: int
    stripe: int
    kind: int
    sub: int
    stripes: tuple[tuple[int, int], ...]

    def place(self, within: int) -> tuple[int, int, int]:
        """Return device, byte and how many bytes follow there, of a byte within the chunk."""
        number, rest = divmod(within, self.stripe)
        count, left = len(self.stripes), self.stripe - rest
        if self.kind & _RAID0:
            index, row = number % count, number // count
        elif self.kind & _RAID10:
            groups = count // self.sub
            index, row = number % groups * self.sub, number // groups
        elif self.kind & (_RAID5 | _RAID6):
            data = count - (1 if self.kind & _RAID5 else 2)
            row = number // data
            index = (number % data + row) % count
        else:
            device, start = self.stripes[0]
            return device, start + within, self.length - within
        device, start = self.stripes[index]
        return device, start + row * self.stripe + rest, min(left, self.length - within)


def chunk_of(start: int, raw: bytes) -> tuple[Chunk, int]:
    """Return a chunk and the bytes that its item has; DiskError where it can't be."""
    if len(raw) < 48:
        raise DiskError(told("a Btrfs chunk is cut off", COPY))
    length, _, stripe, kind, _, _, _, count, sub = struct.unpack_from("<QQQQIIIHH", raw)
    size = 48 + 32 * count
    parity = 1 if kind & _RAID5 else 2 if kind & _RAID6 else 0
    sound = length and stripe and count > parity and len(raw) >= size and start + length < 1 << 64
    if not sound or (kind & _RAID10 and (not sub or count % sub)):
        raise DiskError(told("a Btrfs chunk is damaged", COPY))
    stripes = tuple(struct.unpack_from("<QQ", raw, 48 + 32 * at) for at in range(count))
    return Chunk(start, length, stripe, kind, sub, stripes), size


@frozen
class Node:
    """A node of a tree: keys in order, and below or beside them addresses of nodes, or the items' bytes."""

    level: int
    keys: tuple[Key, ...]
    below: tuple[int, ...]
    raw: bytes
    spans: tuple[tuple[int, int], ...]


class Volume:
    """The devices of a filesystem as one space of addresses, and the trees in it. DiskError where it can't be used."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        self.sb = superblock(blocks[0])
        self._devices: dict[int, Block] = {}
        for block in blocks:
            own = superblock(block)
            if own.fsid != self.sb.fsid:
                raise DiskError("the devices are of different Btrfs filesystems")
            self._devices[own.device] = block
        if len(self._devices) < self.sb.devices:
            here = len(self._devices)
            raise DiskError(f"the Btrfs filesystem has {self.sb.devices} devices, {here} are here")
        self._nodes: dict[int, Node] = {}
        self._chunks: list[Chunk] = []
        self._starts: list[int] = []
        self._know(list(self._system()))
        found = self.items(self.sb.chunks, (*_CHUNK_TREE_ITEMS, 0), (*_CHUNK_TREE_ITEMS, 1 << 64))
        self._know([chunk_of(key[2], raw)[0] for key, raw in found])

    def _know(self, chunks: list[Chunk]) -> None:
        if len(chunks) > _MAX_CHUNKS:
            raise TooLarge("the Btrfs filesystem has too many chunks")
        self._chunks = sorted(chunks, key=lambda one: one.start)
        self._starts = [one.start for one in self._chunks]

    def _system(self) -> Iterator[Chunk]:
        raw = self.sb.system
        while len(raw) >= 17 + 48:
            chunk, size = chunk_of(int.from_bytes(raw[9:17], "little"), raw[17:])
            yield chunk
            raw = raw[17 + size :]

    def read(self, address: int, count: int) -> bytes:
        """Return bytes at an address; DiskError where no chunk has them or their device ends before."""
        parts = []
        while count:
            index = bisect_right(self._starts, address) - 1
            chunk = self._chunks[index] if index >= 0 else None
            if chunk is None or address >= chunk.start + chunk.length:
                raise DiskError(told("a Btrfs address is in no chunk", COPY))
            device, at, follow = chunk.place(address - chunk.start)
            if device not in self._devices:
                raise DiskError(f"device {device} of the Btrfs filesystem is not here")
            take = min(count, follow)
            data = read_at(self._devices[device], at, take)
            if len(data) < take:
                raise DiskError(told("Btrfs data lies beyond the end of its device; the image is truncated", COPY))
            parts.append(data)
            address, count = address + take, count - take
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def items(self, root: tuple[int, int], low: Key, high: Key) -> Iterator[tuple[Key, bytes]]:
        """Yield the items of a tree from one key to another, both included, in order."""
        yield from self._items(*root, low, high, (0, 0, 0), LAST)

    def _items(self, at: int, level: int, low: Key, high: Key, least: Key, most: Key) -> Iterator[tuple[Key, bytes]]:
        """Yield what is below one node, whose keys are from ``least`` and below ``most``.

        As the keys of each node are in order and in their parent's range, no node is met twice.
        """
        node = self._node(at, level)
        keys = node.keys
        if keys and (keys[0] < least or keys[-1] >= most):
            raise DiskError(told(DAMAGED, COPY))
        if level == 0:
            for index in range(bisect_left(keys, low), bisect_right(keys, high)):
                start, end = node.spans[index]
                yield keys[index], node.raw[start:end]
            return
        for index in range(max(0, bisect_right(keys, low) - 1), bisect_right(keys, high)):
            following = keys[index + 1] if index + 1 < len(keys) else most
            yield from self._items(node.below[index], level - 1, low, high, keys[index], following)

    def _node(self, address: int, level: int) -> Node:
        found = self._nodes.get(address)
        if found is None:
            if len(self._nodes) >= _KEPT:
                self._nodes.clear()
            found = self._nodes[address] = self._read_node(address)
        if found.level != level or (level and not found.keys):
            raise DiskError(told(DAMAGED, COPY))
        return found

    def _read_node(self, address: int) -> Node:
        size = self.sb.node
        raw = self.read(address, size)
        own, (count, level) = struct.unpack_from("<Q", raw, 48)[0], struct.unpack_from("<IB", raw, 96)
        width = _POINTER if level else _ITEM
        if own != address or level >= _MAX_LEVEL or count > (size - _HEADER) // width:
            raise DiskError(told(DAMAGED, COPY))
        table = raw[_HEADER : _HEADER + width * count]
        rows = list(struct.iter_unpack("<QBQQQ" if level else "<QBQII", table))
        below = tuple(row[3] for row in rows) if level else ()
        spans = () if level else tuple((_HEADER + row[3], _HEADER + row[3] + row[4]) for row in rows)
        keys = tuple(row[:3] for row in rows)
        if any(one >= other for one, other in pairwise(keys)) or any(end > size for _, end in spans):
            raise DiskError(told(DAMAGED, COPY))
        return Node(level, keys, below, raw, spans)

    def item(
        self, root: tuple[int, int], number: int, kind: int, offset: int | None = None
    ) -> tuple[Key, bytes] | None:
        """Return the first item of an object and type, or None; of one offset where it is given."""
        low, high = (0, 1 << 64) if offset is None else (offset, offset)
        return next(self.items(root, (number, kind, low), (number, kind, high)), None)
