"""A guest that is started for good: it writes to its disk, and is told what to do through SSH."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.build import debian
from tests.e2e import vm

VIRTIO = ("-device", "virtio-blk-pci,drive=d0", "-device", "virtio-net,netdev=n0")
"""A disk and a NIC as kvm-virtio has them."""

OLD_MAC = "00:50:56:aa:bb:cc"
OLD = ("-device", "pvscsi", "-device", "scsi-hd,drive=d0", "-device", f"vmxnet3,netdev=n0,mac={OLD_MAC}")
"""A disk and a NIC as vmware has them."""

OLD_DRIVERS = "vmw_pvscsi\nsd_mod\next4\n"
FILES = {
    **vm.SDA2_GUEST,
    "/etc/initramfs-tools/modules": OLD_DRIVERS,
    "/etc/initramfs-tools/conf.d/list": "MODULES=list\n",
}


def old_guest(disk: Path, work: Path, tar: Path, files: Mapping[str, str]) -> Path:
    """Make the disk of a Debian that vmware's hardware starts and no other, and return the key for its root.

    Its initramfs has the old disk's driver alone, its fstab, swap and kernel arguments name the old disk.
    """
    vm.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", work / "key")
    root = debian.unpack(tar, work / "root")
    keys = root / "root/.ssh"
    keys.mkdir(mode=0o700, parents=True, exist_ok=True)
    (keys / "authorized_keys").write_bytes((work / "key.pub").read_bytes())
    for name, text in {**FILES, **files}.items():
        (root / name[1:]).parent.mkdir(parents=True, exist_ok=True)
        (root / name[1:]).write_text(text.replace("{release}", vm.kernel_of(root)))
    with in_use(root):
        vm.run("chroot", root, "update-initramfs", "-u")
    vm.debian_disk(disk, {}, work, root)
    return work / "key"


@contextmanager
def in_use(root: Path) -> Iterator[None]:
    """Give programs of a root /proc."""
    vm.run("mount", "-t", "proc", "proc", root / "proc")
    try:
        yield
    finally:
        subprocess.run(["umount", str(root / "proc")], check=True)


class Machine:
    """A started guest that writes to its disk; commands go through SSH with the key that was brought."""

    def __init__(self, port: int, key: Path) -> None:
        options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "ConnectTimeout=20", "BatchMode=yes")
        self.command = ["ssh", "-q", "-i", str(key), "-p", str(port), *(w for o in options for w in ("-o", o))]

    def ask(self, words: str, seconds: float = 300) -> tuple[int, str]:
        done = subprocess.run(
            [*self.command, "root@127.0.0.1", words], capture_output=True, text=True, check=False, timeout=seconds
        )
        return done.returncode, done.stdout

    def until(self, words: str, wanted: str, seconds: float = 900) -> str:
        """Ask until the answer has this text; the last answer where it never has."""
        end, text = time.monotonic() + seconds, ""
        while time.monotonic() < end and wanted not in text:
            time.sleep(3)
            text = self.ask(words)[1]
        return text


@contextmanager
def started(disk: Path, key: Path, console: Path, devices: Sequence[str] = VIRTIO) -> Iterator[Machine]:
    """Start a guest, by default with kvm-virtio's devices; its serial port goes to a file."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["qemu-system-x86_64", "-accel", vm.ACCEL, "-m", "1024", "-smp", "1", "-display", "none", "-no-reboot"]
    command += ["-drive", f"file={disk},if=none,id=d0,format=raw", *devices]
    command += ["-netdev", f"user,id=n0,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:22"]
    process = subprocess.Popen([*command, "-serial", f"file:{console}", "-monitor", "none"])
    try:
        yield Machine(port, key)
        process.wait(300)
    finally:
        process.kill()
        process.wait()
