"""Containers against QEMU as the oracle: what qemu-img wrote from known bytes reads back as those bytes."""

from __future__ import annotations

import hashlib
import io
import random
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guestfix.backends.disks.formats import open_chain
from guestfix.backends.disks.hostfiles import HostFiles
from guestfix.backends.disks.ova import disk_files, open_images
from guestfix.backends.volumes.block import Block, DiskError, read_at
from guestfix.base.errors import GuestfixError
from tests.build.images import OVF

pytestmark = pytest.mark.skipif(not shutil.which("qemu-img"), reason="qemu-img is not installed")

SIZE = 9 * 1024 * 1024
KINDS = {
    "raw": [],
    "qcow2": [],
    "qcow2:v2": ["-o", "compat=0.10"],
    "qcow2:packed": ["-c"],
    "qcow2:zstd": ["-c", "-o", "compression_type=zstd"],
    "qcow2:small": ["-o", "cluster_size=512"],
    "qcow2:subclusters": ["-o", "extended_l2=on,cluster_size=64k"],
    "qcow2:datafile": ["-o", "data_file=DATA"],
    "vmdk": [],
    "vmdk:stream": ["-o", "subformat=streamOptimized"],
    "vmdk:split": ["-o", "subformat=twoGbMaxExtentSparse"],
    "vmdk:flat": ["-o", "subformat=monolithicFlat"],
    "vmdk:splitflat": ["-o", "subformat=twoGbMaxExtentFlat"],
    "vpc": ["-o", "force_size=on"],
    "vpc:fixed": ["-o", "subformat=fixed,force_size=on"],
    "vhdx": [],
    "vhdx:fixed": ["-o", "subformat=fixed"],
    "vdi": [],
    "vdi:static": ["-o", "static=on"],
}


def qemu_img(*args: object) -> None:
    subprocess.run(["qemu-img", *map(str, args)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = random.Random(7)
    data = bytearray(SIZE)
    for _ in range(60):
        at, length = rng.randrange(SIZE), rng.randrange(1, 90_000)
        chunk = rng.randbytes(length) if rng.random() < 0.6 else bytes([rng.randrange(256)]) * length
        data[at : at + length] = chunk[: SIZE - at]
    data[:512] = rng.randbytes(512)
    place = tmp_path_factory.mktemp("formats") / "content.raw"
    place.write_bytes(data)
    return place


def convert(content: Path, folder: Path, kind: str) -> Path:
    fmt = kind.partition(":")[0]
    place = folder / f"{kind.replace(':', '-')}.{fmt}"
    options = [option.replace("DATA", str(folder / "data.raw")) for option in KINDS[kind]]
    qemu_img("convert", "-O", fmt, *options, content, place)
    return place


def whole(block: Block) -> bytes:
    block.seek(0)
    return block.read()


@pytest.mark.parametrize("kind", KINDS)
def test_reads_what_qemu_wrote(kind: str, content: Path, tmp_path: Path) -> None:
    opened = open_chain(str(convert(content, tmp_path, kind)))
    wanted = content.read_bytes()
    assert opened.format == kind.partition(":")[0]
    assert opened.block.size == SIZE
    assert whole(opened.block) == wanted
    rng = random.Random(kind)
    for _ in range(300):
        at, count = rng.randrange(SIZE), rng.choice([1, 511, 512, 513, 70_000, 300_000])
        assert read_at(opened.block, at, count) == wanted[at : at + count]


@pytest.mark.parametrize("fmt", ["raw", "qcow2", "vmdk"])
def test_backing_chain_of_three_with_a_short_base(fmt: str, content: Path, tmp_path: Path) -> None:
    base = convert(content, tmp_path, fmt)
    middle, top = tmp_path / "middle.qcow2", tmp_path / "top.qcow2"
    qemu_img("create", "-f", "qcow2", "-F", fmt, "-b", base.name, middle, SIZE + (1 << 20))
    qemu_img("create", "-f", "qcow2", "-F", "qcow2", "-b", middle, top)
    subprocess.run(["qemu-io", "-c", "write -P 0xab 100k 200k", str(middle)], check=True, capture_output=True)
    subprocess.run(["qemu-io", "-c", "write -z 150k 20k", str(top)], check=True, capture_output=True)
    wanted = bytearray(content.read_bytes() + bytes(1 << 20))
    wanted[100 << 10 : 300 << 10] = b"\xab" * (200 << 10)
    wanted[150 << 10 : 170 << 10] = bytes(20 << 10)
    opened = open_chain(str(top))
    assert whole(opened.block) == wanted
    assert [Path(file).name for file in opened.files] == [base.name, "middle.qcow2", "top.qcow2"] or set(
        opened.files
    ) == {str(p.resolve()) for p in (base, middle, top)}


def test_vmdk_snapshot_checks_its_parent(content: Path, tmp_path: Path) -> None:
    base = convert(content, tmp_path, "vmdk")
    child = tmp_path / "child.vmdk"
    qemu_img("create", "-f", "vmdk", "-F", "vmdk", "-b", base, child)
    subprocess.run(["qemu-io", "-c", "write -P 1 0 64k", str(child)], check=True, capture_output=True)
    wanted = bytearray(content.read_bytes())
    wanted[: 64 << 10] = b"\1" * (64 << 10)
    assert whole(open_chain(str(child)).block) == wanted
    raw = base.read_bytes()
    at = raw.index(b"CID=")
    base.write_bytes(raw[: at + 4] + b"0badc0de" + raw[at + 12 :])
    with pytest.raises(DiskError, match="content id 0badc0de"):
        open_chain(str(child))


def test_missing_files_of_a_chain_are_named(content: Path, tmp_path: Path) -> None:
    split = convert(content, tmp_path, "vmdk:split")
    (tmp_path / "vmdk-split-s001.vmdk").unlink()
    with pytest.raises(DiskError, match=r"extent of the VMDK is missing.*s001"):
        open_chain(str(split))
    base = convert(content, tmp_path, "qcow2")
    top = tmp_path / "top.qcow2"
    qemu_img("create", "-f", "qcow2", "-F", "qcow2", "-b", base, top)
    base.unlink()
    with pytest.raises(DiskError, match=r"missing: .*qcow2\.qcow2"):
        open_chain(str(top))


def test_a_chain_in_a_circle(content: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one.qcow2", tmp_path / "two.qcow2"
    qemu_img("create", "-f", "qcow2", one, "1M")
    qemu_img("create", "-f", "qcow2", "-F", "qcow2", "-b", one, two)
    qemu_img("rebase", "-u", "-F", "qcow2", "-b", two, one)
    with pytest.raises(DiskError, match="circle"):
        open_chain(str(two))


def test_ova_disks_come_in_hardware_order(content: Path, tmp_path: Path) -> None:
    stream = convert(content, tmp_path, "vmdk:stream")
    small = tmp_path / "small.raw"
    small.write_bytes(b"hello".ljust(1 << 20, b"\0"))
    other = tmp_path / "other.vmdk"
    qemu_img("convert", "-O", "vmdk", "-o", "subformat=streamOptimized", small, other)
    ova = tmp_path / "guest.ova"
    with tarfile.open(ova, "w", format=tarfile.USTAR_FORMAT) as archive:
        info = tarfile.TarInfo("guest.ovf")
        info.size = len(OVF.encode())
        archive.addfile(info, io.BytesIO(OVF.encode()))
        archive.add(other, "data.vmdk")
        archive.add(stream, "boot.vmdk")
    boot, data = open_images([str(ova)])
    assert whole(boot.block) == content.read_bytes()
    assert whole(data.block).startswith(b"hello")
    (tmp_path / "cut.ova").write_bytes(ova.read_bytes()[: ova.stat().st_size // 2])
    with pytest.raises(GuestfixError, match=r"cut off|can't be read"):
        open_images([str(tmp_path / "cut.ova")])


def test_hostile_ovf() -> None:
    for text in (b"", b"<x", b"<!DOCTYPE x [<!ENTITY a 'a'>]><x/>", b"<x/>", b"\xff\xfe<"):
        with pytest.raises(DiskError):
            disk_files(text)


@pytest.mark.parametrize(
    ("head", "says"), [(b"\x1f\x8b", "gzip"), (b"\xfd7zXZ\0", "xz"), (b"PK\3\4", "ZIP"), (b"QED\0", "QED")]
)
def test_foreign_containers_are_named(head: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(head.ljust(4096, b"x"))
    with pytest.raises(DiskError, match=says):
        open_chain(str(tmp_path / "x"))


def test_nothing_to_open(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(DiskError, match="empty"):
        open_chain(str(tmp_path / "empty"))
    with pytest.raises(DiskError, match="can't open"):
        open_chain(str(tmp_path / "none"))


TYPE_NAMES = {"qcow2": "qcow2", "vmdk": "vmdk", "vpc": "vhd", "vhdx": "vhdx", "vdi": "vdi"}


@pytest.fixture(scope="module")
def small_images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("small")
    source = folder / "source.raw"
    source.write_bytes(random.Random(3).randbytes(300_000).ljust(1 << 20, b"\0"))
    found = {}
    for kind in ("qcow2", "qcow2:packed", "vmdk", "vmdk:stream", "vpc", "vhdx", "vdi"):
        found[kind] = convert(source, folder, kind).read_bytes()
    return found


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_damaged_images_end_in_our_own_errors(
    small_images: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    kind = data.draw(st.sampled_from(sorted(small_images)))
    raw = bytearray(small_images[kind])
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, min(len(raw), 4096) - 1) | st.integers(0, len(raw) - 1))
        raw[at : at + 4] = data.draw(st.binary(min_size=4, max_size=4))
    if data.draw(st.booleans()):
        del raw[data.draw(st.integers(512, len(raw))) :]
    place = tmp_path_factory.mktemp("damaged") / hashlib.sha256(raw).hexdigest()[:8]
    place.write_bytes(raw)
    try:
        block = open_chain(str(place), HostFiles(types=[TYPE_NAMES[kind.partition(":")[0]]])).block
        for at in (0, 512, block.size // 2, block.size - 512):
            assert len(read_at(block, at, 4096)) <= 4096
    except GuestfixError:
        pass
