"""Debian guests for the initramfs boots: a disk per filesystem, an initramfs per generator, nothing of them kept."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.build import debian
from tests.e2e import vm

PACKAGES = (
    "linux-image-amd64,initramfs-tools,systemd-sysv,udev,kmod,lvm2,xfsprogs,btrfs-progs,zstd,xz-utils,bzip2,lz4,lzop"
)
UUID = "6b1f1a52-8d0b-4f6e-9a57-0d6f6a1a0003"
SIZE = 1600 * 1024 * 1024
MIB = 1024 * 1024
SPARE = (
    *(f"usr/share/{name}/*" for name in ("doc", "locale", "man")),
    *("var/cache/apt/*", "var/lib/apt/lists/*", "boot/initrd*"),
    *(f"*lib/modules/*/kernel/{name}" for name in ("drivers/gpu", "drivers/media", "drivers/net/wireless", "sound")),
)
"""What no boot needs and only makes the disks slow to build."""

MAKE = {
    "ext4": ["mke2fs", "-q", "-t", "ext4", "-U", UUID],
    "xfs": ["mkfs.xfs", "-q", "-f", "-m", f"uuid={UUID}"],
    "btrfs": ["mkfs.btrfs", "-q", "-f", "-U", UUID],
}


@dataclass(frozen=True)
class Row:
    """One guest: suite, who makes its initramfs and how, root filesystem, the target's disk bus."""

    suite: str
    maker: str
    root: str
    bus: str

    @property
    def target(self) -> str:
        return {"nvme": "aws-nitro", "virtio-blk": "kvm-virtio", "virtio-scsi": "kvm-scsi"}[self.bus]

    @property
    def packages(self) -> str:
        """What the guest is made of; where no tool of a filesystem or compressor is wanted, the guest of test_boot."""
        plain = self.suite == "bookworm" and self.root == "ext4" and self.maker == "initramfs-tools MODULES=list"
        return debian.INCLUDE if plain else PACKAGES

    @property
    def fstype(self) -> str:
        return "ext4" if self.root == "lvm" else self.root

    @property
    def spec(self) -> str:
        return "/dev/mapper/vgroot-root" if self.root == "lvm" else f"UUID={UUID}"

    def __str__(self) -> str:
        return "-".join((self.suite, self.maker.replace(" ", "_").replace("=", "_"), self.root, self.bus))


def root_tar(suite: str, maker: str, packages: str = PACKAGES) -> Path:
    """Return a tar of the suite's root, with dracut in place of initramfs-tools where that makes the image."""
    plain = debian.debootstrap(suite, packages)
    if not maker.startswith("dracut"):
        return plain
    tar = plain.with_name(plain.name.replace(".tar", "-dracut.tar"))
    if tar.exists():
        return tar
    work = tar.with_suffix(".work")
    shutil.rmtree(work, ignore_errors=True)
    debian.unpack(plain, work)
    shutil.copy("/etc/resolv.conf", work / "etc/resolv.conf")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    vm.run("chroot", work, "apt-get", "-qq", "update", env=env)
    vm.run("chroot", work, "apt-get", "-qq", "install", "-y", "--no-install-recommends", "dracut", env=env)
    vm.run("tar", "-C", work, "--xattrs", "-cf", f"{tar}.new", ".")
    os.replace(f"{tar}.new", tar)
    shutil.rmtree(work)
    return tar


def make_disk(row: Row, disk: Path, work: Path) -> None:
    """Make a disk whose root filesystem holds the suite, as a plain filesystem or in a logical volume."""
    vm.need(MAKE[row.fstype][0], "mount", "tar")
    lead = MIB if row.root == "lvm" else 0
    part = work / "part.raw"
    with part.open("wb") as stream:
        stream.truncate(SIZE)
    vm.run(*MAKE[row.fstype], part)
    if lead:
        with disk.open("wb") as stream:
            stream.write(physical_volume(SIZE + 4 * MIB, SIZE))
            stream.truncate(SIZE + 4 * MIB)
        vm.run("dd", f"if={part}", f"of={disk}", "bs=1M", "seek=1", "conv=notrunc,sparse")
        part.unlink()
    else:
        part.rename(disk)
    with mounted(row, disk, work / "mnt") as root:
        spare = [f"--exclude=./{name}" for name in SPARE]
        vm.run("tar", "-C", root, "--xattrs", "-xpf", root_tar(row.suite, row.maker, row.packages), *spare)
        (root / "etc/fstab").write_text(f"{row.spec} / {row.fstype} defaults 0 1\n")
        (root / "etc/hostname").write_text("debian\n")


@contextmanager
def mounted(row: Row, disk: Path, place: Path) -> Iterator[Path]:
    """Mount the disk's root."""
    if os.geteuid() != 0:
        pytest.skip("mounting the disk needs root")
    place.mkdir(exist_ok=True)
    offset = MIB if row.root == "lvm" else 0
    vm.run("mount", "-o", f"loop,offset={offset}", disk, place)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-R", str(place)], check=True)


def make_initramfs(row: Row, root: Path) -> str:
    """Build the guest's initramfs inside the mounted root with its own generator; return the kernel's release.

    It lacks the target's driver, as one made on an IDE, VMware or Hyper-V machine would.
    """
    release = vm.kernel_of(root)
    for kind in ("proc", "sysfs"):
        vm.run("mount", "-t", kind, kind, root / {"proc": "proc", "sysfs": "sys"}[kind])
    vm.run("mount", "--bind", "/dev", root / "dev")
    try:
        image = f"/boot/initrd.img-{release}"
        if row.maker.startswith("dracut"):
            drivers = {"nvme": "nvme nvme_core", "virtio-blk": "virtio_blk", "virtio-scsi": "virtio_scsi"}[row.bus]
            omit = ["--omit-drivers", f"{drivers} virtio_pci"]
            vm.run(
                "chroot", root, "dracut", "--force", "--hostonly", "--add-drivers", row.fstype, *omit, image, release
            )
        else:
            _initramfs_tools(row, root, release, image)
    finally:
        for name in ("dev", "sys", "proc"):
            subprocess.run(["umount", str(root / name)], check=True)
    return release


def _initramfs_tools(row: Row, root: Path, release: str, image: str) -> None:
    words = dict(word.split("=") for word in row.maker.split() if "=" in word)
    conf = root / "etc/initramfs-tools/initramfs.conf"
    lines = [line for line in conf.read_text().splitlines() if not line.startswith(("MODULES=", "COMPRESS="))]
    more = [f"MODULES={words['MODULES']}", f"COMPRESS={words.get('COMPRESS', 'gzip')}"]
    conf.write_text("\n".join([*lines, *more]) + "\n")
    if words["MODULES"] == "list":
        (root / "etc/initramfs-tools/modules").write_text(f"ata_piix\nsd_mod\n{row.fstype}\n")
    vm.run("chroot", root, "mkinitramfs", "-o", image, release)


def physical_volume(size: int, content: int) -> bytes:
    """Return the first MiB of an LVM2 physical volume of ``size`` bytes whose one linear volume begins behind it.

    The layout is that of LVM2's label and text metadata (lvm.conf(5), pvck(8) --dump).
    """
    extents = content // (4 * MIB)
    ids = {name: f"{name:0<6}-aaaa-bbbb-cccc-dddd-eeee-ffffff" for name in ("vgroot", "pvroot", "lvroot")}
    text = (
        f"""vgroot {{
id = "{ids["vgroot"]}"
seqno = 1
format = "lvm2"
status = ["RESIZEABLE", "READ", "WRITE"]
flags = []
extent_size = 8192
max_lv = 0
max_pv = 0
metadata_copies = 0
physical_volumes {{
pv0 {{
id = "{ids["pvroot"]}"
device = "/dev/sda"
status = ["ALLOCATABLE"]
flags = []
dev_size = {size // 512}
pe_start = 2048
pe_count = {extents}
}}
}}
logical_volumes {{
root {{
id = "{ids["lvroot"]}"
status = ["READ", "WRITE", "VISIBLE"]
flags = []
segment_count = 1
segment1 {{
start_extent = 0
extent_count = {extents}
type = "striped"
stripe_count = 1
stripes = [
"pv0", 0
]
}}
}}
}}
}}
contents = "Text Format Volume Group"
version = 1
description = ""
creation_host = "debian"
creation_time = 1
""".encode()
        + b"\0"
    )
    head = bytearray(MIB)
    label = bytearray(512)
    label[:32] = struct.pack("<8sQII8s", b"LABELONE", 1, 0, 32, b"LVM2 001")
    areas = struct.pack("<QQQQQQQQ", MIB, 0, 0, 0, 4096, MIB - 4096, 0, 0) + struct.pack("<IIQQ", 2, 1, 0, 0)
    label[32 : 32 + 40 + len(areas)] = ids["pvroot"].replace("-", "").encode() + struct.pack("<Q", size) + areas
    label[16:20] = struct.pack("<I", _crc(bytes(label[20:])))
    head[512:1024] = label
    place = struct.pack("<QQII", 512, len(text), _crc(text), 0)
    area = (struct.pack("<16sIQQ", b" LVM2 x[5A%r0N*>", 1, 4096, MIB - 4096) + place).ljust(508, b"\0")
    head[4096:4608] = struct.pack("<I", _crc(area)) + area
    head[4608 : 4608 + len(text)] = text
    return bytes(head)


def _crc(data: bytes) -> int:
    """LVM2's CRC: CRC-32 from its own starting value, without the final complement."""
    return zlib.crc32(data, 0xF597A6CF ^ 0xFFFFFFFF) ^ 0xFFFFFFFF
