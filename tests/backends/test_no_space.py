"""A host without room: for the overlay, for what is kept, converted or committed. The image stays as it was."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from guestfix.backends.status import usable
from guestfix.cli import run
from tests.build.images import MIB, PartSpec, convert, debian, disk, filesystem, have

pytestmark = [
    pytest.mark.skipif(not usable("uml"), reason="User-mode Linux is not installed"),
    pytest.mark.skipif(not have("mke2fs", "sfdisk"), reason="e2fsprogs or fdisk is missing"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small tmpfs"),
]


@pytest.fixture
def image(tmp_path: Path) -> Path:
    root = debian(tmp_path / "root", "/dev/sda1 / ext4 defaults 0 1\n", extra=False)
    content = filesystem("ext4", tmp_path / "fs", 32 * MIB, root, uuid="11111111-2222-3333-4444-555555555555")
    return convert(disk(tmp_path / "disk.raw", [PartSpec(content)]), "qcow2")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """Give a folder with room for 4 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4M", "none", place], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"a tmpfs can't be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def leave(place: Path, room: int) -> None:
    """Fill a folder until so many bytes are left."""
    found = os.statvfs(place)
    (place / "filler").write_bytes(bytes(found.f_bavail * found.f_frsize - room))


def digest(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


def test_for_the_overlay(
    image: Path, small: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    before = digest(image)
    leave(small, 400_000)
    monkeypatch.setattr("tempfile.tempdir", str(small))
    assert run(["apply", f"uml:{image}"]) in (2, 3)
    said = capfd.readouterr().err
    if "room for its memory" in said:
        pytest.skip("/dev/shm has no room for the memory of User-mode Linux")
    assert "no space is left on the host for the overlay" in said and "set TMPDIR to a folder with more" in said
    assert digest(image) == before
    assert sorted(os.listdir(small)) == ["filler"] and not image.with_name("disk.guestfix.qcow2").exists()


def test_for_the_machine(image: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("guestfix.backends.uml.start.room", lambda folder: 100 << 20)
    assert run(["report", f"uml:{image}"]) == 2
    said = capfd.readouterr().err
    assert "needs 256 MB of room for its memory" in said and "set TMPDIR" in said


@pytest.mark.parametrize("words", [["--image-format", "raw"], []])
def test_for_the_outcome(words: list[str], image: Path, small: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = digest(image)
    leave(small, 300_000)
    out = small / ("new.raw" if words else "new.qcow2")
    assert run(["apply", f"uml:{image}", "--output", str(out), *words]) == 3
    said = capfd.readouterr().err
    assert "No space left on device" in said and "free space on the host" in said
    assert os.listdir(small) == ["filler"]
    assert digest(image) == before


def test_beside_an_image_that_is_to_be_changed(image: Path, small: Path, capfd: pytest.CaptureFixture[str]) -> None:
    place = small / "disk.qcow2"
    shutil.copyfile(image, place)
    before = digest(place)
    leave(small, 200_000)
    assert run(["apply", f"uml:{place}", "--in-place"]) == 3
    assert "the overlay can't be kept: No space left" in capfd.readouterr().err
    assert digest(place) == before and sorted(os.listdir(small)) == ["disk.qcow2", "filler"]


def test_for_a_commit_that_is_done_again_later(
    image: Path, small: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The changes are beside the link that the user named, the image itself where there is no room."""
    link, kept = tmp_path / "link.qcow2", tmp_path / "link.guestfix.commit"
    shutil.copyfile(image, small / "disk.qcow2")
    link.symlink_to(small / "disk.qcow2")
    leave(small, 0)
    assert run(["apply", f"uml:{link}", "--in-place"]) == 4
    said = capfd.readouterr().err
    assert "No space left on device" in said and f"are kept in {kept}" in said and "run the same again" in said
    assert run(["report", str(link)]) == 2 and "GF-APPLY-UNFINISHED" not in capfd.readouterr().out
    assert run(["apply", f"uml:{link}"]) == 2 and str(kept) in capfd.readouterr().err
    (small / "filler").unlink()
    assert run(["apply", f"uml:{link}", "--in-place"]) == 0
    assert f"it was finished first: {link}" in capfd.readouterr().err and not kept.exists()
    assert run(["status", str(link)]) == 0 and "applied, and as it was applied" in capfd.readouterr().out
