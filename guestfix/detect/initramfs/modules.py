"""The modules that a guest has for a kernel, and what its modprobe.d keeps from being loaded."""

from __future__ import annotations

import re
from collections.abc import Iterable

from guestfix.base.catalog.records.boot import BlockedModule
from guestfix.base.errors import GuestError, TooLarge
from guestfix.base.guest import GuestFS
from guestfix.base.patterns import regex
from guestfix.base.record import frozen
from guestfix.detect.files import names_in, read_small
from guestfix.formats.initramfs import modprobe
from guestfix.formats.initramfs.decompress import kind_of, unpacked
from guestfix.formats.initramfs.image import Image
from guestfix.formats.initramfs.moddep import Modules, is_module, load_index, module_name, parse_softdep
from guestfix.formats.initramfs.modinfo import depends, modinfo

LIMIT = 16 * 1024 * 1024
"""modules.alias of a distribution's kernel has 1.5 MB, modules.builtin.modinfo 100 kB."""

MAX_MODULE = 64 * 1024 * 1024
MAX_LOOKED_AT = 200

INDEX_FILES = (
    "modules.dep",
    "modules.dep.bin",
    "modules.alias",
    "modules.alias.bin",
    "modules.softdep",
    "modules.devname",
    "modules.builtin",
    "modules.builtin.bin",
    "modules.builtin.modinfo",
)

_OPTIONS = {
    "ahci": "SATA_AHCI",
    "ata_piix": "ATA_PIIX",
    "btrfs": "BTRFS_FS",
    "dm_crypt": "DM_CRYPT",
    "dm_mod": "BLK_DEV_DM",
    "ena": "ENA_ETHERNET",
    "ext2": "EXT2_FS",
    "ext3": "EXT3_FS",
    "ext4": "EXT4_FS",
    "hv_netvsc": "HYPERV_NET",
    "hv_storvsc": "HYPERV_STORAGE",
    "hv_vmbus": "HYPERV",
    "jfs": "JFS_FS",
    "libata": "ATA",
    "md_mod": "BLK_DEV_MD",
    "nvme": "BLK_DEV_NVME",
    "nvme_core": "NVME_CORE",
    "sd_mod": "BLK_DEV_SD",
    "virtio_blk": "VIRTIO_BLK",
    "virtio_net": "VIRTIO_NET",
    "virtio_pci": "VIRTIO_PCI",
    "virtio_scsi": "SCSI_VIRTIO",
    "vmw_pvscsi": "VMWARE_PVSCSI",
    "vmxnet3": "VMXNET3",
    "xen_blkfront": "XEN_BLKDEV_FRONTEND",
    "xen_netfront": "XEN_NETDEV_FRONTEND",
    "xfs": "XFS_FS",
}
"""Kernel configuration symbols of the modules that matter, for kernels without modules.builtin (before 2.6.33)."""


@frozen
class KernelModules:
    """A kernel's modules. ``known`` is false where the guest has neither modules nor their lists.

    Without ``indexed`` there is no modules.dep and ``modules`` has only names, see :func:`complete`.
    Without ``builtin_known`` nothing says what is built in.
    """

    modules: Modules
    folder: str
    files: dict[str, bytes]
    known: bool
    indexed: bool
    builtin_known: bool = True

    def place(self, name: str) -> str:
        """Return the guest path of a module that the guest has."""
        path = self.modules.paths[name]
        return path if path.startswith("/") else f"{self.folder}/{path}"


def config_builtin(config: bytes) -> set[str]:
    """Return the modules of :data:`_OPTIONS` that a kernel configuration builds in."""
    enabled = set(regex(rb"^CONFIG_([A-Z0-9_]+)=y$", re.MULTILINE).findall(config))
    return {module for module, symbol in _OPTIONS.items() if symbol.encode() in enabled}


def kernel_modules(guest: GuestFS, release: str) -> KernelModules:
    """Return what /lib/modules/RELEASE and /boot/config-RELEASE say."""
    folder = f"/lib/modules/{release}"
    names = names_in(guest, folder)
    if not names and names_in(guest, f"/usr/lib/modules/{release}"):
        folder = f"/usr{folder}"
        names = names_in(guest, folder)
    files: dict[str, bytes] = {}
    for name in INDEX_FILES:
        if name in names and name.removesuffix(".bin") not in files and (data := _read(guest, f"{folder}/{name}")):
            files[name] = data
    modules = load_index(files)
    config = b""
    if not any(name.startswith("modules.builtin") for name in files):
        config = _read(guest, f"/boot/config-{release}") or _read(guest, f"{folder}/config") or b""
        modules.builtin |= config_builtin(config)
    indexed = bool(modules.paths)
    if not indexed and "kernel" in names:
        modules.paths = {module_name(path): path for path in _walk(guest, folder, "kernel")}
    told = bool(config) or any(name.startswith("modules.builtin") for name in files)
    return KernelModules(modules, folder, files, bool(modules.paths or modules.builtin), indexed, told)


def _read(guest: GuestFS, path: str) -> bytes | None:
    return read_small(guest, path, LIMIT)


def _walk(guest: GuestFS, root: str, below: str, depth: int = 8) -> Iterable[str]:
    """Yield the module files below a folder, relative to root."""
    for name in names_in(guest, f"{root}/{below}"):
        if is_module(name):
            yield f"{below}/{name}"
        elif depth and "." not in name:
            yield from _walk(guest, root, f"{below}/{name}", depth - 1)


def module_bytes(guest: GuestFS, path: str, *, unpack: bool = True) -> bytes:
    """Return a module file's bytes, without its compression if asked. Raises GuestError."""
    data = guest.read(path, MAX_MODULE)
    kind = kind_of(data)
    if not unpack or not kind:
        return data
    try:
        return unpacked(kind, data, MAX_MODULE)
    except TooLarge as error:
        raise TooLarge(f"the module {error.what}", where=path) from error


def complete(guest: GuestFS, kernel: KernelModules, wanted: Iterable[str]) -> None:
    """Learn dependencies and aliases from the modules themselves where depmod(8) was never run."""
    todo, seen = list(wanted), set[str]()
    while todo and len(seen) < MAX_LOOKED_AT and not kernel.indexed:
        name = todo.pop()
        path = kernel.modules.paths.get(name)
        if path is None or name in seen:
            continue
        seen.add(name)
        try:
            pairs = modinfo(module_bytes(guest, kernel.place(name)))
        except GuestError:
            continue
        kernel.modules.needs[name] = depends(pairs)
        kernel.modules.aliases.extend((value, name) for key, value in pairs if key == "alias")
        lines = "".join(f"softdep {name} {value}\n" for key, value in pairs if key == "softdep")
        kernel.modules.softdeps.update(parse_softdep(lines.encode("utf-8", "surrogateescape")))
        todo += kernel.modules.needs[name]


def blocks_in_guest(guest: GuestFS, modules: Iterable[str]) -> list[BlockedModule]:
    """Return what the guest's modprobe configuration blocks of these modules."""
    wanted, found = set(modules), []
    for path in modprobe_files(guest):
        for one in modprobe.blocking(read_small(guest, path, 1 << 20) or b"", wanted):
            found.append(BlockedModule(one.module, path, one.line, one.text, False))
    return found


def modprobe_files(guest: GuestFS) -> list[str]:
    """Return the configuration files that modprobe(8) reads, in the order of :data:`modprobe.FOLDERS`."""
    seen: dict[str, str] = {}
    for folder in modprobe.FOLDERS:
        for name in names_in(guest, folder):
            if name.endswith(".conf") or (folder == "/etc/modprobe.d" and "." not in name):
                seen.setdefault(name, f"{folder}/{name}")
    return ["/etc/modprobe.conf", *seen.values()]


def blocks_in_image(image: Image, modules: Iterable[str]) -> list[BlockedModule]:
    """Return what the image's own modprobe configuration blocks of these modules."""
    wanted, found = set(modules), []
    for name in sorted(image.files):
        if "modprobe.d/" in name or name == "etc/modprobe.conf":
            for one in modprobe.blocking(image.files[name], wanted):
                found.append(BlockedModule(one.module, name, one.line, one.text, True))
    return found
