"""Sessions: all is closed however they end, they can be stopped, and many in a process take no more than one."""

from __future__ import annotations

import gc
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import guestfix
from guestfix.backends.image import open_image
from guestfix.backends.status import usable
from tests.build.images import MIB, PartSpec, convert, debian, disk, filesystem, have
from tests.build.plans import tree
from tests.build.tree import build, elf

FSTAB = "/dev/sda1 / ext4 defaults 0 1\n//nas/share /mnt cifs defaults 0 0\n"
ONLY = guestfix.Options(only=("fstab/*",), accept=("*",))

needs_tools = pytest.mark.skipif(not have("mke2fs", "sfdisk", "qemu-img"), reason="e2fsprogs or qemu-utils is missing")
needs_uml = pytest.mark.skipif(not usable("uml"), reason="User-mode Linux is not installed")


@pytest.fixture(autouse=True)
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """See that no folder of a run is left."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return build(tmp_path / "g", {"etc/os-release": "ID=debian\nVERSION_ID=12\n", "etc/fstab": FSTAB, "bin/sh": elf()})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("image")
    content = filesystem("ext4", work / "fs", 32 * MIB, debian(work / "root", FSTAB, extra=False))
    return convert(disk(work / "disk.raw", [PartSpec(content)]), "qcow2")


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def children() -> list[str]:
    found = []
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stream:
                fields = stream.read().rpartition(")")[2].split()
        except OSError:
            continue
        found += [pid] if int(fields[1]) == os.getpid() and fields[0] != "Z" else []
    return found


def leaves_nothing(work: Callable[[], object], tmp_path: Path) -> None:
    """Do the work; then no descriptor, child process or folder of it is there, without a garbage collection."""
    work()
    gc.collect()
    gc.disable()
    try:
        before, others = descriptors(), children()
        work()
        assert descriptors() == before
    finally:
        gc.enable()
    assert children() == others
    assert [name for name in os.listdir(tmp_path / "tmp") if name.startswith("guestfix-")] == []


def test_a_folder_from_report_to_revert(folder: Path, tmp_path: Path) -> None:
    before, events = tree(folder), []

    def work() -> None:
        with guestfix.session(folder, progress=events.append) as session:
            plan = session.report("aws-nitro", ONLY)
            assert session.inspect("aws-nitro").target == "aws-nitro"
            receipt = session.apply(plan)
            assert receipt.applied == ("/etc/fstab",) and session.status().still_applied == ("/etc/fstab",)
            assert session.revert().restored == ("/etc/fstab",)
            assert session.save(in_place=True).saved.files == (str(folder),)
            with pytest.raises(guestfix.UsageError, match="saved"):
                session.report()

    leaves_nothing(work, tmp_path)
    assert tree(folder) == before
    assert {"read", "plan", "write"} <= {one.stage for one in events} and all(
        isinstance(e, guestfix.Event) for e in events
    )


@needs_tools
def test_reports_of_images_leave_no_descriptor(made: Path, tmp_path: Path) -> None:
    def work() -> None:
        with guestfix.session(made) as session:
            session.report("aws-nitro", ONLY)

    leaves_nothing(work, tmp_path)

    def without_a_session() -> None:
        guest = guestfix.open_guest(str(made))
        guestfix.make_plan(guest, guestfix.load_pack(), "aws-nitro", ONLY)

    leaves_nothing(without_a_session, tmp_path)


def test_what_can_not_be_opened_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "disk.qcow2").write_bytes(b"QFI\xfb" + bytes(1000))

    def work() -> None:
        with guestfix.session(tmp_path / "disk.qcow2") as session, pytest.raises(guestfix.GuestfixError):
            session.report()

    leaves_nothing(work, tmp_path)


@needs_tools
@needs_uml
def test_an_image_to_the_end_and_by_every_way_out(made: Path, tmp_path: Path) -> None:
    before = made.read_bytes()
    out = tmp_path / "out.qcow2"

    def whole() -> None:
        with guestfix.session(made) as session:
            session.apply(session.report("aws-nitro", ONLY))
            outcome = session.save(output=str(out))
        assert [one.clean for one in outcome.checks] == [True]
        assert b"UUID=" in open_image([str(out)]).read("/etc/fstab")
        out.unlink()

    def raises() -> None:
        with pytest.raises(ZeroDivisionError), guestfix.session(made) as session:
            session.apply(session.report("aws-nitro", ONLY))
            raise ZeroDivisionError

    def cancelled() -> None:
        with guestfix.session(made) as session:
            plan = session.report("aws-nitro", ONLY)
            timer = threading.Timer(0.3, session.cancel)
            timer.start()
            begin = time.monotonic()
            with pytest.raises(guestfix.Stopped) as caught:
                while True:
                    session.apply(plan)
            assert caught.value.by == "cancel" and time.monotonic() - begin < 20
            timer.join()
            with pytest.raises(guestfix.Stopped):
                session.save(output=str(out))

    def too_late() -> None:
        with guestfix.session(made, timeout=0.2) as session, pytest.raises(guestfix.Stopped) as caught:
            session.apply(session.report("aws-nitro", ONLY))
            session.save(output=str(out))
        assert caught.value.by == "timeout"

    for work in (whole, raises, cancelled, too_late):
        leaves_nothing(work, tmp_path)
        assert not out.exists() and made.read_bytes() == before


@needs_tools
@needs_uml
def test_the_old_functions_refuse_images(made: Path) -> None:
    guest = guestfix.open_writable(str(made))
    try:
        plan = guestfix.make_plan(guest, guestfix.load_pack(), "aws-nitro", ONLY)
        for work in (lambda: guestfix.apply_plan(guest, plan), lambda: guestfix.revert(guest)):
            with pytest.raises(guestfix.UsageError, match="lost unless it is saved") as caught:
                work()
            assert "guestfix.session" in caught.value.remedy
    finally:
        guest.close()  # type: ignore[attr-defined]


def test_a_callback_that_raises_stops_and_is_the_cause(folder: Path) -> None:
    before = tree(folder)

    def progress(event: guestfix.Event) -> None:
        if event.stage == "write":
            raise LookupError("no more")

    with guestfix.session(folder, progress=progress) as session:
        plan = session.report("aws-nitro", ONLY)
        with pytest.raises(guestfix.Stopped, match="LookupError: no more") as caught:
            session.apply(plan)
    assert caught.value.by == "callback" and isinstance(caught.value.because, LookupError)
    assert tree(folder) == before


def test_a_session_is_one_threads(folder: Path) -> None:
    inside, on = threading.Event(), threading.Event()

    def progress(event: guestfix.Event) -> None:
        inside.set()
        on.wait(10)

    with guestfix.session(folder, progress=progress) as session:
        worker = threading.Thread(target=session.report, args=("aws-nitro", ONLY))
        worker.start()
        inside.wait(10)
        with pytest.raises(guestfix.UsageError, match="another thread"):
            session.report()
        on.set()
        worker.join()
    with pytest.raises(guestfix.UsageError, match="closed"):
        session.report()


def test_the_logger_tells_it(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "guestfix"), guestfix.session(folder) as session:
        session.apply(session.report("aws-nitro", ONLY))
        with pytest.raises(guestfix.UsageError):
            session.save(output="x.qcow2")
    levels = {record.levelname for record in caplog.records}
    assert {"INFO", "DEBUG", "ERROR"} <= levels and any("Writing" in one for one in caplog.messages)


def soak(folder: Path, image: Path | None, count: int) -> None:
    """Run sessions over guests that all differ; neither memory nor descriptors grow once the caches are full."""
    pack = guestfix.load_pack()

    def one(number: int) -> None:
        (folder / "etc/fstab").write_text(f"{FSTAB}//nas{number}/s{number} /m{number} cifs defaults 0 0\n")
        (folder / "etc/hostname").write_text(f"host{number}\n")
        with guestfix.session(folder, pack=pack) as session:
            session.apply(session.report("aws-nitro", ONLY))
            session.revert()
        if image is not None:
            with guestfix.session(image, pack=pack) as session:
                session.report("aws-nitro", ONLY)

    for number in range(count // 2):
        one(number)
    gc.collect()
    memory, files = resident(), descriptors()
    for number in range(count // 2, count):
        one(number)
        assert descriptors() <= files, number
    gc.collect()
    assert resident() - memory < 2048, "KB in half of the sessions"


def resident() -> int:
    """Return the kilobytes of memory that this process has now."""
    with open("/proc/self/statm", encoding="ascii") as stream:
        return int(stream.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def test_a_hundred_sessions_take_no_more_than_fifty(folder: Path, made: Path) -> None:
    soak(folder, made, 100)


@pytest.mark.e2e
def test_a_thousand_sessions(folder: Path, made: Path) -> None:
    soak(folder, made, 1000)
