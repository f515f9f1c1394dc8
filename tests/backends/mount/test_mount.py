"""Guests mounted by the host's own kernel: applied and reverted byte for byte, nothing outside, nothing left behind.

What this machine's kernel lacks (LVM, RAID, FAT) is tried in User-mode Linux, which is then the host, with root.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from guestfix.backends import contract, open_guest, open_writable
from guestfix.backends.directory import DirectoryGuest
from guestfix.backends.image import open_image
from guestfix.backends.mount import loops
from guestfix.backends.status import all_backends, usable
from guestfix.base.errors import GuestError, UsageError
from guestfix.base.guest import GuestFS
from tests.build.images import MIB, PartSpec, convert, described, disk, filesystem, have, run, walk
from tests.build.uml import DM, MD, build
from tests.build.uml_guests import (
    ENV,
    FSTAB,
    ROOT,
    digest,
    fstab_of,
    guest_disks,
    guestfix,
    make_tree,
    plan_without_backend,
)

MISSING = next(", ".join(one.missing) for one in all_backends() if one.name == "mount")
pytestmark = [
    pytest.mark.skipif(not usable("mount"), reason=f"mounting here lacks {MISSING}"),
    pytest.mark.skipif(not have("mke2fs", "sfdisk", "qemu-img"), reason="e2fsprogs, fdisk or qemu missing"),
]
FILESYSTEMS = Path("/proc/filesystems").read_text().split()


def snapshot(guest: GuestFS) -> dict[str, tuple[object, ...]]:
    return {path: described(guest, path, times=True, xattrs=True) for path in walk(guest) if "lost+found" not in path}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give a short TMPDIR of this file's own: what is left in it is left behind by a run."""
    place = Path(tempfile.mkdtemp(prefix="gf-mount-"))
    before, tempfile.tempdir = tempfile.tempdir, str(place)
    old, ENV["TMPDIR"] = ENV.get("TMPDIR"), str(place)
    yield place
    tempfile.tempdir = before
    ENV.pop("TMPDIR") if old is None else ENV.update(TMPDIR=old)
    shutil.rmtree(place)


def left(folder: Path) -> list[str]:
    """Return what a run left: folders, mounts in the namespace of this process, loop devices, what stands on them."""
    found = [name for name in os.listdir(folder) if name.startswith("guestfix-")]
    found += [row for row in Path("/proc/mounts").read_text().splitlines() if str(folder) in row]
    for name in os.listdir("/sys/block"):
        backing = Path(f"/sys/block/{name}/loop/backing_file")
        if backing.exists() and (str(folder) in backing.read_text() or backing.read_text() == "/\n"):
            found.append(f"{name}: {backing.read_text().strip()}")
    return found


def nothing_left(folder: Path) -> None:
    end = time.monotonic() + 10
    while left(folder) and time.monotonic() < end:
        time.sleep(0.05)
    assert left(folder) == []


@pytest.fixture(scope="module")
def ext4(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("ext4")
    content = filesystem("ext4", place / "fs", 64 * MIB, make_tree(place / "root", FSTAB))
    return convert(disk(place / "disk.raw", [PartSpec(content)]), "qcow2")


# applied


def applied_and_reverted(disks: list[Path], tmp_path: Path, words: tuple[str, ...] = ()) -> None:
    before, original = [digest(one) for one in disks], snapshot(open_image([str(one) for one in disks]))
    named = [f"mount:{disks[0]}", *disks[1:]]
    done = json.loads(guestfix("apply", *named, *words, "--output", tmp_path / "out.qcow2", "--format", "json"))
    assert "/etc/fstab" in done["applied"] and all(one["clean"] for one in done["image"]["checks"])
    made = done["image"]["files"]
    assert snapshot(open_image(made)) != original
    guestfix("revert", f"mount:{made[0]}", *made[1:], "--in-place")
    assert snapshot(open_image(made)) == original and [digest(one) for one in disks] == before


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs"])
def test_applied_and_reverted_on_this_kernel(kind: str, folder: Path, tmp_path: Path) -> None:
    if kind not in FILESYSTEMS or not have(f"mkfs.{kind}", "linux.uml"):
        pytest.skip(f"this kernel has no {kind}, or nothing here makes one")
    disks = guest_disks(kind, make_tree(tmp_path / "tree", fstab_of(kind)), tmp_path)
    guest = open_guest([f"mount:{disks[0]}"])
    try:
        assert plan_without_backend(guest) == plan_without_backend(open_image([str(disks[0])]))
    finally:
        guest.close()  # type: ignore[attr-defined]
    applied_and_reverted(disks, tmp_path)
    nothing_left(folder)


def test_the_contract(folder: Path, tmp_path: Path) -> None:
    reference = tmp_path / "reference"
    contract.reference_tree(reference)
    content = filesystem("ext4", tmp_path / "fs", 64 * MIB, reference)
    image = disk(tmp_path / "disk.raw", [PartSpec(content)])
    guest = open_writable(f"mount:{image}")
    try:
        guest.begin()  # type: ignore[attr-defined]
        assert contract.reading_violations(guest, DirectoryGuest(str(reference))) == []
        assert contract.writing_violations(guest) == []
        assert guest.check()[0].clean  # type: ignore[attr-defined]
    finally:
        guest.close()  # type: ignore[attr-defined]
    nothing_left(folder)


def test_no_one_is_given_this_backend_who_did_not_name_it(ext4: Path) -> None:
    from guestfix.backends import WRITERS, split_uri

    assert "mount" not in WRITERS and split_uri(str(ext4), writable=True)[0] != "mount"
    pid = os.fork()
    if not pid:
        os.setuid(65534)
        try:
            open_guest(f"mount:{ext4}")
        except UsageError as error:
            os._exit(0 if "only root" in error.what else 2)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_a_loop_device_of_an_older_kernel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Linux before 5.8 attaches a file and tells its span in two calls."""
    monkeypatch.setattr(loops, "_CONFIGURE", 0x4CFF)
    content = random.Random(3).randbytes(1 << 20)
    (tmp_path / "file").write_bytes(content)
    file = os.open(tmp_path / "file", os.O_RDWR)
    loop = loops.Loop(file, 4096, 65536)
    try:
        assert Path(loop.path).read_bytes() == content[4096 : 4096 + 65536]
    finally:
        loop.close()
        os.close(file)
    assert not Path(f"/sys/block/{os.path.basename(loop.path)}/loop").exists()


# hostile


SPECIAL = {"block": (stat.S_IFBLK, 7, 0), "zero": (stat.S_IFCHR, 1, 5), "fifo": (stat.S_IFIFO, 0, 0)}


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """Make a guest with devices, programs with set-user-id, and links to a folder of the host."""
    root = make_tree(tmp_path / "root", "/dev/sda1 / ext4 defaults 0 1\n/dev/sda2 /mnt/there ext4 defaults 0 2\n")
    for name in ("srv", "mnt", "tmp"):
        (root / name).mkdir(exist_ok=True)
    secret = tmp_path / "secret"
    secret.write_text("of the host\n")
    (root / "srv/link").symlink_to(secret)
    (root / "srv/proc").symlink_to(f"/proc/1/root{secret}")
    (root / "srv/up").symlink_to("../" * 40 + str(secret)[1:])
    (root / "srv/folder").symlink_to(tmp_path)
    (root / "mnt/there").symlink_to("/../../../../tmp")
    for name, (kind, major, minor) in SPECIAL.items():
        os.mknod(root / f"srv/{name}", kind | 0o666, os.makedev(major, minor))
    shutil.copy("/bin/true", root / "srv/setuid")
    os.chmod(root / "srv/setuid", 0o6755)
    first = filesystem("ext4", tmp_path / "fs1", 64 * MIB, root)
    second = filesystem("ext4", tmp_path / "fs2", 16 * MIB, make_tree(tmp_path / "second", ""))
    return disk(tmp_path / "disk.raw", [PartSpec(first), PartSpec(second)])


def test_a_hostile_image_reads_and_runs_nothing_outside(hostile: Path, folder: Path) -> None:
    guest = open_guest(f"mount:{hostile}", root="/dev/sda1")
    try:
        mounted = mounts_of_agent(guest)
        for name in ("link", "proc", "up", "folder/secret", *SPECIAL):
            with pytest.raises(GuestError):
                guest.read(f"/srv/{name}")
        assert guest.stat("/srv/folder") is None and guest.read("/mnt/there/etc/fstab") == b""
        places = [place for place, _ in mounted]
        assert places == ["/run/guestfix/root", "/run/guestfix/root/tmp"]
        assert all({"nosuid", "nodev", "noexec"} <= set(options) for _, options in mounted)
    finally:
        guest.close()  # type: ignore[attr-defined]
    assert (hostile.parent / "secret").read_text() == "of the host\n"
    nothing_left(folder)


def mounts_of_agent(guest: object) -> list[tuple[str, list[str]]]:
    """Return where the guest's filesystems are mounted, in the namespace of the process that did so, and how."""
    outer = guest._session._process.pid  # type: ignore[attr-defined]
    inner = Path(f"/proc/{outer}/task/{outer}/children").read_text().split()[0]
    rows = [row.split() for row in Path(f"/proc/{inner}/mounts").read_text().splitlines()]
    assert not [row for row in Path("/proc/mounts").read_text().splitlines() if "/run/guestfix" in row]
    return [(row[1], row[3].split(",")) for row in rows if row[0].startswith("/dev/loop")]


# killed


def test_killed_at_any_moment(ext4: Path, folder: Path) -> None:
    before = ext4.read_bytes()
    command = [sys.executable, "-m", "guestfix", "apply", f"mount:{ext4}", "--output", str(folder / "out.qcow2")]
    for number in (signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        for moment in (0.4, 0.7, 1.0, random.Random().uniform(0.1, 1.5)):
            process = subprocess.Popen(
                command, env=ENV, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            time.sleep(moment)
            process.send_signal(number)
            process.wait()
            nothing_left(folder)
            (folder / "out.qcow2").unlink(missing_ok=True)
    assert ext4.read_bytes() == before


# another host

HOST = """
import json, os, subprocess, sys, time
os.symlink("/proc/self/fd", "/dev/fd")
os.makedirs("/tmp/h", exist_ok=True)
os.environ.update(HOME="/tmp/h", PYTHONPATH=ROOT, PATH="/usr/sbin:/usr/bin:/sbin:/bin")
def guestfix(*words, status=0):
    done = subprocess.run([PYTHON, "-m", "guestfix", *words], capture_output=True, text=True)
    assert done.returncode == status, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout + done.stderr
def devices():
    return sorted(one for one in os.listdir("/sys/block") if one.startswith(("dm", "md")) or
        os.path.exists(f"/sys/block/{one}/loop/backing_file"))
def gone():
    end = time.monotonic() + 20
    while (seen := left()) and time.monotonic() < end:
        time.sleep(0.1)
    return not seen
def left():
    return devices() + [one for one in os.listdir("/tmp") if one.startswith("guestfix-")]
DISKS = [f"/run/given/{name}" for name in DISKS]
NAMED = [f"mount:{DISKS[0]}", *DISKS[1:]]
"""


def on_a_host(place: Path, disks: list[Path], program: str, attached: tuple[Path, ...] = ()) -> str:
    """Run a program as root of a host with these modules, which sees a folder as /run/given; return what it printed."""
    head = f"ROOT, PYTHON, DISKS = {str(ROOT)!r}, {sys.executable!r}, {[one.name for one in disks]!r}\n"
    (place / "program.py").write_text(head + HOST + program)
    modules = ("loop", "nls_iso8859-1", "dm-crypt", "xts", "ecb", "dm-cache", *DM, *MD)
    return build(attached, [f"{sys.executable} /run/given/program.py"], None, modules, given=place, memory=420)


APPLY = """
made = json.loads(guestfix("apply", *NAMED, "--output", "/run/given/out.qcow2", "--format", "json"))
assert all(one["clean"] for one in made["image"]["checks"]), made["image"]
assert gone(), left()
made = made["image"]["files"]
subprocess.run(["cp", *made, "/run/given/applied"], check=True)
guestfix("revert", f"mount:{made[0]}", *made[1:], "--in-place")
assert gone(), left()
"""

KILLED = """
for moment in (0, 1):
    process = subprocess.Popen([PYTHON, "-m", "guestfix", "apply", *NAMED, "--output", "/tmp/out.qcow2"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while not any(one.startswith(("dm", "md")) for one in devices()) and time.monotonic() < end:
        assert process.poll() is None
        time.sleep(0.02)
    time.sleep(moment)
    process.kill()
    process.wait()
    assert gone(), (moment, left())
"""


@pytest.mark.parametrize("kind", ["lvm", "md", "esp"])
def test_applied_reverted_and_killed_on_a_host_that_has_them(kind: str, tmp_path: Path) -> None:
    if not have("linux.uml", {"lvm": "lvm", "md": "mdadm", "esp": "mkfs.vfat"}[kind]):
        pytest.skip("User-mode Linux, lvm2, mdadm or dosfstools is not installed")
    (tmp_path / "applied").mkdir()
    tree = make_tree(tmp_path / "tree", ESP_FSTAB if kind == "esp" else fstab_of(kind))
    disks = esp_guest(tree, tmp_path) if kind == "esp" else guest_disks(kind, tree, tmp_path)
    before, original = [digest(one) for one in disks], snapshot(open_image([str(one) for one in disks]))
    on_a_host(tmp_path, disks, APPLY + ("" if kind == "esp" else KILLED))
    made = sorted((tmp_path / "applied").iterdir(), key=lambda one: (len(one.name), one.name))
    assert [digest(one) for one in disks] == before and len(made) == len(disks)
    changed = snapshot(open_image([str(one) for one in made]))
    assert changed["/etc/fstab"] != original["/etc/fstab"]
    assert snapshot(open_image([str(tmp_path / one.name) for one in made])) == original


ESP_FSTAB = (
    "/dev/sda2 / ext4 defaults 0 1\n/dev/sda1 /boot/efi vfat umask=0077 0 2\n/dev/sdc9 /gone ext4 defaults 0 2\n"
)


def esp_guest(root: Path, folder: Path) -> list[Path]:
    (root / "boot/efi").mkdir(parents=True, exist_ok=True)
    esp = folder / "esp"
    with esp.open("wb") as stream:
        stream.truncate(34 * MIB)
    run("mkfs.vfat", "-F", "32", esp)
    content = filesystem("ext4", folder / "fs", 64 * MIB, root)
    return [disk(folder / "disk.raw", [PartSpec(esp), PartSpec(content)])]


NAMESAKE = """
LVM = ["--config", "activation{udev_sync=0 udev_rules=0 verify_udev_operations=0} backup{backup=0 archive=0}"]
subprocess.run(["lvm", "vgchange", *LVM, "-ay"], check=True)
before = devices()
assert before == ["dm-0"], before
said = guestfix("report", *NAMED, status=2)
assert "volume group vg-x has the identity or the name of one that this host uses" in said, said
assert devices() == before and os.listdir("/tmp") == ["h"], (devices(), os.listdir("/tmp"))
print(subprocess.run(["dmsetup", "table"], capture_output=True, text=True).stdout)
"""


def test_a_volume_group_of_the_hosts_name_is_refused(tmp_path: Path) -> None:
    if not have("linux.uml", "lvm", "dmsetup"):
        pytest.skip("User-mode Linux or lvm2 is not installed")
    disks = guest_disks("lvm", make_tree(tmp_path / "tree", fstab_of("lvm")), tmp_path)
    assert "vg--x-root" in on_a_host(tmp_path, disks, NAMESAKE, tuple(disks))


UDEV = """
os.environ.pop("DM_DISABLE_UDEV")
daemon = next(one for one in ("/lib/systemd/systemd-udevd", "/usr/lib/systemd/systemd-udevd") if os.path.exists(one))
subprocess.run([daemon, "--daemon"], check=True)
subprocess.run(["udevadm", "settle", "--timeout=60"], check=True)
def links():
    return [name for _, _, names in os.walk("/dev/disk") for name in names if not name.isdecimal()]
sys.path.insert(0, ROOT)
from guestfix.backends import open_guest
guest = open_guest(NAMED)
assert b"/gone" in guest.read("/etc/fstab")
time.sleep(3)
standing = [one for one in devices() if not one.startswith("loop")]
assert len(standing) == 1 and links() == [], (standing, links())
assert os.listdir("/run/udev/rules.d") == [f"00-{os.path.basename(guest.overlays.folder)}.rules"]
guest.close()
assert gone() and os.listdir("/run/udev/rules.d") == [], left()
if any(one.startswith("md") for one in standing):  # what udev does of itself, where nobody keeps it away
    for name in DISKS:
        subprocess.run(["losetup", "-f", name], check=True)
    end = time.monotonic() + 30
    while not (links() and any(one.startswith("md") for one in devices())):
        assert time.monotonic() < end, devices()
        time.sleep(0.2)
print("kept away")
"""


@pytest.mark.parametrize("kind", ["lvm", "md"])
def test_the_hosts_udev_is_kept_away(kind: str, tmp_path: Path) -> None:
    if not have("linux.uml", "udevadm", "losetup", {"lvm": "lvm", "md": "mdadm"}[kind]):
        pytest.skip("User-mode Linux, udev, lvm2 or mdadm is not installed")
    disks = guest_disks(kind, make_tree(tmp_path / "tree", fstab_of(kind)), tmp_path)
    assert "kept away" in on_a_host(tmp_path, disks, UDEV)
