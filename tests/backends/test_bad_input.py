"""Wrong and damaged disk images through the command line: each message says what, where and what to do next."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import struct
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from guestfix.backends.disks.inuse import in_use
from guestfix.backends.status import usable
from guestfix.cli import run
from tests.build.images import MIB, PartSpec, convert, debian, disk, filesystem, have
from tests.build.images import run as call

pytestmark = pytest.mark.skipif(
    not have("mke2fs", "sfdisk", "qemu-img"), reason="e2fsprogs, fdisk or qemu-utils is missing"
)

Report = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("good")
    root = debian(folder / "root", "/dev/sda1 / ext4 defaults 0 1\n")
    content = filesystem("ext4", folder / "fs", 24 * MIB, root, uuid="11111111-2222-3333-4444-555555555555")
    return disk(folder / "disk.raw", [PartSpec(content)])


@pytest.fixture
def guestfix(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Report:
    monkeypatch.setenv("COLUMNS", "1000")  # no sentence is to be wrapped

    def one(*words: object) -> tuple[int, str, str]:
        status = run([str(word) for word in words])
        said = capfd.readouterr()
        assert "Traceback" not in said.err
        return status, said.out, said.err

    return one


def refused(guestfix: Report, image: Path | str, *needles: str, where: object = None, status: int = 2) -> None:
    """Check that report and apply end alike: the texts, the file, and a remedy."""
    for words in (["report", image], ["apply", f"uml:{str(image).removeprefix('image:')}"]):
        code, _, said = guestfix(*words)
        assert code == status, said
        assert said.startswith(f"guestfix: {where or image}"), said
        for needle in (*needles, "\n  remedy: "):
            assert needle in said, said


# cut off

CUT = {
    "qcow2": 0.5, "vmdk": 0.9, "vmdk:streamOptimized": 0.5, "vpc": 0.9, "vhdx": 0.6, "vdi": 0.9,
    "raw": 0.5, "vpc:fixed": 0.5,
}  # fmt: skip


@pytest.mark.parametrize("kind", CUT)
def test_truncated(kind: str, raw: Path, tmp_path: Path, guestfix: Report) -> None:
    shutil.copy(raw, tmp_path / "disk.raw")
    image = tmp_path / "disk.raw" if kind == "raw" else convert(tmp_path / "disk.raw", kind)
    assert guestfix("report", image)[0] == 0
    whole = image.stat().st_size
    os.truncate(image, int(whole * CUT[kind]))
    refused(guestfix, image, "cut off" if kind == "vpc:fixed" else "truncated", "again")
    os.truncate(image, 700)
    if kind == "vpc:fixed":
        refused(guestfix, image, "by its name this is a vhd image, but it has no mark of one; was it cut off?")
    elif kind == "raw":
        refused(guestfix, image, "neither GPT header can be read")
    else:
        refused(guestfix, image, "truncated", "again")


@pytest.mark.parametrize("kind", ["twoGbMaxExtentSparse", "twoGbMaxExtentFlat", "monolithicFlat"])
def test_an_extent_cut_off_and_one_missing(kind: str, raw: Path, tmp_path: Path, guestfix: Report) -> None:
    shutil.copy(raw, tmp_path / "disk.raw")
    image = convert(tmp_path / "disk.raw", f"vmdk:{kind}")
    (tmp_path / "disk.raw").unlink()
    (extent,) = (path for path in tmp_path.iterdir() if path != image)
    os.truncate(extent, extent.stat().st_size // 2)
    refused(guestfix, image, "truncated", "again", where=tmp_path)
    extent.unlink()
    refused(guestfix, image, f"an extent of the VMDK is missing: {extent}", "copy all extent files beside it")


def test_a_disk_that_lost_only_its_end_is_told(raw: Path, tmp_path: Path, guestfix: Report) -> None:
    image = tmp_path / "short.raw"
    image.write_bytes(raw.read_bytes()[:-MIB])
    status, out, _ = guestfix("report", image)
    assert status == 0
    assert "GF-DISK-TABLE" in out and "the image is truncated: the backup of its GPT belongs at byte" in out


def test_a_cluster_that_is_counted_but_not_used_is_no_truncation(raw: Path, tmp_path: Path, guestfix: Report) -> None:
    image = tmp_path / "leak.qcow2"
    call("qemu-img", "convert", "-O", "qcow2", raw, image)
    data = bytearray(image.read_bytes())
    (table,) = struct.unpack_from(">Q", data, 48)
    (counts,) = struct.unpack_from(">Q", data, table)
    struct.pack_into(">H", data, counts + 2 * (len(data) // 65536 + 3), 1)
    image.write_bytes(data)
    call("qemu-img", "check", image)
    assert guestfix("report", image)[0] == 0


# partition tables


def mbr(raw: Path, *parts: tuple[int, int, int]) -> bytearray:
    """Return the disk with an MBR of (first sector, sectors, type) instead of its GPT."""
    data = bytearray(raw.read_bytes())
    data[:1024], data[-512:] = bytes(1024), bytes(512)
    for index, (start, count, kind) in enumerate(parts):
        struct.pack_into("<B3xII", data, 446 + 16 * index + 4, kind, start, count)
    data[510:512] = b"\x55\xaa"
    return data


def gpt(raw: Path, *spans: tuple[int, int]) -> bytearray:
    data = bytearray(raw.read_bytes())
    for start, end in spans:
        at, stop = start % len(data), end or len(data)
        data[at:stop] = bytes(stop - at)
    return data


ROOT = (2048, 49152, 0x83)


def circle(raw: Path) -> bytearray:
    data = mbr(raw, ROOT, (51500, 1000, 5))
    at = 51500 * 512
    data[at + 510 : at + 512] = b"\x55\xaa"
    struct.pack_into("<B3xII", data, at + 462 + 4, 5, 0, 40)
    return data


TABLES: dict[str, tuple[Callable[[Path], bytearray], str]] = {
    "overlap": (lambda raw: mbr(raw, ROOT, (30000, 10000, 0x83)), "partitions 1 and 2 overlap"),
    "beyond": (lambda raw: mbr(raw, ROOT, (900000, 10, 0x83)), "partition 2 starts beyond the end of the disk"),
    "past-end": (lambda raw: mbr(raw, (2048, 900000, 0x83)), "partition 1 ends at byte 461848576, but the disk has"),
    "circle": (circle, "the chain of extended boot records runs in a circle"),
    "gpt-header": (lambda raw: gpt(raw, (512, 1024)), "the first GPT header is damaged; its backup"),
    "gpt-entries": (lambda raw: gpt(raw, (1024, 1100)), "the first GPT header is damaged; its backup"),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_bad_partition_table_is_told_and_read_around(name: str, raw: Path, tmp_path: Path, guestfix: Report) -> None:
    make, says = TABLES[name]
    image = tmp_path / "disk.raw"
    image.write_bytes(make(raw))
    status, out, _ = guestfix("report", image)
    assert status == 0
    assert f"GF-DISK-TABLE: {image}: {says}" in out
    if usable("uml"):  # whose kernel reads the table by itself
        status, out, said = guestfix("apply", f"uml:{image}")
        assert (status, said) == (0, "")
        assert f"GF-DISK-TABLE: disk 1: {says}" in out and "e2fsck -fn: clean" in out


def test_no_table_is_left(raw: Path, tmp_path: Path, guestfix: Report) -> None:
    image = tmp_path / "disk.raw"
    image.write_bytes(gpt(raw, (512, 1024), (-512, 0)))
    os.truncate(image, raw.stat().st_size)
    refused(guestfix, image, "neither GPT header can be read")


# what is no disk image


def test_what_is_no_disk_image(raw: Path, tmp_path: Path, guestfix: Report) -> None:
    refused(guestfix, f"image:{tmp_path}", "Is a directory", "give the image files in it", where=tmp_path)
    place = tmp_path / "file"
    for data, *says in (
        (b"", "the image file is empty"),
        (b"Dear reader\n" * 50, "neither a partition table nor a filesystem", "see that these are disk images"),
        (gzip.compress(raw.read_bytes()[:MIB]), "compressed with gzip", "unpack it"),
        (bytes(32768) + b"\1CD001\1".ljust(MIB, b"\0"), "an ISO 9660 image", "leave it out"),
    ):
        place.write_bytes(data)
        refused(guestfix, place, *says)
    os.mkfifo(tmp_path / "pipe")
    for odd in (tmp_path / "pipe", Path("/dev/null")):
        refused(guestfix, odd, "this is neither a file nor a block device")
    refused(guestfix, f"image:{tmp_path}/none", "No such file", where=tmp_path / "none")
    status, _, said = guestfix("report", tmp_path / "none")
    assert status == 2 and f"{tmp_path}/none: can't open the guest: No such file or directory" in said
    (tmp_path / "folder/photos").mkdir(parents=True)
    status, out, _ = guestfix("report", tmp_path / "folder")
    assert status == 2, out
    assert "GF-OS-NOT-FOUND" in out and "or the guest's disk images" in out


def test_the_same_image_twice(raw: Path, tmp_path: Path, guestfix: Report) -> None:
    (tmp_path / "again.raw").symlink_to(raw)
    for words in ([raw, tmp_path / "again.raw"], [f"image:{raw}", f"image:{raw}"]):
        status, _, said = guestfix("report", *words)
        assert status == 64 and "the same image is given twice" in said


@pytest.mark.skipif(not have("qemu-io"), reason="qemu-utils is not installed")
@pytest.mark.parametrize("fmt", ["raw", "qcow2"])
def test_an_image_that_a_running_guest_has_open(fmt: str, raw: Path, tmp_path: Path, guestfix: Report) -> None:
    image = tmp_path / f"disk.{fmt}"
    call("qemu-img", "convert", "-O", fmt, raw, image)
    with subprocess.Popen(["qemu-io", "-f", fmt, image], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as holder:
        end = time.monotonic() + 20
        while not in_use(str(image)) and time.monotonic() < end:
            time.sleep(0.02)
        status, out, _ = guestfix("report", image)
        assert status == 0 and f"GF-DISK-IN-USE: {image}" in out and "shut the guest down" in out
        status, _, said = guestfix("apply", f"uml:{image}")
        assert status == 2 and f"{image}: the image is in use" in said and "shut the guest down" in said
        holder.communicate()
    assert "GF-DISK-IN-USE" not in guestfix("report", image)[1]


# chains


def overlay(top: Path, base: object, fmt: str) -> Path:
    call("qemu-img", "create", "-q", "-u", "-f", "qcow2", "-F", fmt, "-b", base, top, 26 * MIB)
    return top


def test_wrong_backing_chains(raw: Path, tmp_path: Path, guestfix: Report) -> None:
    base = tmp_path / "base.qcow2"
    call("qemu-img", "convert", "-O", "qcow2", raw, base)
    top = tmp_path / "top.qcow2"
    assert guestfix("report", overlay(top, "base.qcow2", "qcow2"))[0] == 0
    refused(guestfix, overlay(top, "gone.qcow2", "qcow2"), "needs is missing:", "gone.qcow2", "qemu-img rebase -u")
    refused(guestfix, overlay(top, "top.qcow2", "qcow2"), "runs in a circle", "qemu-img rebase -u")
    overlay(tmp_path / "middle.qcow2", "top.qcow2", "qcow2")
    refused(guestfix, overlay(top, "middle.qcow2", "qcow2"), "runs in a circle")
    says = f"this should be a raw image, as {top} says, but it is qcow2"
    refused(guestfix, overlay(top, "base.qcow2", "raw"), says, "qemu-img rebase -u", where=base)
    says = f"this should be a qcow2 image, as {top} says, but it is raw"
    refused(guestfix, overlay(top, shutil.copy(raw, tmp_path), "qcow2"), says, where=tmp_path / "disk.raw")
    refused(guestfix, overlay(top, "http://host/disk", "raw"), "'http://host/disk', which is no local file")
    refused(guestfix, overlay(top, tmp_path, "raw"), "Is a directory", where=tmp_path)
    os.truncate(base, 3 * MIB)
    refused(guestfix, overlay(top, "base.qcow2", "qcow2"), "truncated", where=base)


def test_an_overlay_on_a_split_vmdk(raw: Path, tmp_path: Path, guestfix: Report) -> None:
    shutil.copy(raw, tmp_path / "disk.raw")
    base = convert(tmp_path / "disk.raw", "vmdk:twoGbMaxExtentSparse")
    assert guestfix("report", overlay(tmp_path / "top.qcow2", base, "vmdk"))[0] == 0
    wrong = overlay(tmp_path / "top.qcow2", "disk.raw", "vmdk")
    refused(guestfix, wrong, "this should be a vmdk image", where=tmp_path / "disk.raw")


def test_external_data_file_and_encryption(raw: Path, tmp_path: Path, guestfix: Report) -> None:
    image, data = tmp_path / "disk.qcow2", tmp_path / "disk.data"
    call("qemu-img", "convert", "-O", "qcow2", "-o", f"data_file={data},data_file_raw=on", raw, image)
    assert guestfix("report", image)[0] == 0
    data.rename(tmp_path / "elsewhere")
    refused(guestfix, image, f"a file that the image needs is missing: {data}")
    for method in (1, 2):
        call("qemu-img", "convert", "-O", "qcow2", raw, image)
        head = bytearray(image.read_bytes())
        struct.pack_into(">I", head, 32, method)
        image.write_bytes(head)
        refused(guestfix, image, "the qcow2 image is encrypted", "qemu-img convert and its secret")


# OVA

ENVELOPE = (
    '<Envelope><References><File id="f1" href="{}"/></References>'
    '<DiskSection><Disk diskId="d1" fileRef="{}"/></DiskSection></Envelope>'
)


def ova(place: Path, descriptor: str, *members: tarfile.TarInfo, data: bytes = b"") -> Path:
    with tarfile.open(place, "w", format=tarfile.USTAR_FORMAT) as archive:
        head = tarfile.TarInfo("guest.ovf")
        head.size = len(descriptor)
        archive.addfile(head, io.BytesIO(descriptor.encode()))
        for member in members:
            archive.addfile(member, io.BytesIO(data))
    return place


def member(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, to: str = "") -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.size, found.type, found.linkname = size, kind, to
    return found


@pytest.fixture(scope="module")
def vmdk(raw: Path) -> Iterator[bytes]:
    place = convert(raw, "vmdk:streamOptimized")
    yield place.read_bytes()
    place.unlink()


def test_wrong_ovas(vmdk: bytes, tmp_path: Path, guestfix: Report) -> None:
    place, size = tmp_path / "guest.ova", len(vmdk)
    good = ova(place, ENVELOPE.format("disk.vmdk", "f1"), member("disk.vmdk", size), data=vmdk)
    assert guestfix("report", good)[0] == 0
    os.truncate(good, size // 2)
    refused(guestfix, good, "cut off", "copy or export it again")
    wrong = ova(place, ENVELOPE.format("other.vmdk", "f1"), member("disk.vmdk", size), data=vmdk)
    refused(guestfix, wrong, ":other.vmdk: the OVA's descriptor names this disk, but the archive doesn't hold it")
    refused(guestfix, ova(place, ENVELOPE.format("disk.vmdk", "f7")), "names no disk file", "export the machine again")
    refused(guestfix, ova(place, "<Envelope><"), "the OVF descriptor is no XML")
    for name in ("../../../etc/passwd", "/etc/passwd", "a/../../disk.vmdk"):
        evil = ova(place, ENVELOPE.format(name, "f1"), member(name, size), data=vmdk)
        refused(guestfix, evil, f"names a file that is not beside it: {name}")
    for kind, to in ((tarfile.SYMTYPE, "/etc/passwd"), (tarfile.LNKTYPE, "../../etc/passwd"), (tarfile.DIRTYPE, "")):
        evil = ova(place, ENVELOPE.format("disk.vmdk", "f1"), member("disk.vmdk", 0, kind, to))
        refused(guestfix, evil, ":disk.vmdk: this disk is a link or another special file in the OVA", "unpack it")
    with tarfile.open(place, "w", format=tarfile.USTAR_FORMAT) as archive:
        archive.addfile(member("readme"))
    refused(guestfix, place, "holds no .ovf descriptor", "unpack it")


def test_an_unpacked_ovf(vmdk: bytes, tmp_path: Path, guestfix: Report) -> None:
    (tmp_path / "disk.vmdk").write_bytes(vmdk)
    place = tmp_path / "guest.ovf"
    place.write_text(ENVELOPE.format("disk.vmdk", "f1"))
    assert guestfix("report", place)[0] == 0
    place.write_text(ENVELOPE.format("../../../../etc/passwd", "f1"))
    refused(guestfix, place, "names a file that is not beside it")
    place.write_text(ENVELOPE.format("gone.vmdk", "f1"))
    refused(guestfix, place, f"a file that the image needs is missing: {tmp_path}/gone.vmdk")


# where the outcome goes


def test_what_the_outcome_may_be_called(raw: Path, tmp_path: Path, guestfix: Report) -> None:
    image = tmp_path / "disk.qcow2"
    call("qemu-img", "convert", "-O", "qcow2", raw, image)
    for words, status, says in (
        (["--in-place", "--output", "x.qcow2"], 64, "--in-place goes with neither --output nor --image-format"),
        (["--in-place", "--image-format", "raw"], 64, "--in-place goes with neither"),
        (["--image-format", "qed"], 64, "--image-format can't be 'qed'"),
        (["--overlay", "--image-format", "raw"], 64, "--overlay goes not with --image-format"),
        (["--overlay", "--output", tmp_path / "new.vmdk"], 64, "would hold qcow2, not vmdk"),
        (["--output", tmp_path / "new.vhd", "--image-format", "vhdx"], 64, "would hold vhdx, not vpc"),
        (["--output", image], 2, f"{image}: this file exists already"),
        (["--output", tmp_path], 2, f"{tmp_path}: this file exists already"),
        (["--output", tmp_path / "no/x.qcow2"], 2, "its folder does not exist"),
    ):
        code, _, said = guestfix("apply", f"uml:{image}", *words)
        assert (code, says in said) == (status, True), said
        assert "would hold" not in says or "or leave out --overlay and --image-format for a whole v" in said
    assert [path.name for path in tmp_path.iterdir()] == ["disk.qcow2"]
