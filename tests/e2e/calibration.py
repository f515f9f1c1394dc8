"""Guests of which each is broken in one place, for docs/calibration.md: what the walk says of them against a start.

Two small Debian guests (BIOS and UEFI) are made once and kept; a state is a copy of one, changed through a mount.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

from tests.build import debian
from tests.e2e import vm
from tests.e2e.machine import in_use

REPO = Path(__file__).resolve().parents[2]
ABSENT = "6b1f1a52-8d0b-4f6e-9a57-0d6f6a1aaaaa"
FSTAB = f"UUID={vm.ROOT_UUID} / ext4 errors=remount-ro 0 1\n"
LAN = "[Match]\nName=en* eth*\n\n[Network]\nDHCP=yes\n"
FILES = {
    "/etc/hostname": "debian\n",
    "/etc/fstab": FSTAB,
    "/etc/network/interfaces": "auto lo\niface lo inet loopback\n",
    "/etc/systemd/network/lan.network": LAN,
    "/etc/default/grub": 'GRUB_DEFAULT=0\nGRUB_TIMEOUT=1\nGRUB_CMDLINE_LINUX="console=ttyS0"\n',
    "/boot/grub/grub.cfg": vm.grub_cfg("{release}", f"UUID={vm.ROOT_UUID}", "console=ttyS0"),
}
WANTS = "etc/systemd/system/multi-user.target.wants"
NETWORKD = f"{WANTS}/systemd-networkd.service"
LAN_FILE = "etc/systemd/network/lan.network"
GRUB_CFG, INITRAMFS = "boot/grub/grub.cfg", "etc/initramfs-tools"


def _finish(root: Path) -> None:
    """Switch networkd on, and make an initramfs that has what every target needs and no more."""
    (root / NETWORKD).symlink_to("/lib/systemd/system/systemd-networkd.service")
    shadow = root / "etc/shadow"  # an account that somebody can log in with
    shadow.write_text(shadow.read_text().replace("root:*:", "root::"))
    drivers = "virtio_pci\nvirtio_blk\nvirtio_scsi\nnvme\nvmw_pvscsi\nsd_mod\next4\n"
    initramfs(root, drivers)


def initramfs(root: Path, modules: str) -> None:
    """Let the guest's own initramfs-tools make an initramfs with just these modules."""
    (root / INITRAMFS / "modules").write_text(modules)
    conf = root / INITRAMFS / "initramfs.conf"
    conf.write_text(conf.read_text().replace("MODULES=most", "MODULES=list"))
    with in_use(root):
        vm.run("chroot", root, "update-initramfs", "-u")


def base(firmware: str, work: Path) -> Path:
    """Return the disk of a healthy guest, made once and kept beside the other things that tests build."""
    marks = hashlib.sha256(f"4 {firmware} {sorted(FILES.items())} {debian.INCLUDE}".encode()).hexdigest()[:12]
    kept = debian.cache_folder() / f"calibration-{firmware}-{marks}.raw"
    if kept.exists():
        return kept
    if os.geteuid() != 0:
        pytest.skip("making a guest needs root")
    disk = work / "base.raw"
    if firmware == "bios":
        vm.debian_disk(disk, FILES, work)
        swap = work / "swap"
        with swap.open("wb") as stream:
            stream.truncate(524288 * vm.SECTOR)
        vm.run("mkswap", "-U", vm.SWAP_UUID, swap)
        with swap.open("rb") as stream, disk.open("r+b") as whole:
            whole.seek(2048 * vm.SECTOR)
            whole.write(stream.read(8192))
        swap.unlink()
        with vm.mounted(disk, work / "base") as root:
            _finish(root)
    else:
        root = debian.unpack(debian.debootstrap(), work / "root")
        release = vm.kernel_of(root)
        for name, text in FILES.items():
            (root / name[1:]).parent.mkdir(parents=True, exist_ok=True)
            (root / name[1:]).write_text(text.replace("{release}", release).replace("part_msdos", "part_gpt"))
        (root / "etc/fstab").write_text(f"{FSTAB}UUID=0AB1-0AB1 /boot/efi vfat umask=0077 0 1\n")
        for folder in ("debian", "BOOT"):
            esp = root / "boot/efi/EFI" / folder
            esp.mkdir(parents=True)
            for name, data in vm.signed_loaders().items():
                (esp / name.replace("shimx64", "BOOTX64" if folder == "BOOT" else "shimx64")).write_bytes(data)
        lead = f"search.fs_uuid {vm.ROOT_UUID} root hd0,gpt2 \nset prefix=($root)'/boot/grub'\n"
        (root / "boot/efi/EFI/debian/grub.cfg").write_text(f"{lead}configfile $prefix/grub.cfg\n")
        _finish(root)
        vm.uefi_disk(disk, root, work)
        shutil.rmtree(root)
    subprocess.run(["cp", "--sparse=always", str(disk), f"{kept}.new"], check=True)
    disk.unlink()
    Path(f"{kept}.new").rename(kept)
    return kept


@contextmanager
def mounted(disk: Path, firmware: str, place: Path) -> Iterator[Path]:
    """Mount the guest's root; what is changed in /boot/efi goes to the EFI system partition afterwards."""
    place.mkdir(exist_ok=True)
    start = vm.ROOT_START if firmware == "bios" else vm.ESP_ROOT_START
    vm.run("mount", "-o", f"loop,offset={start * vm.SECTOR}", disk, place)
    try:
        yield place
        if firmware == "uefi":  # the root's own folder has the same files; a host need not know FAT
            esp = f"{disk}@@{2048 * vm.SECTOR}"
            vm.run("mdeltree", "-i", esp, "::/EFI")
            vm.run("mcopy", "-s", "-i", esp, place / "boot/efi/EFI", "::/")
    finally:
        subprocess.run(["umount", str(place)], check=True)


# states

Change = Callable[[Path], object]


@dataclass(frozen=True)
class State:
    """A guest in one state. ``expected`` is where a start ends: a step of the walk, or nothing where it is reached."""

    name: str
    step: str
    change: Change | None = None
    expected: str = ""
    target: str = "kvm-virtio"
    firmware: str = "bios"
    note: str = ""


def write(path: str, text: str) -> Change:
    return lambda root: ((root / path).parent.mkdir(parents=True, exist_ok=True), (root / path).write_text(text))


def add(path: str, text: str) -> Change:
    return lambda root: (root / path).write_text((root / path).read_text() + text)


def replace(path: str, old: str, new: str) -> Change:
    def change(root: Path) -> None:
        text = (root / path).read_text()
        assert old in text, f"{path} does not say {old!r}"
        (root / path).write_text(text.replace(old, new))

    return change


def remove(*paths: str) -> Change:
    def change(root: Path) -> None:
        for path in paths:
            for one in list(root.glob(path)) if "*" in path else [root / path]:  # a glob passes over dead links
                shutil.rmtree(one) if one.is_dir() and not one.is_symlink() else one.unlink()

    return change


def both(*changes: Change) -> Change:
    return lambda root: [one(root) for one in changes]


def without(*names: str) -> Change:
    """An initramfs that lacks these modules, as one made on other hardware does."""

    def change(root: Path) -> None:
        kept = [one for one in (root / INITRAMFS / "modules").read_text().split() if one not in names]
        initramfs(root, "\n".join(kept) + "\n")

    return change


def cut(pattern: str) -> Change:
    """Cut a file in half."""

    def change(root: Path) -> None:
        (path,) = root.glob(pattern)
        os.truncate(path, path.stat().st_size // 2)

    return change


def resume(root: Path) -> None:
    """A hibernation volume of the old machine, baked into the initramfs: 30 s of each start."""
    (root / INITRAMFS / "conf.d/resume").write_text(f"RESUME=UUID={ABSENT}\n")
    initramfs(root, (root / INITRAMFS / "modules").read_text())


def depmod(root: Path) -> None:
    vm.run("depmod", "-b", root, vm.kernel_of(root))


def link(path: str, to: str) -> Change:
    return lambda root: ((root / path).parent.mkdir(exist_ok=True), (root / path).symlink_to(to))


ROOT = f"root=UUID={vm.ROOT_UUID}"
SUPERUSER = 'set superusers="root"\npassword_pbkdf2 root grub.pbkdf2.sha512.10000.AA.BB\n'
STATIC = "[Match]\nName=en* eth*\n\n[Network]\nAddress=192.0.2.10/24\nGateway=192.0.2.1\n"
OLD_NAME = "[Match]\nName=ens192\n\n[Network]\nDHCP=yes\n"
DISK = f"UUID={ABSENT}"

STATES = (
    State("healthy", "-"),
    State("healthy, by UEFI with Secure Boot", "-", firmware="uefi"),
    State("healthy, on virtio-scsi", "-", target="kvm-scsi"),
    State("healthy, on NVMe", "-", target="aws-nitro"),
    State("healthy, on PVSCSI and VMXNET3", "-", target="vmware"),
    State("no fallback loader", "firmware", remove("boot/efi/EFI/BOOT"), "firmware", firmware="uefi"),
    State("no grub.cfg", "loader", remove(GRUB_CFG), "loader"),
    State("no /boot/grub at the prefix", "loader", lambda r: (r / "boot/grub").rename(r / "boot/old"), "loader"),
    State(
        "the loader on the ESP looks for another filesystem", "loader",
        replace("boot/efi/EFI/debian/grub.cfg", vm.ROOT_UUID, ABSENT), "loader", firmware="uefi",
    ),
    State("an empty menu", "entry", write(GRUB_CFG, "set timeout=1\n"), "loader"),
    State("a superuser, entries not unrestricted", "entry", lambda r: add_before(r, SUPERUSER), "entry"),
    State("a menu that waits for a choice", "entry", replace(GRUB_CFG, "set timeout=1", "set timeout=-1"), "entry"),
    State("the default names no entry", "entry", replace(GRUB_CFG, 'default="0"', 'default="gone"')),
    State("no kernel file", "kernel", remove("boot/vmlinuz-*"), "kernel"),
    State("a kernel that is cut off", "kernel", cut("boot/vmlinuz-*"), "kernel"),
    State("an initramfs without virtio_blk", "initramfs", without("virtio_blk"), "initramfs"),
    State("an initramfs without nvme", "initramfs", without("nvme"), "initramfs", target="aws-nitro"),
    State("an initramfs that is cut off", "initramfs", cut("boot/initrd.img-*"), "initramfs"),
    State("no initramfs file", "initramfs", remove("boot/initrd.img-*"), "initramfs"),
    State("a hibernation volume in the initramfs", "initramfs", resume),
    State("root= another UUID", "root", replace(GRUB_CFG, ROOT, f"root={DISK}"), "root"),
    State("root=/dev/sda2 on virtio-blk", "root", replace(GRUB_CFG, ROOT, "root=/dev/sda2"), "root"),
    State("root= a logical volume that is gone", "root", replace(GRUB_CFG, ROOT, "root=/dev/mapper/vg0-root"), "root"),
    State("no init in the root", "root", remove("usr/sbin/init", "usr/lib/systemd/systemd"), "root"),
    State("fstab: a volume that is gone", "mounts", add("etc/fstab", f"{DISK} /srv ext4 defaults 0 2\n"), "mounts"),
    State("fstab: the same with nofail", "mounts", add("etc/fstab", f"{DISK} /srv ext4 defaults,nofail 0 2\n")),
    State(
        "fstab: /dev/sdb1 on virtio-blk", "mounts", add("etc/fstab", "/dev/sdb1 /srv ext4 defaults 0 2\n"), "mounts"
    ),
    State(
        "fstab: a bind mount of a folder that is gone", "mounts",
        add("etc/fstab", "/srv/data /mnt none bind 0 0\n"),  # systemd makes the folder
    ),
    State("fstab: swap that is gone", "mounts", add("etc/fstab", f"{DISK} none swap sw 0 0\n")),
    State(
        "no driver of the NIC", "network",
        both(remove("lib/modules/*/kernel/drivers/net/virtio_net.ko"), depmod),
        "network",
    ),
    State("a static address of another network", "network", write(LAN_FILE, STATIC), "network"),
    State("a profile for the old NIC's name", "network", write(LAN_FILE, OLD_NAME), "network"),
    State("networkd is off", "network", remove(NETWORKD), "network"),
    State(
        "no SSH server at boot", "access", remove(f"{WANTS}/ssh.service", "etc/systemd/system/sshd.service"), "access"
    ),
    State("SSH is masked", "access", link("etc/systemd/system/ssh.service", "/dev/null"), "access"),
    State("default.target is emergency", "access",
          link("etc/systemd/system/default.target", "/lib/systemd/system/emergency.target"), "mounts"),
)  # fmt: skip


def add_before(root: Path, text: str) -> None:
    (root / GRUB_CFG).write_text(text + (root / GRUB_CFG).read_text())


# starts


def digest_of(state: State, work: Path) -> str:
    """Return what a kept result is of: the healthy guest, what was changed in it, and the target."""
    parts = (base(state.firmware, work).name, state.name, state.target, _told(state.change))
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _told(value: object) -> object:
    """Return what a change does, as a value that is the same in every run."""
    if isinstance(value, tuple):
        return tuple(_told(one) for one in value)
    if not isinstance(value, FunctionType):
        return value if value is None or isinstance(value, str) else type(value).__name__
    cells = tuple(_told(cell.cell_contents) for cell in value.__closure__ or ())
    return value.__qualname__, value.__code__.co_code.hex(), cells


def guestfix(*words: object, status: tuple[int, ...] = (0, 1)) -> Any:
    command = [sys.executable, "-m", "guestfix", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPO)
    assert done.returncode in status, done.stdout[-2000:] + done.stderr[-3000:]
    return json.loads(done.stdout)


def disk_of(state: State, work: Path) -> Path:
    """Return a disk in this state."""
    disk = work / "guest.raw"
    subprocess.run(["cp", "--sparse=always", str(base(state.firmware, work)), str(disk)], check=True)
    with mounted(disk, state.firmware, work / "mnt") as root:
        keys = root / "root/.ssh/authorized_keys"  # an administrator can log in, so that the access step is judged
        keys.parent.mkdir(mode=0o700, exist_ok=True)
        keys.write_text("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ6nmjlYJ2lRGHKYg5H7l2Hn3Hh1Zk0Yv4mW8QGZ6u1d test\n")
        if state.change:
            state.change(root)
    return disk
