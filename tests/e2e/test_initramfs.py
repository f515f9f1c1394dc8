"""Debian guests whose initramfs lacks the target's disk driver: no root before apply, a login prompt after.

GUESTFIX_BOOT_TABLE names a file to which each row's result is appended, for docs/initramfs.md.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e import vm
from tests.e2e.initramfs_guests import Row, make_disk, make_initramfs, mounted

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
LOGIN = r"debian login: "
LOST = (
    r"ALERT!  \S+ does not exist|Gave up waiting for root|Kernel panic|/dev/\S+ does not exist|Could not boot|"
    r"[Ee]mergency [Mm]ode|initqueue.{0,40}timeout|Refusing to continue|reboot: "
)
SHORT = Row("bookworm", "initramfs-tools MODULES=list", "ext4", "virtio-blk")
"""The row that make check boots: the guest is that of tests/e2e/test_boot.py, so nothing more is fetched for it."""

ROWS = [
    Row("bookworm", "initramfs-tools MODULES=dep COMPRESS=zstd", "ext4", "nvme"),
    Row("bookworm", "initramfs-tools MODULES=list COMPRESS=xz", "xfs", "virtio-scsi"),
    Row("bookworm", "initramfs-tools MODULES=dep COMPRESS=lz4", "btrfs", "nvme"),
    Row("bookworm", "initramfs-tools MODULES=list COMPRESS=lzop", "lvm", "virtio-scsi"),
    Row("bookworm", "dracut hostonly", "ext4", "nvme"),
    Row("bookworm", "dracut hostonly", "xfs", "virtio-blk"),
    Row("bookworm", "dracut hostonly", "btrfs", "virtio-scsi"),
    Row("bullseye", "initramfs-tools MODULES=list", "ext4", "virtio-scsi"),
    Row("bullseye", "initramfs-tools MODULES=dep COMPRESS=lz4", "xfs", "nvme"),
    Row("bullseye", "initramfs-tools MODULES=list COMPRESS=bzip2", "btrfs", "virtio-blk"),
    Row("bullseye", "initramfs-tools MODULES=list", "lvm", "nvme"),
    Row("trixie", "initramfs-tools MODULES=list COMPRESS=zstd", "ext4", "virtio-blk"),
    Row("trixie", "initramfs-tools MODULES=dep", "xfs", "nvme"),
    Row("trixie", "initramfs-tools MODULES=list COMPRESS=xz", "btrfs", "virtio-scsi"),
    Row("trixie", "initramfs-tools MODULES=list COMPRESS=zstd", "lvm", "virtio-blk"),
]


def guestfix(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "guestfix", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


def start(row: Row, disk: Path, kernel: Path, initrd: Path, until: list[str]) -> vm.Boot:
    arguments = f"root={row.spec} ro console=ttyS0 rootdelay=5 rd.retry=20 rd.shell=0 rd.emergency=reboot panic=5"
    more = ["-kernel", str(kernel), "-initrd", str(initrd), "-append", arguments]
    return vm.boot(disk, until, 400, row.bus, more)


@pytest.mark.parametrize("row", [pytest.param(SHORT, marks=pytest.mark.boot), *ROWS], ids=str)
def test_the_root_is_found_after_apply_and_not_before(row: Row, tmp_path: Path) -> None:
    vm.need("qemu-system-x86_64")
    disk = tmp_path / "disk.raw"
    make_disk(row, disk, tmp_path)
    kernel, before, after = (tmp_path / name for name in ("vmlinuz", "before.img", "after.img"))
    with mounted(row, disk, tmp_path / "mnt") as root:
        release = make_initramfs(row, root)
        image = root / f"boot/initrd.img-{release}"
        shutil.copy(root / f"boot/vmlinuz-{release}", kernel)
        shutil.copy(image, before)
        done = guestfix("apply", root, "--target", row.target, "--only", "initramfs/*")
        assert done.returncode == 0, done.stdout + done.stderr
        shutil.copy(image, after)
        assert before.read_bytes() != after.read_bytes(), "nothing was missing: the row shows nothing"
        assert (
            guestfix("report", root, "--target", row.target, "--only", "initramfs/*", "--detailed-exitcode").returncode
            == 0
        )
    lost = start(row, disk, kernel, before, [LOST, LOGIN])
    assert lost.seen and "login" not in lost.seen, lost.text[-3000:]
    found = start(row, disk, kernel, after, [LOGIN, LOST])
    assert "login" in found.seen, found.text[-4000:]
    assert f"Linux version {release}" in found.text
    _tell(row, release, lost, after.stat().st_size - before.stat().st_size)


def _tell(row: Row, release: str, lost: vm.Boot, added: int) -> None:
    came = (lost.seen.strip(), "login prompt", f"{added / 1e3:.0f} kB")
    vm.tell(row.suite, release, row.maker, row.root, row.bus, *came)
