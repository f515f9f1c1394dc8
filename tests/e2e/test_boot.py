"""A real Debian 12 disk that names /dev/sda2 boots on NVMe after apply, and doesn't before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e import vm

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
LOGIN = r"debian login: "
LOST = r"ALERT!  /dev/sda2 does not exist|Gave up waiting for root|Kernel panic"
FILES = {
    "/etc/hostname": "debian\n",
    "/etc/fstab": "/dev/sda2 / ext4 errors=remount-ro 0 1\n/dev/sda1 none swap sw 0 0\n",
    "/etc/default/grub": 'GRUB_DEFAULT=0\nGRUB_TIMEOUT=5\nGRUB_CMDLINE_LINUX="console=ttyS0"\n',
    "/boot/grub/grub.cfg": vm.grub_cfg("{release}", "/dev/sda2", "console=ttyS0"),
}


def guestfix(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "guestfix", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


def test_root_by_device_name_boots_on_nvme_after_apply(tmp_path: Path) -> None:
    disk, disks = tmp_path / "debian.raw", tmp_path / "disks.yaml"
    release = vm.debian_disk(disk, FILES, tmp_path)
    disks.write_text(vm.DISKS)
    before = vm.boot(disk, [LOST, LOGIN])
    assert before.seen != "", f"neither a login prompt nor a failure in time:\n{before.text[-3000:]}"
    assert "login" not in before.seen, before.text[-3000:]
    assert f"Linux version {release}" in before.text
    with vm.mounted(disk, tmp_path / "mnt") as root:
        done = guestfix("apply", root, "--target", "aws-nitro", "--disks", disks)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"root=UUID={vm.ROOT_UUID}" in (root / "boot/grub/grub.cfg").read_text()
    after = vm.boot(disk, [LOGIN, LOST])
    assert "login" in after.seen, after.text[-4000:]
    assert f"root=UUID={vm.ROOT_UUID}" in after.text
