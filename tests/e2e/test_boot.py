"""A real Debian 12 disk that names /dev/sda2 boots on NVMe after apply, and doesn't before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from guestfix.backends.status import usable
from tests.build import debian
from tests.e2e import vm

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
LOGIN = r"debian login: "
LOST = r"ALERT!  /dev/sda2 does not exist|Gave up waiting for root|Kernel panic"


def guestfix(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "guestfix", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


@pytest.mark.boot
def test_root_by_device_name_boots_on_nvme_after_apply(tmp_path: Path) -> None:
    disk, disks = tmp_path / "debian.raw", tmp_path / "disks.yaml"
    release = vm.debian_disk(disk, vm.SDA2_GUEST, tmp_path)
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


@pytest.mark.parametrize(
    ("backend", "words"),
    [("uml", ("--output", "new.qcow2")), ("libguestfs", ("--image-format", "vmdk", "--output", "new.vmdk"))],
)
def test_the_image_that_a_backend_wrote_boots(backend: str, words: tuple[str, ...], tmp_path: Path) -> None:
    """No mount, no description of the disks: what an administrator does with an image."""
    if not usable(backend):
        pytest.skip(f"{backend} can't be used here (guestfix backends tells why)")
    disk, new = tmp_path / "debian.raw", tmp_path / words[-1]
    vm.debian_disk(disk, vm.SDA2_GUEST, tmp_path)
    done = guestfix("apply", f"{backend}:{disk}", "--target", "aws-nitro", *words[:-1], new)
    assert done.returncode == 0, done.stdout + done.stderr
    after = vm.boot(new, [LOGIN, LOST])
    assert "login" in after.seen, after.text[-4000:]
    assert f"root=UUID={vm.ROOT_UUID}" in after.text


NO_LOADER = r"No bootable option|Shell> |BdsDxe: failed to load Boot.*\n.*PXE"


def test_uefi_without_boot_entries_boots_after_apply_with_secure_boot(tmp_path: Path) -> None:
    loaders = vm.signed_loaders()
    root = debian.unpack(debian.debootstrap(), tmp_path / "root")
    release = vm.kernel_of(root)
    esp = root / "boot/efi/EFI/debian"
    esp.mkdir(parents=True)
    for name, data in loaders.items():
        (esp / name).write_bytes(data)
    (esp / "grub.cfg").write_text(
        f"search.fs_uuid {vm.ROOT_UUID} root hd0,gpt2 \nset prefix=($root)'/boot/grub'\nconfigfile $prefix/grub.cfg\n"
    )
    text = vm.grub_cfg(release, f"UUID={vm.ROOT_UUID}", "console=ttyS0").replace("part_msdos", "part_gpt")
    (root / "boot/grub").mkdir(exist_ok=True)
    (root / "boot/grub/grub.cfg").write_text(text)
    (root / "etc/fstab").write_text(
        f"UUID={vm.ROOT_UUID} / ext4 defaults 0 1\nUUID=0AB1-0AB1 /boot/efi vfat umask=0077 0 1\n"
    )
    disk, firmware = tmp_path / "debian.raw", vm.secure_boot(tmp_path)
    vm.uefi_disk(disk, root, tmp_path)
    before = vm.boot(disk, [NO_LOADER, "Linux version"], more=firmware)
    assert "Linux" not in before.seen, before.text[-3000:]
    disks = tmp_path / "disks.yaml"
    disks.write_text(vm.UEFI_DISKS)
    done = guestfix("apply", root, "--target", "kvm-virtio", "--disks", disks)
    assert done.returncode == 0, done.stdout + done.stderr
    vm.uefi_disk(disk, root, tmp_path)
    after = vm.boot(disk, ["[Ss]ecure boot (?:enabled|disabled)", NO_LOADER], more=vm.secure_boot(tmp_path))
    assert after.seen.lower() == "secure boot enabled", after.text[-4000:]
    assert f"Linux version {release}" in after.text
