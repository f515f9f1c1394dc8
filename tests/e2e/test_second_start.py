"""What comes after the first start on a target: a kernel that the guest installs there, the next move, the way back."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from guestfix.backends.status import usable
from tests.build import debian
from tests.e2e import machine, vm
from tests.e2e.calibration import guestfix

pytestmark = pytest.mark.e2e

MENU = "/boot/grub/grub.cfg"
META = "linux-image-cloud-amd64"
STATIC = "auto lo ens192\niface lo inet loopback\niface ens192 inet static\n\taddress 192.0.2.7/24\n"
FILES = {
    "/etc/network/interfaces": STATIC,
    "/etc/default/grub": 'GRUB_DEFAULT=0\nGRUB_TIMEOUT=1\nGRUB_CMDLINE_LINUX="console=ttyS0"\n'
    'GRUB_TERMINAL="serial console"\nGRUB_SERIAL_COMMAND="serial --unit=0 --speed=115200"\n',
}
ROUTE = ("kvm-virtio", "aws-nitro", "vmware", "kvm-virtio")


def guest(disk: Path, work: Path) -> Path:
    vm.need("qemu-system-x86_64", "mke2fs", "sfdisk", "ssh", "ssh-keygen")
    if not usable("uml"):
        pytest.skip("User-mode Linux is not installed")
    return machine.old_guest(disk, work, debian.with_packages(("grub-pc",)), FILES)


def apply(disk: Path, target: str) -> None:
    guestfix("apply", f"uml:{disk}", "--in-place", "--target", target, "--format", "json")


def start(disk: Path, target: str) -> dict[str, object]:
    """Return how a start from a copy ended, with the names of its signs."""
    one = guestfix("verify", disk, "--target", target, "--format", "json")["starts"][0]
    one["signs"] = [mark["name"] for mark in one["marks"]]
    vm.tell(f"{disk.stem} on {target}", one["ending"], f"{one['seconds']:.0f} s")
    return dict(one)


def kernel_package(folder: Path) -> tuple[Path, str]:
    """Return the package of another kernel, as the archive has it now, and its release."""
    told = vm.run("apt-cache", "show", "--no-all-versions", META)
    package = next(line.split()[1] for line in told.splitlines() if line.startswith("Depends:"))
    vm.run("apt-get", "download", package, cwd=folder)
    return next(folder.glob("*.deb")), package.removeprefix("linux-image-")


@contextmanager
def devices(root: Path) -> Iterator[None]:
    """Give programs of a root this machine's devices, as update-grub asks for its own disk."""
    vm.run("mount", "--rbind", "/dev", root / "dev")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(root / "dev")], check=True)


def asks_no_loop(root: Path, what: Callable[[], object]) -> None:
    """Do something while the root's grub-mkconfig takes a loop device for a disk."""
    script = root / "etc/grub.d/10_linux"
    text = script.read_text()
    assert "/dev/loop" in text
    script.write_text(text.replace("/dev/loop", "/dev/none"))
    what()
    script.write_text(text)


def test_a_kernel_installed_on_the_target_starts_there(tmp_path: Path) -> None:
    disk = tmp_path / "kernel.raw"
    key = guest(disk, tmp_path)
    package, release = kernel_package(tmp_path)
    with vm.mounted(disk, tmp_path / "mnt") as root:
        shutil.copy(package, root / "root/kernel.deb")
    apply(disk, "kvm-virtio")
    with machine.started(disk, key, tmp_path / "console") as first:
        old = first.until("uname -r", "amd64").strip()
        assert old and old != release, (tmp_path / "console").read_text(errors="replace")[-3000:]
        status, said = first.ask("apt-get install -y --no-install-recommends /root/kernel.deb 2>&1", 1500)
        assert status == 0, said
        assert "Found linux image" in said and release in said, said  # update-grub ran in the guest
        first.ask("sync; poweroff")
    with machine.started(disk, key, tmp_path / "console2") as second:
        assert second.until("uname -r", "amd64").strip() == release, (tmp_path / "console2").read_text()[-3000:]
        assert "root=UUID=" in second.ask("cat /proc/cmdline")[1]
        second.ask("sync; poweroff")
    again = guestfix("report", f"uml:{disk}", "--target", "kvm-virtio", "--format", "json", status=(0, 2))
    left = [one["path"] for one in again["changes"]]
    assert all(path.startswith("/var/lib/dhcp/") for path in left), "only what the target's own network leased is new"


def test_revert_by_force_after_a_kernel_that_had_the_menu_written_anew_leads_back(tmp_path: Path) -> None:
    """The guest's own update-grub writes the menu that apply changed; it runs in a folder, as a start would have it."""
    disk = tmp_path / "menu.raw"
    guest(disk, tmp_path)
    package, release = kernel_package(tmp_path)
    apply(disk, "kvm-virtio")
    with vm.mounted(disk, tmp_path / "mnt") as root:
        shutil.copy(package, root / "root/kernel.deb")
        with machine.in_use(root), debian.nothing_starts(root), devices(root):
            vm.run("chroot", root, "apt-get", "install", "-y", "--no-install-recommends", "/root/kernel.deb")
            asks_no_loop(root, lambda: vm.run("chroot", root, "update-grub"))
        written = (root / MENU[1:]).read_bytes()
        assert release.encode() in written
    refused = guestfix("revert", f"uml:{disk}", "--in-place", "--format", "json", status=(2,))
    assert refused["error"]["what"] == f"changed since apply: {MENU}" and "--force" in refused["error"]["remedy"]
    with vm.mounted(disk, tmp_path / "mnt") as root:
        assert (root / MENU[1:]).read_bytes() == written, "nothing is written where something is refused"
    forced = guestfix("revert", f"uml:{disk}", "--in-place", "--force", "--format", "json", status=(0, 4))
    with vm.mounted(disk, tmp_path / "mnt") as root:
        assert (root / forced["kept_aside"][MENU][1:]).read_bytes() == written, "what the guest wrote is not lost"
    ended = start(disk, "vmware")
    assert "login" in ended["signs"], ended["console"]


def test_a_guest_that_moves_on_and_back_starts_everywhere_and_in_the_old_way_after_revert(tmp_path: Path) -> None:
    disk = tmp_path / "route.raw"
    guest(disk, tmp_path)
    assert start(disk, ROUTE[0])["ending"] == "stopped"
    for target in ROUTE:
        apply(disk, target)
        ended = start(disk, target)
        assert ended["ending"] == "reached", ended["console"]
    guestfix("revert", f"uml:{disk}", "--in-place", "--format", "json")
    assert guestfix("status", disk, "--format", "json")["applies"] == []
    assert "login" in start(disk, "vmware")["signs"]


def test_revert_after_a_start_on_the_target_keeps_what_the_guest_wrote(tmp_path: Path) -> None:
    disk = tmp_path / "back.raw"
    key = guest(disk, tmp_path)
    apply(disk, "kvm-virtio")
    with machine.started(disk, key, tmp_path / "console") as first:
        assert first.until("echo kept >/root/own; cat /root/own", "kept"), (tmp_path / "console").read_text()[-3000:]
        first.ask("sync; poweroff")
    guestfix("revert", f"uml:{disk}", "--in-place", "--format", "json")
    with vm.mounted(disk, tmp_path / "mnt") as root:
        assert (root / "root/own").read_text() == "kept\n"
        assert (root / "etc/network/interfaces").read_text() == STATIC
        left = subprocess.run(
            ["find", root, "-xdev", "-name", "*guestfix*"], capture_output=True, text=True, check=True
        )
        assert left.stdout == ""
    assert "login" in start(disk, "vmware")["signs"]
