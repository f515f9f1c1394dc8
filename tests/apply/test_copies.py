"""The copies that --journal-copy keeps, on a host disk that is full: a small tmpfs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from guestfix.apply.apply import apply_plan
from guestfix.apply.copies import copy_journal, copy_originals
from guestfix.apply.undo import revert
from guestfix.backends.directory import DirectoryGuest
from guestfix.base.errors import ApplyError, Blocked
from tests.build.plans import every_kind, make_guest, plan_for, tree

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small tmpfs")
SIZE = 4 << 20


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_guest(tmp_path / "guest")
    return tmp_path / "guest"


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """Give a folder with room for 4 MiB: the originals take two, and a little."""
    place = tmp_path / "small"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "none", place], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"a tmpfs can't be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def leave(place: Path, room: int) -> None:
    """Fill a folder until so many bytes are left."""
    found = os.statvfs(place)
    (place / "filler").write_bytes(bytes(found.f_bavail * found.f_frsize - room))


def originals(folder: Path) -> dict[str, bytes]:
    return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


@pytest.mark.parametrize("room", [0, 4096, 1 << 20])
def test_no_room_for_the_originals(room: int, root: Path, small: Path) -> None:
    """For the plan, for a small file, for half of a large one: nothing stands half written, and the guest as it was."""
    guest, before = DirectoryGuest(str(root)), tree(root)
    plan = plan_for(guest, every_kind)
    leave(small, room)
    with pytest.raises(Blocked) as caught:
        copy_originals(guest, plan, str(small / "kept"))
    assert "No space left on device" in caught.value.what and caught.value.where.startswith(f"{small / 'kept'}: /")
    assert "room" in caught.value.remedy
    assert tree(root) == before
    for name, data in originals(small / "kept").items():
        assert name == "plan.json" or data == (root / name.removeprefix("originals/")).read_bytes()
    (small / "filler").unlink()
    copy_originals(guest, plan, str(small / "kept"))
    kept = originals(small / "kept")
    assert kept.pop("plan.json") and kept == {
        f"originals{one.path}": (root / one.path[1:]).read_bytes()
        for one in plan.changes
        if one.kind in ("edit", "delete")
    }


def test_no_room_for_the_journal(root: Path, small: Path) -> None:
    """The plan is applied by then: it stays so, is told, and can be undone."""
    guest, before = DirectoryGuest(str(root)), tree(root)
    plan = plan_for(guest, every_kind)
    copy_originals(guest, plan, str(small / "kept"))
    kept = originals(small / "kept")
    receipt = apply_plan(guest, plan)
    leave(small, 0)
    with pytest.raises(ApplyError) as caught:
        copy_journal(guest, receipt.journal, str(small / "kept"))
    assert "the plan was applied" in caught.value.what and "No space left on device" in caught.value.what
    assert not caught.value.restored and receipt.journal and receipt.journal in caught.value.remedy
    assert originals(small / "kept") == kept, "no part of a journal"
    revert(guest)
    assert tree(root) == before


def test_a_copy_of_before_outlives_one_that_has_no_room(root: Path, small: Path) -> None:
    guest = DirectoryGuest(str(root))
    plan = plan_for(guest, every_kind)
    copy_originals(guest, plan, str(small / "kept"))
    kept = originals(small / "kept")
    (root / "etc/fstab").write_bytes(b"# longer\n" * 1000)
    plan = plan_for(guest, every_kind)
    leave(small, 4096)
    with pytest.raises(Blocked):
        copy_originals(guest, plan, str(small / "kept"))
    assert originals(small / "kept") == kept
