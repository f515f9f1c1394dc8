"""A signal at every write of apply and revert of disk images: they are as they were, or all of it was done.

SIGKILL too, which nobody can follow: what was to be written into the overlay is gone with it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from guestfix.backends.disks.hostfiles import HostFiles
from guestfix.backends.image import open_image
from guestfix.backends.status import usable
from tests.build.documents import validate
from tests.build.images import MIB, PartSpec, convert, debian, disk, filesystem, have
from tests.build.signalled import SIGNALS, pausing_at, program_of

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = program_of("remote", "RemoteGuest")

SECONDS = 10.0
"""How long after a SIGKILL the keeper may take, on a machine that has other work."""

ONLY = ("--only", "fstab/*", "--accept", "*")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return an image for each command: one to apply to, and one to revert."""
    if not usable("uml") or not have("mke2fs", "sfdisk", "qemu-img"):
        pytest.skip("User-mode Linux, e2fsprogs, fdisk or qemu-utils is not installed")
    work = tmp_path_factory.mktemp("image")
    root = debian(work / "root", "/dev/sda1 / ext4 defaults 0 1\n//nas/share /mnt cifs defaults 0 0\n", extra=False)
    content = filesystem("ext4", work / "fs", 32 * MIB, root, uuid="11111111-2222-3333-4444-555555555555")
    plain = convert(disk(work / "disk.raw", [PartSpec(content)]), "qcow2")
    applied = work / "applied.qcow2"
    shutil.copy(plain, applied)
    words = [sys.executable, "-m", "guestfix", "apply", f"uml:{applied}", *ONLY, "--in-place"]
    subprocess.run(words, check=True, capture_output=True, cwd=ROOT)
    return {"apply": plain, "revert": applied}


def repaired(file: Path | str, place: Path) -> bool:
    return b"UUID=" in open_image([str(file)], host=HostFiles([str(place)])).read("/etc/fstab")


def left(place: Path) -> list[str]:
    """Return the folders of runs that are there once what a kill leaves may be cleared."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and any(name.startswith("guestfix-") for name in os.listdir(place)):
        time.sleep(0.05)
    return [name for name in os.listdir(place) if name.startswith("guestfix-")]


def signalled(command: str, image: Path, place: Path, which: signal.Signals, at: int, *words: str) -> int:
    """Run the command with a signal at the n-th write; tell the status. Nothing is left, and all is told."""
    own, tmp = place / "own.qcow2", place / "tmp"
    own.write_bytes(image.read_bytes())
    before = own.read_bytes()
    tmp.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, ROOT, str(int(which)), str(at), command, f"uml:{own}", "--format", "json",
         *(ONLY if command == "apply" else ()), *words],
        capture_output=True, text=True, check=False, env={**os.environ, "TMPDIR": str(tmp)},
    )  # fmt: skip
    assert left(tmp) == []
    if done.returncode in (5, -signal.SIGKILL):
        assert own.read_bytes() == before and sorted(os.listdir(place)) == ["own.qcow2", "tmp"]
    if done.returncode == -signal.SIGKILL:
        return done.returncode
    document = json.loads(done.stdout)
    validate("receipt" if command == "apply" else "revert", document)
    if done.returncode == 5:
        assert document["error"]["by"] == which.name
        assert document["error"]["what"].endswith(("the images are as they were", "this step changed nothing"))
        return 5
    assert done.returncode == 0, done.stdout[-500:] + done.stderr[-500:]
    assert document["image"]["files"]
    for name in document["image"]["files"]:
        assert repaired(name, place) is (command == "apply")
        os.unlink(name)
    return 0


@pytest.mark.parametrize(
    ("command", "which", "at"),
    [
        ("apply", signal.SIGTERM, 2),
        ("apply", signal.SIGINT, 4),
        ("apply", signal.SIGHUP, 6),
        ("apply", signal.SIGKILL, 5),
        ("revert", signal.SIGTERM, 1),
        ("revert", signal.SIGHUP, 3),
        ("revert", signal.SIGKILL, 2),
    ],
)
def test_an_image_at_some_writes(
    command: str, which: signal.Signals, at: int, images: dict[str, Path], tmp_path: Path
) -> None:
    expected = -signal.SIGKILL if which == signal.SIGKILL else 5
    assert signalled(command, images[command], tmp_path, which, at) == expected


def told(command: str, place: Path, *words: str) -> tuple[int, dict[str, object]]:
    called = [sys.executable, "-m", "guestfix", command, str(place), "--format", "json", *words]
    done = subprocess.run(called, capture_output=True, text=True, check=False, cwd=ROOT)
    document = json.loads(done.stdout)
    validate({"apply": "receipt"}.get(command, command), document)
    return done.returncode, document


@pytest.mark.parametrize("command", ["apply", "revert"])
def test_a_kill_while_an_image_is_written_in_place(command: str, images: dict[str, Path], tmp_path: Path) -> None:
    """It is refused by all but the same command, which finishes it and says so; then it is as if nothing had been."""
    own, flags = tmp_path / "own.qcow2", tmp_path / "flags"
    shutil.copy(images[command], own)
    flags.mkdir()
    more = ONLY if command == "apply" else ()
    words = [command, f"uml:{own}", "--in-place", *more]
    with subprocess.Popen(
        [sys.executable, "-c", pausing_at("remote", "RemoteGuest"), str(ROOT), str(flags), "commit", *words],
        stdout=subprocess.DEVNULL,
    ) as process:
        end = time.monotonic() + 90
        while not (flags / "paused").exists():
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.01)
        process.kill()
    for other, extra in (("report", ()), ("inspect", ()), ("status", ()), ("apply", ONLY), ("revert", ())):
        status, document = told(other, own, *extra)
        assert (status, document["error"]["code"]) == (2, "GF-APPLY-UNFINISHED"), other  # type: ignore[index]
    status, document = told(command, own, "--in-place", *more)
    assert (status, document["recovered"]) == (0, [str(own)])
    assert document["applied" if command == "apply" else "restored"] == []
    assert repaired(own, tmp_path) is (command == "apply")
    assert sorted(os.listdir(tmp_path)) == ["flags", "own.qcow2"]
    assert told("status", own)[1]["state"] == ("applied" if command == "apply" else "none")


@pytest.mark.e2e
@pytest.mark.parametrize("words", [(), ("--in-place",), ("--output", "{}/new.qcow2")], ids=["beside", "in", "new"])
@pytest.mark.parametrize("which", (*SIGNALS, signal.SIGKILL), ids=lambda one: one.name)
@pytest.mark.parametrize("command", ["apply", "revert"])
def test_an_image_at_every_write(
    command: str, which: signal.Signals, words: tuple[str, ...], images: dict[str, Path], tmp_path: Path
) -> None:
    statuses = []
    for at in range(1, 40):
        given = [word.format(tmp_path) for word in words]
        statuses.append(signalled(command, images[command], tmp_path, which, at, *given))
        if statuses[-2:] == [0, 0]:
            break
    print(statuses)
    ended = -signal.SIGKILL if which == signal.SIGKILL else 5
    assert statuses.count(ended) > 4 and statuses[-2:] == [0, 0]
    assert set(statuses) == {0, ended} and statuses == sorted(statuses, key=lambda one: one == 0)
