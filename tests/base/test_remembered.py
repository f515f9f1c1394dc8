"""A guest is asked once, and answers the same afterwards."""

import pytest

from guestfix.backends.directory import DirectoryGuest
from guestfix.base import remembered
from guestfix.base.digest import state_of
from guestfix.base.errors import NotFound, TooLarge
from guestfix.base.recorder import Recorder
from guestfix.base.remembered import Remembered
from tests.build.tree import build


class Counting(Recorder):
    def __init__(self, base):
        super().__init__(base)
        self.asked = []

    def __getattribute__(self, name):
        if name in ("stat", "list", "read", "open", "realpath"):
            object.__getattribute__(self, "asked").append(name)
        return object.__getattribute__(self, name)


@pytest.fixture
def both(tmp_path):
    build(tmp_path, {"etc/fstab": "one\n", "etc/hosts": "h", "link": "->etc/fstab"})
    below = Counting(DirectoryGuest(str(tmp_path)))
    return tmp_path, below, Remembered(below)


def answers(guest):
    return [
        guest.stat("/etc/hosts") is None,
        guest.stat("/gone"),
        guest.stat("/link", follow=False),
        guest.list("/etc"),
        guest.list("/none"),
        guest.read("/etc/fstab"),
        guest.open("/etc/hosts").read(),
        guest.realpath("/etc/../etc/fstab"),
        guest.uri,
        guest.case_insensitive,
    ]


def test_the_second_answer_is_the_first_and_costs_nothing(both):
    tree, below, guest = both
    first = answers(guest)
    assert first == answers(below)
    guest.read("/etc/hosts")
    (tree / "etc/fstab").write_text("another\n")
    (tree / "etc/new").write_text("")
    below.asked.clear()
    assert answers(guest) == first
    assert below.asked == []


def test_the_state_of_a_file_is_that_of_what_was_read(both):
    tree, _, guest = both
    guest.read("/etc/fstab")
    before = state_of(guest, "/etc/fstab")
    (tree / "etc/fstab").write_text("another\n")
    assert state_of(guest, "/etc/fstab") == before != state_of(Remembered(DirectoryGuest(str(tree))), "/etc/fstab")


def test_what_is_not_there_stays_away(both):
    tree, below, guest = both
    for _ in range(2):
        with pytest.raises(NotFound, match="no such file"):
            guest.read("/gone")
        (tree / "gone").write_text("")
    with pytest.raises(NotFound):
        guest.open("/gone")
    assert below.asked == ["read"]


def test_a_smaller_limit_holds_for_what_is_known(both):
    _, _, guest = both
    assert guest.read("/etc/fstab") == b"one\n"
    with pytest.raises(TooLarge):
        guest.read("/etc/fstab", 2)


def test_no_more_is_kept_than_the_bounds_say(both, monkeypatch):
    tree, below, _ = both
    monkeypatch.setattr(remembered, "MOST_ANSWERS", 2)
    monkeypatch.setattr(remembered, "MOST_BYTES", 3)
    guest = Remembered(below)
    assert answers(guest) == answers(below)
    (tree / "etc/fstab").write_text("another\n")
    assert guest.read("/etc/fstab") == b"another\n" and guest.stat("/gone") is None
    assert (len(guest._stats), guest._bytes, guest._real, guest._lists) == (2, {}, {}, {})
