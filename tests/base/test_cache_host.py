"""The cache folder on hosts that a test machine is not: a full disk, folders of others, a home that is read-only."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

import pytest
from pyfakefs.fake_filesystem import FakeFilesystem
from pyfakefs.helpers import set_uid

from guestfix.base import cache

HOME = "/home/user/.cache"
FOLDER = f"{HOME}/guestfix"


@pytest.fixture(autouse=True)
def home(fs: FakeFilesystem, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeFilesystem]:
    """An ordinary user of a host whose disk holds a megabyte."""
    monkeypatch.setenv("XDG_CACHE_HOME", HOME)
    fs.create_dir("/home")
    fs.create_dir("/home/user", 0o700)
    os.chown("/home/user", 1000, 1000)
    fs.set_disk_usage(1 << 20)
    set_uid(1000)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    yield fs
    set_uid(0)


def test_a_first_run_makes_the_folder_for_this_user_alone() -> None:
    cache.write("a", [1])
    assert cache.read("a") == [1] and os.listdir(FOLDER) == ["a.json"]
    assert stat.S_IMODE(os.stat(FOLDER).st_mode) == 0o700


def test_a_full_disk_is_no_reason_to_fail_and_keeps_what_was_there(home: FakeFilesystem) -> None:
    cache.write("a", "old")
    cache.write("b", "x" * (2 << 20))
    assert cache.read("b") is None and cache.read("a") == "old"
    home.set_disk_usage(8 << 20)
    cache.write("b", "x" * (2 << 20))
    assert cache.read("b") == "x" * (2 << 20)
    assert sorted(name for name in os.listdir(FOLDER) if name.endswith(".json")) == ["a.json", "b.json"]


def test_a_read_only_home_is_no_reason_to_fail() -> None:
    os.chmod("/home/user", 0o500)
    cache.write("a", 1)
    assert cache.read("a") is None and not os.path.exists(HOME)


@pytest.mark.parametrize("what", ["folder", "file"])
def test_what_belongs_to_another_user_is_not_read(what: str, home: FakeFilesystem) -> None:
    cache.write("a", 1)
    set_uid(0)
    os.chown(FOLDER if what == "folder" else f"{FOLDER}/a.json", 2000, 2000)
    set_uid(1000)
    assert cache.read("a") is None


def test_a_folder_that_others_may_write_to_is_not_read_until_it_is_tightened() -> None:
    cache.write("a", 2)
    os.chmod(FOLDER, 0o777)
    assert cache.read("a") is None
    cache.write("b", 3)
    assert cache.read("a") == 2 and cache.read("b") == 3 and stat.S_IMODE(os.stat(FOLDER).st_mode) == 0o700


def test_links_are_not_followed(home: FakeFilesystem) -> None:
    cache.write("a", 1)
    os.rename(f"{FOLDER}/a.json", "/home/user/elsewhere")
    os.symlink("/home/user/elsewhere", f"{FOLDER}/a.json")
    assert cache.read("a") is None
    os.rename(FOLDER, "/home/user/moved")
    os.symlink("/home/user/moved", FOLDER)
    cache.write("b", 1)
    assert cache.read("b") is None and not os.path.exists("/home/user/moved/b.json")


def test_only_an_absolute_folder_is_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", "/home/user")
    cache.write("a", 1)
    assert os.path.exists(f"{FOLDER}/a.json") and not os.path.exists("relative")
