"""Damaged disks: whatever the bytes, guestfix's own errors and an end within seconds."""

from __future__ import annotations

import contextlib
import os
import random
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guestfix.backends.image import open_image
from guestfix.backends.layout.fstab import fstab_entries
from guestfix.backends.volumes.block import Block, FileBlock
from guestfix.backends.volumes.lvm import logical_volumes, parse_metadata
from guestfix.backends.volumes.md import read_member
from guestfix.backends.volumes.names import family_of, md_names
from guestfix.backends.volumes.partitions import read_table
from guestfix.backends.volumes.probe import probe
from guestfix.base.errors import GuestfixError
from tests.build.images import MIB, Bytes, PartSpec, debian, disk, filesystem, have, run

pytestmark = pytest.mark.skipif(
    not have("mke2fs", "sfdisk", "mkfs.vfat"), reason="e2fsprogs, fdisk, dosfstools missing"
)


def make(kind: str, folder: Path) -> Path | None:
    root = debian(folder / f"root-{kind}", "LABEL=root / auto defaults 0 1\n", extra=False)
    many = root / "srv" / "many"
    many.mkdir(parents=True)
    for index in range(150):
        (many / f"a-fairly-long-file-name-{index:05d}").write_text("x" * index)
    (root / "srv" / "big").write_bytes(random.Random(3).randbytes(400_000))
    place = folder / kind
    if kind in ("ext4", "ext2"):
        filesystem(kind, place, 8 * MIB, root)
    elif kind == "btrfs" and have("mkfs.btrfs"):
        filesystem(kind, place, 120 * MIB, root)
    elif kind == "vfat" and have("mcopy"):
        (root / "bin").unlink()
        filesystem(kind, place, 8 * MIB, root)
    elif kind == "xfs" and have("mkfs.xfs"):
        proto = folder / "proto"
        proto.write_text(
            "/\n0 0\nd--755 0 0\netc d--755 0 0\n"
            f"os-release ---644 0 0 {root}/etc/os-release\nfstab ---644 0 0 {root}/etc/fstab\n$\n"
            f"srv d--755 0 0\nbig ---644 0 0 {root}/srv/big\n"
            + "".join(f"name-{i:05d} ---644 0 0 {root}/etc/fstab\n" for i in range(150))
            + "$\n$\n"
        )
        filesystem(kind, place, 320 * MIB, None, "-p", str(proto))
    else:
        return None
    return place


KINDS = ("ext4", "ext2", "btrfs", "vfat", "xfs")


@pytest.fixture(scope="module")
def filesystems(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("hostile")
    return {kind: place for kind in KINDS if (place := make(kind, folder))}


def read_everything(path: str, budget: float = 5.0) -> int:
    """Open an image and read all of it; return how many files could be read."""
    count, start = 0, time.monotonic()
    try:
        guest = open_image([path])
        guest.findings()
        todo = ["/"]
        while todo and time.monotonic() - start < budget:
            folder = todo.pop()
            try:
                names = guest.list(folder)
            except GuestfixError:
                continue
            for name in names[:400]:
                here = f"{folder.rstrip('/')}/{name}"
                try:
                    stat = guest.stat(here, follow=False)
                    if stat is not None and stat.kind == "dir" and here.count("/") < 6:
                        todo.append(here)
                    elif stat is not None and stat.kind == "file":
                        guest.meta(here)
                        guest.read(here)
                        count += 1
                    elif stat is not None and stat.kind == "symlink":
                        guest.readlink(here)
                except GuestfixError:
                    pass
        guest.space("/")
    except GuestfixError:
        pass
    assert time.monotonic() - start < budget + 120, "a damaged image keeps the reader busy"
    return count


def interesting(place: Path) -> list[int]:
    """Return the offsets of blocks that hold something, so that damage meets metadata."""
    with place.open("rb") as stream:
        return [at for at in range(0, place.stat().st_size, 512) if stream.read(512).strip(b"\0")]


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_filesystems(kind: str, filesystems: dict[str, Path], tmp_path: Path) -> None:
    if kind not in filesystems:
        pytest.skip(f"no tool here makes {kind}")
    place, rng = tmp_path / "image", random.Random(kind)
    run("cp", "--sparse=always", filesystems[kind], place)
    spots = interesting(place)
    meta = [at for at in spots if at < 3 * MIB] or spots
    whole = read_everything(str(place)) if kind != "vfat" else 0
    assert whole > 3 or kind == "vfat"
    for _ in range(25):
        with place.open("r+b") as stream:
            changed = []
            for _ in range(rng.choice([1, 1, 2, 8, 60])):
                at = rng.choice(meta) + rng.randrange(512)
                stream.seek(at)
                changed.append((at, stream.read(8)))
                stream.seek(at)
                stream.write(rng.choice([b"\xff" * 8, bytes(8), rng.randbytes(8), b"\x01", b"\xff\xff"]))
        read_everything(str(place))
        with place.open("r+b") as stream:
            for at, old in reversed(changed):
                stream.seek(at)
                stream.write(old)


@pytest.mark.parametrize("kind", KINDS)
def test_truncated_filesystems(kind: str, filesystems: dict[str, Path], tmp_path: Path) -> None:
    if kind not in filesystems:
        pytest.skip(f"no tool here makes {kind}")
    cut, size = tmp_path / "cut", filesystems[kind].stat().st_size
    run("cp", "--sparse=always", filesystems[kind], cut)
    for part in (size - 4096, size // 3, 70_000, 5000, 2048, 513, 100, 1):
        os.truncate(cut, part)
        read_everything(str(cut))


tables = st.binary(min_size=0, max_size=2048) | st.builds(
    lambda body: body[:446].ljust(446, b"\0") + body[446:510].ljust(64, b"\0") + b"\x55\xaa" + body[510:],
    st.binary(max_size=2048),
)


@settings(max_examples=300, deadline=None)
@given(tables)
def test_any_bytes_as_a_disk(raw: bytes) -> None:
    block: Block = Bytes(raw)
    found = read_table(block)
    assert all(0 <= part.start < len(raw) for part in found.partitions)
    with contextlib.suppress(GuestfixError):
        probe(block)


def test_extended_partitions_in_a_circle() -> None:
    raw = bytearray(64 * 512)
    raw[510:512] = b"\x55\xaa"
    raw[446 + 4] = 5
    raw[446 + 8 : 446 + 16] = (10).to_bytes(4, "little") + (40).to_bytes(4, "little")
    at = 10 * 512
    raw[at + 510 : at + 512] = b"\x55\xaa"
    raw[at + 462 + 4] = 5
    raw[at + 462 + 8 : at + 462 + 16] = (0).to_bytes(4, "little") + (40).to_bytes(4, "little")
    found = read_table(Bytes(bytes(raw)))
    assert any("circle" in problem for problem in found.problems)


def test_damaged_gpt_uses_its_backup(tmp_path: Path) -> None:
    content = filesystem("ext4", tmp_path / "fs", 4 * MIB)
    image = disk(tmp_path / "disk.raw", [PartSpec(content, name="root")])
    before = read_table(Bytes(image.read_bytes()))
    raw = bytearray(image.read_bytes())
    raw[512:1024] = bytes(512)
    after = read_table(Bytes(bytes(raw)))
    assert after.partitions == before.partitions
    assert "backup" in after.problems[0]
    raw[-512:] = bytes(512)
    assert "neither GPT header" in read_table(Bytes(bytes(raw))).problems[0]


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet='{}[]=,"\\ \nab1', max_size=300) | st.text(max_size=200))
def test_any_text_as_lvm_metadata(text: str) -> None:
    with contextlib.suppress(GuestfixError):
        assert isinstance(parse_metadata(text), dict)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=9000))
def test_any_bytes_as_physical_volume_or_raid_member(raw: bytes) -> None:
    logical_volumes([Bytes(b"\0" * 512 + b"LABELONE" + raw)])
    for head in (b"", b"\xfc\x4e\x2b\xa9\1\0\0\0"):
        with contextlib.suppress(GuestfixError):
            read_member(Bytes(head + raw))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_as_fstab(raw: bytes) -> None:
    for entry in fstab_entries(raw):
        assert entry.spec and entry.mount
    family_of(raw)


def test_array_names() -> None:
    assert md_names("", 3, 127)[0] == "/dev/md3"
    assert md_names("host:0", -1, 127)[0] == "/dev/md0"
    assert md_names("host:root", -1, 127)[0] == "/dev/md/root"
    assert md_names("", -1, 126) == ("/dev/md126",)


@pytest.mark.skipif(not have("blkid"), reason="util-linux's blkid missing")
@pytest.mark.parametrize(
    ("kind", "size", "options"),
    [
        ("ext2", 8, ("-L", "two")), ("ext3", 8, ()), ("ext4", 8, ("-L", "a label")), ("xfs", 320, ("-L", "data")),
        ("btrfs", 120, ("-L", "tree")), ("jfs", 32, ("-L", "journal")), ("vfat", 8, ("-n", "EFI SYS")),
        ("vfat", 64, ("-F", "32")), ("ntfs", 32, ("-L", "Windows")), ("swap", 8, ()),
    ],
)  # fmt: skip
def test_the_probe_says_what_blkid_says(kind: str, size: int, options: tuple[str, ...], tmp_path: Path) -> None:
    tool = {"ext2": "mke2fs", "ext3": "mke2fs", "ext4": "mke2fs", "ntfs": "mkntfs", "swap": "mkswap"}
    if not have(tool.get(kind, f"mkfs.{kind}")):
        pytest.skip(f"no tool here makes {kind}")
    place = filesystem(kind, tmp_path / "fs", size * MIB, None, *options)
    told = dict(line.split("=", 1) for line in run("blkid", "-p", "-o", "export", place).splitlines() if "=" in line)
    with FileBlock(str(place)) as block:
        found = probe(block)
    assert found is not None
    label = told.get("LABEL", "").replace("\\ ", " ")
    assert (found.type, found.uuid, found.label or "") == (told["TYPE"], told["UUID"], label)
