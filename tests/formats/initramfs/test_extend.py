"""The last archive of an image continues: the field's tools and our reader see the old members and the added ones."""

from __future__ import annotations

import contextlib
import io
import random
import zlib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from guestfix.base import inflate
from guestfix.base.edit import apply_splices
from guestfix.base.errors import Corrupt
from guestfix.base.record import replace
from guestfix.formats.initramfs import cpio, decompress, deflate, lzo, xz
from guestfix.formats.initramfs import extend as extend_module
from guestfix.formats.initramfs import image as initramfs
from guestfix.formats.initramfs.compress import compress
from guestfix.formats.initramfs.compress import lz4_blocks as lz4_packed
from guestfix.formats.initramfs.ending import crc_before
from guestfix.formats.initramfs.extend import Extension, extend
from guestfix.formats.initramfs.streams import Source
from tests.build.initramfs_tools import need, run, unpack

ADDED = cpio.write([("conf/modules", 0o100644, b"nvme\n"), ("lib/added.ko", 0o100644, bytes(range(256)) * 9)])
KINDS = ("none", "gzip", "xz", "lzo", "lz4", "zstd")


def content(seed: int, size: int, tail: int = 0) -> bytes:
    """Return an archive of about ``size`` bytes, half of which can be compressed, with ``tail`` zero bytes more."""
    chance = random.Random(seed)
    members, held = [("conf/modules", 0o100644, b"old\n")], 0
    while held < size:
        count = chance.randrange(1, 60000)
        data = chance.randbytes(count) if chance.random() < 0.5 else b"%d words " % held * (count // 9)
        members.append((f"file{len(members)}", 0o100644, data))
        held += len(data)
    return cpio.write(members) + bytes(tail)


def scan(data: bytes) -> initramfs.Image:
    return initramfs.scan(io.BytesIO(data), lambda name: True)


def extended(data: bytes, archive: bytes = ADDED) -> bytes:
    splices = extend(io.BytesIO(data), scan(data), archive).splices
    assert splices
    return apply_splices(data, splices)


def goes_on(data: bytes, kind: str) -> bytes:
    """Extend an image whose last segment is of this kind; check all that holds of it, and return it."""
    old, result = scan(data), extended(data)
    new = scan(result)
    assert new.problem is None and len(new.segments) == len(old.segments)
    assert new.files == {**old.files, "conf/modules": b"nvme\n", "lib/added.ko": bytes(range(256)) * 9}
    last = new.segments[-1]
    plain = unpack(kind, result[last.offset : last.end])
    before = unpack(kind, data[old.segments[-1].offset : old.segments[-1].end])
    cut = before.rindex(b"TRAILER!!!") - cpio.HEADER
    assert plain.rstrip(b"\0") == (before[:cut] + ADDED).rstrip(b"\0")
    assert kind == "none" or len(plain) % 512 == 0
    assert plain.rindex(b"TRAILER!!!\0\0\0\0") + 14 > len(plain) - 512, "cpio would leave something unread"
    return result


COMMANDS = {
    "none": ["cat"],
    "gzip -1": ["gzip", "-n", "-1"],
    "gzip -9": ["gzip", "-n", "-9"],
    "pigz": ["pigz", "-n", "-b", "128", "-p", "3"],
    "xz": ["xz", "--check=crc32"],
    "xz x86": ["xz", "--check=crc32", "--x86", "--lzma2=dict=512KiB"],
    "xz of threads": ["xz", "--check=crc32", "-T2", "--block-size=200000", "-0"],
    "xz of small windows": ["xz", "--check=none", "--lzma2=dict=4096"],
    "lzop": ["lzop", "-9"],
    "lzop with other sums": ["lzop", "-1", "--crc32"],
    "lz4": ["lz4", "-l", "-9", "-c"],
    "zstd": ["zstd", "-q", "-1", "-T0", "-c"],
    "zstd -19": ["zstd", "-q", "-19", "-c"],
    "zstd without a sum": ["zstd", "-q", "--no-check", "-c"],
}


@pytest.mark.parametrize("size", [10, 70_000, 1_500_000])
@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "xz x86"])
def test_what_each_program_compressed_goes_on_twice(name, size):
    command, kind = COMMANDS[name], {"lzop": "lzo", "cat": "none", "pigz": "gzip"}
    need(command[0])
    data = run(*command, data=content(size, size))
    kind = kind.get(command[0], command[0])
    goes_on(goes_on(data, kind), kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tail", [0, 120_000, 3 << 20])
def test_zeros_behind_the_trailer_and_padding_behind_the_segment(kind, tail):
    """The trailer may lie in the last block but one; further back the segment is left as it is."""
    data = compress(kind, content(1, 400_000, tail)) + bytes(1000)
    if kind in ("gzip", "lzo", "zstd") and tail > 1 << 20:
        assert extend(io.BytesIO(data), scan(data), ADDED).splices == ()
    else:
        assert goes_on(data, kind).endswith(bytes(1000))


@pytest.mark.parametrize("kind", KINDS)
def test_a_segment_behind_others(kind):
    early, middle = cpio.write([("kernel/x86", 0o100644, b"m" * 99)]), compress("gzip", content(2, 9000))
    goes_on(early + middle + bytes(-len(early + middle) % 4) + compress(kind, content(3, 300_000)), kind)


@pytest.mark.parametrize("kind", ["bzip2", "lzma"])
def test_others_are_left_as_they_are(kind):
    data = compress(kind, content(1, 5000))
    assert extend(io.BytesIO(data), scan(data), ADDED).splices == ()


def test_a_gzip_segment_whose_end_unpacks_to_too_much_is_left_as_it_is():
    data = compress("gzip", cpio.write([("zeros", 0o100644, bytes(20 << 20))]))
    assert extend(io.BytesIO(data), scan(data), ADDED).splices == ()


@pytest.mark.parametrize("kind", ["lz4", "lzo"])
def test_a_segment_without_a_block_is_left_as_it_is(kind):
    data = compress(kind, b"")
    image = initramfs.Image(len(data), segments=[initramfs.Segment(0, len(data), kind, 0, 0)])
    assert extend(io.BytesIO(data), image, ADDED).splices == ()


def test_xz_behind_another_filter_or_with_an_unknown_check_is_left_as_it_is():
    need("xz")
    for words in (["--x86", "--lzma2"], ["--check=crc64"], ["--check=sha256"]):
        data = run("xz", "--check=crc32", *words, data=content(1, 5000))
        assert extend(io.BytesIO(data), scan(data), ADDED).splices == ()


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_first_reading_left_only_saves_time(kind):
    """An image that was put together, or read by something else, goes on alike."""
    data = compress(kind, content(7, 900_000))
    image = scan(data)
    alone = replace(image, ending=None)
    assert extend(io.BytesIO(data), alone, ADDED) == extend(io.BytesIO(data), image, ADDED)
    assert extend(io.BytesIO(data), image, ADDED).proven is (kind != "zstd")


@pytest.mark.parametrize("kind", ["gzip", "xz"])
def test_little_is_inflated_again(kind, monkeypatch):
    """The first reading knows the end of the stream: of 6 MB, the rest is read to write and to prove what is new."""
    data = compress(kind, content(8, 6 << 20))
    image, passed = scan(data), []
    monkeypatch.setattr(decompress, "chunks", lambda *_: passed.append(1) or iter(()))
    stream = Counted(data)
    assert extend(stream, image, ADDED).proven
    assert not passed and stream.count < (1 << 19 if kind == "gzip" else 1 << 18)


class Counted(io.BytesIO):
    count = 0

    def read(self, size=-1):
        data = super().read(size)
        self.count += len(data)
        return data


@pytest.mark.parametrize("kind", ["gzip", "xz", "lz4", "lzo"])
def test_an_end_that_does_not_read_back_is_not_used(kind, monkeypatch):
    """Whatever was written wrong, a sum among it, shows when the end is read back."""
    data = compress(kind, content(9, 300_000))
    real = inflate.crc32
    wrong = {
        "gzip": (extend_module, "crc32", lambda data, before=0: real(data, before) ^ 1),
        "xz": (xz, "_written", lambda value: bytes([value & 127])),
        "lz4": (extend_module, "lz4_packed", lambda data: lz4_packed(data[:-1])),
        "lzo": (lzo, "stored_blocks", lambda data, sums: b"\0\0\0\0"),
    }
    monkeypatch.setattr(*wrong[kind])
    assert extend(io.BytesIO(data), scan(data), ADDED) == Extension()


@given(st.binary(max_size=300), st.binary(max_size=300), st.integers(0, 3 << 20))
def test_the_sum_of_what_stands_before(first, last, zeros):
    last += bytes(zeros)
    assert crc_before(zlib.crc32(first + last), zlib.crc32(last), len(last)) == zlib.crc32(first)


def test_a_window_descriptor_holds_what_it_has_to():
    """RFC 8878, 3.1.1.1.2, against zstandard's reading of headers."""
    import zstandard

    from guestfix.formats.initramfs.extend import _window

    for size in (1, 1 << 17, (1 << 17) + 1, 200_000, 1 << 20, 3_000_001, (1 << 27) - 1, 1 << 27):
        found = zstandard.get_frame_parameters(b"\x28\xb5\x2f\xfd" + bytes([0, _window(size)])).window_size
        assert max(size, 1 << 17) <= found <= max(size, 1 << 17) * 9 // 8


@settings(max_examples=60, deadline=None)
@example("gzip", 10212, 1, 0)  # a fixed block, at many bits of which another seems to begin
@given(st.sampled_from(KINDS), st.integers(0, 1 << 30), st.integers(1, 400_000), st.integers(0, 700))
def test_every_image_goes_on(kind, seed, size, tail):
    goes_on(compress(kind, content(seed, size, tail)), kind)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(KINDS), st.integers(0, 1 << 30), st.integers(0, 300), st.binary(min_size=1, max_size=4))
def test_damage_between_reading_and_writing_is_our_error_or_a_change(kind, seed, at, junk):
    data = compress(kind, content(seed, 3000))
    image, at = scan(data), len(data) - 1 - at
    hostile = data[: max(at, 0)] + junk + data[max(at, 0) + len(junk) :]
    with contextlib.suppress(Corrupt):
        extend(io.BytesIO(hostile), image, ADDED)


def test_a_deflate_stream_whose_last_blocks_are_too_far_is_left_alone():
    packed, plain = compress("gzip", b"words " * 20)[10:-8], b"words " * 20
    engine = zlib.decompressobj(-15)
    assert deflate.last_blocks(engine, packed, plain, 121) is None
    assert deflate.last_blocks(engine, packed, plain, 120) == deflate.LastBlocks(0, 0, plain)
    engine.decompress(packed[:1])
    assert deflate.last_blocks(engine, packed[1:], plain, 100) is None


@pytest.mark.parametrize("before", range(9))
def test_a_last_block_that_is_not_compressed_begins_at_any_bit(before):
    noise = random.Random(before).randbytes(300)
    engine = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = engine.compress(b"abcdefgh"[:before] * 3) + engine.flush(zlib.Z_BLOCK)
    packed += engine.compress(noise) + engine.flush()
    blocks = deflate.last_blocks(zlib.decompressobj(-15), packed, b"abcdefgh"[:before] * 3 + noise, 121)
    assert blocks is not None and blocks.data == noise
    result = packed[: blocks.offset] + deflate.continued(blocks, packed[blocks.offset], b"more")
    assert zlib.decompress(result, -15) == b"abcdefgh"[:before] * 3 + b"more"


@pytest.mark.parametrize("data", [b"", bytes(64), b"\xff" * 30 + b"\1\0\0\0\0\1YZ"])
def test_what_is_no_xz_file_is_our_error(data):
    with pytest.raises(Corrupt):
        xz.last_block(Source(io.BytesIO(data)))
