"""Guests that did not start on other hardware, each for a reason of its own: what they lie on, and their disks."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.build.images import run
from tests.build.uml import COPY, DM, LVM, MD, blank, build
from tests.e2e import vm
from tests.e2e.image_guest import ARRAY, ROOT, debian_tar

OLD = "vmw_pvscsi\nsd_mod\next4\nraid1\ndm_mod\n"
"""What their initramfs holds: the drivers of the old hardware, and none of the target's."""

SIZE = 1000
NIC = "auto lo ens192\niface lo inet loopback\niface ens192 inet static\n\taddress 192.0.2.7/24\n\tgateway 192.0.2.1\n"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ6nmjlYJ2lRGHKYg5H7l2Hn3Hh1Zk0Yv4mW8QGZ6u1d test\n"
CONSOLE = "console=ttyS0"


@dataclass(frozen=True)
class Guest:
    """A guest: how it is told to the reader, its root by name, what makes its disks, and its files.

    ``returns``: after revert it starts on its old hardware, as far as that can be had here.
    """

    name: str
    root: str
    commands: Sequence[str]
    release: Sequence[str]
    prefix: str
    grub: Sequence[str]
    disks: int = 1
    files: dict[str, str] = field(default_factory=dict)
    finish: Callable[[Path, str], None] | None = None
    returns: bool = True


def grub_cfg(release: str, root: str) -> str:
    return vm.grub_cfg(release, root, CONSOLE).replace(vm.ROOT_UUID, ROOT)


EXT4 = [f"mke2fs -q -t ext4 -U {ROOT} /dev/ubda1", "mount /dev/ubda1 /run/mnt"]
MEMBERS = "/dev/ubda1 /dev/ubdb1"
RAID = [
    f"mdadm --create /dev/md0 --run --level=1 --raid-devices=2 --metadata=1.2 --uuid={ARRAY} --homehost=debian "
    f"--name=0 --assume-clean {MEMBERS}",
    f"mke2fs -q -t ext4 -U {ROOT} /dev/md0", "mount /dev/md0 /run/mnt",
]  # fmt: skip
VOLUME = [
    f"lvm pvcreate {LVM} /dev/ubda1", f"lvm vgcreate {LVM} vg0 /dev/ubda1",
    f"lvm lvcreate {LVM} -Zn -Wn -l 100%FREE -n root vg0", f"mke2fs -q -t ext4 -U {ROOT} /dev/mapper/vg0-root",
    "mount /dev/mapper/vg0-root /run/mnt",
]  # fmt: skip
RELEASE = ["umount /run/mnt", f"lvm vgchange {LVM} -an"]
FILTER = 'devices {\n\tfilter = [ "a|^/dev/sda|", "r|.*|" ]\n\tglobal_filter = [ "a|^/dev/sda|", "r|.*|" ]\n}\n'


DEVICES = (
    "VERSION=1.1.2\nIDTYPE=sys_wwid IDNAME=naa.6000c2912345678901234567890123456 DEVNAME=/dev/sda1 PVID=none PART=1\n"
)
"""The disk by a number that a datastore gave it: no disk here has it, so that the guest does not start after revert."""
HOOK = """#!/bin/sh
[ "$1" = prereqs ] && exit 0
mkdir -p "$DESTDIR/etc/lvm/devices"
cp /etc/lvm/devices/system.devices "$DESTDIR/etc/lvm/devices/"
"""
"""Has the initramfs keep the devices file, as dracut does by itself."""


def executable_hook(tree: Path, release: str) -> None:
    """Let the initramfs' own hook run."""
    (tree / "etc/initramfs-tools/hooks/lvmdevices").chmod(0o755)


def extlinux(tree: Path, release: str) -> None:
    """An extlinux.conf whose only entry is in a file that it includes."""
    shutil.rmtree(tree / "boot/grub", ignore_errors=True)
    folder = tree / "boot/extlinux"
    folder.mkdir()
    (folder / "extlinux.conf").write_text("SERIAL 0 115200\nPROMPT 0\nTIMEOUT 10\nDEFAULT linux\nINCLUDE linux.cfg\n")
    (folder / "linux.cfg").write_text(
        f"LABEL linux\n  KERNEL /boot/vmlinuz-{release}\n  INITRD /boot/initrd.img-{release}\n"
        f"  APPEND root=/dev/sda1 ro {CONSOLE}\n"
    )


GUESTS = (
    Guest(
        "md RAID 1, mdadm.conf with DEVICE /dev/sda1 /dev/sdb1", "/dev/md0", RAID,
        ["umount /run/mnt", "mdadm --stop /dev/md0"], f"(mduuid/{ARRAY.replace(':', '')})/boot/grub",
        ("mdraid1x", "diskfilter"), 2,
        {"etc/mdadm/mdadm.conf": f"DEVICE /dev/sda1 /dev/sdb1\nARRAY /dev/md0 metadata=1.2 UUID={ARRAY}\n"},
    ),
    Guest("extlinux.conf with INCLUDE", "/dev/sda1", EXT4, ["umount /run/mnt"], "", (), finish=extlinux),
    Guest(
        "LVM with a filter for /dev/sda", "/dev/mapper/vg0-root", VOLUME, RELEASE,
        "(lvm/vg0-root)/boot/grub", ("lvm", "diskfilter"), 1, {"etc/lvm/lvm.conf": FILTER},
    ),
    Guest(
        "LVM with a devices file, kept in the initramfs too", "/dev/mapper/vg0-root", VOLUME, RELEASE,
        "(lvm/vg0-root)/boot/grub", ("lvm", "diskfilter"), 1,
        {
            "etc/lvm/lvm.conf": "devices {\n\tuse_devicesfile = 1\n}\n",
            "etc/lvm/devices/system.devices": DEVICES, "etc/initramfs-tools/hooks/lvmdevices": HOOK,
            "etc/initramfs-tools/modules": f"{OLD}virtio_pci\nvirtio_blk\n",
        },
        executable_hook, False,
    ),
)  # fmt: skip


def make(guest: Guest, folder: Path) -> list[Path]:
    """Return the guest's disks, made by a kernel and by the guest's own programs."""
    tree = folder / "tree"
    tree.mkdir()
    vm.run("tar", "-C", tree, "--xattrs", "-xpf", debian_tar())
    release = vm.kernel_of(tree)
    files = {
        "etc/fstab": f"{guest.root} / ext4 errors=remount-ro 0 1\n",
        "etc/network/interfaces": NIC,
        "etc/hostname": "debian\n",
        "etc/default/grub": f'GRUB_DEFAULT=0\nGRUB_TIMEOUT=1\nGRUB_CMDLINE_LINUX="{CONSOLE}"\n',
        "root/.ssh/authorized_keys": KEY,
        "etc/initramfs-tools/modules": OLD,
        "boot/grub/grub.cfg": grub_cfg(release, guest.root),
        **guest.files,
    }
    for name, text in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    (tree / "root/.ssh").chmod(0o700)
    if guest.finish:
        guest.finish(tree, release)
    vm.run("chroot", tree, "mkinitramfs", "-o", f"/boot/initrd.img-{release}", release)
    paths = [blank(folder / f"disk{index}.raw", SIZE + 4) for index in range(guest.disks)]
    for path in paths:
        run("sfdisk", "-q", path, stdin=f"label: dos\nstart=1MiB, size={SIZE}MiB, type=83, bootable\n")
    build(paths, [*guest.commands, COPY, *guest.release], tree, (*DM, *MD))
    shutil.rmtree(tree)
    for path in paths:
        if guest.prefix:
            vm.install_grub(path, folder, guest.prefix, guest.grub)
        else:
            install_extlinux(path, folder)
    return paths


MBR = Path("/usr/lib/EXTLINUX/mbr.bin")


def install_extlinux(disk: Path, work: Path, folder: str = "boot/extlinux") -> None:
    """Install extlinux into a folder of the first partition, and its boot sector into the disk."""
    vm.need("extlinux")
    if not MBR.exists():
        pytest.skip("extlinux' mbr.bin is not installed (extlinux)")
    place = work / "mnt"
    place.mkdir()
    vm.run("mount", "-o", "loop,offset=1048576", disk, place)
    try:
        vm.run("extlinux", "--install", place / folder)
    finally:
        subprocess.run(["umount", str(place)], check=True)
    with open(disk, "r+b") as stream:
        stream.write(MBR.read_bytes()[:440])
