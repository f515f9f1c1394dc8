"""A guest on another machine: what was listed once stays true whatever is written since, and is asked for just once."""

import contextlib
import os
import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guestfix.backends.directory import DirectoryGuest
from guestfix.backends.remote import RemoteGuest
from guestfix.base.errors import GuestError
from guestfix.base.guest import Disks, Meta
from tests.build.tree import build

META = Meta(mode=0o644)


class Near:
    """A far side that is a folder here; it counts what it is asked."""

    def __init__(self, root):
        self.guest = DirectoryGuest(str(root))
        self.asked = []

    def lstat(self, path):
        self.asked.append(("lstat", path))
        return self.guest.stat(path, follow=False)

    def scan(self, path):
        self.asked.append(("scan", path))
        found = self.guest.stat(path, follow=False)
        if found is None or found.kind != "dir":
            return None
        rows = {}
        for name in self.guest.list(path):
            below = f"{path.rstrip('/')}/{name}"
            stat = self.guest.stat(below, follow=False)
            rows[name] = (stat, self.guest.readlink(below) if stat.kind == "symlink" else None)
        return rows

    def fetch(self, path, to):
        with self.guest.open(path) as source, open(to, "xb") as target:
            shutil.copyfileobj(source, target)

    def xattrs(self, path):
        return ()

    def space(self, path):
        return None

    def put(self, path, source, meta):
        with open(source, "rb") as stream:
            self.guest.put(path, [stream.read()], meta)

    def __getattr__(self, name):
        return getattr(self.guest, name)


@pytest.fixture
def made(tmp_path):
    build(tmp_path / "g", {"etc/one": "1", "etc/two": "2", "etc/sub/three": "3", "etc/link": "->one", "boot/k": "k"})
    (tmp_path / "x").mkdir()
    return tmp_path


def opened(place):
    near = Near(place / "g")
    return near, RemoteGuest("near:", near, str(place / "x"), Disks())


def said(guest, path):
    def tried(ask):
        try:
            return ask()
        except (GuestError, OSError) as error:
            return type(error)

    def shape(follow):
        found = guest.stat(path, follow=follow)
        return found and (found.kind, found.mode, found.nlink, found.size if found.kind != "dir" else 0)

    asks = [lambda: shape(True), lambda: shape(False), lambda: guest.list(path), lambda: guest.read(path)]
    return [tried(one) for one in (*asks, lambda: guest.readlink(path), lambda: guest.realpath(path))]


FOLDERS = ("/etc", "/etc/sub", "/etc/new", "/boot")
PATHS = [*FOLDERS, *(f"{folder}/{name}" for folder in FOLDERS for name in ("one", "two", "link", "k"))]
path = st.sampled_from(PATHS)
steps = st.one_of(
    st.tuples(st.just("put"), path, st.binary(max_size=3)),
    st.tuples(st.just("put_symlink"), path, st.sampled_from(["one", "/boot/k", "sub", "nothing"])),
    st.tuples(st.just("mkdir"), path, st.just("")),
    st.tuples(st.just("drop"), path, st.just("")),
    st.tuples(st.just("rename"), path, path),
    st.tuples(st.just("keep"), path, path),
    st.tuples(st.just("set_times"), path, st.just("")),
)


def do(guest, step):
    name, where, what = step
    more = {"put": ([what], META), "put_symlink": (what, META), "mkdir": (META,), "drop": (), "set_times": (1, 2)}
    with contextlib.suppress(OSError, GuestError):
        getattr(guest, name)(where, *more.get(name, (what,)))


@settings(max_examples=120, deadline=None)
@given(st.lists(steps, max_size=6))
def test_after_any_writing_it_says_what_is_there(tmp_path_factory, todo):
    place = tmp_path_factory.mktemp("r")
    build(place / "g", {"etc/one": "1", "etc/two": "2", "etc/sub/two": "3", "etc/link": "->one", "boot/k": "k"})
    (place / "x").mkdir()
    _, guest = opened(place)
    assert [said(guest, one) for one in PATHS] == [said(DirectoryGuest(str(place / "g")), one) for one in PATHS]
    for step in todo:
        do(guest, step)
        fresh = DirectoryGuest(str(place / "g"))
        for one in PATHS:
            assert said(guest, one) == said(fresh, one), (step, one)


def test_writing_into_a_folder_has_it_listed_no_second_time(made):
    near, guest = opened(made)
    for folder in ("/", "/etc", "/etc/sub", "/boot"):
        guest.list(folder)
    near.asked.clear()
    guest.put("/etc/.one.new", [b"new"], META)
    guest.keep("/etc/one", "/etc/.one.orig")
    guest.rename("/etc/.one.new", "/etc/one")
    assert guest.read("/etc/one") == b"new" and guest.read("/etc/.one.orig") == b"1"
    assert guest.list("/etc") == (".one.orig", "link", "one", "sub", "two")
    guest.drop("/etc/.one.orig")
    assert guest.stat("/etc/.one.orig") is None and guest.stat("/etc/sub/three").size == 1
    assert not [one for one in near.asked if one[0] == "scan"]
    assert {one[1].rpartition("/")[0] for one in near.asked} <= {"/etc", ""}


def test_a_folder_that_was_moved_is_looked_at_anew(made):
    _, guest = opened(made)
    assert guest.read("/etc/sub/three") == b"3"
    guest.rename("/etc/sub", "/etc/other")
    assert guest.list("/etc/other") == ("three",) and guest.list("/etc/sub") == ()
    assert os.listdir(made / "g/etc/other") == ["three"]
