"""RAID 4, 5, 6 and 10, LVM's RAID, thin volumes and caches, as the kernel writes them: read whole and without disks."""

from __future__ import annotations

import hashlib
import itertools
import re
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guestfix.backends.volumes.block import Block, DiskError, FileBlock, Window
from guestfix.backends.volumes.lvm import logical_volumes
from guestfix.backends.volumes.lvmraid import Image, whole
from guestfix.backends.volumes.md import arrays
from guestfix.backends.volumes.partitions import read_table
from guestfix.backends.volumes.raid import Copies, Parity, row_five, row_six
from guestfix.backends.volumes.thin import Thin, read_pool
from tests.build.images import Bytes, have, run
from tests.build.uml import DM, LVM, MD, blank, build
from tests.build.uml_guests import NEEDS_UML

DISKS = 5
LAYOUTS = {
    5: ("la", "ra", "ls", "rs", "parity-first", "parity-last"),
    10: ("n2", "f2", "o2", "n3", "f3", "o3"),
    4: ("",),
    6: ("la", "ra", "ls", "rs", "parity-first", "parity-last", "ddf-zero-restart", "ddf-N-restart", "ddf-N-continue",
        "left-symmetric-6", "left-asymmetric-6", "right-symmetric-6", "right-asymmetric-6", "parity-first-6"),
}  # fmt: skip
ARRAYS = [(level, layout) for level, layouts in LAYOUTS.items() for layout in layouts]
SPARE = {4: 1, 5: 1, 6: 2, 10: 1}
GROUP = 14
"""Arrays that lie side by side on one set of disks, each on partitions of its own: a disk here has at most 15."""


def total(block: Block) -> str:
    found = hashlib.sha256()
    block.seek(0)
    while data := block.read(1 << 20):
        found.update(data)
    return found.hexdigest()


def sums_in(said: str) -> dict[str, str]:
    return {name: value for value, name in re.findall(r"([0-9a-f]{64})\s+/dev/(?:mapper/)?(\S+)", said)}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[dict[str, str], list[list[Path]]]:
    if not have("mdadm", "sfdisk"):
        pytest.skip("mdadm or fdisk is not installed")
    folder, steps, sets = tmp_path_factory.mktemp("md"), [], []
    for group in range(0, len(ARRAYS), GROUP):
        sets.append([blank(folder / f"{group}-{index}.raw", 5 * GROUP + 4) for index in range(DISKS)])
        for disk in sets[-1]:
            run("sfdisk", "-q", disk, stdin="label: gpt\n" + "size=4MiB, type=linux\n" * GROUP)
    for index, (level, layout) in enumerate(ARRAYS):
        letters = "abcdefghij"[index // GROUP * DISKS :][:DISKS]
        devices = " ".join(f"/dev/ubd{letter}{index % GROUP + 1}" for letter in letters)
        chosen = f"--layout={layout}" if layout else ""
        steps += [
            f"mdadm --create /dev/md{index} --run --level={level} {chosen} --raid-devices={DISKS} --chunk=16 "
            f"--homehost=h --name={index} --bitmap=none {devices}",
            f"mdadm --wait /dev/md{index}; head -c $(blockdev --getsize64 /dev/md{index}) /dev/urandom >/tmp/x; "
            f"cat /tmp/x >/dev/md{index}; sync; sha256sum /dev/md{index}; mdadm --stop /dev/md{index}",
        ]
    every = [disk for disks in sets for disk in disks]
    return sums_in(build(every, steps, None, [*MD, "raid10"])), sets


def partition(disk: Path, number: int) -> Block:
    block = FileBlock(str(disk))
    entry = next(one for one in read_table(block).partitions if one.number == number)
    return Window(block, entry.start, entry.size)


@pytest.mark.parametrize(("level", "layout"), ARRAYS)
def test_an_array_reads_as_the_kernel_reads_it(level, layout, made):
    sums, sets = made
    index = ARRAYS.index((level, layout))
    members = [partition(disk, index % GROUP + 1) for disk in sets[index // GROUP]]
    for count in range(SPARE[level] + 1):
        for gone in itertools.combinations(range(DISKS), count):
            ((found,), problems) = arrays([one for role, one in enumerate(members) if role not in gone])
            assert (problems, found.problem, found.missing) == ([], "", count)
            assert found.block is not None and total(found.block) == sums[f"md{index}"], gone
    if level != 10:
        ((found,), _) = arrays(members[: DISKS - SPARE[level] - 1])
        assert found.block is None and "are missing" in found.problem and found.lost


VOLUMES = {
    "linear": "", "striped": "-i3 -I16", "raid0": "--type raid0 -i3 -I16", "raid0m": "--type raid0_meta -i3 -I16",
    "raid1": "--type raid1 -m1 --nosync", "raid4": "--type raid4 -i3 -I16 --nosync",
    **{f"raid5{one}": f"--type raid5{one} -i3 -I16 --nosync" for one in ("", "_la", "_ra", "_rs", "_n")},
    **{f"raid6{one}": f"--type raid6{one} -i3 -I16" for one in ("", "_nr", "_nc", "_ls_6", "_n_6")},
    "raid10": "--type raid10 -i2 -m1 -I16 --nosync",
}  # fmt: skip
PLAIN = ("linear", "striped", "raid0", "raid0m")
UNCHECKED = LVM.replace("backup{", 'global{thin_check_executable="" cache_check_executable=""} backup{')


def dd(name: str, size: str, count: int, seek: int) -> str:
    target = f"of=/dev/mapper/vg-{name} bs={size} count={count} seek={seek} conv=notrunc"
    return f"dd if=/dev/urandom {target} 2>/dev/null; sync"


@pytest.fixture(scope="module")
def group(tmp_path_factory) -> tuple[dict[str, str], list[Path]]:
    if not have("lvm"):
        pytest.skip("lvm2 is not installed")
    folder = tmp_path_factory.mktemp("lvm")
    disks = [blank(folder / f"{index}.raw", 200) for index in range(6)]
    devices = " ".join(f"/dev/ubd{letter}" for letter in "abcdef")
    steps = [f"lvm pvcreate {LVM} {devices}", f"lvm vgcreate {LVM} vg {devices}"]
    for name, options in VOLUMES.items():
        device = f"/dev/mapper/vg-{name}"
        steps.append(f"lvm lvcreate {LVM} -Zn -Wn -L 6M {options} -n {name} vg")
        steps.append(f"head -c $(blockdev --getsize64 {device}) /dev/urandom >{device}")
    thin = f"lvm lvcreate {UNCHECKED}"
    steps += [
        f"{thin} -Zn --type thin-pool -c 64k -L 40M -n pool vg /dev/ubda /dev/ubdb",
        f"{thin} -V 100M --thin -n thin vg/pool", dd("thin", "64k", 100, 7), dd("thin", "4k", 3, 20001),
        f"{thin} -s -kn -n snap vg/thin", dd("thin", "64k", 10, 12), dd("snap", "64k", 5, 900),
        f"lvm lvcreate {LVM} -Zn -Wn -L 8M -n outside vg", dd("outside", "1M", 8, 0),
        f"lvm lvchange {LVM} -an vg/outside; lvm lvchange {LVM} -pr vg/outside",
        f"{thin} -s --thinpool vg/pool -n over vg/outside", dd("over", "64k", 5, 9),
        *(step for name, mode in (("through", "writethrough"), ("back", "writeback")) for step in (
            f"lvm lvcreate {LVM} -Zn -Wn -L 12M -n {name} vg", dd(name, "1M", 12, 0),
            f"{thin} -y --type cache-pool -L 12M -n {name}pool vg",
            f"lvm lvconvert {UNCHECKED} -y --type cache --cachemode {mode} --cachepool vg/{name}pool vg/{name}",
            dd(name, "64k", 3, 2))),
    ]  # fmt: skip
    names = (*VOLUMES, "thin", "snap", "over", "through")
    steps += [f"sha256sum /dev/mapper/vg-{name}" for name in names] + [f"lvm vgchange {LVM} -an"]
    modules = [*DM, *MD, "raid10", "dm-snapshot", "dm-cache", "dm-cache-smq"]
    return {name.removeprefix("vg-"): one for name, one in sums_in(build(disks, steps, None, modules)).items()}, disks


def test_every_kind_of_logical_volume_reads_as_the_kernel_reads_it(group):
    sums, disks = group
    found, problems = logical_volumes([FileBlock(str(disk)) for disk in disks])
    assert problems == [] and len(sums) == len(VOLUMES) + 4
    opened = {one.name: total(one.block) for one in found if one.block is not None and one.name in sums}
    assert opened == sums
    shut = {one.name: one.problem for one in found if one.block is None}
    assert set(shut) == {"back"} and "writeback" in shut["back"], (
        "pools are no volumes, and a cache may hold the newest"
    )


@pytest.mark.parametrize("gone", range(6))
def test_mirrored_volumes_are_read_without_a_disk(gone, group):
    sums, disks = group
    found, _ = logical_volumes([FileBlock(str(disk)) for index, disk in enumerate(disks) if index != gone])
    kept = {one.name: total(one.block) for one in found if one.block is not None and one.name in sums}
    assert kept == {name: sums[name] for name in kept} and set(VOLUMES) - set(PLAIN) <= set(kept)
    assert all(one.lost for one in found if one.block is None and one.name != "back")


pytestmark = NEEDS_UML


# without a kernel


@pytest.mark.parametrize("layout", [*range(6), *range(8, 11), *range(16, 21)])
@pytest.mark.parametrize("disks", [4, 5, 7])
def test_a_stripe_has_each_disk_once(layout, disks):
    for stripe in range(3 * disks):
        row = row_six(stripe, disks, layout)
        assert sorted((*row.data, row.parity, row.second)) == list(range(disks))
        if layout < 6:
            five = row_five(stripe, disks, layout)
            assert sorted((*five.data, five.parity)) == list(range(disks))


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Parity([None, None, (Bytes(b""), 0)], 5, 2, 512, 512), "2 of 3 disks"),
        (lambda: Parity([(Bytes(b""), 0)] * 3, 5, 7, 512, 512), "layout 7 is unknown"),
        (lambda: Parity([(Bytes(b""), 0)] * 3, 6, 11, 512, 512), "layout 11 is unknown"),
        (lambda: Parity([(Bytes(b""), 0)], 5, 2, 512, 512), "can't be"),
        (lambda: Parity([(Bytes(b""), 0)] * 3, 5, 2, 0, 512), "can't be"),
        (lambda: Copies([(Bytes(b""), 0)] * 3, 0, 512, 512), "layout 0x0"),
        (lambda: Copies([(Bytes(b""), 0)] * 3, 0x20102, 512, 512), "layout 0x20102"),
        (lambda: Copies([(Bytes(b""), 0)] * 2, 0x103, 512, 512), "layout 0x103"),
    ],
)
def test_what_can_not_be_an_array(make, told):
    with pytest.raises(DiskError, match=told):
        make()


def test_a_chunk_without_any_copy_is_told_when_it_is_read():
    block = Copies([None, None, (Bytes(bytes(1024)), 0), (Bytes(bytes(1024)), 0)], 0x102, 512, 1024)
    with pytest.raises(DiskError, match="both copies"):
        block.read(1)


def state(events: int, failed: int = 0, rebuilt: int = (1 << 64) - 1) -> Block:
    return Bytes(struct.pack("<4sIIIQQQ", b"DmRd", 0, 3, 0, events, failed, rebuilt))


@pytest.mark.parametrize(
    ("states", "kept"),
    [([state(7), state(7)], [0, 1]), ([state(7), state(5)], [0]), ([state(7), state(6)], [0, 1]),
     ([state(7, failed=2), state(7)], [0]), ([state(7), state(7, rebuilt=4096)], [0]), ([None, state(7)], [0, 1]),
     ([Bytes(b""), Bytes(bytes(80))], [0, 1])],
)  # fmt: skip
def test_an_image_that_is_behind_is_not_read(states, kept):
    images = [Image(Bytes(b"data"), one) for one in states]
    assert [index for index, one in enumerate(whole(images)) if one is not None] == kept


def pool(nodes: dict[int, bytes], root: int = 1) -> Block:
    head = bytearray(4096)
    struct.pack_into("<QI", head, 32, 27022010, 2)
    struct.pack_into("<QQII", head, 320, root, 0, 128, 8)
    return Bytes(bytes(head) + b"".join(nodes.get(block, bytes(4096)) for block in range(1, 8)))


def node(block: int, flags: int, pairs: dict[int, int], most: int = 252, count: int | None = None) -> bytes:
    head = struct.pack("<IIQIIII", 0, flags, block, len(pairs) if count is None else count, most, 8, 0)
    keys = struct.pack(f"<{len(pairs)}Q", *pairs).ljust(8 * min(most, 252), b"\0")
    return (head + keys + struct.pack(f"<{len(pairs)}Q", *pairs.values())).ljust(4096, b"\0")[:4096]


def test_thin_blocks_are_found_through_inner_nodes():
    nodes = {1: node(1, 2, {5: 2}), 2: node(2, 1, {0: 3, 10: 4}), 3: node(3, 2, {1: 1 << 24}), 4: node(4, 2, {11: 0})}
    data = Bytes(b"a" * 65536 + b"b" * 65536)
    block = Thin(read_pool(pool(nodes), data, 65536), 5, 12 * 65536)
    found = block.read()
    expected = bytes(65536) + b"b" * 65536 + bytes(9 * 65536) + b"a" * 65536
    assert found == expected and block.size == len(expected)


@pytest.mark.parametrize(
    "nodes",
    [{}, {1: node(1, 2, {})}, {1: node(1, 1, {0: 1})}, {1: node(2, 2, {5: 2})}, {1: node(1, 2, {5: 1 << 50})},
     {1: node(1, 7, {5: 2})}, {1: node(1, 2, {5: 2}, count=300)}, {1: node(1, 2, {5: 2}, most=5000)}],
)  # fmt: skip
def test_damaged_thin_metadata_are_told(nodes):
    with pytest.raises(DiskError):
        Thin(read_pool(pool(nodes), Bytes(bytes(65536)), 65536), 5, 65536).read()


@pytest.mark.parametrize("at", [32, 40, 336, 340])
def test_a_pool_of_another_kind_is_told(at):
    raw = bytearray(pool({1: node(1, 2, {5: 2}), 2: node(2, 2, {})}).read())
    raw[at] ^= 0xFF
    with pytest.raises(DiskError, match="damaged"):
        read_pool(Bytes(bytes(raw)), Bytes(b""), 65536)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 4 * 4096), st.integers(0, 255)), max_size=8))
def test_whatever_the_metadata_only_our_error_comes(changes):
    nodes = {1: node(1, 2, {5: 2}), 2: node(2, 1, {0: 3}), 3: node(3, 2, {1: 1 << 24})}
    raw = bytearray(pool(nodes).read())
    for at, value in changes:
        raw[at] = value
    try:
        Thin(read_pool(Bytes(bytes(raw)), Bytes(bytes(131072)), 65536), 5, 131072).read()
    except DiskError as error:
        assert error.what
