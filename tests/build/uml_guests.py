"""Guests on images for tests of User-mode Linux."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from guestfix.backends import open_guest
from guestfix.backends.image import open_image
from guestfix.backends.status import usable
from guestfix.base.guest import GuestFS
from guestfix.base.record import replace
from guestfix.pack.cache import load_pack
from guestfix.plan.model import plan_out
from guestfix.plan.planner import make_plan
from tests.build.images import MIB, PartSpec, convert, debian, described, disk, filesystem, have, run, walk
from tests.build.uml import COPY, DM, LVM, MD, blank, build

NEEDS_UML = [
    pytest.mark.skipif(not usable("uml"), reason="User-mode Linux is not installed"),
    pytest.mark.skipif(not have("mke2fs", "sfdisk", "qemu-img"), reason="e2fsprogs, fdisk or qemu missing"),
]

"""The marks of tests that start User-mode Linux."""

ROOT = Path(__file__).resolve().parents[2]
ROOT_UUID = "11111111-2222-3333-4444-555555555555"
FSTAB = "/dev/sda1 / ext4 errors=remount-ro 0 1\n/dev/sdb9 /gone ext4 defaults 0 2\n"
ENV = {**os.environ, "PYTHONPATH": str(ROOT)}


def guestfix(*args: object, status: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "guestfix", *map(str, args)], capture_output=True, text=True, env=ENV, check=False
    )
    assert done.returncode == status, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def make_tree(place: Path, fstab: str) -> Path:
    root = debian(place, fstab)
    try:
        os.setxattr(root / "etc/fstab", "security.selinux", b"system_u:object_r:etc_t:s0\0")
        os.chown(root / "etc/fstab", 12, 34)
    except OSError:
        pass
    return root


def ext4_image(tree: Path, folder: Path) -> Path:
    content = filesystem("ext4", folder / "fs", 64 * MIB, tree, uuid=ROOT_UUID)
    found = convert(disk(folder / "disk.raw", [PartSpec(content, name="root")]), "qcow2")
    content.unlink()
    return found


MAKERS = {
    "xfs": ("mkfs.xfs", 400, ["mkfs.xfs -q {}"]),
    "jfs": ("mkfs.jfs", 320, ["mkfs.jfs -q {}"]),
    "btrfs": ("mkfs.btrfs", 400, ["mkfs.btrfs -q {}"]),
    "ext4": ("mkfs.ext4", 400, ["mkfs.ext4 -q {}"]),
}
ROOT_LINES = {"btrfs": "/dev/sda1 / btrfs subvol=@ 0 1", "lvm": "/dev/vg-x/root / ext4 defaults 0 1"}
ROOT_LINES |= {"md": "/dev/md0 / ext4 defaults 0 1"}


def fstab_of(kind: str) -> str:
    return ROOT_LINES.get(kind, f"/dev/sda1 / {kind} defaults 0 1") + "\n/dev/sdc9 /gone ext4 defaults 0 2\n"


def guest_disks(kind: str, tree: Path, folder: Path) -> list[Path]:
    """Make the same guest on a filesystem, on LVM over two disks, or on a RAID 1."""
    if kind in MAKERS:
        _, mib, commands = MAKERS[kind]
        place = blank(folder / f"{kind}.raw", mib + 2)
        run("sfdisk", "-q", place, stdin="label: gpt\nstart=2048, type=linux\n")
        steps = [*(one.format("/dev/ubda1") for one in commands), "mount /dev/ubda1 /run/mnt"]
        if kind == "btrfs":
            steps += ["btrfs subvolume create /run/mnt/@", "umount /run/mnt", "mount -o subvol=@ /dev/ubda1 /run/mnt"]
        done = [COPY, "umount /run/mnt"]
        if kind == "btrfs":
            done += ["mount -o subvolid=5 /dev/ubda1 /run/mnt", "mkdir /run/mnt/.snapshots"]
            done += ["btrfs subvolume snapshot -r /run/mnt/@ /run/mnt/.snapshots/1", "umount /run/mnt"]
        build([place], [*steps, *done], tree)
        return [place]
    disks = [blank(folder / f"{kind}{index}.raw", 400) for index in (1, 2)]
    if kind == "lvm":
        steps = [f"lvm pvcreate {LVM} /dev/ubda /dev/ubdb", f"lvm vgcreate {LVM} vg-x /dev/ubda /dev/ubdb"]
        steps += [f"lvm lvcreate {LVM} -Zn -Wn -L 700M -n root vg-x", "mkfs.ext4 -q /dev/mapper/vg--x-root"]
        steps += ["mount /dev/mapper/vg--x-root /run/mnt", COPY, "umount /run/mnt", f"lvm vgchange {LVM} -an"]
        build(disks, steps, tree, DM)
    else:
        steps = ["mdadm --create /dev/md0 --run --level=1 --raid-devices=2 --homehost=h --name=0 --assume-clean "
                 "/dev/ubda /dev/ubdb", "mkfs.ext4 -q /dev/md0", "mount /dev/md0 /run/mnt", COPY, "umount /run/mnt",
                 "mdadm --stop /dev/md0"]  # fmt: skip
        build(disks, steps, tree, MD)
    return disks


def windows_disk(folder: Path) -> Path:
    """Make a disk of a Windows that is just enough of one: NTFS with two hives."""
    tree = folder / "tree"
    config = tree / "Windows/System32/config"
    config.mkdir(parents=True)
    for name in ("SYSTEM", "SOFTWARE"):
        (config / name).write_bytes(b"regf" + random.Random(name).randbytes(300_000))
    (tree / "ProgramData").mkdir()
    place = blank(folder / "win.raw", 66)
    run("sfdisk", "-q", place, stdin="label: dos\nstart=2048, type=7, bootable\n")
    mount = "ntfs-3g -o streams_interface=none /dev/ubda1 /run/mnt"
    build([place], ["mkntfs -q -f -F /dev/ubda1", mount, COPY, "umount /run/mnt"], tree)
    return place


def assert_same_windows(ours: GuestFS, other: GuestFS) -> None:
    """Both have the same paths, but for what NTFS-3G makes, and say the same of each."""
    names = [path for path in walk(ours) if not path.startswith("/System Volume Information")]
    assert names == [path for path in walk(other) if not path.startswith("/System Volume Information")]
    for path in names:
        assert described(ours, path, times=True, xattrs=False) == described(other, path, times=True, xattrs=False)


def plan_without_backend(guest: GuestFS) -> dict:
    """Return the plan as if it told not where the guest is; its digest covers what apply would write too."""
    plan = make_plan(guest, load_pack(), "kvm-virtio")
    return plan_out(replace(plan, guest={key: value for key, value in plan.guest.items() if key != "uri"}))


def same_plans(paths: list[Path], *, with_image: bool = True) -> dict:
    uml = open_guest([f"uml:{paths[0]}", *map(str, paths[1:])])
    try:
        plan = plan_without_backend(uml)
    finally:
        uml.close()
    if with_image:
        assert plan == plan_without_backend(open_image([str(path) for path in paths]))
    return plan
