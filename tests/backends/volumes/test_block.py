"""Blocks that are put together of others, against their bytes; UUIDs as text; what the machine that writes loads."""

import subprocess
import sys
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guestfix.backends.volumes.block import DiskError, Pieces, SeekableBlock, mixed, uuid_text
from guestfix.backends.volumes.lvm import striped
from tests.build.images import Bytes

READS = st.lists(st.tuples(st.integers(0, 6000), st.integers(-1, 6000)), max_size=20)


@given(st.binary(min_size=16, max_size=16))
def test_uuids_are_written_as_the_standard_library_does(raw: bytes) -> None:
    assert uuid_text(raw) == str(uuid.UUID(bytes=raw))
    assert uuid_text(mixed(raw)) == str(uuid.UUID(bytes_le=raw))


def test_the_machine_that_writes_loads_no_tables_and_no_module_for_one_line() -> None:
    code = "from guestfix.backends.machine import agent, line, machine; import sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not [name for name in loaded if name.startswith("guestfix.base.catalog")]
    assert not loaded & {"shutil", "uuid", "traceback", "linecache", "guestfix.base.facts"}


def same(made: SeekableBlock, data: bytes, reads: list[tuple[int, int]]) -> None:
    assert made.size == len(data)
    for start, count in reads:
        made.seek(start)
        assert made.read(count) == data[start : len(data) if count < 0 else start + count]


@given(st.lists(st.tuples(st.binary(max_size=300), st.integers(0, 9)), max_size=12), READS)
def test_pieces_read_as_their_bytes_one_after_the_other(parts: list[tuple[bytes, int]], reads) -> None:
    pieces = [(Bytes(bytes(before) + data + b"after"), before, len(data)) for data, before in parts]
    same(Pieces(pieces), b"".join(data for data, _ in parts), reads)


@given(st.integers(1, 5), st.sampled_from([512, 700]), st.integers(0, 5000), st.integers(0, 9), READS)
def test_stripes_read_in_turns(disks: int, stripe: int, size: int, start: int, reads) -> None:
    data = bytes(number * 7 % 251 for number in range(size))
    chunks = [data[at : at + stripe] for at in range(0, size, stripe)]
    members = [(Bytes(bytes(start) + b"".join(chunks[disk::disks])), start) for disk in range(disks)]
    same(striped(members, stripe, size), data, reads)


class Tells(SeekableBlock):
    """A large block that holds nothing, and notes where it was read."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size, self.seen = size, []

    def _next(self, count: int) -> bytes:
        self.seen.append((self._at, count))
        return bytes(count)


def test_stripes_of_large_disks_need_no_list_of_all() -> None:
    disks = [Tells(1 << 45) for _ in range(2)]
    made = striped([(disk, 1 << 20) for disk in disks], 1 << 16, 1 << 46)
    made.seek((1 << 45) + 5)
    assert made.read(1 << 16) == bytes(1 << 16)
    place = (1 << 20) + (1 << 44)
    assert [disk.seen for disk in disks] == [[(place + 5, (1 << 16) - 5)], [(place, 5)]]


def test_a_read_asks_only_the_pieces_it_lies_in() -> None:
    parts = [Tells(512) for _ in range(100_000)]
    made = Pieces([(part, 0, 512) for part in parts])
    for start in (0, 25_600_500, 51_199_999):
        made.seek(start)
        assert made.read(20) == bytes(min(20, made.size - start))
    assert [number for number, part in enumerate(parts) if part.seen] == [0, 50_000, 50_001, 99_999]


def test_what_ends_too_early_is_told() -> None:
    with pytest.raises(DiskError, match="an extent lies beyond the end"):
        Pieces([(Bytes(b"12"), 0, 2), (Bytes(b"3"), 0, 2)], "an extent").read()
    with pytest.raises(DiskError, match="a stripe of a volume lies beyond the end"):
        striped([(Bytes(bytes(512)), 0)], 512, 1024).read()
    for members, stripe in ([], 512), ([(Bytes(b""), 0)], 0), ([(Bytes(b""), 0)], 1 << 31):
        with pytest.raises(DiskError, match="can't be"):
            striped(members, stripe, 512)
