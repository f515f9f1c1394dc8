"""Places that are known to lead nowhere are told as a walk would."""

import os

import pytest

from guestfix.backends.beneath import Beneath
from guestfix.base.errors import GuestError

NAMES = ("a", "file", "dangling", "loop", "up", "in", "none", "..", ".")


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "a/in").mkdir(parents=True)
    (tmp_path / "file").write_text("")
    for name, target in (("dangling", "a/none/x"), ("loop", "loop"), ("up", "../../a"), ("a/in/none", "/a/in")):
        os.symlink(target, tmp_path / name)
    beneath = Beneath(str(tmp_path))
    yield beneath
    beneath.close()


def said(look, path):
    try:
        place = look(path)
    except GuestError as error:
        return type(error)
    return place.name, place.real, place.folder is None


def test_a_place_is_that_of_a_walk_also_the_second_time(tree):
    paths = [f"/{one}/{two}/{three}" for one in NAMES for two in NAMES for three in NAMES]
    for _ in range(2):
        for path in paths:
            assert said(tree.place, path) == said(tree._walk, path), path
    tree.forget()
    assert tree._lost == {}
