"""Two at one guest: apply, revert and report in every order, each in a process or object of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from guestfix.apply.apply import apply_plan
from guestfix.apply.undo import revert
from guestfix.backends.directory import DirectoryGuest
from guestfix.backends.guestlock import PATIENCE
from guestfix.base.errors import Blocked
from guestfix.base.guest import GuestFS
from guestfix.pack.cache import load_pack
from guestfix.plan.model import Plan
from guestfix.plan.planner import inspect_guest, make_plan
from tests.build.faults import at_write
from tests.build.plans import every_kind, make_guest, plan_for, tree

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_guest(tmp_path / "guest")
    return tmp_path / "guest"


def opened(root: Path) -> DirectoryGuest:
    return DirectoryGuest(str(root))


def codes(guest: GuestFS) -> list[str]:
    found = [one for one in inspect_guest(guest, load_pack()).findings if one.code.startswith("GF-APPLY")]
    assert all(one.evidence and one.remedy and one.severity == "blocker" for one in found)
    return [one.code for one in found]


def try_all(root: Path, plan: Plan) -> list[object]:
    """Return what apply, revert, inspect and report say of the guest now."""
    said: list[object] = []
    for work in (lambda: apply_plan(opened(root), plan), lambda: revert(opened(root))):
        try:
            work()
            said.append("done")
        except Blocked as error:
            assert str(os.getpid()) in error.what and error.remedy
            said.append(error.code)
    planned = [one.code for one in make_plan(opened(root), load_pack()).blockers if one.code.startswith("GF-APPLY")]
    return [*said, codes(opened(root)), planned]


RUNNING = ["GF-APPLY-RUNNING", "GF-APPLY-RUNNING", ["GF-APPLY-RUNNING"], ["GF-APPLY-RUNNING"]]


@pytest.mark.parametrize("at", [1, 3, 9, 20])
def test_while_an_apply_runs_it_is_called_running(at: int, root: Path) -> None:
    before, said = tree(root), []
    plan = plan_for(opened(root), every_kind)
    apply_plan(at_write(str(root), at, lambda: said.append(try_all(root, plan))), plan)
    assert said == [RUNNING]
    assert codes(opened(root)) == []
    assert revert(opened(root)).journals and tree(root) == before


@pytest.mark.parametrize("at", [1, 4, 10])
def test_while_a_revert_runs(at: int, root: Path) -> None:
    before, said = tree(root), []
    plan = plan_for(opened(root), every_kind)
    apply_plan(opened(root), plan)
    revert(at_write(str(root), at, lambda: said.append(try_all(root, plan))))
    assert said == [RUNNING] and tree(root) == before


class Died(BaseException):
    pass


def test_after_an_apply_died_it_is_called_interrupted(root: Path) -> None:
    before = tree(root)
    plan = plan_for(opened(root), every_kind)

    def die() -> None:
        raise Died

    with pytest.raises(Died):
        apply_plan(at_write(str(root), 12, die, onward=True), plan)
    assert codes(opened(root)) == ["GF-APPLY-UNFINISHED"]
    with pytest.raises(Blocked, match="interrupted") as caught:
        apply_plan(opened(root), plan)
    assert caught.value.code == "GF-APPLY-UNFINISHED"
    revert(opened(root))
    assert tree(root) == before and codes(opened(root)) == []


def test_a_lock_that_is_given_back_soon_is_waited_for(root: Path) -> None:
    """A report holds it for a moment when it looks whether it is held."""
    plan = plan_for(opened(root), every_kind)
    taken = threading.Event()

    def hold() -> None:
        with opened(root).lock.held():
            taken.set()
            time.sleep(PATIENCE / 3)

    other = threading.Thread(target=hold)
    other.start()
    taken.wait()
    assert apply_plan(opened(root), plan).journal
    other.join()


def test_the_folder_by_another_path_is_the_same_guest(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    with opened(root).lock.held(), pytest.raises(Blocked, match="another guestfix"):
        apply_plan(opened(tmp_path / "link"), plan_for(opened(root), every_kind))


HOLD = """
import sys
sys.path.insert(0, sys.argv[1])
from guestfix.backends.directory import DirectoryGuest
with DirectoryGuest(sys.argv[2]).lock.held():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_two_processes(root: Path) -> None:
    """The other one is named by its process id; however it ends, the lock is free at once and nothing of it is left."""
    before = tree(root)
    (root / "etc/fstab").write_text("//nas/share /mnt cifs defaults 0 0\n")
    words = [sys.executable, "-m", "guestfix", "apply", str(root), "--only", "fstab/*", "--accept", "*"]
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(ROOT), str(root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout and other.stdout.readline() == b"held\n"
        for command in (words, [*words[:3], "revert", str(root)]):
            done = subprocess.run([*command, "--format", "json"], capture_output=True, text=True, cwd=ROOT, check=False)
            error = json.loads(done.stdout)["error"]
            assert done.returncode == 2 and error["code"] == "GF-APPLY-RUNNING"
            assert f"(process {other.pid})" in error["what"]
        other.kill()
    assert subprocess.run(words, capture_output=True, cwd=ROOT, check=False).returncode == 0
    assert subprocess.run([*words[:3], "revert", str(root)], capture_output=True, cwd=ROOT, check=False).returncode == 0
    assert set(tree(root)) == set(before)
