"""Guests that were not shut down: a journal is read without replay and told, or replayed into the overlay and told."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from guestfix.backends.image import open_image
from guestfix.backends.status import usable
from guestfix.backends.volumes.block import FileBlock
from guestfix.backends.volumes.probe import probe
from guestfix.cli import run
from tests.build.images import debian, have
from tests.build.uml import COPY, blank, build


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    """Let no sentence be wrapped."""
    monkeypatch.setenv("COLUMNS", "1000")


pytestmark = pytest.mark.skipif(not usable("uml"), reason="User-mode Linux is not installed")

FSYNC = 'python3 -c \'import os; f = open("/run/mnt/etc/late", "w"); f.write("late"); f.flush(); os.fsync(f)\''
KINDS = {"ext4": 64, "xfs": 320, "btrfs": 128, "jfs": 64}


def guest(kind: str, folder: Path, *, closed: bool) -> Path:
    """Make a disk whose guest wrote to it last without (or with) an unmount."""
    if not have(f"mkfs.{kind}"):
        pytest.skip(f"mkfs.{kind} is not installed")
    root = debian(folder / "root", f"/dev/sda / {kind} defaults 0 1\n", extra=False)
    place = blank(folder / f"{kind}.raw", KINDS[kind])
    mount, unmount = f"mount -t {kind} /dev/ubda /run/mnt", "umount /run/mnt"
    steps = [f"mkfs.{kind} -q /dev/ubda", mount, COPY, unmount, mount, FSYNC]
    if closed:
        build([place], [*steps, unmount], root)
        return place
    copy = blank(folder / f"{kind}-open.raw", KINDS[kind])  # taken before the machine's last sync(2)
    build([place, copy], [*steps, "dd if=/dev/ubda of=/dev/ubdb bs=1M conv=fsync"], root)
    return copy


@pytest.mark.parametrize("kind", KINDS)
def test_an_unclean_journal_is_told(kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    place = guest(kind, tmp_path, closed=False)
    before = hashlib.sha256(place.read_bytes()).digest()
    if kind != "jfs":  # which the backend image can't read
        assert run(["report", str(place)]) == 0
        said = capfd.readouterr().out
        assert "GF-DISK-UNCLEAN-FILESYSTEM: /: its " in said and "was not replayed" in said
        assert "use uml: or qemu:, which replay journals" in said
    assert run(["apply", f"uml:{place}", "--format", "json"]) == 0
    done = json.loads(capfd.readouterr().out)
    (told,) = (one for one in done["findings"] if one["code"] == "GF-DISK-UNCLEAN-FILESYSTEM")
    assert told["severity"] == "info" and "the journal was replayed into the overlay" in told["summary"]
    assert [one["clean"] for one in done["image"]["checks"]] == [True]
    assert hashlib.sha256(place.read_bytes()).digest() == before
    (overlay,) = done["image"]["files"]
    if kind != "jfs":
        after = open_image([overlay])
        assert after.read("/etc/late") == b"late"
        assert [one.code for one in after.findings()] == []


@pytest.mark.skipif(not have("mkfs.xfs"), reason="mkfs.xfs is not installed")
def test_a_root_that_is_only_in_the_journal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    root = debian(tmp_path / "root", "/dev/sda / xfs defaults 0 1\n", extra=False)
    place = blank(tmp_path / "xfs.raw", 320)
    build([place], ["mkfs.xfs -q /dev/ubda", "mount -t xfs /dev/ubda /run/mnt", COPY, "sync"], root)
    assert run(["report", str(place)]) == 2
    said = capfd.readouterr().err
    assert "/dev/sda: xfs, with a journal that was not closed" in said and "qemu:, which replay journals" in said
    assert run(["report", f"uml:{place}"]) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_clean_journal_is_not(kind: str, tmp_path: Path) -> None:
    found = probe(FileBlock(str(guest(kind, tmp_path, closed=True))))
    assert found is not None and (found.type, found.unclean) == (kind, False)
