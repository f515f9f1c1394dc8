"""LVM2 volumes put together from their metadata, read only."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from guestfix.backends.volumes.block import (
    BACKEND,
    ELSEWHERE,
    Block,
    DiskError,
    Pieces,
    SeekableBlock,
    Window,
    read_at,
    read_exact,
    told,
)
from guestfix.backends.volumes.lvmraid import LEVELS, TENS, Image, put_together
from guestfix.backends.volumes.probe import lvm_id
from guestfix.backends.volumes.thin import Thin, read_pool
from guestfix.base.patterns import regex
from guestfix.base.record import frozen

MAX_METADATA = 16 << 20
MAX_DEPTH = 16


@frozen
class Logical:
    """One logical volume; ``block`` is None where it can't be read, and ``problem`` says why.

    ``ids`` are the UUIDs of its group and its own without their hyphens; ``lost``: a disk of it is not there.
    """

    group: str
    name: str
    size: int
    block: Block | None
    problem: str = ""
    ids: str = ""
    lost: bool = False


class MissingDisk(DiskError):
    """A disk that a volume lies on is not there."""


def striped(members: list[tuple[Block, int]], stripe: int, size: int) -> Block:
    """Return members (block, start) read in turns of stripe bytes: LVM stripes and RAID 0."""
    if not 512 <= stripe <= 1 << 30 or not members:
        raise DiskError("a stripe size that can't be, or stripes on no disk")
    return _Striped(members, stripe, size)


class _Striped(SeekableBlock):
    def __init__(self, members: list[tuple[Block, int]], stripe: int, size: int) -> None:
        super().__init__()
        self._members, self._stripe, self.size = members, stripe, size

    def _next(self, count: int) -> bytes:
        index, within = divmod(self._at, self._stripe)
        turn, member = divmod(index, len(self._members))
        block, start = self._members[member]
        take = min(count, self._stripe - within)
        return read_exact(block, start + turn * self._stripe + within, take, "a stripe of a volume")


# the text metadata

_TOKEN = regex(r'\s*(?:#[^\n]*|([{}=\[\],])|"((?:[^"\\]|\\.)*)"|([^\s{}=\[\],"#]+))')


def parse_metadata(text: str) -> dict[str, object]:
    """Read LVM's configuration text: sections become dicts, lists lists, the rest strings and integers."""
    tokens = _tokens(text)
    root: dict[str, object] = {}
    stack, name = [root], ""
    for kind, token in tokens:
        if kind == "word":
            name = token
        elif token == "{":
            if len(stack) > MAX_DEPTH:
                raise DiskError("LVM metadata is nested too deeply")
            child: dict[str, object] = {}
            stack[-1][name] = child
            stack.append(child)
        elif token == "}":
            if len(stack) > 1:
                stack.pop()
        elif token == "=":
            stack[-1][name] = _value(tokens)
    return root


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    for match in _TOKEN.finditer(text):
        if match[1]:
            yield "mark", match[1]
        elif match[2] is not None:
            yield "text", match[2]
        elif match[3]:
            yield "word", match[3]


def _value(tokens: Iterator[tuple[str, str]]) -> object:
    kind, token = next(tokens, ("word", ""))
    if token != "[" or kind != "mark":
        return _scalar(kind, token)
    items = []
    for kind, token in tokens:
        if kind == "mark" and token == "]":
            break
        if kind != "mark":
            items.append(_scalar(kind, token))
    return items


def _scalar(kind: str, token: str) -> str | int:
    number = kind == "word" and len(token) < 20 and token.removeprefix("-").isdecimal()
    return int(token) if number else token


def read_metadata(block: Block) -> tuple[str, dict[str, object]]:
    """Return a physical volume's id and its newest metadata (empty where it has no area of its own)."""
    head = read_exact(block, 0, 2048, "an LVM label")
    at = next((i for i in range(0, 2048, 512) if head[i : i + 8] == b"LABELONE"), -1)
    if at < 0:
        raise DiskError("the LVM label is missing")
    header = at + struct.unpack_from("<I", head, at + 20)[0]
    raw = read_at(block, header, 512)
    ident, place, lists = lvm_id(raw[:32]), 40, 0
    areas: list[tuple[int, int]] = []
    while lists < 2 and place + 16 <= len(raw):
        offset, size = struct.unpack_from("<QQ", raw, place)
        place += 16
        if not offset:
            lists += 1
        elif lists:
            areas.append((offset, size))
    texts = [found for offset, size in areas if (found := _area(block, offset, size))]
    parsed = [parse_metadata(text) for text in texts]
    return ident, max(parsed, key=_sequence) if parsed else {}


def _area(block: Block, offset: int, size: int) -> str:
    """Return the text of a metadata area, a ring buffer behind a 512-byte header."""
    header = read_at(block, offset, 512)
    if header[4:20] != b"\x20\x4c\x56\x4d\x32\x20\x78\x5b\x35\x41\x25\x72\x30\x4e\x2a\x3e" or len(header) < 512:
        return ""
    start, length = struct.unpack_from("<QQ", header, 40)
    if not 0 < length <= min(size, MAX_METADATA) or not 512 <= start < size:
        return ""
    raw = read_at(block, offset + start, min(length, size - start))
    raw += read_at(block, offset + 512, length - len(raw)) if len(raw) < length else b""
    return raw.rstrip(b"\0\n").decode("utf-8", "replace")


def _sequence(tree: dict[str, object]) -> int:
    for group in tree.values():
        if isinstance(group, dict) and isinstance(group.get("seqno"), int):
            return int(group["seqno"])
    return -1


# volumes


class _Group:
    def __init__(self, name: str, tree: dict[str, object], blocks: dict[str, Block]) -> None:
        self.name, self.tree = name, tree
        self.extent = _number(tree, "extent_size") * 512
        self.volumes = _section(tree, "logical_volumes")
        self.physical = _section(tree, "physical_volumes")
        self.blocks = blocks

    def visible(self) -> Iterator[Logical]:
        """Yield every volume that a guest would see in /dev."""
        for name, volume in self.volumes.items():
            if not isinstance(volume, dict) or "VISIBLE" not in volume.get("status", []):
                continue
            parts = _segments(volume)
            if parts and parts[0].get("type") in ("thin-pool", "cache-pool"):
                continue
            size = sum(_number(part, "extent_count") for part in parts) * self.extent
            if parts and parts[0].get("type") == "snapshot":  # its name is that of the volume with its changes
                problem = told(f"a snapshot of {parts[0].get('origin')}; {ELSEWHERE}", BACKEND)
                yield Logical(self.name, str(parts[0].get("cow_store")), size, None, problem)
                continue
            ids = "".join(str(tree.get("id", "")).replace("-", "") for tree in (self.tree, volume))
            try:
                yield Logical(self.name, name, size, self.open(name, 0), "", ids)
            except DiskError as error:
                yield Logical(self.name, name, size, None, error.what, ids, isinstance(error, MissingDisk))

    def open(self, name: str, depth: int) -> Block:
        """Return a volume's data. DiskError where a disk is missing or its type is not understood."""
        volume = self.volumes.get(name)
        if not isinstance(volume, dict) or depth > MAX_DEPTH or not self.extent:
            raise DiskError(f"the LVM metadata of {self.name}/{name} is damaged")
        parts = [self._segment(part, depth) for part in _segments(volume)]
        if not parts:
            raise DiskError(f"the logical volume {self.name}/{name} is empty")
        return parts[0] if len(parts) == 1 else Pieces([(part, 0, part.size) for part in parts])

    def _segment(self, part: dict[str, object], depth: int) -> Block:
        kind, size = str(part.get("type", "")), _number(part, "extent_count") * self.extent
        if kind == "striped":
            members = [self._member(*pair, depth) for pair in _pairs(part.get("stripes"))]
            if len(members) == 1:
                return Window(members[0][0], members[0][1], size)
            if members:
                return striped(members, _number(part, "stripe_size") * 512, size)
        if kind == "mirror":
            return self._mirror(part, size, depth)
        if kind in ("raid0", "raid0_meta"):
            return self._raid0(part, size, depth)
        if kind == "raid1" or kind in LEVELS or kind in TENS:
            chunk, copies = _number(part, "stripe_size") * 512, _number(part, "data_copies")
            return put_together(kind, self._images(part, depth), chunk, size, copies)
        if kind == "thin":
            return self._thin(part, size, depth)
        if kind == "cache":
            return self._cached(part, size, depth)
        if kind == "linear":
            members = [self._member(*pair, depth) for pair in _pairs(part.get("stripes"))]
            return Window(members[0][0], members[0][1], size) if members else self._refuse(kind)
        return self._refuse(kind)

    def _refuse(self, kind: str) -> Block:
        raise DiskError(told(f"logical volumes of type {kind or 'unknown'} are not read here; {ELSEWHERE}", BACKEND))

    def _raid0(self, part: dict[str, object], size: int, depth: int) -> Block:
        names = _names(part.get("raid0_lvs")) or _names(part.get("raids"))[1::2]
        if not names:
            return self._refuse("raid0")
        members = [(self.open(name, depth + 1), 0) for name in names]
        return striped(members, _number(part, "stripe_size") * 512, size)

    def _images(self, part: dict[str, object], depth: int) -> list[Image]:
        """Return a RAID volume's images: raids = [state, data, state, data]."""
        names = _names(part.get("raids"))
        return [
            Image(self._there(data, depth), self._there(state, depth))
            for state, data in zip(names[::2], names[1::2], strict=False)
        ]

    def _there(self, name: str, depth: int) -> Block | None:
        try:
            return self.open(name, depth + 1)
        except MissingDisk:
            return None

    def _thin(self, part: dict[str, object], size: int, depth: int) -> Block:
        pool = _section(self.volumes, str(part.get("thin_pool")))
        inner = next(iter(_segments(pool)), {})
        meta, data = (self.open(str(inner.get(role)), depth + 1) for role in ("metadata", "pool"))
        outside = part.get("external_origin")
        origin = self.open(str(outside), depth + 1) if outside else None
        found = read_pool(meta, data, _number(inner, "chunk_size") * 512)
        return Thin(found, _number(part, "device_id"), size, origin)

    def _cached(self, part: dict[str, object], size: int, depth: int) -> Block:
        """Return what a cache lies before, which has everything unless the cache keeps what is written."""
        pool = next(iter(_segments(_section(self.volumes, str(part.get("cache_pool"))))), {})
        mode = part.get("cache_mode", pool.get("cache_mode"))
        if mode not in ("writethrough", "passthrough"):
            return self._refuse("cache, in the mode writeback,")
        return Window(self.open(str(part.get("origin")), depth + 1), 0, size)

    def _mirror(self, part: dict[str, object], size: int, depth: int) -> Block:
        problem = DiskError("a mirror without a leg that is here")
        for name, first in _pairs(part.get("mirrors")):
            try:
                block, start = self._member(name, first, depth)
                return Window(block, start, size)
            except DiskError as error:
                problem = error
        raise problem

    def _member(self, name: str, first: int, depth: int) -> tuple[Block, int]:
        """Return where the extent number ``first`` of a physical or of another logical volume is."""
        if name in self.physical:
            physical = _section(self.physical, name)
            block = self.blocks.get(str(physical.get("id", "")))
            if block is None:
                raise MissingDisk(
                    f"a disk of the volume group {self.name} is missing: {name} ({physical.get('device')})"
                )
            return block, _number(physical, "pe_start") * 512 + first * self.extent
        return self.open(name, depth + 1), first * self.extent


def _number(tree: dict[str, object], name: str) -> int:
    value = tree.get(name, 0)
    if not isinstance(value, int) or not 0 <= value < 1 << 55:
        raise DiskError(f"the LVM metadata is damaged: {name}")
    return value


def _section(tree: dict[str, object], name: str) -> dict[str, object]:
    found = tree.get(name, {})
    return found if isinstance(found, dict) else {}


def _segments(volume: dict[str, object]) -> list[dict[str, object]]:
    found = [value for key, value in volume.items() if key.startswith("segment") and isinstance(value, dict)]
    return sorted(found, key=lambda part: _number(part, "start_extent"))


def _names(value: object) -> list[str]:
    return [name for name in value if isinstance(name, str)] if isinstance(value, list) else []


def _pairs(value: object) -> list[tuple[str, int]]:
    items = value if isinstance(value, list) else []
    pairs = list(zip(items[::2], items[1::2], strict=False))
    return [(name, first) for name, first in pairs if isinstance(name, str) and isinstance(first, int)]


def logical_volumes(members: list[Block]) -> tuple[list[Logical], list[str]]:
    """Put all volume groups together that these physical volumes hold; also return what is wrong with them."""
    blocks: dict[str, Block] = {}
    groups: dict[str, tuple[str, dict[str, object]]] = {}
    problems: list[str] = []
    for block in members:
        try:
            ident, tree = read_metadata(block)
            blocks[ident] = block
            for name, group in tree.items():
                if isinstance(group, dict) and "physical_volumes" in group:
                    key = str(group.get("id", name))
                    if key not in groups or _sequence({name: group}) > _sequence({name: groups[key][1]}):
                        groups[key] = (name, group)
        except (DiskError, struct.error, ValueError) as error:
            text = f"an LVM physical volume can't be read: {error}"
            problems.append(told(text, of=getattr(error, "what", "")))
    found: list[Logical] = []
    for name, group in groups.values():
        try:
            found += _Group(name, group, blocks).visible()
        except DiskError as error:
            problems.append(error.what)
    return found, problems
