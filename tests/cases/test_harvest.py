"""A case from a guest: what a run read, links as links, and nothing of the host, whatever the guest's names say."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from guestfix.backends.directory import DirectoryGuest
from guestfix.cases.harvest import MAX_FILE, Recorder, write_tree
from tests.build.tree import build

FILES = {
    "etc/os-release": ("link", "../usr/lib/os-release"),
    "usr/lib/os-release": "ID=debian\n",
    "etc/fstab": "/dev/sda1 / ext4\n",
    "etc/shadow": "root:secret\n",
    "boot/initrd.img": b"x" * (MAX_FILE + 1),
    "boot/vmlinuz": "kernel",
    "etc/loop": ("link", "loop"),
    "etc/out": ("link", "../../outside/file"),
}


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").write_text("of the host")
    return Recorder(DirectoryGuest(str(build(tmp_path / "guest", FILES))))


def written(case: Path) -> dict[str, str]:
    found = {}
    for folder, _, names in os.walk(case):
        for name in names:
            path = os.path.join(folder, name)
            content = "-> " + os.readlink(path) if os.path.islink(path) else Path(path).read_text()
            found[os.path.relpath(path, case)] = content
    return found


def test_what_was_read_is_whole_and_what_was_seen_is_empty(recorder: Recorder, tmp_path: Path) -> None:
    assert recorder.read("/etc/os-release") and recorder.stat("/boot/vmlinuz")
    assert write_tree(recorder, tmp_path / "case") == []
    assert written(tmp_path / "case") == {
        "etc/os-release": "-> ../usr/lib/os-release",
        "usr/lib/os-release": "ID=debian\n",
        "boot/vmlinuz": "",
    }


def test_what_is_too_large_is_left_empty_and_named(recorder: Recorder, tmp_path: Path) -> None:
    with recorder.open("/boot/initrd.img") as stream:
        stream.read(1)
    assert write_tree(recorder, tmp_path / "case") == ["/boot/initrd.img"]
    assert written(tmp_path / "case") == {"boot/initrd.img": ""}


def test_links_never_lead_to_the_host(recorder: Recorder, tmp_path: Path) -> None:
    assert recorder.stat("/etc/out", follow=False)
    assert write_tree(recorder, tmp_path / "case") == []
    assert written(tmp_path / "case") == {"etc/out": "-> ../../outside/file"}
    assert (tmp_path / "outside/file").read_text() == "of the host"
