"""Plan, apply and revert on disk images through User-mode Linux; the image is untouched until it is told otherwise."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

import pytest

from guestfix.backends import open_guest, open_writable
from guestfix.backends.image import open_image
from guestfix.backends.machine.guest import MachineGuest
from guestfix.backends.machine.session import Session
from guestfix.base.errors import GuestfixError
from guestfix.base.guest import GuestFS
from guestfix.pack.cache import load_pack
from guestfix.plan.planner import make_plan
from guestfix.stage.session import session
from tests.build.images import clear, described, have, walk
from tests.build.uml import COPY, blank, build
from tests.build.uml_guests import (
    ENV,
    FSTAB,
    NEEDS_UML,
    ROOT,
    ROOT_UUID,
    assert_same_windows,
    digest,
    ext4_image,
    guestfix,
    make_tree,
    windows_disk,
)

pytestmark = NEEDS_UML

NOBODY = 65534


def snapshot(guest: GuestFS) -> dict[str, tuple]:
    return {path: described(guest, path, times=True, xattrs=True) for path in walk(guest) if "lost+found" not in path}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tree(tmp_path_factory.mktemp("tree") / "root", FSTAB)


@pytest.fixture
def image(tree: Path, tmp_path: Path) -> Path:
    return ext4_image(tree, tmp_path)


def test_apply_and_revert_leave_the_image_alone(image: Path) -> None:
    before, original = digest(image), snapshot(open_image([str(image)]))
    assert json.loads(guestfix("report", image, "--format", "json", "--detailed-exitcode", status=1))["changes"]
    done = json.loads(guestfix("apply", f"uml:{image}", "--format", "json"))
    assert "/etc/fstab" in done["applied"]
    assert done["image"]["how"] == "overlay"
    assert [(one["command"], one["clean"]) for one in done["image"]["checks"]] == [("e2fsck -fn", True)]
    overlay = image.with_name("disk.guestfix.qcow2")
    assert done["image"]["files"] == [str(overlay)]
    assert digest(image) == before
    changed = open_image([str(overlay)])
    assert f"UUID={ROOT_UUID}".encode() in changed.read("/etc/fstab")
    assert b"/dev/sda1" in changed.read("/etc/.fstab.guestfix.orig")
    assert changed.meta("/etc/fstab") == open_image([str(image)]).meta("/etc/fstab")
    guestfix("revert", f"uml:{overlay}", "--in-place")
    assert snapshot(open_image([str(overlay)])) == original
    assert digest(image) == before


def test_in_place_and_new_images(image: Path, tmp_path: Path) -> None:
    before = digest(image)
    out = tmp_path / "new.vmdk"
    done = json.loads(guestfix("apply", f"uml:{image}", "--output", out, "--format", "json"))
    assert (done["image"]["how"], done["image"]["files"]) == ("converted", [str(out)]) and digest(image) == before
    assert out.read_bytes()[:4] == b"KDMV"
    assert b"UUID=" in open_image([str(out)]).read("/etc/fstab")
    assert "exists already" in refused("apply", f"uml:{image}", "--output", out, "--image-format", "vmdk")
    plan = tmp_path / "plan.json"  # made through image, carried out through uml
    plan.write_text(guestfix("report", image, "--format", "json"))
    guestfix("apply", "--plan", plan, f"uml:{image}", "--in-place")
    assert digest(image) != before
    assert b"UUID=" in open_image([str(image)]).read("/etc/fstab")
    assert json.loads(guestfix("apply", f"uml:{image}", "--format", "json"))["applied"] == []
    assert not list(tmp_path.glob("*.part"))


def refused(*args: object) -> str:
    done = subprocess.run([sys.executable, "-m", "guestfix", *map(str, args)], capture_output=True, text=True, env=ENV)
    assert done.returncode not in (0, 1), done.stdout
    return done.stderr


def test_killed_at_random_moments(image: Path, tmp_path: Path) -> None:
    before, rng = digest(image), random.Random(11)
    for _ in range(6):
        process = subprocess.Popen(
            [sys.executable, "-m", "guestfix", "apply", f"uml:{image}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENV,
        )  # fmt: skip
        time.sleep(rng.uniform(0.2, 2.5))
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert digest(image) == before
        for left in tmp_path.glob("*.guestfix.qcow2"):  # an overlay appears whole or not at all
            assert b"UUID=" in open_image([str(left)]).read("/etc/fstab")
            left.unlink()


def test_a_machine_that_was_ended_is_told(image: Path) -> None:
    guest = open_guest(f"uml:{image}")
    try:
        assert guest.read("/etc/fstab")
        session = guest._session  # type: ignore[attr-defined]
        os.kill(session._process.pid, signal.SIGKILL)
        with pytest.raises(GuestfixError, match=r"it was ended|it stopped"):
            guest.read("/etc/os-release")
    finally:
        guest.close()


def test_the_machine_is_asked_nothing_before_something_is_to_be_written(
    image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    ask = Session._ask
    monkeypatch.setattr(Session, "_ask", lambda self, op, *rest: (asked.append(op), ask(self, op, *rest))[1])
    with session(f"uml:{image}") as own:
        own.can_save()
        plan = own.report()
        assert asked == [] and plan.changes
        assert own.uri == f"uml:{image}" == plan.guest["uri"]
        own.apply(plan)
        assert asked[0] == "open" and b"/dev/sda1" in own.guest.read("/etc/.fstab.guestfix.orig")
        assert len([one for one in asked if one == "scan"]) < 20
    by_machine = open_guest(f"uml:{image}")
    try:
        assert make_plan(by_machine, load_pack()) == plan
    finally:
        by_machine.close()


def test_a_machine_that_mounts_something_else_writes_nothing(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest(image)
    monkeypatch.setattr(MachineGuest, "_mount", lambda self, real=MachineGuest._mount: [*real(self), "/boot"])
    with session(f"uml:{image}") as own:
        own.can_save()
        plan = own.report()
        with pytest.raises(GuestfixError, match="mounts /, /boot, and / was read"):
            own.apply(plan)
    assert digest(image) == before


def test_an_unclean_journal_is_replayed_into_the_overlay(tree: Path, tmp_path: Path) -> None:
    place = blank(tmp_path / "dirty.raw", 64)
    build(
        [place],
        ["mkfs.ext4 -q /dev/ubda", "mount /dev/ubda /run/mnt", COPY, "sync", "echo late > /run/mnt/etc/late"],
        tree,
    )
    before = digest(place)
    found = [one.code for one in open_image([str(place)]).findings()]
    assert found == ["GF-DISK-UNCLEAN-FILESYSTEM"]
    guest = open_writable(f"uml:{place}")
    try:
        assert guest.read("/etc/late") == b"late\n"
        assert [one.severity for one in guest.findings()] == ["info"]
    finally:
        guest.close()
    assert digest(place) == before


def test_what_can_not_be_written(image: Path, tmp_path: Path) -> None:
    assert "only reads" in refused("apply", f"image:{image}")
    assert "--in-place goes with neither" in refused("apply", f"uml:{image}", "--in-place", "--output", "x")
    with pytest.raises(GuestfixError):
        open_guest(f"uml:{tmp_path / 'none.qcow2'}")
    with pytest.raises(GuestfixError, match="--disks is for folders"):
        open_guest(f"uml:{image}", disks="x.yaml")
    left = [name for name in os.listdir("/tmp") if name.startswith("guestfix-")]
    assert shutil.which("linux.uml") and isinstance(left, list)


def test_windows_with_hives(tmp_path: Path) -> None:
    if not have("mkntfs", "ntfs-3g"):
        pytest.skip("ntfs-3g is not installed")
    place = windows_disk(tmp_path)
    ours = open_image([str(place)])
    assert ours.case_insensitive
    uml = open_guest(f"uml:{place}")
    try:
        assert uml.case_insensitive
        assert_same_windows(ours, uml)
        assert uml.realpath("/windows/system32/CONFIG/system") == "/Windows/System32/config/SYSTEM"
        uml.put("/ProgramData/new", [b"x" * 100_000], ours.meta("/Windows/System32/config/SYSTEM"))
        uml.keep("/ProgramData/new", "/ProgramData/.new.orig")
        assert [(one.filesystem, one.clean) for one in uml.check()] == [("ntfs", True)]
        saved = uml.save(output=str(tmp_path / "out.qcow2"))
        assert open_image([saved.files[0]]).read("/programdata/NEW") == b"x" * 100_000
    finally:
        uml.close()
    clear(tmp_path / "tree")


def python_for_all() -> str:
    """Return an interpreter of this version that every user may run."""
    for found in (sys.executable, "/usr/bin/python3"):
        try:
            done = subprocess.run([found, "--version"], capture_output=True, text=True, user=NOBODY, check=False)
        except PermissionError:
            continue
        if done.stdout.split()[1:] and done.stdout.split()[1].startswith("{}.{}.".format(*sys.version_info[:2])):
            return found
    pytest.skip("there is no interpreter of this version that other users may run")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.skipif(not have("fusermount3"), reason="fuse3 is not installed")
def test_as_an_ordinary_user(image: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="guest-") as folder:
        place = shutil.copy(image, folder)
        os.chown(folder, NOBODY, NOBODY)
        os.chown(place, NOBODY, NOBODY)
        python = python_for_all()
        env = {**ENV, "HOME": folder, "PYTHONPATH": f"{ROOT}{os.pathsep}{sysconfig.get_path('purelib')}"}
        done = subprocess.run(
            [python, "-m", "guestfix", "apply", f"uml:{place}", "--format", "json"],
            capture_output=True, text=True, env=env, cwd="/", check=False,
            user=NOBODY, group=NOBODY, extra_groups=[],
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        answer = json.loads(done.stdout)
        assert "/etc/fstab" in answer["applied"] and answer["image"]["checks"][0]["clean"]
        (overlay,) = answer["image"]["files"]
        assert os.stat(overlay).st_uid == NOBODY
        changed, before = open_image([overlay]), open_image([str(image)])
        assert changed.meta("/etc/fstab") == before.meta("/etc/fstab")
        assert digest(Path(place)) == digest(image)
