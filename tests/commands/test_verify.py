"""``guestfix verify`` as it is called: what it refuses, what it prints, and what it leaves behind when it is killed."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from guestfix.cli import run
from tests.build import images
from tests.build.documents import validate

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("qemu-system-x86_64", "qemu-img", "mke2fs"))), reason="QEMU or mke2fs is not installed"
)


@pytest.fixture
def many_open():
    """As in a process that has many guests open: what is opened from here on has a number beyond select(2)'s 1024."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(limits[0], min(2048, limits[1])), limits[1]))
    taken = [os.open("/dev/null", os.O_RDONLY)]
    while taken[-1] < 1024:
        taken.append(os.dup(taken[0]))
    yield
    for one in taken:
        os.close(one)
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.fixture(scope="module")
def disk(tmp_path_factory) -> Path:
    """A guest without any boot loader: it ends within seconds."""
    folder = tmp_path_factory.mktemp("verify")
    images.debian(folder / "root")
    part = images.filesystem("ext4", folder / "root.ext4", 32 << 20, folder / "root")
    return images.disk(folder / "guest.raw", [images.PartSpec(part)])


def said(capsys, *words: object) -> tuple[int, str, str]:
    status = run([*map(str, words)])
    out, err = capsys.readouterr()
    return status, out, err


def test_a_guest_without_a_loader_stops_at_the_firmware(disk, capsysbinary, tmp_path, many_open):
    words = ("verify", disk, "--target", "kvm-virtio", "--patience", 12, "--console", tmp_path / "console.txt")
    status = run([*map(str, words), "--screen", str(tmp_path / "last.png"), "--format", "json"])
    document = json.loads(capsysbinary.readouterr().out)
    validate("verify", document)
    (start,) = document["starts"]
    assert (status, start["ending"], start["stop"]["step"]) == (1, "stopped", "firmware")
    assert start["steps"][0]["id"] == "firmware" and start["steps"][0]["reached"] is False
    assert "SeaBIOS" in (tmp_path / "console.txt").read_text()
    assert (tmp_path / "last.png").read_bytes().startswith(b"\x89PNG")


WRONG = [
    (("--from", "vmware"), 64, "--from goes with --before-and-after"),
    (("--before-and-after",), 64, "--before-and-after needs --from"),
    (("--target", "kvm-virtoi"), 64, "kvm-virtio"),
    (("--target", "aws-xen"), 2, "QEMU has no disks like those of aws-xen"),
    (("--target", "azure"), 2, "QEMU has no"),
    (("--patience", "0"), 64, "1 to 86400"),
    (("--memory", "many"), 64, "--memory"),
    (("--console", "/dev/null"), 2, "exists already"),
]


@pytest.mark.parametrize(
    ("words", "code", "what"), WRONG, ids=lambda value: " ".join(value) if type(value) is tuple else ""
)
def test_what_can_not_be_done_is_said(disk, capsys, words, code, what):
    status, out, err = said(capsys, "verify", disk, *words)
    assert (status, out) == (code, "") and what in err and "Traceback" not in err


def test_a_folder_is_no_machine(tmp_path, capsys):
    images.debian(tmp_path / "root")
    status, _, err = said(capsys, "verify", tmp_path / "root")
    assert status == 64 and "only disk images can be started" in err


def running(mark: str) -> list[str]:
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = place.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if "guestfix-verify" in text and mark in text:
            found.append(text)
    return found


def test_no_machine_outlives_a_guestfix_that_was_killed(tmp_path):
    """A boot sector that loops for ever: jmp to itself."""
    disk, folder = tmp_path / "disk.raw", tmp_path / "run"
    folder.mkdir()
    images.debian(tmp_path / "root")
    part = images.filesystem("ext4", tmp_path / "root.ext4", 32 << 20, tmp_path / "root")
    images.disk(disk, [images.PartSpec(part)], table="dos")
    with disk.open("r+b") as stream:
        stream.write(b"\xeb\xfe")
    words = [sys.executable, "-m", "guestfix", "verify", str(disk), "--target", "kvm-virtio"]
    with subprocess.Popen(words, env={"TMPDIR": str(folder), "PATH": "/usr/bin:/bin:/usr/sbin"}) as process:
        end = time.monotonic() + 60
        while not running(str(folder)) and time.monotonic() < end:
            time.sleep(0.1)
        assert running(str(folder)), "QEMU did not start"
        process.send_signal(signal.SIGKILL)
    end = time.monotonic() + 20
    while (running(str(folder)) or list(folder.iterdir())) and time.monotonic() < end:
        time.sleep(0.1)
    assert running(str(folder)) == [] and list(folder.iterdir()) == []
