"""The process dies at the n-th write, for every n, in apply and in revert; revert then restores everything."""

import pytest

from guestfix.apply.apply import apply_plan
from guestfix.apply.undo import revert
from guestfix.backends.directory import DirectoryGuest
from guestfix.base.errors import Blocked
from guestfix.base.guest import Meta
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
                path, chunks, _ = args
                data = b"".join(chunks)
                DirectoryGuest.put(self, path, [data[: len(data) // 2]], Meta(0o600))  # the mode comes last
            if self.writes >= number:
                raise Died
            return getattr(DirectoryGuest, name)(self, *args)

        return method

    for name in WRITES:
        setattr(Dying, name, wrap(name))
    return Dying(str(root))


@pytest.mark.parametrize("torn", [False, True], ids=["clean", "torn"])
def test_apply_dies_at_every_write(tmp_path, torn):
    root = tmp_path / "guest"
    make_guest(root)
    before = tree(root)
    plan = plan_for(DirectoryGuest(str(root)), every_kind)
    number = 0
    while True:
        number += 1
        try:
            apply_plan(dying(root, number, torn=torn), plan)
        except Died:
            revert(DirectoryGuest(str(root)))
            assert tree(root) == before, f"death at write {number}"
            continue
        break
    assert number > 20
    revert(DirectoryGuest(str(root)))
    assert tree(root) == before


def test_revert_dies_at_every_write_and_is_run_again(tmp_path):
    """Only the very last write can't be made up for: the times of the folder that the journal's was in."""
    root = tmp_path / "guest"
    make_guest(root)
    plan = plan_for(DirectoryGuest(str(root)), every_kind)
    number, deaths, late = 0, 0, []
    while True:
        number += 1
        before = tree(root)
        apply_plan(DirectoryGuest(str(root)), plan)
        try:
            revert(dying(root, number))
        except Died:
            deaths += 1
            revert(DirectoryGuest(str(root)))
            after = tree(root)
            differing = {name for name in {*before, *after} if before.get(name) != after.get(name)}
            assert differing <= {"var/lib"}, f"death at write {number}"
            late += [number] if differing else []
            continue
        break
    assert tree(root) == before
    assert deaths > 12
    assert late == [number - 1]


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
