"""Transaction logs: the old format (DIRT, up to Windows 8) and the new one (HvLE), replayed in memory.

Source: the public description of the format by M. Suhanov. A log is used only where everything about it
fits the hive; what can't be recovered leaves the hive as it was, with the reason.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from itertools import chain

from guestfix.base.record import frozen
from guestfix.formats.windows.regf.store import (
    BASE,
    LOG_TYPES,
    MAX_DATA,
    PAGE,
    U32,
    BadHive,
    Buffer,
    Header,
    Store,
    checksum,
    read_header,
)

_SECTOR = 512
_PIECE = 1 << 16
_ENTRY = struct.Struct("<4sIIIIIQQ")
_SEED = (0x7A4E55C5, 0x82EF4D88)
_FILE_TYPE_NEW = 6


@frozen
class Outcome:
    """``data`` is the recovered hive, or None; then ``refusal`` says why. ``sequence`` is the highest one met."""

    data: bytearray | None
    refusal: str = ""
    sequence: int = 0


@frozen
class _Entry:
    """One transaction of the new format. ``pages`` are (offset in the bins, bytes)."""

    sequence: int
    size: int
    flags: int
    pages: tuple[tuple[int, bytes], ...]


@frozen
class _Log:
    data: Buffer
    header: Header


def _words(data: bytes) -> Iterator[int]:
    """Return the bytes as 32-bit numbers, padded as the hash wants it, a piece at a time."""
    whole = len(data) & ~3
    tail = int.from_bytes(data[whole:] + b"\x80", "little")
    pieces = (data[at : min(at + _PIECE, whole)] for at in range(0, whole, _PIECE))
    return chain(chain.from_iterable(struct.unpack(f"<{len(piece) >> 2}I", piece) for piece in pieces), (tail, 0))


def marvin32(data: bytes) -> int:
    """Return the 64-bit Marvin32 hash with the seed that the logs use."""
    low, high = _SEED
    for word in _words(data):
        low = low + word & 0xFFFFFFFF
        high ^= low
        low = (low << 20 | low >> 12) + high & 0xFFFFFFFF
        high = (high << 9 | high >> 23) & 0xFFFFFFFF ^ low
        low = (low << 27 | low >> 5) + high & 0xFFFFFFFF
        high = (high << 19 | high >> 13) & 0xFFFFFFFF
    return high << 32 | low


def _usable(log: Buffer) -> _Log | None:
    """Return the log with its base block where that is whole, else None."""
    try:
        header = read_header(log)
    except BadHive:
        return None
    sized = header.size and header.size % PAGE == 0 and header.size <= MAX_DATA
    return _Log(log, header) if header.file_type in LOG_TYPES and sized and not header.dirty else None


def recover(data: Buffer, logs: Sequence[Buffer]) -> Outcome:
    """Replay the logs over a hive whose last write was not finished."""
    present = [log for log in logs if len(log) >= _SECTOR]
    usable = [log for log in map(_usable, present) if log]
    sequence = max(map(_highest, usable), default=0)
    if not present:
        return Outcome(None, "its last write was not finished, and there are no logs to finish it from", sequence)
    try:
        primary: Header | None = read_header(data)
    except BadHive:
        primary = None
    primary = primary if primary and primary.sum_ok else None
    new = [log for log in usable if log.header.file_type == _FILE_TYPE_NEW]
    outcome = _replay_new(data, primary, new) if new else None
    if outcome is None:
        outcome = _replay_old(data, primary, [log for log in usable if log not in new])
    if outcome is None:
        return Outcome(None, "its last write was not finished, and none of its logs can be applied to it", sequence)
    return Outcome(outcome.data, "", max(outcome.sequence, sequence))


def _highest(log: _Log) -> int:
    """Return the highest sequence number in a log, remnants included: what is written must be above it."""
    found, at = log.header.sequence1, 0
    while (at := log.data.find(b"HvLE", at + _SECTOR)) >= 0:
        if at % _SECTOR == 0 and at + 40 <= len(log.data):
            entry = _ENTRY.unpack_from(log.data, at)
            if entry[7] == marvin32(bytes(log.data[at : at + 32])):
                found = max(found, entry[3])
        at -= at % _SECTOR
    return found


def _start(data: Buffer, primary: Header | None, log: _Log) -> bytearray:
    """Return the hive to replay over; a broken base block is taken from the log."""
    out = bytearray(data)
    if primary is None:
        out[:_SECTOR] = log.data[:_SECTOR]
        U32.pack_into(out, 28, 0)
    return out


def _extend(out: bytearray, end: int, most: int) -> bool:
    """Make the hive reach to end; return False where that is more growth than a log of this size can fill."""
    if end - len(out) > most:
        return False
    out += bytes(max(0, end - len(out)))
    return True


def _finish(out: bytearray, sequence: int, size: int) -> Outcome | None:
    """Make the base block say that the hive is whole; None where it is not, so that the log must be a broken one."""
    for place, number in ((4, sequence), (8, sequence), (40, size)):
        U32.pack_into(out, place, number)
    U32.pack_into(out, 508, checksum(out))
    try:
        header = read_header(out)
        Store(out, header).record(header.root, b"nk", 76)
    except BadHive:
        return None
    return Outcome(out, "", sequence)


# the new format


def _entries(log: _Log) -> Iterator[_Entry]:
    """Yield the log's entries from its base block's sequence number on, as long as they are whole and in sequence."""
    at, expected = _SECTOR, log.header.sequence1
    while at + 40 <= len(log.data):
        entry = _entry(log.data, at)
        if entry is None or entry.sequence != expected:
            return
        yield entry
        at += U32.unpack_from(log.data, at + 4)[0]
        expected = expected + 1 & 0xFFFFFFFF


def _entry(log: Buffer, at: int) -> _Entry | None:
    signature, length, flags, sequence, size, count, hash1, hash2 = _ENTRY.unpack_from(log, at)
    if signature != b"HvLE" or length % _SECTOR or length < _SECTOR or at + length > len(log):
        return None
    if size % PAGE or not 0 < size <= MAX_DATA or 40 + count * 8 > length:
        return None
    if hash2 != marvin32(bytes(log[at : at + 32])) or hash1 != marvin32(bytes(log[at + 40 : at + length])):
        return None
    pages, place = [], at + 40 + count * 8
    for offset, width in struct.iter_unpack("<II", log[at + 40 : place]):
        if offset + width > size or place + width > at + length:
            return None
        pages.append((offset, bytes(log[place : place + width])))
        place += width
    return _Entry(sequence, size, flags, tuple(pages))


def _replay_new(data: Buffer, primary: Header | None, logs: list[_Log]) -> Outcome | None:
    """Replay the logs in the order of their numbers; without a base block only the latest one counts."""
    logs = sorted(logs, key=lambda log: log.header.sequence1)
    if primary is None:
        logs = logs[-1:]
    out, last = _start(data, primary, logs[-1]), None
    for log in logs:
        for entry in _entries(log):
            if last is None and primary is not None and entry.sequence < primary.sequence2:
                break
            if last is not None and entry.sequence != last + 1:
                break
            if not _extend(out, BASE + entry.size, len(log.data)):
                break
            _apply(out, entry)
            last = entry.sequence
    return None if last is None else _finish(out, last, U32.unpack_from(out, 40)[0])


def _apply(out: bytearray, entry: _Entry) -> None:
    for offset, raw in entry.pages:
        out[BASE + offset : BASE + offset + len(raw)] = raw
    flags = U32.unpack_from(out, 144)[0]
    U32.pack_into(out, 144, flags & ~1 | entry.flags & 1)
    U32.pack_into(out, 40, entry.size)


# the old format


def _replay_old(data: Buffer, primary: Header | None, logs: list[_Log]) -> Outcome | None:
    """Replay the one log that was written at the time the hive says; of two, the later one.

    Without a base block the first bin tells the time; it is older where it was not written any more.
    """
    time = primary.timestamp if primary else _first_bin_time(data)
    fitting = [
        log for log in logs if log.header.timestamp == time or (primary is None and log.header.timestamp > time >= 0)
    ]
    for log in sorted(fitting, key=lambda one: -one.header.sequence1):
        found = _dirty_pages(log)
        if found is None:
            continue
        out = _start(data, primary, log)
        if not _extend(out, BASE + log.header.size, len(log.data)):
            continue
        for place, raw in found:
            out[place : place + _SECTOR] = raw
        known = (log.header.sequence1, *((primary.sequence1,) if primary else ()))
        if outcome := _finish(out, max(known), log.header.size):
            return outcome
    return None


def _first_bin_time(data: Buffer) -> int:
    if len(data) < BASE + 32 or data[BASE : BASE + 4] != b"hbin":
        return -1
    found: int = struct.unpack_from("<Q", data, BASE + 20)[0]
    return found


def _dirty_pages(log: _Log) -> list[tuple[int, bytes]] | None:
    """Return the position and bytes of each 512-byte page that the log holds, or None where it is cut short."""
    start, bits = _SECTOR, log.header.size // _SECTOR
    if log.data[start : start + 4] != b"DIRT":
        return None
    vector = bytes(log.data[start + 4 : start + 4 + bits // 8])
    at, pages = -(-(start + 4 + bits // 8) // _SECTOR) * _SECTOR, []
    for index in range(len(vector) * 8):
        if vector[index >> 3] >> (index & 7) & 1:
            raw = bytes(log.data[at : at + _SECTOR])
            if len(raw) < _SECTOR:
                return None
            pages.append((BASE + index * _SECTOR, raw))
            at += _SECTOR
    return pages
