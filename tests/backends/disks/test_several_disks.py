"""A guest on two disks through the command line: their order, and all of them are written or none."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from guestfix.backends.image import open_image
from guestfix.backends.status import usable
from guestfix.cli import run
from tests.build.images import MIB, PartSpec, convert, debian, disk, filesystem, have


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    """Let no sentence be wrapped."""
    monkeypatch.setenv("COLUMNS", "1000")


pytestmark = [
    pytest.mark.skipif(not usable("uml"), reason="User-mode Linux is not installed"),
    pytest.mark.skipif(not have("mke2fs", "sfdisk", "qemu-img"), reason="e2fsprogs, fdisk or qemu-utils is missing"),
]

FSTAB = "/dev/sda1 / ext4 defaults 0 1\n/dev/sdb1 /srv ext4 defaults 0 2\n"
UUIDS = "11111111-2222-3333-4444-555555555555", "11111111-2222-3333-4444-666666666666"


@pytest.fixture
def disks(tmp_path: Path) -> list[str]:
    root = debian(tmp_path / "root", FSTAB, extra=False)
    (root / "srv").mkdir(exist_ok=True)
    (tmp_path / "srv").mkdir()
    (tmp_path / "images").mkdir()
    found = []
    for tree, name, fmt, uuid in ((root, "one", "qcow2", UUIDS[0]), (tmp_path / "srv", "two", "vmdk", UUIDS[1])):
        content = filesystem("ext4", tmp_path / f"{name}.fs", 32 * MIB, tree, uuid=uuid)
        made = convert(disk(tmp_path / f"{name}.raw", [PartSpec(content)]), fmt)
        found.append(str(made.rename(tmp_path / "images" / made.name)))
    return found


def digests(paths: list[str]) -> list[bytes]:
    return [hashlib.sha256(Path(path).read_bytes()).digest() for path in paths]


def test_disks_in_the_wrong_order_are_refused(disks: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    """The names in fstab would be taken for the volumes of the other disk."""
    for words in (["report", disks[1], disks[0]], ["apply", f"uml:{disks[1]}", disks[0]]):
        assert run(words) == 2
        said = "".join(capfd.readouterr())
        assert "GF-DISK-ORDER: the guest's fstab has / on /dev/sda1, but its system is on /dev/sdb1" in said
        assert "give the disks in the order of the old platform" in said
    assert run(["report", *disks]) == 0
    assert "GF-DISK-ORDER" not in capfd.readouterr().out


def test_overlays_new_images_and_in_place(disks: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    folder, before = Path(disks[0]).parent, digests(disks)

    def applied(*words: str) -> list[str]:
        assert run(["apply", f"uml:{disks[0]}", disks[1], "--format", "json", *words]) == 0
        outcome = json.loads(capfd.readouterr().out)["image"]
        assert [(one["device"], one["clean"]) for one in outcome["checks"]] == [
            ("/dev/sda1", True),
            ("/dev/sdb1", True),
        ]
        fstab = open_image(outcome["files"]).read("/etc/fstab").decode()
        assert all(f"UUID={uuid}" in fstab for uuid in UUIDS)
        return [os.path.basename(path) for path in outcome["files"]]

    assert applied() == ["one.guestfix.qcow2", "two.guestfix.qcow2"]
    assert applied("--output", str(folder / "new.vhdx"), "--image-format", "vhdx") == ["new.vhdx", "new-2.vhdx"]
    assert digests(disks) == before
    for path in folder.glob("*.guestfix.*"):
        path.unlink()
    assert applied("--in-place") == ["one.qcow2", "two.vmdk"]
    assert sorted(os.listdir(folder)) == ["new-2.vhdx", "new.vhdx", "one.qcow2", "two.vmdk"]
    assert run(["revert", f"uml:{disks[0]}", disks[1], "--in-place"]) == 0
    assert open_image(disks).read("/etc/fstab").decode() == FSTAB


def test_none_is_written_where_one_can_not_be(disks: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    folder, before = Path(disks[0]).parent, digests(disks)
    (folder / "two.guestfix.qcow2").write_text("in the way")
    for words in ([], ["--in-place"]):
        assert run(["apply", f"uml:{disks[0]}", disks[1], *words]) == 2
        assert f"{folder}/two.guestfix.qcow2: this file exists already" in capfd.readouterr().err
    (folder / "two.guestfix.commit").mkdir()
    (folder / "two.guestfix.commit/mine").write_text("in the way")
    (folder / "two.guestfix.qcow2").unlink()
    assert run(["apply", f"uml:{disks[0]}", disks[1], "--in-place"]) == 2
    assert f"{folder}/two.guestfix.commit: something has the name" in capfd.readouterr().err
    (folder / "new-2.raw").write_text("in the way")
    words = ["--output", str(folder / "new.raw"), "--image-format", "raw"]
    assert run(["apply", f"uml:{disks[0]}", disks[1], *words]) == 2
    assert f"{folder}/new-2.raw: this file exists already" in capfd.readouterr().err
    assert digests(disks) == before
    assert sorted(os.listdir(folder)) == ["new-2.raw", "one.qcow2", "two.guestfix.commit", "two.vmdk"]
