"""XFS against the kernel's own reading of it: every path's stat, attributes and bytes, for what mkfs.xfs offers."""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import random
import re
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guestfix.backends.filesystems.node import RunFile, guarded
from guestfix.backends.filesystems.xfs import XfsNode, XfsTree
from guestfix.backends.filesystems.xfsattributes import leaf_attributes, short_attributes
from guestfix.backends.image import MountedTree
from guestfix.backends.status import usable
from guestfix.backends.volumes.block import DiskError, FileBlock
from guestfix.base.errors import GuestfixError, Unreadable
from tests.build.images import MIB, Bytes, filesystem, have, run
from tests.build.uml import blank, build
from tests.build.xfs_tree import describe

pytestmark = pytest.mark.skipif(not have("mkfs.xfs"), reason="mkfs.xfs is not installed")

MADE = {
    "default": "-m crc=1",
    "v4-small": "-m crc=0 -n ftype=0 -i size=256 -b size=512",
    "v4": "-m crc=0 -i attr=1,projid32bit=0 -n size=8192",
    "1k": "-b size=1024 -n size=16384 -i nrext64=1",
    "plain": "-m reflink=0,bigtime=0,rmapbt=1 -i sparse=0,size=2048 -n size=65536 -d agcount=5",
    "sectors": "-s size=4096 -m finobt=0,reflink=0,inobtcount=0 -n version=ci",
    "crowded": "-m finobt=0,reflink=0,inobtcount=0 -i sparse=1,maxpct=0 -d agcount=2",
}
PROGRAM = (
    f"env PYTHONPATH={Path(__file__).resolve().parents[3]} {os.path.realpath(sys.executable)} -m {describe.__module__}"
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Make and fill the filesystems with the kernel's XFS; return their folder, and what it says about them."""
    if not usable("uml"):
        pytest.skip("User-mode Linux is not installed")
    folder = tmp_path_factory.mktemp("xfs")
    images = [blank(folder / name, 400) for name in MADE]
    devices, places = [f"/dev/ubd{chr(97 + n)}" for n in range(len(MADE))], [f"/tmp/{name}" for name in MADE]
    steps = [f"mkfs.xfs -q {how} {device}" for how, device in zip(MADE.values(), devices, strict=True)]
    mounts = [f"mkdir -p {p} && mount -t xfs -o noatime {d} {p}" for d, p in zip(devices, places, strict=True)]
    unmounts = [f"umount {place}" for place in places]
    steps += [*mounts, f"xfs_io -x -c 'resblks 0' {places[-1]}", f"{PROGRAM} crowd {places[-1]}"]
    steps += [f"{PROGRAM} fill {' '.join(places[:-1])}", *unmounts, *mounts]
    told = blank(folder / "told", 32)
    steps += [f"{PROGRAM} tell {' '.join(places)} /dev/ubd{chr(97 + len(MADE))}", *unmounts]
    build([*images, told], steps)
    return folder, dict(zip(MADE, json.loads(told.read_bytes().partition(b"\n")[0]), strict=True))


def mounted(tree: XfsTree) -> MountedTree:
    return MountedTree("", {"/": (tree, tree.root())})


@pytest.mark.parametrize("name", MADE)
def test_every_path_is_as_the_kernel_says(name: str, made: tuple[Path, dict[str, Any]]) -> None:
    tree = XfsTree(FileBlock(str(made[0] / name)))
    paths, free, total = made[1][name]
    found = describe(mounted(tree))
    assert len(paths) > 600 and sorted(found) == sorted(paths)
    assert {path: told for path, told in found.items() if told != paths[path]} == {}
    space = tree.space()
    assert space is not None and space.total_bytes == total and tree.warnings == ()
    kept = 0 if tree.geometry.v5 is False else total // 20  # for the free-inode, reverse-map and share trees
    assert free <= space.free_bytes <= free + kept


def forms(tree: XfsTree, paths: list[str]) -> set[tuple[str, int]]:
    """Return which formats of data and attribute forks the paths meet, and whether data is shared."""
    guest, seen = mounted(tree), set()
    for path in paths:
        node, stat = guest._node(path), guest.stat(path, follow=False)
        assert isinstance(node, XfsNode) and stat is not None
        seen |= {(stat.kind, node.raw[5]), ("shared", node._flags2 & 2)}
        seen |= {("attributes", node.raw[83])} if node.raw[82] else set()
    return seen


def test_the_trees_meet_every_form(made: tuple[Path, dict[str, Any]]) -> None:
    """What the comparison rests on: every format of data and attributes is on the filesystems that were filled."""
    wanted = {("file", 2), ("file", 3), ("dir", 1), ("dir", 2), ("symlink", 1), ("attributes", 2)}
    met = {name: forms(XfsTree(FileBlock(str(made[0] / name))), list(made[1][name][0])) for name in MADE}
    assert {name: wanted - seen for name, seen in met.items() if name != "crowded" and wanted - seen} == {}
    assert ("dir", 3) in met["default"] and ("shared", 2) in met["default"] and ("attributes", 1) in met["default"]
    assert {("attributes", 3), ("symlink", 2)} <= met["v4-small"] and ("symlink", 2) in met["1k"]
    if have("xfs_db"):
        said = run("xfs_db", "-r", "-c", "agi 0", "-c", "addr root", "-c", "p", made[0] / "crowded")
        assert re.search(r":\[\d+,0x[0-9a-f]*[1-9a-f]", said), said


@pytest.mark.parametrize("size", [8192, 65536])
def test_blocks_larger_than_a_page(size: int, tmp_path: Path) -> None:
    """No kernel before 6.12 mounts these on a machine with pages of 4 KiB; mkfs.xfs fills them itself."""
    content = random.Random(size).randbytes(3 * size + 17)
    (tmp_path / "content").write_bytes(content)
    (tmp_path / "proto").write_text(
        f"/\n0 0\nd--755 0 0\nfile -u-640 7 8 {tmp_path}/content\nfolder d--755 1 2\n"
        + "".join(f"name-{index} l--777 0 0 {'t' * index}\n" for index in range(1, 300))
        + "$\n$\n"
    )
    options = ("-b", f"size={size}", "-p", str(tmp_path / "proto"))
    tree = XfsTree(FileBlock(str(filesystem("xfs", tmp_path / "fs", 320 * MIB, None, *options))))
    guest = mounted(tree)
    assert guest.read("/file") == content and guest.stat("/file").mode == 0o4640  # type: ignore[union-attr]
    assert guest.list("/folder") == tuple(sorted(f"name-{index}" for index in range(1, 300)))
    assert [guest.readlink(f"/folder/name-{index}") for index in (1, 299)] == ["t", "t" * 299]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A version 4 filesystem, which has no checksums, with one file."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "proto").write_text(f"/\n0 0\nd--755 0 0\nfile ---644 0 0 {__file__}\n$\n")
    place = filesystem("xfs", folder / "fs", 320 * MIB, None, "-m", "crc=0", "-p", str(folder / "proto"))
    with place.open("rb") as stream:
        return stream.read(8 * MIB)


def opened(raw: bytes) -> XfsTree:
    block = Bytes(raw)
    block.size = 320 * MIB
    return XfsTree(block)


def changed(raw: bytes, tree: XfsTree, path: str, at: int, new: bytes) -> XfsTree:
    """Return the filesystem with some bytes of a path's inode changed."""
    node = mounted(tree)._node(path)
    assert isinstance(node, XfsNode)
    place = tree.place(node.number >> tree.geometry.inode_log)
    place += (node.number & (1 << tree.geometry.inode_log) - 1) * tree.geometry.inode + at
    return opened(raw[:place] + new + raw[place + len(new) :])


def test_the_first_form_of_inodes(small: bytes) -> None:
    tree = changed(small, opened(small), "/file", 4, b"\1\2\0\7")
    assert mounted(tree).stat("/file").nlink == 7  # type: ignore[union-attr]
    assert mounted(tree).read("/file") == Path(__file__).read_bytes()


def test_data_on_a_realtime_device_is_told(small: bytes) -> None:
    tree = changed(small, opened(small), "/file", 90, b"\0\1")
    with pytest.raises(Unreadable, match="realtime device"):
        mounted(tree).open("/file")


@pytest.mark.parametrize(
    ("at", "new", "said"),
    [
        (0, b"XFSC", "magic number"),
        (100, b"\0\3", "older than version 4"),
        (4, b"\0\0\0\0", "superblock is damaged"),
        (84, b"\0\0\0\0", "superblock is damaged"),
        (124, b"\x7f", "superblock is damaged"),
        (104, b"\x40\0", "superblock is damaged"),
        (192, b"\x20", "superblock is damaged"),
        (8, b"\xff" * 8, "superblock is damaged"),
        (100, b"\xb4\xa5\2\0\1\0\0\x10", "superblock is damaged"),
    ],
)
def test_a_superblock_that_can_not_be(at: int, new: bytes, said: str, small: bytes) -> None:
    raw = small[:at] + new + small[at + len(new) :]
    with pytest.raises(DiskError, match=said):
        opened(raw)


@pytest.mark.parametrize(
    ("flags", "said"), [(0x10, "marked as damaged; no kernel mounts it"), (0x200, r"can't be read here \(0x200\)")]
)
def test_features_of_the_superblock(flags: int, said: str, tmp_path: Path) -> None:
    place = filesystem("xfs", tmp_path / "fs", 320 * MIB)
    with place.open("r+b") as stream:
        stream.seek(216)
        known = int.from_bytes(stream.read(4), "big")
        stream.seek(216)
        stream.write((known | flags).to_bytes(4, "big"))
    with pytest.raises(DiskError, match=said):
        XfsTree(FileBlock(str(place)))


def read_all(tree: XfsTree, numbers: list[int], budget: float = 30.0) -> int:
    """Read what can be read of these inodes, at most 64 MiB of a file; return how many gave all they should."""
    whole, begun = 0, time.monotonic()
    for number in numbers:
        node = XfsNode(tree, number)
        with contextlib.suppress(GuestfixError):
            kind = node.stat().kind
            node.xattrs()
            if kind == "file":
                node.open().read(64 * MIB)
            elif kind == "symlink":
                node.link()
            for name in node.names():
                node.child(name)
            whole += 1
    assert time.monotonic() - begun < budget, "a damaged image keeps the reader busy"
    return whole


MAGIC = (b"IN", b"BMAP", b"BMA3", b"XD2B", b"XD2D", b"XDB3", b"XDD3", b"XARM", b"XSLM", b"XFSB")


def metadata(raw: mmap.mmap) -> list[int]:
    """Return the offsets of the inodes and blocks whose damage a reader meets."""
    spots = []
    for at in range(0, len(raw) - 16, 256):
        if raw[at : at + 4].startswith(MAGIC) or raw[at + 8 : at + 10] in (
            b"\xfb\xee",
            b"\x3b\xee",
            b"\xfe\xbe",
            b"\x3e\xbe",
        ):
            spots.append(at)
    return spots


@pytest.mark.parametrize("name", ["default", "v4-small"])
def test_damage_ends_in_our_errors(name: str, made: tuple[Path, dict[str, Any]]) -> None:
    rng, rounds = random.Random(name), int(os.environ.get("GUESTFIX_FUZZ_ROUNDS", "6"))
    with (made[0] / name).open("rb") as stream:
        raw = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)
    spots, block = metadata(raw), Bytes(raw)
    guest = mounted(XfsTree(block))
    numbers = sorted({guest._node(path).number for path in made[1][name][0]})  # type: ignore[union-attr]
    assert len(spots) > 1000 and read_all(XfsTree(block), numbers) == len(numbers)
    for _ in range(rounds):
        before = []
        for spot in rng.sample(spots, len(spots) // 5):
            at = spot + rng.choice([rng.randrange(8), rng.randrange(100), rng.randrange(256)])
            new = rng.choice([b"\xff" * 4, bytes(4), rng.randbytes(2), rng.randbytes(8), b"\0\1", b"\x7f"])
            before.append((at, raw[at : at + len(new)]))
            raw[at : at + len(new)] = new
        with contextlib.suppress(GuestfixError):
            read_all(XfsTree(block), numbers)
        for at, old in reversed(before):
            raw[at : at + len(old)] = old


words = st.lists(st.integers(0, 255) | st.sampled_from([0, 1, 2, 3, 255]), min_size=0, max_size=256).map(bytes)


@settings(max_examples=300, deadline=None)
@given(words, st.sampled_from([0x41ED, 0x81A4, 0xA1FF]), st.integers(0, 5), st.integers(0, 5), st.integers(0, 255))
def test_any_bytes_as_an_inode(small: bytes, body: bytes, mode: int, form: int, attributes: int, offset: int) -> None:
    tree = opened(small)
    node = XfsNode(tree, 128)
    raw = bytearray(b"IN" + mode.to_bytes(2, "big") + bytes([2, form])).ljust(80, b"\0")
    raw += bytes([0, 20, offset, attributes]).ljust(20, b"\0")
    raw[70:80] = (body[:10]).ljust(10, b"\0")
    raw[56:64] = (300).to_bytes(8, "big")
    node.__dict__["raw"] = bytes(raw + body.ljust(156, b"\0"))[:256]
    for ask in (node.stat, node.names, node.xattrs, node.link, lambda: node.open().read(1000)):
        with contextlib.suppress(GuestfixError):
            ask()


@settings(max_examples=300, deadline=None)
@given(words, st.booleans(), st.sampled_from([b"\xfb\xee", b"\x3b\xee", b"\xfe\xbe", b"\x3e\xbe"]))
def test_any_bytes_as_attributes(body: bytes, v5: bool, magic: bytes) -> None:
    raw = (bytes(8) + magic + body).ljust(512, b"\0") * 3
    data = RunFile(Bytes(raw), [(0, len(raw), 0)], len(raw))
    for ask in (lambda: list(leaf_attributes(data, 512, v5)), lambda: list(short_attributes(body))):
        with contextlib.suppress(GuestfixError), guarded("attributes"):  # as XfsNode.xattrs asks
            ask()
