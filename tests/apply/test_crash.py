"""The process dies at the n-th write, for every n, in apply and in revert; revert then restores everything."""

import pytest

from guestfix.apply.apply import apply_plan
from guestfix.apply.undo import revert
from guestfix.backends.directory import DirectoryGuest
from guestfix.base.errors import Blocked
from tests.build.plans import every_kind, make_guest, plan_for, tree

WRITES = ("put", "put_symlink", "mkdir", "rename", "keep", "drop", "set_times")


class Died(BaseException):
    """The process is gone: no handler may do anything more."""


def dying(root, number, *, torn=False):
    """Return a guest on which the n-th write and all later ones never happen; torn: a put half happens."""

    class Dying(DirectoryGuest):
        writes = 0

    def wrap(name):
        def method(self, *args):
            self.writes += 1
            if self.writes == number and torn and name == "put":
                path, chunks, meta = args
                data = b"".join(chunks)
                DirectoryGuest.put(self, path, [data[: len(data) // 2]], meta)
            if self.writes >= number:
                raise Died
            return getattr(DirectoryGuest, name)(self, *args)

        return method

    for name in WRITES:
        setattr(Dying, name, wrap(name))
    return Dying(str(root))


def settled(root):
    """Return the tree; the times of the folder above the journal are lost when death hits its making."""
    found = tree(root)
    return {name: state for name, state in found.items() if name != "var/lib"}


@pytest.mark.parametrize("torn", [False, True], ids=["clean", "torn"])
def test_apply_dies_at_every_write(tmp_path, torn):
    root = tmp_path / "guest"
    make_guest(root)
    before = settled(root)
    plan = plan_for(DirectoryGuest(str(root)), every_kind)
    number = 0
    while True:
        number += 1
        try:
            apply_plan(dying(root, number, torn=torn), plan)
        except Died:
            revert(DirectoryGuest(str(root)))
            assert settled(root) == before, f"death at write {number}"
            continue
        break
    assert number > 20
    revert(DirectoryGuest(str(root)))
    assert tree(root)["var/lib"] is not None
    assert settled(root) == before


def test_revert_dies_at_every_write_and_is_run_again(tmp_path):
    root = tmp_path / "guest"
    make_guest(root)
    before = settled(root)
    plan = plan_for(DirectoryGuest(str(root)), every_kind)
    number, deaths = 0, 0
    while True:
        number += 1
        apply_plan(DirectoryGuest(str(root)), plan)
        try:
            revert(dying(root, number))
        except Died:
            deaths += 1
            revert(DirectoryGuest(str(root)))
            assert settled(root) == before, f"death at write {number}"
            continue
        break
    assert settled(root) == before
    assert deaths > 12


def test_every_file_is_whole_at_every_moment(tmp_path):
    """At each death a changed file is the old one or the new one, never half of either or missing."""
    root = tmp_path / "guest"
    make_guest(root)
    old = (root / "etc/fstab").read_bytes()
    plan = plan_for(DirectoryGuest(str(root)), every_kind)
    number, seen = 0, set()
    while True:
        number += 1
        try:
            apply_plan(dying(root, number, torn=True), plan)
        except Died:
            seen.add((root / "etc/fstab").read_bytes())
            revert(DirectoryGuest(str(root)))
            continue
        break
    assert seen == {old, b"UUID=1 / ext4 defaults 0 1\n"}


def test_an_interrupted_apply_blocks_the_next_one(tmp_path):
    root = tmp_path / "guest"
    make_guest(root)
    plan = plan_for(DirectoryGuest(str(root)), every_kind)
    with pytest.raises(Died):
        apply_plan(dying(root, 12), plan)
    with pytest.raises(Blocked, match="interrupted") as caught:
        apply_plan(DirectoryGuest(str(root)), plan)
    assert "guestfix revert" in caught.value.remedy
    revert(DirectoryGuest(str(root)))
    apply_plan(DirectoryGuest(str(root)), plan)
