"""Two programs at one guest, in every order: one paused before each phase of its work, and another that comes then."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from guestfix.backends.status import usable
from tests.build.images import MIB, PartSpec, convert, debian, disk, filesystem, have
from tests.build.plans import tree
from tests.build.signalled import pausing_at
from tests.build.tree import build, elf

ROOT = Path(__file__).resolve().parents[2]
FSTAB = "UUID=1 / ext4 defaults 0 1\n//nas/share /mnt cifs defaults 0 0\n"
ONLY = ("--only", "fstab/*", "--accept", "*")
WORDS: dict[str, tuple[str, ...]] = {"apply": ONLY, "report": ONLY, "revert": (), "inspect": (), "status": ()}
FOLDER, IMAGE = pausing_at("directory", "DirectoryGuest"), pausing_at("remote", "RemoteGuest")

Said = tuple[int, dict[str, Any]]


def ended(process: subprocess.Popen[str]) -> Said:
    out, err = process.communicate(timeout=120)
    assert out, err
    return process.returncode, json.loads(out)


def other(command: str, place: object, *words: str) -> Said:
    """Run guestfix in a process of its own, from its begin to its end."""
    called = [sys.executable, "-m", "guestfix", command, str(place), *WORDS[command], *words, "--format", "json"]
    return ended(subprocess.Popen(called, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT))


@contextmanager
def paused(program: str, at: str, command: str, place: object, flags: Path, *words: str) -> Iterator[list[Said]]:
    """Run guestfix until it pauses; within the block it is paused, afterwards the list has what it said."""
    shutil.rmtree(flags, ignore_errors=True)
    flags.mkdir()
    called = [sys.executable, "-c", program, str(ROOT), str(flags), at, command, str(place), *WORDS[command], *words]
    said: list[Said] = []
    with subprocess.Popen(
        [*called, "--format", "json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        end = time.monotonic() + 90
        while not (flags / "paused").exists():
            assert process.poll() is None and time.monotonic() < end, process.communicate()
            time.sleep(0.01)
        try:
            yield said
        finally:
            (flags / "go").touch()
            said.append(ended(process))


def codes(document: dict[str, Any]) -> set[str]:
    found = {one["code"] for one in document.get("findings", ())} | {document.get("error", {}).get("code")}
    return {one for one in found if one and one.startswith(("GF-APPLY", "GF-DISK-IN-USE"))}


# a folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    files = {"etc/os-release": 'ID=debian\nVERSION_ID="12"\n', "bin/sh": elf(), "etc/fstab": FSTAB, "var/lib/x": ""}
    found: Path = build(tmp_path / "guest", files)
    return found


@pytest.mark.parametrize("at", ["1", "4", "6", "7"], ids=["before the journal", "staged", "swapped", "the mark"])
@pytest.mark.parametrize("first", ["apply", "revert"])
def test_a_folder(first: str, at: str, root: Path, tmp_path: Path) -> None:
    before = tree(root)
    if first == "revert":
        assert other("apply", root)[0] == 0
        at = {"7": "2", "6": "3", "4": "4"}.get(at, at)  # it has fewer writes
    with paused(FOLDER, at, first, root, tmp_path / "flags") as said:
        seen = tree(root)
        for command in ("apply", "revert"):
            status, document = other(command, root)
            assert (status, codes(document)) == (2, {"GF-APPLY-RUNNING"}), command
        status, document = other("report", root)
        assert status == (0 if "*" in WORDS["report"] else 2) and "GF-APPLY-RUNNING" in codes(document)
        status, document = other("inspect", root)
        assert status == 0 and "GF-APPLY-RUNNING" in codes(document)
        status, document = other("status", root)
        assert status == 0 and document["state"] == "running" and document["running"]
        assert tree(root) == seen
    assert said[0][0] == 0
    status, document = other("status", root)
    assert document["state"] == ("applied" if first == "apply" else "none") and not document["running"]
    if first == "apply":
        assert other("revert", root)[0] == 0
    assert tree(root) == before


@pytest.mark.parametrize(
    ("first", "then", "status", "state"),
    [
        ("apply", ["apply"], 0, "applied"),
        ("apply", ["apply", "revert"], 0, "applied"),
        ("revert", ["revert"], 2, "none"),
        ("revert", ["apply"], 0, "none"),
        ("apply", ["edit"], 2, "none"),
    ],
)
def test_one_that_was_overtaken_before_it_began(
    first: str, then: list[str], status: int, state: str, root: Path, tmp_path: Path
) -> None:
    """It has read and planned, then another runs from its begin to its end: what holds is the guest as it is now."""
    if first == "revert":
        assert other("apply", root)[0] == 0
    with paused(FOLDER, "planned", first, root, tmp_path / "flags") as said:
        for command in then:
            if command == "edit":
                (root / "etc/fstab").write_text(FSTAB + "# by hand\n")
            else:
                assert other(command, root)[0] == 0
    assert said[0][0] == status, said
    if then == ["apply"] and first == "apply":
        assert said[0][1]["applied"] == [] and said[0][1]["journal"] is None
    if then == ["edit"]:
        assert said[0][1]["error"]["code"] == "GF-PLAN-OUTDATED"
    assert other("status", root)[1]["state"] == state
    assert len(list(root.glob("var/lib/guestfix/*"))) == (state == "applied")


# disk images


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not usable("uml") or not have("mke2fs", "sfdisk", "qemu-img"):
        pytest.skip("User-mode Linux, e2fsprogs, fdisk or qemu-utils is not installed")
    work = tmp_path_factory.mktemp("image")
    content = filesystem("ext4", work / "fs", 32 * MIB, debian(work / "root", FSTAB, extra=False))
    return convert(disk(work / "disk.raw", [PartSpec(content)]), "qcow2")


@pytest.fixture
def image(plain: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(plain, tmp_path / "disk.qcow2"))


@pytest.mark.parametrize("at", ["planned", "3", "written", "commit"])
@pytest.mark.parametrize("first", ["apply", "revert"])
def test_an_image_in_place(first: str, at: str, image: Path, tmp_path: Path) -> None:
    if first == "revert":
        assert other("apply", image, "--in-place")[0] == 0
    with paused(IMAGE, at, first, image, tmp_path / "flags", "--in-place") as said:
        bytes_ = image.read_bytes()
        for command in ("apply", "revert"):
            for words in ((), ("--in-place",)):
                status, document = other(command, image, *words)
                assert (status, codes(document)) == (2, {"GF-APPLY-RUNNING"}), command
        for command in ("report", "inspect", "status"):
            status, document = other(command, image)
            if at == "commit":  # half of two states: it is not read at all
                assert (status, codes(document)) == (2, {"GF-APPLY-RUNNING"}), command
            elif command == "status":
                assert (status, document["state"], document["running"]) == (0, "running", True)
            else:
                assert status == 0 and codes(document) == {"GF-APPLY-RUNNING"}, command
        assert image.read_bytes() == bytes_
    assert said[0][0] == 0, said
    assert other("status", image)[1]["state"] == ("applied" if first == "apply" else "none")
    assert sorted(os.listdir(tmp_path)) == ["disk.qcow2", "flags"]


@pytest.mark.parametrize("at", ["planned", "written"])
def test_an_image_whose_outcome_lies_beside_it(at: str, image: Path, tmp_path: Path) -> None:
    """Both may read it; of two outcomes of one name there is one, and who comes later is told, with nothing lost."""
    before = image.read_bytes()
    with paused(IMAGE, at, "apply", image, tmp_path / "flags") as said:
        assert other("apply", image)[0] == 0
        kept = (tmp_path / "disk.guestfix.qcow2").read_bytes()
        assert other("apply", image, "--in-place")[0] == 2
    assert said[0][0] == 3 and "exists already" in said[0][1]["error"]["what"], said
    assert image.read_bytes() == before and (tmp_path / "disk.guestfix.qcow2").read_bytes() == kept
    assert sorted(os.listdir(tmp_path)) == ["disk.guestfix.qcow2", "disk.qcow2", "flags"]
