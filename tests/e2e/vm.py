"""Whole guests for the end-to-end tests: a bootable Debian disk, and QEMU with its serial console.

Everything is skipped, with the reason, where the machine can't do it. Nothing here runs as part of guestfix.
"""

from __future__ import annotations

import fcntl
import os
import re
import select
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.build import debian

GRUB = Path("/usr/lib/grub/i386-pc")
SECTOR = 512
ACCEL = os.environ.get("GUESTFIX_TEST_ACCEL", "tcg,thread=multi")
"""Software emulation by default: a nested machine may offer a /dev/kvm that hangs."""

ROOT_START = 532480
"""First sector of partition 2; partition 1 is 256 MiB of swap."""

SWAP_UUID = "6b1f1a52-8d0b-4f6e-9a57-0d6f6a1a0001"
ROOT_UUID = "6b1f1a52-8d0b-4f6e-9a57-0d6f6a1a0002"
DISKS = f"""disks:
  - device: /dev/sda
    table: mbr
    partitions:
      - {{device: /dev/sda1, fstype: swap, uuid: {SWAP_UUID}}}
      - {{device: /dev/sda2, fstype: ext4, uuid: {ROOT_UUID}}}
"""
UEFI_DISKS = f"""disks:
  - device: /dev/sda
    table: gpt
    partitions:
      - {{device: /dev/sda1, fstype: vfat, uuid: 0AB1-0AB1}}
      - {{device: /dev/sda2, fstype: ext4, uuid: {ROOT_UUID}}}
"""


def need(*tools: str) -> None:
    """Skip the test where a program is missing."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


def run(*command: object, **options: object) -> str:
    """Run a program and return what it printed; skip where it fails, with its message."""
    done = subprocess.run([str(one) for one in command], capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    if done.returncode:
        pytest.skip(f"{command[0]} failed here: {(done.stderr or done.stdout)[-300:]}")
    return str(done.stdout)


@contextmanager
def alone() -> Iterator[None]:
    """Hold the file that GUESTFIX_START_LOCK names, where it names one, so that runs start guests one after another."""
    place = os.environ.get("GUESTFIX_START_LOCK")
    with open(place or os.devnull, "ab") as held:
        if place:
            fcntl.flock(held, fcntl.LOCK_EX)
        yield


def tell(*cells: str) -> None:
    """Append a row to the table of results that GUESTFIX_BOOT_TABLE names, where one is asked for."""
    table = os.environ.get("GUESTFIX_BOOT_TABLE")
    if table:
        with open(table, "a", encoding="utf-8") as stream:
            stream.write(f"| {' | '.join(cells)} |\n")


def kernel_of(root: Path) -> str:
    """Return the release of the newest kernel in a root."""
    return sorted(path.name.removeprefix("vmlinuz-") for path in (root / "boot").glob("vmlinuz-*"))[-1]


def grub_cfg(release: str, root: str, args: str = "") -> str:
    """Return a grub.cfg as Debian's grub-mkconfig writes it, cut down, that boots this kernel."""
    return f"""set default="0"
serial --unit=0 --speed=115200
terminal_input serial console
terminal_output serial console
set timeout=1
menuentry 'Debian GNU/Linux' --class debian --class os $menuentry_id_option 'gnulinux-simple-{ROOT_UUID}' {{
\tinsmod part_msdos
\tinsmod ext2
\tsearch --no-floppy --fs-uuid --set=root {ROOT_UUID}
\techo\t'Loading Linux {release} ...'
\tlinux\t/boot/vmlinuz-{release} root={root} ro {args}
\techo\t'Loading initial ramdisk ...'
\tinitrd\t/boot/initrd.img-{release}
}}
"""


def debian_disk(disk: Path, files: Mapping[str, str], work: Path, root: Path | None = None) -> str:
    """Make a raw disk with an MBR, swap and a Debian 12 root, and GRUB for a BIOS. Returns the kernel's release.

    ``files`` are written into the root; ``{release}`` in them becomes the kernel's release. ``root`` is a root that was
    made already, which goes.
    """
    need("mke2fs", "sfdisk", "grub-mkimage")
    if not (GRUB / "boot.img").exists():
        pytest.skip("GRUB's i386-pc modules are not installed (grub-pc-bin)")
    root = root or debian.unpack(debian.debootstrap(), work / "root")
    release = kernel_of(root)
    for name, text in files.items():
        path = root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("{release}", release))
    run("cp", "-r", GRUB, root / "boot/grub/")
    part = work / "root.ext4"
    run("mke2fs", "-q", "-t", "ext4", "-U", ROOT_UUID, "-d", root, part, "2000M")
    with open(disk, "wb") as stream:
        stream.truncate((ROOT_START * SECTOR) + part.stat().st_size)
    table = (
        f"label: dos\nlabel-id: 0x0a1b2c3d\nstart=2048, size=524288, type=82\nstart={ROOT_START}, type=83, bootable\n"
    )
    run("sfdisk", "-q", disk, input=table)
    run(
        "dd",
        f"if={part}",
        f"of={disk}",
        "bs=1M",
        f"seek={ROOT_START * SECTOR}",
        "oflag=seek_bytes",
        "conv=notrunc,sparse",
    )
    part.unlink()
    shutil.rmtree(root)
    install_grub(disk, work, "(hd0,msdos2)/boot/grub")
    return release


def install_grub(disk: Path, work: Path, prefix: str, modules: Sequence[str] = ()) -> None:
    """Put GRUB's boot sector and core image before the first partition, as grub-bios-setup does."""
    core = work / "core.img"
    known = ("biosdisk", "part_msdos", "ext2", "normal", "search", "linux", "serial", "terminal", "echo", "test")
    run("grub-mkimage", "-O", "i386-pc", "-d", GRUB, "-p", prefix, "-o", core, *known, *modules)
    put_grub(disk, (GRUB / "boot.img").read_bytes(), core.read_bytes())


def put_grub(disk: Path, boot: bytes, core: bytes) -> None:
    """Write a boot sector and a core image before the first partition."""
    assert len(core) < 2047 * SECTOR, "the core image doesn't fit before the first partition"
    with open(disk, "r+b") as stream:
        stream.write(boot[:440])
        stream.seek(SECTOR)
        stream.write(core)


@contextmanager
def mounted(disk: Path, place: Path) -> Iterator[Path]:
    """Mount the root of a disk that debian_disk() made."""
    if os.geteuid() != 0:
        pytest.skip("mounting the disk needs root")
    place.mkdir(exist_ok=True)
    run("mount", "-o", f"loop,offset={ROOT_START * SECTOR}", disk, place)
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


@dataclass(frozen=True)
class Boot:
    """What a guest's serial console said, and which of the awaited texts came, or empty at the end of time."""

    text: str
    seen: str


def boot(disk: Path, until: Sequence[str], timeout: float = 420, bus: str = "nvme", more: Sequence[str] = ()) -> Boot:
    """Start the guest and read its serial console until one of these regular expressions appears.

    ``bus`` is nvme, virtio-blk or virtio-scsi; the disk's suffix is its format. It is not written to.
    """
    need("qemu-system-x86_64")
    device = {
        "nvme": ["-device", "nvme,drive=d0,serial=guestfix"],
        "virtio-blk": ["-device", "virtio-blk-pci,drive=d0"],
        "virtio-scsi": ["-device", "virtio-scsi-pci", "-device", "scsi-hd,drive=d0"],
    }[bus]
    command = ["qemu-system-x86_64", "-accel", ACCEL, "-m", "1024", "-smp", "2"]
    command += ["-drive", f"file={disk},if=none,id=d0,format={disk.suffix[1:]},snapshot=on", *device, "-nic", "none"]
    command += ["-display", "none", "-monitor", "none", "-serial", "stdio", "-no-reboot", *more]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    waiting = select.poll()
    waiting.register(process.stdout, select.POLLIN)
    text, end = "", time.monotonic() + timeout
    wanted = re.compile("|".join(f"(?:{one})" for one in until))
    try:
        while time.monotonic() < end:
            ready = waiting.poll(1000)
            data = os.read(process.stdout.fileno(), 65536) if ready else b""
            if ready and not data:
                break
            text += data.decode("utf-8", "replace")
            match = wanted.search(text)
            if match:
                return Boot(text, match[0])
        if process.poll() not in (None, 0) and not text:
            stderr = process.stderr.read().decode("utf-8", "replace") if process.stderr else ""
            pytest.skip(f"QEMU does not run here: {stderr[-300:]}")
        return Boot(text, "")
    finally:
        process.kill()
        process.wait()


# UEFI

OVMF = Path("/usr/share/OVMF")
SHIM = Path("/usr/lib/shim")
SIGNED_GRUB = Path("/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed")
ESP_KIB = 64 * 1024
ESP_ROOT_START = 2048 + ESP_KIB * 2


def signed_loaders() -> dict[str, bytes]:
    """Return Debian's signed shim, GRUB and MokManager by the names they have on an EFI system partition."""
    files = {
        "shimx64.efi": SHIM / "shimx64.efi.signed",
        "mmx64.efi": SHIM / "mmx64.efi.signed",
        "grubx64.efi": SIGNED_GRUB,
    }
    missing = [str(path) for path in files.values() if not path.exists()]
    if missing:
        pytest.skip(f"not installed (shim-signed, grub-efi-amd64-signed): {', '.join(missing)}")
    return {name: path.read_bytes() for name, path in files.items()}


def uefi_disk(disk: Path, root: Path, work: Path) -> None:
    """Make a raw disk with a GPT: an EFI system partition from root's /boot/efi, then root itself as ext4."""
    need("mke2fs", "sfdisk", "mkfs.vfat", "mcopy")
    esp, part = work / "esp.fat", work / "root.ext4"
    esp.unlink(missing_ok=True)
    run("mkfs.vfat", "-C", "-i", "0AB10AB1", esp, ESP_KIB)
    run("mcopy", "-s", "-i", esp, *(root / "boot/efi").iterdir(), "::/")
    run("mke2fs", "-q", "-t", "ext4", "-U", ROOT_UUID, "-d", root, part, "2000M")
    with open(disk, "wb") as stream:
        stream.truncate(ESP_ROOT_START * SECTOR + part.stat().st_size + 2048 * SECTOR)
    sizes = ESP_KIB * 2, part.stat().st_size // SECTOR
    table = f"label: gpt\nstart=2048, size={sizes[0]}, type=uefi\nstart={ESP_ROOT_START}, size={sizes[1]}\n"
    run("sfdisk", "-q", disk, input=table)
    for source, start in ((esp, 2048), (part, ESP_ROOT_START)):
        run(
            "dd",
            f"if={source}",
            f"of={disk}",
            "bs=1M",
            f"seek={start * SECTOR}",
            "oflag=seek_bytes",
            "conv=notrunc,sparse",
        )
        source.unlink()


def secure_boot(work: Path) -> list[str]:
    """Return QEMU's options for firmware with Secure Boot on and no boot entries of its own."""
    code, variables = OVMF / "OVMF_CODE_4M.ms.fd", OVMF / "OVMF_VARS_4M.ms.fd"
    if not code.exists() or not variables.exists():
        pytest.skip("OVMF with Microsoft's keys is not installed (ovmf)")
    own = work / "vars.fd"
    shutil.copyfile(variables, own)
    found = ["-machine", "q35,smm=on", "-global", "driver=cfi.pflash01,property=secure,value=on"]
    found += ["-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={code}"]
    return [*found, "-drive", f"if=pflash,format=raw,unit=1,file={own}"]


SDA2_GUEST = {
    "/etc/hostname": "debian\n",
    "/etc/fstab": "/dev/sda2 / ext4 errors=remount-ro 0 1\n/dev/sda1 none swap sw 0 0\n",
    "/etc/default/grub": 'GRUB_DEFAULT=0\nGRUB_TIMEOUT=5\nGRUB_CMDLINE_LINUX="console=ttyS0"\n',
    "/boot/grub/grub.cfg": grub_cfg("{release}", "/dev/sda2", "console=ttyS0"),
}
"""Files of a Debian that names its root /dev/sda2 everywhere."""
