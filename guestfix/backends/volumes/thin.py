"""Thin volumes of LVM: where each of their blocks lies in the pool, read from the pool's metadata.

Source: the kernel's drivers/md/dm-thin-metadata.c and persistent-data/dm-btree-internal.h.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections import OrderedDict

from guestfix.backends.volumes.block import COPY, Block, DiskError, SeekableBlock, read_exact, told
from guestfix.base.record import frozen

_MAGIC = 27022010
_BLOCK = 4096
"""Bytes of a block of the metadata."""

_NODE = struct.Struct("<IIQIIII")
_INTERNAL, _LEAF = 1, 2
_DEPTH = 12
_KEPT = 4096
_DAMAGED = told("the metadata of the thin pool are damaged", COPY)
_REPAIR = "repair the pool in a copy: lvconvert --repair"


@frozen
class Pool:
    """A pool: its metadata, its data, the bytes of one of its blocks, and the root of its mappings."""

    meta: Block
    data: Block
    chunk: int
    root: int


def read_pool(meta: Block, data: Block, chunk: int) -> Pool:
    """Read a pool's superblock; ``chunk`` is what LVM says. DiskError where it is damaged or of another kind."""
    raw = read_exact(meta, 0, _BLOCK, "the metadata of a thin pool")
    magic, version = struct.unpack_from("<QI", raw, 32)
    root, _, sectors, size = struct.unpack_from("<QQII", raw, 320)
    if magic != _MAGIC or version not in (1, 2) or size * 512 != _BLOCK or sectors * 512 != chunk or not chunk:
        raise DiskError(_DAMAGED, remedy=_REPAIR)
    return Pool(meta, data, chunk, root)


class Thin(SeekableBlock):
    """A thin volume as a Block of ``size`` bytes: what is not mapped is of ``origin``, or zero."""

    def __init__(self, pool: Pool, device: int, size: int, origin: Block | None = None) -> None:
        super().__init__()
        self.size, self._pool, self._origin = size, pool, origin
        self._nodes: OrderedDict[int, tuple[bool, tuple[int, ...], bytes]] = OrderedDict()
        found = self._look_up(pool.root, device)
        if found is None:
            raise DiskError(told(f"the thin pool has no volume {device}", COPY), remedy=_REPAIR)
        self._root = found

    def _next(self, count: int) -> bytes:
        index, within = divmod(self._at, self._pool.chunk)
        length = min(count, self._pool.chunk - within)
        found = self._look_up(self._root, index)
        if found is not None:
            return read_exact(self._pool.data, (found >> 24) * self._pool.chunk + within, length, "a thin volume")
        if self._origin is None or self._at >= self._origin.size:
            return bytes(length)
        self._origin.seek(self._at)
        return self._origin.read(length)

    def _look_up(self, root: int, key: int) -> int | None:
        """Return the value of a key in a B-tree, None where it has none."""
        block = root
        for _ in range(_DEPTH):
            leaf, keys, values = self._node(block)
            at = bisect_right(keys, key) - 1
            if at < 0:
                return None
            (value,) = struct.unpack_from("<Q", values, 8 * at)
            if leaf:
                return value if keys[at] == key else None
            block = value
        raise DiskError(_DAMAGED, remedy=_REPAIR)

    def _node(self, block: int) -> tuple[bool, tuple[int, ...], bytes]:
        if block in self._nodes:
            self._nodes.move_to_end(block)
            return self._nodes[block]
        if not 0 < block < 1 << 40:
            raise DiskError(_DAMAGED, remedy=_REPAIR)
        raw = read_exact(self._pool.meta, block * _BLOCK, _BLOCK, "the metadata of a thin pool")
        _, flags, where, count, most, width, _ = _NODE.unpack_from(raw)
        if flags not in (_INTERNAL, _LEAF) or where != block or width != 8 or not count <= most <= 252:
            raise DiskError(_DAMAGED, remedy=_REPAIR)
        keys = struct.unpack_from(f"<{count}Q", raw, _NODE.size)
        found = (flags == _LEAF, keys, raw[_NODE.size + 8 * most :])
        self._nodes[block] = found
        if len(self._nodes) > _KEPT:
            self._nodes.popitem(last=False)
        return found
