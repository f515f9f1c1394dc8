"""Btrfs against the kernel's own reading of it: every path of every subvolume, over profiles and packings; damage."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import struct
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guestfix.backends.filesystems.btrfs import BtrfsTree
from guestfix.backends.filesystems.btrfsdata import extent_of, unpacked
from guestfix.backends.filesystems.btrfstree import chunk_of
from guestfix.backends.filesystems.node import guarded
from guestfix.backends.image import MountedTree
from guestfix.backends.status import usable
from guestfix.backends.volumes.block import DiskError, FileBlock
from guestfix.base.errors import GuestfixError
from tests.build import btrfs_tree
from tests.build.damaged import read_all
from tests.build.images import MIB, Bytes, filesystem, have
from tests.build.uml import blank, build
from tests.build.xfs_tree import describe

pytestmark = pytest.mark.skipif(not have("mkfs.btrfs", "btrfs"), reason="btrfs-progs is not installed")

MADE = {
    "default": (1, ""),
    "small": (1, "-n 4096 -m single -O ^no-holes"),
    "raid0": (2, "-d raid0 -m raid1"),
    "raid10": (4, "-d raid10 -m raid10"),
    "raid5": (3, "-d raid5 -m raid5"),
}
PROGRAM = (
    f"env PYTHONPATH={Path(__file__).resolve().parents[3]} {os.path.realpath(sys.executable)} -m {btrfs_tree.__name__}"
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, list[Path]], dict[str, Any]]:
    """Make and fill the filesystems with the kernel's Btrfs; return their images, and what it says about them."""
    if not usable("uml"):
        pytest.skip("User-mode Linux is not installed")
    folder = tmp_path_factory.mktemp("btrfs")
    images = {name: [blank(folder / f"{name}-{at}", 160) for at in range(count)] for name, (count, _) in MADE.items()}
    told, every = blank(folder / "told", 32), [image for several in images.values() for image in several]
    device = {image: f"/dev/ubd{chr(97 + at)}" for at, image in enumerate([*every, told])}
    places = {name: f"/tmp/{name}" for name in MADE}
    steps = [
        f"mkfs.btrfs -q -f {options} {' '.join(device[one] for one in images[name])}"
        for name, (_, options) in MADE.items()
    ]
    steps.append("btrfs -q device scan " + " ".join(device[one] for one in every))
    mounts = [f"mkdir -p {places[n]} && mount -t btrfs -o noatime {device[images[n][0]]} {places[n]}" for n in MADE]
    unmounts = [f"umount {place}" for place in places.values()]
    steps += [*mounts, f"{PROGRAM} fill {' '.join(places.values())}", *unmounts]
    steps += [*mounts, f"{PROGRAM} tell {' '.join(places.values())} {device[told]}", *unmounts]
    build([*every, told], steps)
    return images, dict(zip(MADE, json.loads(told.read_bytes().partition(b"\n")[0]), strict=True))


def opened(images: list[Path]) -> BtrfsTree:
    return BtrfsTree([FileBlock(str(image)) for image in reversed(images)])


def mounted(tree: BtrfsTree, subvolume: str = "") -> MountedTree:
    return MountedTree("", {"/": (tree, tree.root(subvolume))})


@pytest.mark.parametrize("name", MADE)
def test_every_path_is_as_the_kernel_says(name: str, made: tuple[dict[str, list[Path]], dict[str, Any]]) -> None:
    tree = opened(made[0][name])
    paths, subvolumes = made[1][name]
    found = describe(mounted(tree))
    assert len(paths) > 1500 and sorted(found) == sorted(paths)
    paths["/snapshot/inner"][5:7] = found["/snapshot/inner"][5:7]  # what is not there has the time of its mount
    assert {path: told for path, told in found.items() if told != paths[path]} == {}
    assert {one.path: one.id for one in tree.subvolumes if one.path} == subvolumes
    assert {one.path for one in tree.subvolumes if one.readonly} == {"frozen"}
    assert {one.path for one in tree.subvolumes if one.snapshot} == {"frozen", "snapshot"}
    assert mounted(tree, "@/inner").read("/file") == b"@/inner" and tree.warnings == ()
    assert mounted(tree, f"subvolid:{subvolumes['snapshot']}").read("/file") == b"changed since"


def test_a_device_that_is_missing_is_told(made: tuple[dict[str, list[Path]], dict[str, Any]]) -> None:
    with pytest.raises(DiskError, match="has 2 devices, 1 are here"):
        opened(made[0]["raid0"][:1])
    with pytest.raises(DiskError, match="different Btrfs filesystems"):
        opened([made[0]["raid0"][0], made[0]["default"][0]])


# damage


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A filesystem with a few files, in blocks of 4 KiB."""
    folder = tmp_path_factory.mktemp("small")
    source = folder / "tree/etc"
    source.mkdir(parents=True)
    for at in range(300):
        (source / f"file-{at}").write_text(f"text of {at}\n" * (at % 40))
    place = filesystem("btrfs", folder / "fs", 128 * MIB, folder / "tree", "-n", "4096", "-m", "single")
    return place.read_bytes()[: 64 * MIB]


def of(raw: bytes | bytearray) -> BtrfsTree:
    block = Bytes(bytes(raw))
    block.size = 128 * MIB
    return BtrfsTree([block])


@pytest.mark.parametrize(
    ("at", "new", "said"),
    [
        (0x40, b"_BHRfS_N", "magic number"),
        (0x90, bytes(4), "superblock is damaged"),
        (0x94, b"\0\0\0\1", "superblock is damaged"),
        (0xA0, b"\xff\xff", "superblock is damaged"),
        (0xC6, b"\x09", "superblock is damaged"),
        (0xBC + 3, b"\x80", "features that can't be read"),
        (0x58, b"\1" * 8, "in no chunk"),
        (0x50, b"\1" * 8, "in no chunk"),
    ],
)
def test_a_superblock_that_can_not_be(at: int, new: bytes, said: str, small: bytes) -> None:
    with pytest.raises(DiskError, match=said):
        of(small[: 0x10000 + at] + new + small[0x10000 + at + len(new) :])


def test_damage_ends_in_our_errors(small: bytes) -> None:
    rng, rounds = random.Random(5), int(os.environ.get("GUESTFIX_FUZZ_ROUNDS", "20"))
    raw = bytearray(small)
    own = struct.unpack_from("<16s", raw, 0x10020)[0]
    spots = [found.start() - 32 for found in re.finditer(re.escape(own), raw) if found.start() % 4096 == 32]
    assert len(spots) > 20 and read_all(of(raw), 400) > 300
    for _ in range(rounds):
        before = []
        for _ in range(12):
            at = rng.choice(spots) + rng.choice([rng.randrange(48, 101), rng.randrange(101, 400), rng.randrange(4096)])
            new = rng.choice([b"\xff" * 4, bytes(4), rng.randbytes(2), rng.randbytes(8), b"\0\1", b"\x7f"])
            before.append((at, bytes(raw[at : at + len(new)])))
            raw[at : at + len(new)] = new
        with contextlib.suppress(GuestfixError):
            assert (tree := of(raw)) and tree.subvolumes
        with contextlib.suppress(GuestfixError):
            read_all(of(raw), 400)
        for at, old in reversed(before):
            raw[at : at + len(old)] = old


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_as_a_chunk_or_an_extent(raw: bytes) -> None:
    for ask in (lambda: chunk_of(1 << 20, raw), lambda: extent_of(0, raw)):
        with contextlib.suppress(GuestfixError):
            ask()


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=300), st.sampled_from([1, 2, 3]), st.integers(0, 200_000))
def test_any_bytes_as_packed_ones(raw: bytes, packing: int, size: int) -> None:
    with contextlib.suppress(GuestfixError), guarded("a file's extents"):
        assert len(unpacked(raw, packing, size, 4096)) <= size
