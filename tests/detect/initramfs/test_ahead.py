"""Images that are read at once are what they are one by one, and a guest is only ever read by one thread."""

from __future__ import annotations

import io
import os
import threading
import time

import pytest

from guestfix.backends.directory import DirectoryGuest
from guestfix.base.errors import Unreadable
from guestfix.detect.initramfs import ahead, find
from guestfix.formats.initramfs.compress import compress
from tests.build.failing import Failing
from tests.build.initramfs import archive, inside
from tests.build.tree import build


class Guarded(io.BytesIO):
    """A file whose reading takes a moment, in which nobody else may read any of them."""

    busy = threading.Lock()

    def read(self, size=-1):
        assert self.busy.acquire(blocking=False), "two threads read the guest"
        time.sleep(0.001)
        try:
            return super().read(size)
        finally:
            self.busy.release()


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one processor here: nothing is done at once")
def test_work_is_done_at_once_and_reading_one_by_one():
    seen, together = {}, threading.Barrier(2, timeout=20)

    def work(name, stream):
        if name in (0, 1):
            together.wait()
        seen[name] = stream.read(2) + stream.read(1) + bytes([stream.seek(0)])

    ahead.each(range(9), lambda name: Guarded(bytes([name] * 3)), work)
    assert seen == {name: bytes([name] * 3 + [0]) for name in range(9)}


def test_what_cannot_be_opened_or_read_is_left_to_whoever_needs_it():
    seen = []

    def open_one(name):
        if name == "gone":
            raise Unreadable("gone", where=name)
        return io.BytesIO()

    def work(name, _stream):
        if name == "bad":
            raise Unreadable("bad", where=name)
        seen.append(name)

    ahead.each(["a", "gone", "bad", "b"], open_one, work)
    assert sorted(seen) == ["a", "b"]


def test_an_error_of_ours_ends_the_work():
    def work(_name, _stream):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ahead.each([1], lambda _: io.BytesIO(), work)


def test_images_are_the_same_as_one_by_one(tmp_path, monkeypatch):
    monkeypatch.setattr(find, "AT_ONCE", 0)
    kinds = ("gzip", "xz", "zstd", "lz4", "none")
    files = {
        f"boot/initrd.img-6.1.{number}": compress(kind, archive({**inside(("sd_mod",)), "etc/number": str(number)}))
        for number, kind in enumerate(kinds)
    }
    files["boot/initrd.img-broken"] = files["boot/initrd.img-6.1.0"][:-40]
    build(tmp_path, files)
    paths = ["/" + name for name in files] + ["/boot/absent"]
    found = [find.Boot("x", "", (path,)) for path in paths]
    one, other = DirectoryGuest(str(tmp_path)), DirectoryGuest(str(tmp_path))
    find.scan_ahead(other, found)
    kept = find._scans[other]
    assert sorted(path for path, _, _ in kept) == sorted(paths[:-1])
    for path in paths[:-1]:
        alone, before = find.scan_image(one, path), find.scan_image(other, path)
        assert (alone.entries, alone.files, alone.segments) == (before.entries, before.files, before.segments)
        assert str(alone.problem) == str(before.problem)


@pytest.mark.parametrize("at_once", [0, find.AT_ONCE])
def test_any_single_look_up_may_fail(tmp_path, monkeypatch, at_once):
    monkeypatch.setattr(find, "AT_ONCE", at_once)
    build(tmp_path, {f"boot/initrd.img-{number}": compress("gzip", archive(inside(("sd_mod",)))) for number in "12"})
    found = [find.Boot("x", "", (f"/boot/initrd.img-{number}",)) for number in "12"]
    number, last = 1, 6
    while number <= last:
        guest = Failing(str(tmp_path))
        guest.fails_at = number
        find.scan_ahead(guest, found)
        number, last = number + 1, max(last, guest.calls)
        guest.fails_at = 0
        assert all(find.scan_image(guest, path).entries for one in found for path in one.paths)
