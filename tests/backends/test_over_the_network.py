"""A guest's folder on another host, through SFTP: every file comes back, and two at once harm nothing.

NFS needs a kernel that has it; SFTP through FUSE does not, and like NFS it keeps flock(2) to its own host.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from guestfix.apply.apply import apply_plan
from guestfix.apply.status import status_of
from guestfix.apply.undo import revert
from guestfix.backends.directory import DirectoryGuest
from guestfix.base.errors import Blocked, GuestError, NotFound
from tests.build.plans import every_kind, make_guest, plan_for
from tests.build.signalled import pausing_at

ROOT = Path(__file__).resolve().parents[2]
SERVER = next(
    (one for one in ("/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server") if os.path.exists(one)), ""
)

pytestmark = pytest.mark.skipif(
    not (shutil.which("sshfs") and SERVER and os.access("/dev/fuse", os.W_OK)), reason="sshfs is not installed here"
)

Mount = Callable[[], Path]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    make_guest(tmp_path / "guest")
    return tmp_path / "guest"


@pytest.fixture
def mount(source: Path, tmp_path: Path) -> Iterator[Mount]:
    """Return what mounts the guest once more, as another host would."""
    script, places = tmp_path / "ssh", list[Path]()
    script.write_text(f"#!/bin/sh\nexec {SERVER}\n")
    script.chmod(0o755)

    def another() -> Path:
        place = tmp_path / f"mount{len(places)}"
        place.mkdir()
        words = ["sshfs", "-o", f"ssh_command={script}", "-o", "dir_cache=no", f"x:{source}", str(place)]
        for more in (["-o", "no_contain_symlinks"], []):  # newer ones show no absolute link else
            if not subprocess.run([*words, *more], capture_output=True, check=False).returncode:
                places.append(place)
                return place
        pytest.skip("sshfs can't mount here")

    yield another
    for place in places:
        subprocess.run(["fusermount3", "-u", "-z", str(place)], check=False)


def told(root: Path) -> dict[str, object]:
    """Return every path with all that SFTP can keep of it: times in whole seconds."""
    found: dict[str, object] = {}
    for path in sorted(root.rglob("*")):
        stat = path.lstat()
        content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        seconds = 0 if path.is_symlink() else stat.st_mtime_ns // 10**9
        found[str(path.relative_to(root))] = (stat.st_mode, stat.st_uid, stat.st_gid, seconds, content)
    return found


def test_apply_and_revert(source: Path, mount: Mount) -> None:
    before = told(source)
    place = mount()
    plan = plan_for(DirectoryGuest(str(place)), every_kind)
    receipt = apply_plan(DirectoryGuest(str(place)), plan)
    assert set(receipt.applied) == {change.path for change in plan.changes}
    assert status_of(DirectoryGuest(str(place))).state == "applied" and told(source) != before
    revert(DirectoryGuest(str(place)))
    assert told(source) == before


def test_no_path_leads_outside(source: Path, mount: Mount) -> None:
    (source / "etc/out").symlink_to("/etc/passwd")
    (source / "etc/up").symlink_to("../../../../../../../../etc/passwd")
    guest = DirectoryGuest(str(mount()))
    for path in ("/etc/out", "/etc/up"):
        with pytest.raises((NotFound, GuestError)):
            guest.read(path)


@pytest.mark.parametrize("at", ["3", "9"])
def test_two_at_once_on_this_host_and_on_another(at: str, source: Path, mount: Mount, tmp_path: Path) -> None:
    """This host's is called running; the other host sees the journal, and refuses as after an interrupted apply."""
    (source / "etc/fstab").write_text("UUID=1 / ext4 defaults 0 1\n//nas/share /mnt cifs defaults 0 0\n")
    (source / "bin").mkdir(exist_ok=True)
    place, elsewhere, flags = mount(), mount(), tmp_path / "flags"
    before = told(source)
    plan = plan_for(DirectoryGuest(str(place)), every_kind)
    flags.mkdir()
    words = ["apply", str(place), "--only", "fstab/*", "--accept", "*"]
    program = pausing_at("directory", "DirectoryGuest")
    at = {"9": "5"}.get(at, at)
    with subprocess.Popen([sys.executable, "-c", program, str(ROOT), str(flags), at, *words]) as process:
        end = time.monotonic() + 60
        while not (flags / "paused").exists():
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.01)
        with pytest.raises(Blocked) as caught:
            apply_plan(DirectoryGuest(str(place)), plan)
        assert caught.value.code == "GF-APPLY-RUNNING"
        if at != "3":  # the journal is there
            with pytest.raises(Blocked) as caught:
                apply_plan(DirectoryGuest(str(elsewhere)), plan)
            assert caught.value.code == "GF-APPLY-UNFINISHED"
        (flags / "go").touch()
        assert process.wait() == 0
    revert(DirectoryGuest(str(place)))
    assert told(source) == before
