"""Write the binary files of testdata/guests: kernels, modules with their indexes, initramfs images, program headers.

``python -m tests.build.make_guests`` needs depmod (kmod). All of it is made from the tables here; each file is
as small as the formats allow, and holds no code. Text files of the guests are written by hand.
"""

from __future__ import annotations

import gzip
import lzma
import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.build.tree import bzimage, elf

GUESTS = Path(__file__).resolve().parents[2] / "testdata" / "guests"
INDEXES = ("dep", "dep.bin", "alias", "alias.bin", "builtin", "builtin.bin", "softdep", "order")


@dataclass(frozen=True)
class Module:
    """A kernel module: its path below kernel/, what it exports, whose exports it uses, what it drives."""

    path: str
    needs: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return Path(self.path).name.replace("-", "_")


MODULES = [
    Module("drivers/virtio/virtio"),
    Module("drivers/virtio/virtio_ring", ("virtio",)),
    Module("drivers/virtio/virtio_pci", ("virtio_ring", "virtio"), ("pci:v00001AF4d*sv*sd*bc*sc*i*",)),
    Module("drivers/block/virtio_blk", ("virtio_ring", "virtio"), ("virtio:d00000002v*",)),
    Module("drivers/scsi/virtio_scsi", ("virtio_ring", "virtio"), ("virtio:d00000008v*",)),
    Module("net/core/failover"),
    Module("drivers/net/net_failover", ("failover",)),
    Module("drivers/net/virtio_net", ("net_failover", "virtio_ring", "virtio"), ("virtio:d00000001v*",)),
    Module("drivers/nvme/host/nvme-core"),
    Module("drivers/nvme/host/nvme", ("nvme_core",), ("pci:v*d*sv*sd*bc01sc08i02*",)),
    Module("drivers/net/ethernet/amazon/ena/ena", (), ("pci:v00001D0Fd0000EC20sv*sd*bc*sc*i*",)),
    Module("drivers/block/xen-blkfront", (), ("xen:vbd",)),
    Module("drivers/net/xen-netfront", (), ("xen:vif",)),
    Module("drivers/scsi/vmw_pvscsi", (), ("pci:v000015ADd000007C0sv*sd*bc*sc*i*",)),
    Module("drivers/net/vmxnet3/vmxnet3", (), ("pci:v000015ADd000007B0sv*sd*bc*sc*i*",)),
    Module("drivers/scsi/scsi_transport_spi"),
    Module("drivers/message/fusion/mptbase"),
    Module("drivers/message/fusion/mptscsih", ("mptbase",)),
    Module(
        "drivers/message/fusion/mptspi",
        ("mptscsih", "scsi_transport_spi", "mptbase"),
        ("pci:v00001000d00000030sv*sd*bc*sc*i*",),
    ),
    Module("drivers/hv/hv_vmbus", (), ("acpi*:VMBUS:*",)),
    Module("drivers/scsi/hv_storvsc", ("hv_vmbus",), ("vmbus:d96361baa104294db60572e2ffb1dc7f",)),
    Module("drivers/net/hyperv/hv_netvsc", ("hv_vmbus",), ("vmbus:635161f83edfc546913ff2d2f965ed0e",)),
    Module("drivers/ata/libata"),
    Module("drivers/ata/libahci", ("libata",)),
    Module("drivers/ata/ahci", ("libahci", "libata"), ("pci:v*d*sv*sd*bc01sc06i01*",)),
    Module("drivers/net/ethernet/intel/e1000/e1000", (), ("pci:v00008086d0000100Esv*sd*bc*sc*i*",)),
    Module("drivers/scsi/sd_mod", ("crc_t10dif",), ("scsi:t-0x00*",)),
    Module("lib/crc-t10dif"),
    Module("lib/libcrc32c"),
    Module("fs/xfs/xfs", ("libcrc32c",), ("fs-xfs",)),
    Module("fs/jbd2/jbd2"),
    Module("fs/mbcache"),
    Module("fs/ext4/ext4", ("jbd2", "mbcache"), ("fs-ext4",)),
    Module("fs/btrfs/btrfs", ("libcrc32c", "xor"), ("fs-btrfs",)),
    Module("crypto/xor"),
    Module("drivers/md/dm-mod"),
]


@dataclass(frozen=True)
class Kernel:
    """An installed kernel. ``inside`` are the modules of its initramfs, ``builtin`` those that are no modules."""

    release: str
    image: str
    initrd: str
    inside: tuple[str, ...]
    builtin: tuple[str, ...] = ()
    suffix: str = ".ko"
    compress: str = "gzip"
    microcode: bool = False
    folder: str = "usr/lib/modules"


RESCUE = "0-rescue-3f2a9c1de6b84c0f9a7d5e1b2c3d4e5f"
RHEL = ("vmw_pvscsi", "mptspi", "vmxnet3", "sd_mod", "xfs", "dm_mod", "libata", "ahci")
UBUNTU = ("ahci", "e1000")
UBUNTU_BUILTIN = ("virtio", "virtio_ring", "virtio_pci", "xen_blkfront", "ext4", "sd_mod", "libata", "jbd2", "mbcache")
DEBIAN = ("vmw_pvscsi", "vmxnet3", "sd_mod", "ext4")
AMAZON = ("xen_blkfront", "xen_netfront", "nvme", "ena", "xfs", "sd_mod")
KERNELS: dict[str, list[Kernel]] = {
    "rhel7-vmware": [
        Kernel(release, f"vmlinuz-{release}", f"initramfs-{release}.img", RHEL, (), ".ko.xz", "gzip", True)
        for release in ("3.10.0-1160.el7.x86_64", "3.10.0-1127.el7.x86_64")
    ],
    "ubuntu-22.04": [
        Kernel(
            release,
            f"vmlinuz-{release}",
            f"initrd.img-{release}",
            ("ahci", "e1000"),
            UBUNTU_BUILTIN,
            ".ko",
            "zstd",
            True,
        )
        for release in ("5.15.0-91-generic", "5.15.0-88-generic")
    ],
    "sles-15": [
        Kernel(
            "5.14.21-150500.53-default",
            "vmlinuz-5.14.21-150500.53-default",
            "initrd-5.14.21-150500.53-default",
            ("hv_storvsc", "hv_netvsc", "sd_mod", "btrfs"),
            (),
            ".ko.zst",
            "xz",
        )
    ],
    "debian-12": [
        Kernel(release, f"vmlinuz-{release}", f"initrd.img-{release}", DEBIAN, (), ".ko", "zstd")
        for release in ("6.1.0-18-amd64", "6.1.0-13-amd64")
    ],
    "amazon-linux-2": [
        Kernel(release, f"vmlinuz-{release}", f"initramfs-{release}.img", AMAZON, (), ".ko", "gzip")
        for release in ("5.10.209-198.812.amzn2.x86_64", "4.14.336-253.554.amzn2.x86_64")
    ],
}
EFI = {"ubuntu-22.04": [f"boot/efi/EFI/ubuntu/{name}.efi" for name in ("shimx64", "grubx64", "mmx64")]}


# single files


def module_file(module: Module, release: str) -> bytes:
    """Return a relocatable ELF file without code, with what depmod reads: modinfo and symbols."""
    info = [f"alias={alias}" for alias in module.aliases]
    info += ["license=GPL", f"depends={','.join(module.needs)}", f"name={module.name}"]
    modinfo = b"\0".join(text.encode() for text in [*info, f"vermagic={release} SMP mod_unload "]) + b"\0"
    names = [f"{need}_register" for need in module.needs]
    strings = b"\0" + b"".join(name.encode() + b"\0" for name in names)
    symbols = bytes(24)
    for name in names:
        symbols += struct.pack("<IBBHQQ", strings.index(name.encode() + b"\0"), 0x10, 0, 0, 0, 0)
    exported = f"{module.name}_register".encode() + b"\0"
    return _elf([(".modinfo", modinfo), ("__ksymtab_strings", exported), (".symtab", symbols), (".strtab", strings)])


def _elf(parts: list[tuple[str, bytes]]) -> bytes:
    titles = b"\0" + b"".join(name.encode() + b"\0" for name, _ in [*parts, (".shstrtab", b"")])
    parts = [*parts, (".shstrtab", titles)]
    body, headers, at = b"", bytes(64), 64
    numbers = {name: index for index, (name, _) in enumerate(parts, 1)}
    for name, data in parts:
        kind = {".symtab": 2, ".strtab": 3, ".shstrtab": 3}.get(name, 1)
        link, entry = (numbers[".strtab"], 24) if name == ".symtab" else (0, 0)
        title = titles.index(name.encode() + b"\0")
        headers += struct.pack("<IIQQQQIIQQ", title, kind, 0, 0, at, len(data), link, 1, 1, entry)
        body, at = body + data, at + len(data)
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    head = struct.pack("<HHIQQQIHHHHHH", 1, 62, 1, 0, 0, at, 0, 64, 0, 0, 64, len(parts) + 1, len(parts))
    return ident + head + body + headers


def squeeze(data: bytes, kind: str) -> bytes:
    """Return data compressed as the tools of a distribution do it, without a time stamp."""
    if kind == "gzip":
        return gzip.compress(data, 9, mtime=0)
    if kind == "xz":
        return lzma.compress(data, check=lzma.CHECK_CRC32)
    if kind == "zstd":
        import zstandard

        return zstandard.ZstdCompressor(level=19).compress(data)
    return data


def cpio(files: dict[str, bytes | str | None]) -> bytes:
    """Return a newc archive: bytes are a file, text is a link's target, None is a folder."""
    folders = {str(parent) for name in files for parent in Path(name).parents} - {"."}
    members: dict[str, bytes | str | None] = {**dict.fromkeys(folders), **files}
    out = b""
    for inode, (name, content) in enumerate(sorted([*members.items()], key=lambda item: item[0]), 1):
        data = b"" if content is None else content.encode() if isinstance(content, str) else content
        mode = 0o40755 if content is None else 0o120777 if isinstance(content, str) else 0o100755
        out += _member(name, inode, mode, data)
    out += _member("TRAILER!!!", 0, 0, b"")
    return out + bytes(-len(out) % 512)


def _member(name: str, inode: int, mode: int, data: bytes) -> bytes:
    raw = name.encode() + b"\0"
    values = (inode, mode, 0, 0, 2 if mode & 0o40000 else 1, 0, len(data), 0, 0, 0, 0, len(raw), 0)
    head = b"070701" + b"".join(b"%08X" % value for value in values) + raw
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)


# whole kernels


def wanted(kernel: Kernel, names: Iterable[str]) -> list[Module]:
    """Return the modules of these names and all that they need, without the built-in ones."""
    known = {module.name: module for module in MODULES}
    found: dict[str, Module] = {}
    todo = list(names)
    while todo:
        name = todo.pop()
        if name not in kernel.builtin and name not in found:
            found[name] = known[name]
            todo += known[name].needs
    return [module for module in MODULES if module.name in found]


def module_tree(kernel: Kernel, modules: list[Module]) -> dict[str, bytes]:
    """Return the files of a modules folder by their path in it, indexes included."""
    squeezed = {".ko.xz": "xz", ".ko.zst": "zstd"}.get(kernel.suffix, "")
    files = {
        f"kernel/{module.path}{kernel.suffix}": squeeze(module_file(module, kernel.release), squeezed)
        for module in modules
    }
    builtin = [module for module in MODULES if module.name in kernel.builtin]
    files["modules.order"] = "".join(f"kernel/{module.path}.ko\n" for module in modules).encode()
    files["modules.builtin"] = "".join(f"kernel/{module.path}.ko\n" for module in builtin).encode()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "lib/modules" / kernel.release
        _write(folder, files)
        subprocess.run(["depmod", "-b", scratch, kernel.release], check=True)
        for index in INDEXES:
            files[f"modules.{index}"] = (folder / f"modules.{index}").read_bytes()
    return files


def kernel_files(kernel: Kernel) -> dict[str, bytes]:
    """Return image, modules and initramfs of a kernel by their paths below the root."""
    files = {f"boot/{kernel.image}": bzimage(kernel.release)}
    everything = wanted(kernel, (module.name for module in MODULES))
    folder = f"{kernel.folder}/{kernel.release}"
    files |= {f"{folder}/{path}": data for path, data in module_tree(kernel, everything).items()}
    files[f"boot/{kernel.initrd}"] = initramfs(kernel)
    return files


def initramfs(kernel: Kernel) -> bytes:
    """Return an image with the modules that this machine needed, behind an early archive where it has one."""
    inside = module_tree(kernel, wanted(kernel, kernel.inside))
    members: dict[str, bytes | str | None] = {
        f"usr/lib/modules/{kernel.release}/{path}": data for path, data in inside.items()
    }
    members |= {
        "init": b"#!/bin/sh\n",
        "lib": "usr/lib",
        "bin": "usr/bin",
        "usr/bin/sh": elf(),
        "etc/initrd-release": b"",
    }
    main = squeeze(cpio(members), kernel.compress)
    early = cpio({"kernel/x86/microcode/GenuineIntel.bin": b"microcode\n"}) if kernel.microcode else b""
    return early + main


def _write(folder: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def guest_files(name: str) -> dict[str, bytes]:
    """Return every binary file of a bundled guest by its path below the root."""
    files: dict[str, bytes] = {"usr/bin/bash": elf(), "usr/lib64/ld-linux-x86-64.so.2": elf()}
    for kernel in KERNELS[name]:
        files |= kernel_files(kernel)
    for path in EFI.get(name, ()):
        files[path] = efi(Path(path).name)
    if name == "rhel7-vmware":
        files[f"boot/vmlinuz-{RESCUE}"] = files["boot/vmlinuz-3.10.0-1127.el7.x86_64"]
        files[f"boot/initramfs-{RESCUE}.img"] = files["boot/initramfs-3.10.0-1127.el7.x86_64.img"]
    return files


def efi(name: str) -> bytes:
    """Return the headers of an x86-64 EFI application."""
    coff = struct.pack("<HHIIIHH", 0x8664, 0, 0, 0, 0, 112, 0x22)
    optional = struct.pack("<H", 0x20B).ljust(68, b"\0") + struct.pack("<H", 10)
    return (
        b"MZ".ljust(60, b"\0") + struct.pack("<I", 64) + b"PE\0\0" + coff + optional.ljust(112, b"\0")
    ) + name.encode()


def main() -> None:
    """Write the binary files of every bundled guest again."""
    for name in KERNELS:
        root = GUESTS / name / "root"
        for kernel in KERNELS[name]:
            shutil.rmtree(root / kernel.folder / kernel.release, ignore_errors=True)
        _write(root, guest_files(name))
        if not os.path.lexists(root / "usr/bin/sh"):
            os.symlink("bash", root / "usr/bin/sh")


if __name__ == "__main__":
    main()
