"""A Debian for arm64 that names /dev/sda2 and has no fallback loader starts on virtio after apply, and not before."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.build import debian
from tests.e2e import vm

pytestmark = pytest.mark.e2e

REPO = Path(__file__).resolve().parents[2]


def guestfix(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "guestfix", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, cwd=REPO, check=False)


def started(disk: Path) -> dict[str, object]:
    """Start a throw-away copy as guestfix verify does, and return what it saw."""
    done = guestfix(
        "verify", disk, "--target", "kvm-virtio", "--format", "json", "--limit", "1500", "--patience", "400"
    )
    assert done.returncode in (0, 1), done.stdout[-2000:] + done.stderr
    (start,) = json.loads(done.stdout)["starts"]
    assert "aarch64" in json.dumps(start["hardware"]), start["hardware"]
    return dict(start)


def arm_guest(root: Path) -> str:
    """Make a root that stands as it was installed on another machine: its loader is named in that one's NVRAM."""
    release = vm.kernel_of(root)
    loader = root / "usr/lib/grub/arm64-efi/monolithic/grubaa64.efi"
    if not loader.exists():
        pytest.skip("this Debian has no monolithic GRUB for arm64")
    esp = root / "boot/efi/EFI/debian"
    esp.mkdir(parents=True)
    shutil.copyfile(loader, esp / "grubaa64.efi")
    (esp / "grub.cfg").write_text(
        f"search.fs_uuid {vm.ROOT_UUID} root hd0,gpt2 \nset prefix=($root)'/boot/grub'\nconfigfile $prefix/grub.cfg\n"
    )
    text = vm.grub_cfg(release, "/dev/sda2", "console=ttyS0").replace("part_msdos", "part_gpt")
    text = "".join(line for line in text.splitlines(True) if not line.startswith(("serial", "terminal")))
    (root / "boot/grub").mkdir(exist_ok=True)
    (root / "boot/grub/grub.cfg").write_text(text)
    (root / "etc/default/grub").write_text('GRUB_TIMEOUT=1\nGRUB_CMDLINE_LINUX="console=ttyS0"\n')
    (root / "etc/hostname").write_text("debian\n")
    (root / "etc/fstab").write_text("/dev/sda2 / ext4 defaults 0 1\n/dev/sda1 /boot/efi vfat umask=0077 0 1\n")
    (root / "etc/network/interfaces").write_text(
        "auto lo\niface lo inet loopback\nauto ens192\niface ens192 inet static\n address 192.0.2.7/24\n"
        " gateway 192.0.2.1\n"
    )
    patience = root / "etc/systemd/system.conf.d/emulated.conf"  # which takes longer than a machine's 90 seconds
    patience.parent.mkdir()
    patience.write_text("[Manager]\nDefaultTimeoutStartSec=900\nDefaultDeviceTimeoutSec=900\n")
    shadow = root / "etc/shadow"
    shadow.write_text(shadow.read_text().replace("root:*:", "root::"))
    return release


def test_an_arm_guest_starts_on_virtio_after_apply(tmp_path: Path) -> None:
    vm.need("qemu-system-aarch64")
    root = debian.unpack(debian.arm_root(), tmp_path / "root")
    release = arm_guest(root)
    disk, disks = tmp_path / "arm.raw", tmp_path / "disks.yaml"
    disks.write_text(vm.UEFI_DISKS)
    vm.uefi_disk(disk, root, tmp_path)
    before = started(disk)
    assert before["ending"] != "reached", before
    done = guestfix("apply", root, "--target", "kvm-virtio", "--disks", disks)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (root / "boot/efi/EFI/BOOT/BOOTAA64.EFI").exists()
    menu = (root / "boot/grub/grub.cfg").read_text()
    assert f"root=UUID={vm.ROOT_UUID}" in menu and "console=ttyAMA0,115200n8" in menu
    vm.uefi_disk(disk, root, tmp_path)
    after = started(disk)
    assert after["ending"] == "reached", after
    assert f"Linux version {release}" in after["console"]["text"], after["console"]  # type: ignore[index]
