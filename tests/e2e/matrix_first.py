"""The start of a matrix guest on its old hardware, where it makes its own initramfs of what it sees there.

It is started with an initramfs of the test's: of initramfs-tools in the guest's tree, with the drivers of the old
hardware, of every root there is, and with the key of an encrypted root.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from guestfix.pack.cache import load_pack
from guestfix.plan.planner import choose_target
from guestfix.verify.hardware import device_words, devices_of
from guestfix.verify.machine import EMULATED, PROGRAMS
from tests.e2e import vm
from tests.e2e.matrix import Cell

PREPARE_SECONDS = 2400

PREPARE = """#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
exec >/dev/console 2>&1
mountpoint -q /proc || mount -t proc proc /proc
mountpoint -q /sys || mount -t sysfs sys /sys
mount -o remount,rw / && {mounts} {make} && {after} rm /prepare && sync && echo PREPARED
ls -l /boot
umount /boot/efi /boot 2>/dev/null
mount -o remount,ro /
sync
sleep 1
echo o >/proc/sysrq-trigger
sleep 60
"""
"""The first process of the start that makes the initramfs: where it can't, the guest has none of its own."""


def write_script(cell: Cell, tree: Path, *, own_boot: bool) -> None:
    """Write the first process of that start into the tree."""
    release = vm.kernel_of(tree)
    image = f"/boot/initrd.img-{release}"
    make_it = {
        "tools": f"update-initramfs -u -k {release}",
        "dracut": f"dracut --force --hostonly {image} {release}",
    }[cell.initramfs]
    mounts = "".join(
        f"mount {place_} && " for place_, has in (("/boot", own_boot), ("/boot/efi", cell.firmware != "bios")) if has
    )
    ident = (tree / "etc/machine-id").read_text().strip()
    after = f"cp {image} /boot/efi/{ident}/{release}/ && " if cell.loader == "sdboot" else ""
    script = tree / "prepare"
    script.write_text(PREPARE.format(mounts=mounts, make=make_it, after=after))
    script.chmod(0o755)


FIRST = (
    *("ahci", "sd_mod", "vmw_pvscsi", "virtio_pci", "virtio_blk", "nvme", "ext4", "xfs", "btrfs", "raid1", "md_mod"),
    *("dm_mod", "dm_thin_pool", "dm_crypt", "xts", "aes", "algif_skcipher"),
)
"""Modules of an initramfs of the test's own."""


@contextmanager
def few_drivers(tree: Path) -> Iterator[None]:
    """Have an initramfs-tools that is installed meanwhile put few modules into an initramfs."""
    folder = tree / "etc/initramfs-tools"
    own = {folder / "conf.d/first": "MODULES=list\n", folder / "modules": "\n".join([*FIRST, ""])}
    for name, text in own.items():
        name.parent.mkdir(parents=True, exist_ok=True)
        name.write_text(text)
    yield
    (folder / "conf.d/first").unlink()
    (folder / "modules").write_text("# List of modules that you want to include in your initramfs.\n")


HOOK = """#!/bin/sh
[ "$1" = prereqs ] && exit 0
. /usr/share/initramfs-tools/hook-functions
copy_exec "$(command -v cryptsetup)" /sbin/cryptsetup
cp /{key} "$DESTDIR/root.key"
"""
OPEN = """#!/bin/sh
[ "$1" = prereqs ] && exit 0
modprobe -a dm_crypt xts aes algif_skcipher 2>/dev/null
n=0
while [ ! -b {device} ] && [ $n -lt 60 ]; do sleep 1; n=$((n + 1)); done
/sbin/cryptsetup open --key-file /root.key {device} {name}
"""


def opening_initramfs(tree: Path, key: str, device: str, name: str) -> None:
    """Have the tree's initramfs-tools make the first initramfs anew: it opens the root by the key in it."""
    own, release = tree / "first", vm.kernel_of(tree)
    shutil.copytree(tree / "etc/initramfs-tools", own)
    conf = own / "initramfs.conf"
    conf.write_text(conf.read_text().replace("MODULES=most", "MODULES=list"))
    (own / "modules").write_text("\n".join([*FIRST, ""]))
    for place, text in (("hooks/opened", HOOK), ("scripts/local-top/opened", OPEN)):
        (own / place).write_text(text.format(key=key, device=device, name=name))
        (own / place).chmod(0o755)
    vm.run("chroot", tree, "mkinitramfs", "-d", "/first", "-o", f"/boot/initrd.img-{release}", release)
    shutil.rmtree(own)


def start_once(cell: Cell, old: str, disks: Sequence[Path], kernel: Path, initrd: Path, words: str) -> None:
    """Start the guest on the target that its old hardware is like; it makes its own initramfs and ends.

    ``words``: the kernel's arguments, with its root and console.
    """
    arm = cell.disk == "arm64"
    target = choose_target(load_pack(), old)
    arch = "aarch64" if arm else "x86_64"
    command = [PROGRAMS[arch], "-machine", "virt" if arm else "q35", "-cpu", EMULATED[arch], "-accel", vm.ACCEL]
    command += [
        "-nodefaults",
        "-no-user-config",
        "-m",
        "1024",
        "-smp",
        "1",
        "-display",
        "none",
        "-serial",
        "stdio",
        "-no-reboot",
    ]
    command += ["-kernel", str(kernel), "-initrd", str(initrd), "-append", f"{words} init=/prepare panic=5"]
    for index, disk in enumerate(disks):
        command += ["-drive", f"file={disk},if=none,id=d{index},format=raw,discard=unmap"]
    command += device_words(devices_of(target, len(disks)), [f"d{index}" for index in range(len(disks))])
    with vm.alone():
        done = subprocess.run(
            command, capture_output=True, stdin=subprocess.DEVNULL, timeout=PREPARE_SECONDS, check=False
        )
    said = done.stdout.decode("utf-8", "replace")
    assert "PREPARED" in said, f"no initramfs was made on {target.id}: {said[-3000:]}{done.stderr[-500:]!r}"
