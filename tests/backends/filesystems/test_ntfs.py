"""NTFS against ntfs-3g's reading of it: every path's stat, links and bytes, for what mkntfs offers; damage."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guestfix.backends.filesystems.node import guarded
from guestfix.backends.filesystems.ntfs import NtfsNode, NtfsTree
from guestfix.backends.filesystems.ntfspacked import unpacked
from guestfix.backends.filesystems.ntfsrecord import (
    ATTRIBUTE_LIST,
    COMPRESSED,
    DATA,
    INDEX_ALLOCATION,
    REPARSE,
    joined,
    record_of,
)
from guestfix.backends.image import MountedTree
from guestfix.backends.status import usable
from guestfix.backends.volumes.block import DiskError, FileBlock
from guestfix.base.errors import GuestfixError, Packed, Unreadable
from tests.build import ntfs_tree
from tests.build.damaged import read_all
from tests.build.images import MIB, Bytes, filesystem, have
from tests.build.uml import blank, build
from tests.build.xfs_tree import describe

pytestmark = pytest.mark.skipif(not have("mkntfs", "ntfs-3g"), reason="ntfs-3g is not installed")

MADE = {"default": (), "small": ("-c", "512"), "large": ("-c", "65536"), "sectors": ("-s", "4096", "-c", "4096")}
PROGRAM = (
    f"env PYTHONPATH={Path(__file__).resolve().parents[3]} {os.path.realpath(sys.executable)} -m {ntfs_tree.__name__}"
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Make and fill the filesystems through ntfs-3g; return their folder, and what it says about them."""
    if not usable("uml"):
        pytest.skip("User-mode Linux is not installed")
    folder = tmp_path_factory.mktemp("ntfs")
    images = [filesystem("ntfs", folder / name, 160 * MIB, None, *options) for name, options in MADE.items()]
    told, places = blank(folder / "told", 32), [f"/tmp/{name}" for name in MADE]
    devices = {place: f"/dev/ubd{chr(97 + number)}" for number, place in enumerate(places)}
    steps: list[str] = []
    for how, program in (("rw", f"fill {' '.join(places)}"), ("ro", f"tell {' '.join(places)} /dev/ubde")):
        steps += [f"mkdir -p {p} && ntfs-3g -o {how},compression {device} {p}" for p, device in devices.items()]
        steps += [f"{PROGRAM} {program}", *(f"umount {place}" for place in places)]
    build([*images, told], steps)
    return folder, dict(zip(MADE, json.loads(told.read_bytes().partition(b"\n")[0]), strict=True))


def mounted(tree: NtfsTree) -> MountedTree:
    return MountedTree("", {"/": (tree, tree.root())})


@pytest.mark.parametrize("name", MADE)
def test_every_path_is_as_ntfs_3g_says(name: str, made: tuple[Path, dict[str, Any]]) -> None:
    tree = NtfsTree(FileBlock(str(made[0] / name)))
    paths, free = made[1][name]
    found = describe(mounted(tree))
    assert len(paths) > 1300 and sorted(found) == sorted(paths)
    for told in paths.values():
        told[1] = 0 if told[0] == "dir" else told[1]  # the size of its index, which tells nothing
        told[-1] = told[-1] if told[0] == "symlink" else []  # ntfs-3g shows alternate streams as attributes
    differ = {path for path, told in found.items() if told != paths[path]}
    assert differ == {"/links/junction"}, "ntfs-3g shows where it leads in the tree that it is mounted in"
    assert mounted(tree).readlink("/links/junction") == "/folders/block"
    space = tree.space()
    assert space is not None and space.free_bytes == free and tree.warnings == ()


def test_the_trees_meet_every_form(made: tuple[Path, dict[str, Any]]) -> None:
    """What the comparison rests on."""
    tree = NtfsTree(FileBlock(str(made[0] / "default")))
    guest, met = mounted(tree), set()
    for path in made[1]["default"][0]:
        node = guest._node(path)
        assert isinstance(node, NtfsNode)
        for (kind, _), parts in node.attributes.items():
            met |= {(kind, "within" if parts[0].value is not None else "apart")}
            met |= {(kind, "packed")} if parts[0].flags & COMPRESSED and parts[0].unit else set()
            met |= {(kind, "parts")} if len(parts) > 1 and parts[0].value is None else set()
            met |= {(kind, "sparse")} if any(place is None for _, _, place in parts[0].pieces) else set()
            met |= {(kind, "unknown end")} if parts[0].lowest == 0 and parts[0].initialized < parts[0].size else set()
    wanted = {(DATA, one) for one in ("within", "apart", "packed", "parts", "sparse")}
    assert wanted | {(INDEX_ALLOCATION, "apart"), (REPARSE, "within")} <= met
    assert met & {(ATTRIBUTE_LIST, "within"), (ATTRIBUTE_LIST, "apart")}
    assert made[1]["default"][0]["/links/junction"][0] == "symlink"


# damage


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A filesystem as it is made, with its own files alone."""
    return filesystem("ntfs", tmp_path_factory.mktemp("small") / "fs", 4 * MIB).read_bytes()


@pytest.mark.parametrize(
    ("at", "new", "said"),
    [
        (3, b"NTFX", "no NTFS filesystem"),
        (11, b"\0\0", "boot sector is damaged"),
        (13, b"\x03", "boot sector is damaged"),
        (13, b"\x90", "boot sector is damaged"),
        (0x40, b"\0", "boot sector is damaged"),
        (0x40, b"\x81", "boot sector is damaged"),
        (0x28, bytes(8), "boot sector is damaged"),
        (0x30, b"\xff" * 7 + b"\x7f", "beyond the end"),
        (0x30, b"\1" + bytes(7), "is damaged"),
    ],
)
def test_a_boot_sector_that_can_not_be(at: int, new: bytes, said: str, small: bytes) -> None:
    with pytest.raises(DiskError, match=said):
        NtfsTree(Bytes(small[:at] + new + small[at + len(new) :]))


def changed(raw: bytes, number: int, edit: Any) -> NtfsTree:
    """Return the filesystem with one file record edited, its sectors' ends kept as they are written."""
    tree = NtfsTree(Bytes(raw))
    tree._mft.seek(number * 1024)
    record = tree._mft.read(1024)
    at = raw.index(record)
    return NtfsTree(Bytes(raw[:at] + edit(record) + raw[at + 1024 :]))


def test_a_record_that_was_written_by_half_is_told(small: bytes) -> None:
    with pytest.raises(DiskError, match="written by half"):
        changed(small, 5, lambda old: old[:510] + b"zz" + old[512:]).root().names()


def test_a_record_of_another_file_is_told(small: bytes) -> None:
    tree = NtfsTree(Bytes(small))
    with pytest.raises(DiskError, match="another file's by now"):
        tree.record(9 << 48 | 5)
    with pytest.raises(DiskError, match="there is no file record"):
        tree.record(1 << 40)


@pytest.mark.parametrize("name", ["default", "small"])
def test_damage_ends_in_our_errors(name: str, made: tuple[Path, dict[str, Any]]) -> None:
    rng, rounds = random.Random(name), int(os.environ.get("GUESTFIX_FUZZ_ROUNDS", "20"))
    raw = bytearray((made[0] / name).read_bytes())
    spots = [found.start() for found in re.finditer(rb"FILE0|INDX", raw)]
    assert len(spots) > 1300 and read_all(NtfsTree(Bytes(raw)), 200) == 200
    for _ in range(rounds):
        before = []
        for spot in [raw.index(b"FILE0"), *rng.sample(spots, len(spots) // 4)]:
            at = spot + rng.choice([rng.randrange(8), rng.randrange(24, 100), rng.randrange(480)])
            new = rng.choice([b"\xff" * 4, bytes(4), rng.randbytes(2), rng.randbytes(8), b"\0\1", b"\x7f"])
            before.append((at, bytes(raw[at : at + len(new)])))
            raw[at : at + len(new)] = new
        with contextlib.suppress(GuestfixError):
            read_all(NtfsTree(Bytes(raw)), 200)
        for at, old in reversed(before):
            raw[at : at + len(old)] = old


body = st.lists(st.integers(0, 255) | st.sampled_from([0, 1, 2, 0x10, 0x80, 255]), max_size=400).map(bytes)


@settings(max_examples=400, deadline=None)
@given(body, st.integers(40, 200))
def test_any_bytes_as_a_record(raw: bytes, first: int) -> None:
    head = b"FILE" + struct.pack("<HHQHHHHIIQ", 48, 3, 0, 1, 1, first, 1, 1000, 1024, 0)
    whole = (head.ljust(56, b"\0") + raw).ljust(1024, b"\0")
    with contextlib.suppress(GuestfixError), guarded("a record"):
        for one in record_of(whole, 30).attributes:
            joined([one])


# packed files


def packed(data: bytes) -> bytes:
    """Pack as LZNT1 does, each chunk as bytes alone, or as one byte and pairs that repeat it."""
    out = b""
    for at in range(0, len(data), 4096):
        chunk = data[at : at + 4096]
        if chunk == chunk[:1] * len(chunk) and len(chunk) == 4096:
            packed_chunk = b"\x02" + chunk[:1] + struct.pack("<H", 4095 - 3)
        else:
            eights = [chunk[start : start + 8] for start in range(0, len(chunk), 8)]
            packed_chunk = b"".join(b"\0" + eight for eight in eights)
        if len(packed_chunk) > 4096:
            out += struct.pack("<H", 0x3000 | len(chunk) - 1) + chunk
        else:
            out += struct.pack("<H", 0xB000 | len(packed_chunk) - 1) + packed_chunk
    return out


@given(
    st.lists(st.sampled_from([b"a" * 4096, bytes(4096), bytes(range(256)) * 16]), max_size=5), st.binary(max_size=500)
)
def test_packed_bytes_come_back(chunks: list[bytes], last: bytes) -> None:
    data = b"".join(chunks) + last
    assert unpacked(packed(data), 1 << 16)[: len(data)] == data


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 9000))
def test_any_bytes_as_packed_ones(raw: bytes, most: int) -> None:
    with contextlib.suppress(GuestfixError):
        assert len(unpacked(raw, most)) <= most


def test_what_is_behind_a_reparse_point_is_told(made: tuple[Path, dict[str, Any]]) -> None:
    tree = NtfsTree(FileBlock(str(made[0] / "default")))
    node = mounted(tree)._node("/data/small-300")
    assert isinstance(node, NtfsNode)
    node.__dict__["_reparse"] = 0x80000017
    with pytest.raises(Packed, match="0x80000017"):
        node.open()
    with pytest.raises(Unreadable, match="not a symbolic link"):
        node.link()
    assert zlib.crc32(mounted(tree).read("/data/small-300"))
