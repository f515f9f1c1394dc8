"""A whole new image shares its data with the old one where the filesystem can, and is as sparse elsewhere."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from guestfix.backends.disks import overlaydisk
from guestfix.backends.disks.hostfiles import HostFiles
from guestfix.backends.disks.ova import open_images
from guestfix.backends.disks.overlaydisk import Overlays, convert
from guestfix.backends.volumes.block import DiskError
from tests.build.images import MIB, have, run

DATA = 24 * MIB
SIZE = 256 * MIB

pytestmark = [
    pytest.mark.skipif(not have("qemu-img", "qemu-io"), reason="qemu-utils is not installed"),
]


@pytest.fixture(params=["xfs", "btrfs", "ext4", "tmpfs"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, bool]]:
    """Return a folder of its own filesystem, and whether that can share data."""
    kind = request.param
    if os.geteuid():
        pytest.skip("only root can mount a filesystem")
    mounted = tmp_path / kind
    mounted.mkdir()
    words: list[object] = ["-t", "tmpfs", "tmpfs"]
    if kind != "tmpfs":
        if not have(f"mkfs.{kind}"):
            pytest.skip(f"mkfs.{kind} is not installed")
        with (tmp_path / "fs").open("wb") as stream:
            stream.truncate(400 * MIB)
        run(f"mkfs.{kind}", "-q", tmp_path / "fs")
        words = ["-o", "loop", "-t", kind, tmp_path / "fs"]
    if subprocess.run(["mount", *map(str, words), str(mounted)], capture_output=True, check=False).returncode:
        pytest.skip(f"{kind} can't be mounted here")
    try:
        yield mounted, kind in ("xfs", "btrfs")
    finally:
        subprocess.run(["umount", str(mounted)], check=True)


def image(folder: Path, fmt: str) -> Path:
    """Make an image with data that can't be packed, a hole, and a snapshot's worth of nothing."""
    raw = folder / "raw.part"
    with raw.open("wb") as stream:
        stream.write(random.Random(1).randbytes(DATA))
        stream.truncate(SIZE)
    found = folder / f"disk.{fmt}"
    if fmt == "raw":
        return raw.rename(found)
    run("qemu-img", "convert", "-f", "raw", "-O", fmt, raw, found)
    raw.unlink()
    return found


def used(folder: Path) -> int:
    os.sync()
    found = os.statvfs(folder)
    return (found.f_blocks - found.f_bfree) * found.f_frsize


def overlays(path: Path) -> Overlays:
    made = Overlays(open_images([str(path)]), export="")
    words = ("-c", "write -P 9 1M 64k", "-c", "write -P 8 200M 64k", "-c", "write -z 2M 64k")
    run("qemu-io", "-f", "qcow2", *words, made.disks[0].file)
    return made


def digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def same(path: Path, other: Path) -> bool:
    done = subprocess.run(["qemu-img", "compare", str(path), str(other)], capture_output=True, check=False)
    return done.returncode == 0


@pytest.mark.parametrize("fmt", ["raw", "qcow2"])
def test_of_the_same_format(place: tuple[Path, bool], fmt: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, shares = place
    disk = image(folder, fmt)
    before, content = used(folder), digest(disk)
    made = overlays(disk)
    out, other = folder / f"new.{fmt}", folder / f"other.{fmt}"
    assert convert(made.disks, str(out), fmt) == [str(out)]
    grown = used(folder) - before
    assert (grown < 4 * MIB) if shares else (DATA <= grown < DATA + 4 * MIB), grown
    assert digest(disk) == content
    assert out.stat().st_blocks * 512 < DATA + 4 * MIB, "as sparse as its source"
    if fmt == "qcow2":
        run("qemu-img", "check", "-q", out)
    with monkeypatch.context() as patch:
        patch.setattr(overlaydisk, "_shared", lambda *args: False)
        convert(made.disks, str(other), fmt)
    made.close()
    assert same(out, other) and not same(out, disk)
    assert sorted(os.listdir(folder)) == sorted([disk.name, out.name, other.name, *(["lost+found"] * (
        (folder / "lost+found").exists()))])  # fmt: skip


@pytest.mark.parametrize("place", ["xfs"], indirect=True)
def test_what_is_not_one_file_or_of_another_format_is_converted(place: tuple[Path, bool]) -> None:
    folder, _ = place
    disk = image(folder, "qcow2")
    run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", "disk.qcow2", folder / "top.qcow2")
    for path, name, fmt in ((folder / "top.qcow2", "one.qcow2", "qcow2"), (disk, "two.raw", "raw")):
        made = overlays(path)
        convert(made.disks, str(folder / name), fmt)
        made.close()
        (found,) = open_images([str(folder / name)], HostFiles())
        assert len(found.files) == 1
        found.block.seek(MIB)
        assert found.block.read(65536) == b"\x09" * 65536


@pytest.mark.parametrize("place", ["xfs"], indirect=True)
def test_nothing_is_left_where_writing_into_the_copy_fails(
    place: tuple[Path, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = place
    disk = image(folder, "raw")
    made = overlays(disk)

    def fails(*args: str, **words: object) -> None:
        raise DiskError("qemu-img commit: No space left on device")

    monkeypatch.setattr(overlaydisk, "qemu_img", fails)
    with pytest.raises(DiskError, match="No space left"):
        convert(made.disks, str(folder / "new.raw"), "raw")
    made.close()
    assert os.listdir(folder) == ["disk.raw"]
