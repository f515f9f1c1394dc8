"""Changing images in place: all of them or none, whatever cuts it off, and the next run finishes it or lets it be."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from guestfix.backends.disks import commit as committing
from guestfix.backends.disks.commit import RECORD, commit, finish, open_to_write, unfinished
from guestfix.backends.disks.hostfiles import HostFiles
from guestfix.backends.disks.inuse import changing, in_use
from guestfix.backends.disks.ova import open_images
from guestfix.backends.disks.overlaydisk import HalfWritten, Overlays
from guestfix.backends.runfolder import clear_stale
from guestfix.backends.volumes.block import DiskError
from guestfix.base.errors import Blocked
from tests.build.images import MIB, have, run

pytestmark = pytest.mark.skipif(not have("qemu-img", "qemu-io"), reason="qemu-utils is not installed")
ROOT = Path(__file__).resolve().parents[3]
FORMATS = ("raw", "qcow2")


def images(folder: Path, *formats: str, size: int = 4 * MIB) -> list[str]:
    found = []
    for index, fmt in enumerate(formats):
        place = folder / f"disk{index}.{fmt}"
        run("qemu-img", "create", "-q", "-f", fmt, place, size)
        run("qemu-io", "-f", fmt, "-c", "write -P 77 512k 768k", place)
        found.append(str(place))
    return found


def overlays(paths: list[str], length: str = "64k") -> Overlays:
    made = Overlays(open_images(paths), export="")
    for index, disk in enumerate(made.disks):
        run("qemu-io", "-f", "qcow2", "-c", f"write -P {index + 1} 1M {length}", "-c", "write -z 512k 64k", disk.file)
    return made


def content(path: str) -> bytes:
    host = HostFiles()
    try:
        block = open_images([path], host, halves=True)[0].block
        block.seek(0)
        return bytes(block.read(4 * MIB))
    finally:
        host.close()


def planned(index: int, length: int = 65536) -> bytes:
    found = bytearray(4 * MIB)
    found[512 << 10 : 1280 << 10] = b"\x4d" * (768 << 10)
    found[512 << 10 : 576 << 10] = bytes(64 << 10)
    found[MIB : MIB + length] = bytes([index + 1]) * length
    return bytes(found)


def test_it_writes_into_every_image_and_leaves_nothing(tmp_path: Path) -> None:
    paths = images(tmp_path, "raw", "qcow2", "vmdk", "vdi")
    made = overlays(paths)
    assert commit(made.disks) == paths
    made.close()
    assert [content(path) == planned(index) for index, path in enumerate(paths)] == [True] * 4
    assert sorted(os.listdir(tmp_path)) == [os.path.basename(path) for path in paths]
    assert not os.path.exists(made.folder)


def opened_to_write(paths: list[str], allow: tuple[str, ...] = ()) -> list[str]:
    """Open the images as who changes them in place; return those whose commit was finished first."""
    host = HostFiles(allow)
    try:
        opened, done = open_to_write(paths, host, in_place=True)
        assert [one.path for one in opened] == paths
        return list(done)
    finally:
        host.close()


def second_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = committing.qemu_img, []

    def fails(*args: str, **held: object) -> None:
        calls.append(args[0])
        if calls.count("commit") == 2:
            raise DiskError("qemu-img commit: No space left on device")
        real(*args, **held)

    monkeypatch.setattr(committing, "qemu_img", fails)


def cut_off(paths: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the images as a commit does that fails at the second one."""
    made = overlays(paths)
    with monkeypatch.context() as patch:
        second_fails(patch)
        with pytest.raises(HalfWritten, match=r"changes of all disks are kept in .*disk0\.guestfix\.commit") as caught:
            commit(made.disks)
    assert "run the same again" in caught.value.remedy
    made.close()


def test_the_next_run_finishes_what_failed_half_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = images(tmp_path, *FORMATS)
    cut_off(paths, monkeypatch)
    for some in (paths, paths[:1], paths[1:]):  # whichever of them is looked at
        with pytest.raises(Blocked, match="half written") as caught:
            open_images(some)
        assert caught.value.code == "GF-APPLY-UNFINISHED" and caught.value.where == f"{tmp_path}/disk0.guestfix.commit"
    for some, lacks in ((paths[:1], paths[1]), (paths[1:], paths[0])):
        with pytest.raises(DiskError, match=f"is of {lacks} too"):
            opened_to_write(some)
    assert opened_to_write(paths[::-1]) == paths
    assert [content(path) == planned(index) for index, path in enumerate(paths)] == [True, True]
    assert sorted(os.listdir(tmp_path)) == ["disk0.raw", "disk1.qcow2"]
    assert opened_to_write(paths) == []


def test_an_image_by_another_name_is_found_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "here").mkdir()
    (real,) = images(tmp_path / "store", "raw")
    link = tmp_path / "here/link.raw"
    link.symlink_to(real)
    made = overlays([str(link)])
    with monkeypatch.context() as patch:
        patch.setattr(committing, "_write", lambda *args: (_ for _ in ()).throw(DiskError("no")))
        with pytest.raises(HalfWritten):
            commit(made.disks)
    made.close()
    for name in (str(link), real):
        with pytest.raises(Blocked, match="half written"):
            open_images([name])
    assert opened_to_write([real]) == [real] and content(real) == planned(0)
    assert os.listdir(tmp_path / "store") == ["disk0.raw"] and os.listdir(tmp_path / "here") == ["link.raw"]


def test_an_image_that_was_copied_again_is_not_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = images(tmp_path, *FORMATS)
    cut_off(paths, monkeypatch)
    run("qemu-io", "-f", "qcow2", "-c", "write -P 9 1M 4k", paths[1])
    before = [Path(path).read_bytes() for path in paths]
    with pytest.raises(DiskError, match="was changed since its commit was cut off") as caught:
        opened_to_write(paths)
    assert f"remove {tmp_path}/disk0.guestfix.commit" in caught.value.remedy
    assert [Path(path).read_bytes() for path in paths] == before
    shutil.rmtree(tmp_path / "disk0.guestfix.commit")
    assert not unfinished(open_images(paths))  # the link that is left leads nowhere
    made = overlays(paths)
    assert commit(made.disks) == paths
    made.close()
    assert sorted(os.listdir(tmp_path)) == ["disk0.raw", "disk1.qcow2"]


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("loose", "others may have written"),
        ("no json", "can't be read"),
        ("another schema", "can't be read"),
        ("nothing named", "can't be read"),
        ("another file", "is of /etc/hostname too"),
        ("an overlay over a secret", "names other files"),
    ],
)
def test_what_a_stranger_put_there(how: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = images(tmp_path, *FORMATS)
    cut_off(paths, monkeypatch)
    kept = tmp_path / "disk0.guestfix.commit"
    record = json.loads((kept / RECORD).read_text())
    if how == "loose":
        kept.chmod(0o777)
    elif how == "an overlay over a secret":
        (kept / "secret").write_bytes(bytes(4 * MIB))
        words = ("-f", "qcow2", "-F", "raw", "-b", kept / "secret")
        run("qemu-img", "create", "-q", *words, kept / "0.qcow2", 4 * MIB)
    else:
        told = {"no json": None, "another schema": {**record, "schema": 9}, "nothing named": {**record, "images": []}}
        told["another file"] = {**record, "images": ["/etc/hostname"]}
        (kept / RECORD).write_text(json.dumps(told[how]) if told[how] else "{")
    before = [Path(path).read_bytes() for path in paths]
    with pytest.raises(DiskError, match=said):
        opened_to_write(paths, (str(tmp_path),))
    assert [Path(path).read_bytes() for path in paths] == before


DRIVER = """
import os, shutil, signal, sys, threading
sys.path.insert(0, sys.argv[1])
from guestfix.backends.disks import commit, ova, overlaydisk
at, count, after = int(sys.argv[2]), 0, float(sys.argv[3])
def step():
    global count
    count += 1
    if count == at:
        os.kill(os.getpid(), signal.SIGKILL)
def wrap(home, name):
    plain = getattr(home, name)
    def call(*args, **words):
        step()
        found = plain(*args, **words)
        step()
        return found
    setattr(home, name, call)
made = overlaydisk.Overlays(ova.open_images(sys.argv[5:]), export="")
for index, disk in enumerate(made.disks):
    more = ["-c", "write -z 512k 64k"]
    overlaydisk.subprocess.run(
        ["qemu-io", "-f", "qcow2", "-c", f"write -P {index + 1} 1M {sys.argv[4]}", *more, disk.file],
        check=True, capture_output=True)
for home, names in (
    (os, ("rename", "symlink", "unlink", "fsync", "rmdir")), (shutil, ("move", "rmtree")),
    (commit, ("qemu_img", "_keep")),
):
    for name in names:
        wrap(home, name)
if after:
    threading.Timer(after, lambda: os.kill(os.getpid(), signal.SIGKILL)).start()
commit.commit(made.disks)
print(count)
os._exit(0)
"""


def killed(tmp_path: Path, paths: list[str], at: int, after: float = 0, length: str = "64k") -> str:
    """Commit with a SIGKILL at the n-th step; return what the program said where it came to its end."""
    tmp = tmp_path / "tmp"
    tmp.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, str(ROOT), str(at), str(after), length, *paths],
        capture_output=True, text=True, check=False, env={**os.environ, "TMPDIR": str(tmp)},
    )  # fmt: skip
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    end = time.monotonic() + 10
    while (os.listdir(tmp) or any(map(is_held, paths))) and time.monotonic() < end:
        time.sleep(0.02)
    return done.stdout


def is_held(path: str) -> bool:
    """Tell whether the image is still locked: what guestfix started ends with it, but a write that it is in first."""
    with open(path, "rb") as stream:
        return changing(stream.fileno()) or in_use(stream.fileno())


@pytest.mark.parametrize("formats", [("raw",), FORMATS], ids=["one", "two"])
def test_a_kill_at_every_step(formats: tuple[str, ...], tmp_path: Path) -> None:
    """The images are as they were, or a run finishes them; in the end nothing is left beside them."""
    outcomes, names = [], [f"disk{index}.{fmt}" for index, fmt in enumerate(formats)]
    for at in range(1, 200):
        for name in names:
            (tmp_path / name).unlink(missing_ok=True)
        paths = images(tmp_path, *formats)
        before = [content(path) for path in paths]
        said = killed(tmp_path, paths, at)
        finished = opened_to_write(paths)
        now = [content(path) for path in paths]
        assert now in (before, [planned(index) for index in range(len(paths))]), at
        assert not finished or now != before
        outcomes.append("finished" if finished else "done" if now != before else "before")
        shutil.rmtree(tmp_path / "tmp")
        assert sorted(os.listdir(tmp_path)) == names, at
        if said:
            break
    assert said and set(outcomes) == {"before", "finished", "done"}
    order = ["before", "finished", "done"]
    assert outcomes == sorted(outcomes, key=order.index)


def test_a_kill_in_the_middle_of_writing(tmp_path: Path) -> None:
    """qemu-img dies with guestfix, in the middle of a write: what is half written is told from what was changed."""
    seen = set()
    for moment in (0.0, 0.005, 0.01, 0.02, 0.03, 0.05, *(random.Random().uniform(0.001, 0.08) for _ in range(6))):
        for name in os.listdir(tmp_path):
            place = tmp_path / name
            shutil.rmtree(place) if place.is_dir() and not place.is_symlink() else place.unlink()
        paths = images(tmp_path, "raw", size=260 * MIB)
        killed(tmp_path, paths, 10_000, moment + 0.3, "256M")
        finished = opened_to_write(paths)
        seen.add(bool(finished))
        with open(paths[0], "rb") as stream:
            stream.seek(MIB)
            now = {stream.read(MIB)[:1] for _ in range(256)}
        assert now in ({b"\1"}, {b"\x4d", b"\0"}), moment
        assert not finished or now == {b"\1"}
    assert seen


def test_where_the_keeper_was_killed_too_the_next_run_clears_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what was not begun a hidden folder is left, which the run's own list names."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "tmp").mkdir()
    paths = images(tmp_path, "raw")
    made = overlays(paths)

    def die(*args: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(committing, "_sync", die)
        patch.setattr(shutil, "rmtree", lambda *args, **words: None)
        with pytest.raises(SystemExit):
            commit(made.disks)
    assert len(list(tmp_path.glob(".*.part"))) == 1
    made.close()
    clear_stale()
    assert not unfinished(open_images(paths)) and content(paths[0]) != planned(0)


def test_nothing_is_finished_where_nothing_was_cut_off(tmp_path: Path) -> None:
    assert finish(open_images(images(tmp_path, *FORMATS))) == ()
