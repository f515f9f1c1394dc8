"""Reading images: every compression against the field's own listers, segments, damage, bounds."""

from __future__ import annotations

import contextlib
import functools
import io
import struct
import sys
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from guestfix.base.errors import Corrupt, GuestfixError, TooLarge
from guestfix.formats.initramfs import cpio, decompress, lzo
from guestfix.formats.initramfs import image as initramfs
from guestfix.formats.initramfs.compress import compress
from guestfix.formats.initramfs.streams import Chunks, Source
from tests.build.corpus import corpus_params
from tests.build.initramfs import archive, inside
from tests.build.initramfs_tools import COMMANDS, need, pack, run, tool_archive, unpack
from tests.build.tree import build

KINDS = ("none", *COMMANDS)
SMALL = archive({"init": "#!/bin/sh\n", "bin/sh": "shell\n", "lib": ("link", "usr/lib"), "usr/lib/x": "y" * 3000})
MICROCODE = archive({"kernel/x86/microcode/AuthenticAMD.bin": "m" * 1000})


def scan(data: bytes, want=lambda name: True, **where) -> initramfs.Image:
    return initramfs.scan(io.BytesIO(data), want, **where)


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("tree")
    files = inside(("virtio", "virtio_ring", "virtio_blk", "nvme_core", "nvme"))
    return build(root, files | {"usr/lib/firmware/big.bin": bytes(range(256)) * 3000, "dev": None})


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "lzma"])  # which Debian 12's doesn't know
def test_names_are_those_that_lsinitramfs_lists(kind, tree, tmp_path):
    need("lsinitramfs")
    data = pack(kind, tool_archive(tree))
    image = scan(data)
    assert image.problem is None and [one.compression for one in image.segments] == [kind]
    if kind == "none":
        data = MICROCODE + data
    (tmp_path / "image").write_bytes(data)
    # After uncompressed archives it looks for a compressed one, and complains that there is none.
    listed = run("lsinitramfs", str(tmp_path / "image"), check=kind != "none").decode().split("\n")
    wanted = {*image.entries, "", "."} | (set(scan(MICROCODE).entries) if kind == "none" else set())
    assert set(listed) == wanted


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "none"])
@pytest.mark.parametrize("early", [False, True])
def test_names_are_those_that_lsinitrd_lists(kind, early, tree, tmp_path):
    need("lsinitrd")
    image = (MICROCODE if early else b"") + pack(kind, tool_archive(tree))
    (tmp_path / "image").write_bytes(image)
    text = run("lsinitrd", str(tmp_path / "image")).decode()
    listed = {
        line.split(None, 8)[8].split(" -> ")[0] for line in text.splitlines() if line[:1] in "-dl" and "root" in line
    }
    assert listed - {"."} == set(scan(image).entries)


@pytest.mark.parametrize("kind", KINDS)
def test_contents_survive_every_compression(kind, tree):
    image = scan(pack(kind, tool_archive(tree)))
    assert image.files["usr/lib/firmware/big.bin"] == bytes(range(256)) * 3000
    assert image.entries["lib"].target == "usr/lib"
    assert image.read("lib/firmware/big.bin") == image.files["usr/lib/firmware/big.bin"]
    assert image.entries["dev"].is_dir and not image.entries["init"].is_dir


@pytest.mark.parametrize("kind", KINDS)
def test_what_compress_writes_the_tools_read(kind):
    assert unpack(kind, compress(kind, SMALL)) == SMALL
    assert compress(kind, SMALL) == compress(kind, SMALL)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "none"])
def test_segments_of_one_kind_follow_each_other_directly(kind):
    data = compress(kind, SMALL) + compress(kind, archive({"added": "1"}))
    image = scan(data)
    assert image.problem is None and image.files["added"] == b"1" and image.files["init"] == b"#!/bin/sh\n"
    assert image.end == len(data)


def test_microcode_padding_and_a_later_file_that_replaces():
    second = archive({"init": "#!/bin/bash\n", "etc/conf": "1\n"})
    data = MICROCODE + bytes(512) + compress("gzip", SMALL) + bytes(3) + compress("zstd", second) + bytes(700)
    image = scan(data)
    assert image.problem is None
    assert [one.compression for one in image.segments] == ["none", "gzip", "zstd"]
    assert image.files["init"] == b"#!/bin/bash\n" and image.entries["init"].segment == 2
    assert image.end == len(data) - 700 and "kernel/x86/microcode/AuthenticAMD.bin" in image.entries


def test_several_archives_inside_one_compressed_segment():
    image = scan(compress("xz", SMALL + archive({"second": "2"}) + bytes(1024)))
    assert image.problem is None and image.files["second"] == b"2" and len(image.segments) == 1


def test_an_image_inside_another_file():
    data = b"MZ" + bytes(510) + compress("gzip", SMALL) + b"signature"
    image = scan(data, start=512, size=len(data) - 512 - 9)
    assert image.problem is None and image.files["bin/sh"] == b"shell\n"


def test_only_wanted_contents_are_kept():
    image = scan(compress("gzip", SMALL), lambda name: name == "init")
    assert set(image.files) == {"init"} and image.entries["usr/lib/x"].size == 3000


def test_hard_links_share_the_content_of_the_last_name(tmp_path):
    (tmp_path / "a.conf").write_text("options x\n")
    (tmp_path / "b.conf").hardlink_to(tmp_path / "a.conf")
    (tmp_path / "c").hardlink_to(tmp_path / "a.conf")
    image = scan(tool_archive(tmp_path), lambda name: name.endswith(".conf"))
    assert image.files == {"a.conf": b"options x\n", "b.conf": b"options x\n"}
    assert all(image.entries[name].shared for name in ("a.conf", "b.conf", "c"))


def test_the_crc_format_is_checked(tree):
    names = b"init\nscripts/functions\n"
    data = run("cpio", "--quiet", "-o", "-H", "crc", data=names, cwd=tree)
    assert scan(data).problem is None
    at = data.index(b"#!/bin/sh")
    problem = scan(data[:at] + b"X" + data[at + 1 :]).problem
    assert problem is not None and "checksum of 'init'" in problem.what and problem.offset == 0


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"hsqs" + bytes(100), "squashfs"),
        (bytes(1080) + b"\x53\xef" + bytes(1000), "ext2"),
        (b"\x45\x3d\xcd\x28" + bytes(100), "cramfs"),
        (b"-rom1fs-" + bytes(100), "romfs"),
        (b"MZ" + bytes(100), "pe"),
        (bytes(4096), "empty"),
        (b"", "empty"),
        (b"just text\n", "unknown"),
    ],
)
def test_what_is_no_archive_is_named(start, kind):
    assert scan(start).kind == kind
    if kind in ("squashfs", "ext2", "cramfs"):
        assert scan(compress("gzip", start)).kind == kind


def test_an_lz4_frame_is_told_from_the_legacy_format():
    need("lz4")
    problem = scan(run("lz4", "-c", data=SMALL)).problem
    assert problem is not None and "legacy" in problem.what and problem.offset == 0


def test_an_archive_at_an_odd_offset_is_an_error():
    problem = scan(compress("gzip", SMALL) + bytes(-len(compress("gzip", SMALL)) % 4 + 2) + SMALL).problem
    assert problem is not None and "4 does not divide" in problem.what


@pytest.mark.parametrize("kind", KINDS)
def test_truncation_is_found_wherever_it_is(kind):
    data = compress(kind, SMALL)
    for cut in range(1, len(data) - (600 if kind == "none" else 0), max(1, len(data) // 40)):
        image = scan(data[:cut])
        if kind == "lz4" and cut < 9:
            continue  # four bytes of magic and fewer than four more: an empty segment
        if image.kind == "unknown" and cut < 12:
            continue
        assert image.problem is not None, cut
        assert 0 <= image.problem.offset <= cut


def test_damage_says_where():
    data = bytearray(MICROCODE + compress("xz", SMALL))
    data[len(MICROCODE) + 60] ^= 0xFF
    image = scan(bytes(data))
    assert image.problem is not None and "damaged xz data" in image.problem.what
    assert len(MICROCODE) <= image.problem.offset < len(data)
    assert "kernel/x86/microcode/AuthenticAMD.bin" in image.entries


def test_junk_after_the_last_segment_says_where():
    image = scan(compress("gzip", SMALL) + b"junk at the end")
    assert image.problem is not None and image.problem.offset == len(compress("gzip", SMALL))
    assert image.entries["init"].mode == 0o100644


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("none", "lzo")])
def test_bombs_end_with_a_problem(kind, monkeypatch):
    monkeypatch.setattr(initramfs, "MAX_UNPACKED", 20_000_000)
    bomb = cpio.write([("init", 0o100755, bytes(50_000_000))])
    problem = scan(compress(kind, bomb), lambda name: False).problem
    assert problem is not None and "unpacks to more than" in problem.what


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("none", "lzo")])
def test_each_step_is_bounded(kind):
    packed = compress(kind, bytes(60_000_000))
    largest = max(len(chunk) for chunk in decompress.chunks(kind, Source(io.BytesIO(packed))))
    assert largest <= 17 * 1024 * 1024


def test_names_and_segments_are_bounded(monkeypatch):
    names = cpio.write([(f"{number:04}", 0o100644, b"") for number in range(400)])
    links = cpio.write([(f"{number:04}", 0o120777, b"n" * 4000) for number in range(400)])
    assert scan(compress("gzip", names)).problem is None
    monkeypatch.setattr(initramfs, "MAX_ENTRIES", 300)
    problem = scan(MICROCODE + compress("gzip", names)).problem
    assert problem is not None and "more than 300 names" in problem.what and problem.offset > len(MICROCODE)
    monkeypatch.setattr(initramfs, "MAX_NAMES", 1_000_000)
    problem = scan(compress("gzip", links)).problem
    assert problem is not None and "1000000 bytes of them" in problem.what
    monkeypatch.setattr(initramfs, "MAX_SEGMENTS", 10)
    one = compress("gzip", cpio.write([("a", 0o100644, b"")]))
    assert scan(one * 10).problem is None
    problem = scan(one * 11).problem
    assert problem is not None and "10 archives" in problem.what and problem.offset == 10 * len(one)


def test_sizes_that_lie_keep_nothing():
    head = b"070701" + b"".join(b"%08X" % n for n in (1, 0o100644, 0, 0, 1, 0, 0xFFFFFFF0, 0, 0, 0, 0, 5, 0))
    image = scan(head + b"init\0\0" + b"short")
    assert image.problem is not None and "ends inside 'init'" in image.problem.what and not image.files


def test_too_many_names_and_too_much_kept(monkeypatch):
    many = archive({f"m/{n}": "x" for n in range(300)})
    monkeypatch.setattr(cpio, "MAX_MEMBERS", 100)
    assert "more than 100 members" in scan(many).problem.what
    monkeypatch.setattr(cpio, "MAX_MEMBERS", 1000)
    monkeypatch.setattr(initramfs, "MAX_KEPT", 100)
    assert 90 <= len(scan(many).files) <= 100


def test_links_in_a_circle_end():
    image = scan(archive({"a": ("link", "b"), "b": ("link", "a"), "up": ("link", "../../x"), "x": "1"}))
    assert image.read("a/c") is None
    assert image.read("up") == b"1"


@pytest.mark.parametrize("path", corpus_params("initrd"))
def test_corpus_images(path):
    image = scan(path.read_bytes())
    assert image.problem is None and image.entries
    assert image.segments[0].compression == "gzip"


@given(st.binary(max_size=400), st.sampled_from(KINDS), st.integers(0, 5000), st.booleans())
@settings(max_examples=200, deadline=None)
@example(b"\x02\x21\x4c\x18", "lz4", 0, True)
@example(b"\x28\xb5\x2f\xfd\x00", "zstd", 0, True)
def test_hostile_bytes_end_in_an_image(junk, kind, at, bare):
    data = compress(kind, SMALL)
    data = junk if bare else data[: at % len(data)] + junk + data[at % len(data) + len(junk) :]
    image = scan(data)
    assert image.problem is None or 0 <= image.problem.offset <= len(data) + 4


@given(st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_hostile_headers_raise_only_corrupt(junk):
    for magic in [magic for magics in decompress.MAGICS.values() for magic in magics]:
        for kind in [decompress.kind_of(magic)]:
            try:
                total = sum(len(one) for one in decompress.chunks(kind, Source(io.BytesIO(magic + junk))))
            except GuestfixError as error:
                assert isinstance(error, Corrupt)
            else:
                assert total < 1 << 27


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=50),
            st.builds(lambda b, n: b * n, st.binary(min_size=1, max_size=9), st.integers(1, 4000)),
        ),
        max_size=12,
    )
)
@settings(max_examples=60, deadline=None)
def test_lzo_decompressor_agrees_with_lzop(parts):
    need("lzop")
    data = b"".join(parts)
    for level in ("-1", "-9"):
        packed = run("lzop", level, data=data)
        assert b"".join(lzo.chunks(Source(io.BytesIO(packed)))) == data


@given(st.binary(max_size=200), st.integers(0, 1000))
@settings(max_examples=300, deadline=None)
def test_lzo_blocks_raise_only_value_errors(block, size):
    with contextlib.suppress(ValueError):
        assert len(lzo.decompress_block(block, size)) == size


@given(
    st.lists(st.binary(min_size=1, max_size=50), max_size=20),
    st.lists(st.tuples(st.sampled_from("rps"), st.integers(0, 60)), max_size=30),
)
@settings(max_examples=150, deadline=None)
def test_chunks_and_source_read_alike(parts, steps):
    whole = b"".join(parts)
    flows = [Source(io.BytesIO(whole)), Chunks(iter(parts), 1 << 20, Source(io.BytesIO(b"")))]
    at = 0
    for step, count in steps:
        got = []
        for flow in flows:
            method = {"r": flow.read, "p": flow.peek, "s": flow.skip}[step]
            got.append(method(count))
        wanted = whole[at : at + count]
        assert got[0] == got[1] == (len(wanted) if step == "s" else wanted)
        at += 0 if step == "p" else len(wanted)
        assert [flow.offset for flow in flows] == [at, at]


PATTERN = struct.pack(">115000I", *range(115000))
"""No two places of it are alike, so a buffer that was used again shows."""


@functools.cache
def packed_pattern(kind: str) -> bytes:
    return compress(kind, PATTERN)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "none"])
@given(steps=st.lists(st.tuples(st.sampled_from("rps"), st.integers(0, 150_000)), max_size=12))
@settings(max_examples=25, deadline=None)
def test_what_a_decompressor_yields_outlives_the_next_piece(kind, steps):
    """Views of a buffer that is used again must have been copied by whoever keeps them."""
    whole, packed = PATTERN, packed_pattern(kind)
    flow = Chunks(decompress.chunks(kind, Source(io.BytesIO(packed))), 1 << 20, Source(io.BytesIO(b"")))
    at, got = 0, []
    for step, count in steps:
        got.append((at, flow.read(count) if step == "r" else flow.peek(count) if step == "p" else b""))
        at += flow.skip(count) if step == "s" else len(got[-1][1]) if step == "r" else 0
    assert all(type(part) is bytes and part == whole[start : start + len(part)] for start, part in got)
    assert flow.offset == at and decompress.unpacked(kind, packed, 1 << 20) == whole


def test_what_unpacks_to_more_than_asked_for_is_refused():
    with pytest.raises(TooLarge):
        decompress.unpacked("zstd", compress("zstd", bytes(1000)), 999)


def test_a_source_gives_bytes_back():
    source = Source(io.BytesIO(b"0123456789"), start=2, size=6)
    assert source.read(4) == b"2345"
    source.unread(b"45")
    assert source.offset == 2 and source.skip(1) == 1 and source.read(9) == b"567" and source.skip(5) == 0


@pytest.mark.parametrize("number", [1, 3, -2])
def test_a_damaged_zstd_block_is_told_by_its_offset(number):
    """Behind a segment of its own, and read in pieces that end anywhere in a block."""
    lead, frame = compress("gzip", SMALL), compress("zstd", PATTERN)
    starts = [0]
    for part in decompress.zstd_parts(Source(io.BytesIO(frame))):
        starts.append(starts[-1] + len(part))
    start, end = starts[number], starts[number + 1]
    source = Source(io.BytesIO(lead + frame[: start + 3] + b"\xff" * (end - start - 3) + frame[end:] + b"more"))
    source.skip(len(lead))
    with pytest.raises(Corrupt) as caught:
        list(decompress.chunks("zstd", source))
    assert caught.value.offset == len(lead) + start


@pytest.mark.parametrize("step", [4, 5, 100, 4096])
def test_a_zstd_frame_ends_where_it_ends_whatever_is_read_at_once(step, monkeypatch):
    monkeypatch.setattr(decompress, "ZSTD_IN", step)
    for data in (PATTERN, b"", bytes(300_000), run("zstd", "-q", "-c", data=PATTERN[:5000])):
        frame = data if data[:4] == b"\x28\xb5\x2f\xfd" else compress("zstd", data)
        source = Source(io.BytesIO(frame + b"what follows"))
        whole = b"".join(bytes(piece) for piece in decompress.chunks("zstd", source))
        assert whole == (PATTERN[:5000] if frame is data else data)
        assert source.read(99) == b"what follows"


def test_zstd_windows_are_bounded():
    frame = b"\x28\xb5\x2f\xfd" + bytes([0x00, 0xF8]) + struct.pack("<I", 1)[:3]
    with pytest.raises(Corrupt):
        list(decompress.chunks("zstd", Source(io.BytesIO(frame + b"x"))))


@pytest.mark.parametrize("hidden", ["", "lz4"])
def test_lz4_by_either_package(hidden: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from guestfix.formats.initramfs import lz4block

    if hidden:
        pytest.importorskip("cramjam")
        monkeypatch.setitem(sys.modules, "lz4", None)
        monkeypatch.setitem(sys.modules, "lz4.block", None)
    else:
        pytest.importorskip("lz4.block")
    data = bytes(range(256)) * 900
    block = lz4block.packed(data)
    assert len(block) < len(data) and lz4block.unpacked(block, len(data)) == data
    assert lz4block.unpacked(block, 1 << 20) == data, "what is left of the room is not taken for content"
    for damaged in (b"", b"\xff" * 40):
        with pytest.raises(ValueError):
            lz4block.unpacked(damaged, 1 << 20)
    with pytest.raises(ValueError):
        lz4block.unpacked(block, len(data) - 1)


def test_lz4_without_any_package(monkeypatch: pytest.MonkeyPatch) -> None:
    from guestfix.base.errors import GuestError
    from guestfix.formats.initramfs import lz4block

    for name in ("lz4", "lz4.block", "cramjam"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(GuestError) as error:
        lz4block.unpacked(b"x", 10)
    assert "cramjam" in (error.value.remedy or "")
