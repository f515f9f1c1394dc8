"""The host's kernels: which one a throw-away machine can start with, and the modules that it needs."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Sequence

from guestfix.backends.machine.volumes import CRYPT, DM, LEVELS
from guestfix.backends.packages import install
from guestfix.backends.volumes.block import DiskError
from guestfix.base.errors import Corrupt, TooLarge
from guestfix.base.record import frozen
from guestfix.formats.boot.kernelimage import HEAD, arch_of, release_of
from guestfix.formats.initramfs.moddep import Modules, closure, load_index

PLACES = ("/lib/modules/*/vmlinuz", "/usr/lib/modules/*/vmlinuz", "/boot/vmlinuz-*", "/boot/Image-*", "/boot/vmlinux-*")
FOLDERS = ("/lib/modules", "/usr/lib/modules")
FIRST = ("virtio_pci", "virtio_blk", "virtio_console")
"""Modules without which there is neither a disk nor a line to the host."""

COMMON = ("ext4", "xfs", "btrfs", "vfat", "fuse")
"""Filesystems whose kernels are all as good: then the smallest, which starts fastest, is taken."""

FILESYSTEMS = (*COMMON, "ext3", "ext2", "jfs", "reiserfs", "ntfs3")
_HELPERS = (
    "nls_cp437", "nls_ascii", "nls_iso8859-1", "nls_utf8", "crc32c_generic", "crc32c_intel", "crc32c",
    "xxhash_generic", "blake2b_generic", "sha256_generic", "aes_generic",
)  # fmt: skip
_VOLUMES = (*DM, *CRYPT, *LEVELS)
MODULE_BYTES = 64 << 20
_INDEX = ("modules.dep", "modules.dep.bin", "modules.alias", "modules.softdep", "modules.builtin")


@frozen
class Kernel:
    """A kernel image, its release, the folder with its modules, and what their index says."""

    image: str
    release: str
    folder: str
    modules: Modules

    def filesystems(self) -> tuple[str, ...]:
        """Return the filesystems that it can mount."""
        return tuple(name for name in FILESYSTEMS if self.modules.resolve(name))


def choose(given: str = "", root: str = "", *, rare: bool = False) -> Kernel:
    """Return the kernel that was given, else the host's smallest that mounts what is common, the newest.

    ``rare``: the one that mounts most, for the guest has other filesystems, or they can't be seen from outside.

    DiskError where none can be used, with what is wrong with each.
    """
    images = [given] if given else [one for place in PLACES for one in sorted(glob.glob(root + place))]
    found, wrong = [], []
    for image in images:
        try:
            found.append(_look(image, root))
        except DiskError as error:
            wrong.append((image, error))
    if found:
        return max(found, key=lambda one: (_worth(one, rare), -len(one.modules.paths), _version(one.release)))
    if not wrong:
        raise DiskError(
            "there is no kernel on this host that QEMU could start, neither in /boot nor in /lib/modules",
            remedy=f"{install('linux')}, or name one whose modules are in /lib/modules: --kernel FILE",
        )
    what = "; ".join(f"{image.removeprefix(root)}: {error.what}" for image, error in wrong)
    remedies = list(dict.fromkeys(error.remedy for _, error in wrong))
    raise DiskError(f"none of the host's kernels can be started by QEMU: {what}", remedy=", or ".join(remedies))


def _look(image: str, root: str) -> Kernel:
    try:
        with open(image, "rb") as stream:
            head = stream.read(HEAD)
    except OSError as error:
        readable = f"let it be read: chmod a+r {image}; or name a copy: --kernel FILE"
        raise DiskError(f"can't be read ({error.strerror})", remedy=readable) from error
    arch, own = arch_of(head), os.uname().machine
    other = "name a kernel of this host's processor: --kernel FILE"
    if arch != own:
        raise DiskError(f"is built for {arch or 'no processor that it tells'}, this host is {own}", remedy=other)
    for release in _releases(image, head):
        for base in FOLDERS:
            folder = f"{root}{base}/{release}"
            if os.path.isdir(folder):
                return _with_modules(image, release, folder)
    tried = " or ".join(_releases(image, head)) or "its release, which it does not tell"
    remedy = f"install its modules, or another kernel: {install('linux')}"
    raise DiskError(f"there are no modules of {tried} in /lib/modules", remedy=remedy)


def _releases(image: str, head: bytes) -> list[str]:
    """Return what the release may be: by the image's header, its folder, its name."""
    folder, name = os.path.split(os.path.realpath(image))
    named = re.sub(r"^(vmlinuz|vmlinux|Image)-?", "", name)
    return list(dict.fromkeys(filter(None, (release_of(head), os.path.basename(folder), named))))


def _with_modules(image: str, release: str, folder: str) -> Kernel:
    files = {}
    for name in _INDEX:
        if os.access(f"{folder}/{name}", os.R_OK):
            with open(f"{folder}/{name}", "rb") as stream:
                files[name] = stream.read(MODULE_BYTES)
    modules = load_index(files)
    absent = [name for name in FIRST if not modules.resolve(name)]
    if absent:
        what = f"{folder} has no {', '.join(absent)}" if files else f"the index of {folder} can't be read"
        remedy = f"run depmod {release}, or install another kernel: {install('linux')}"
        raise DiskError(what, remedy=remedy)
    return Kernel(image, release, folder, modules)


def _worth(kernel: Kernel, rare: bool) -> int:
    found = kernel.filesystems()
    return len(found) if rare else len(set(COMMON) & set(found))


def _version(release: str) -> list[tuple[int, str]]:
    """Return a key that sorts releases: numbers as numbers."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"[^0-9A-Za-z]+", release)]


def module_files(kernel: Kernel, filesystems: Sequence[str], *, volumes: bool) -> dict[str, bytes]:
    """Return the modules of these filesystems, unpacked, as path -> bytes, with a modules.dep of them.

    ``volumes``: those of LVM, RAID and encryption too.
    Soft dependencies count as dependencies, for nobody else loads them. GuestError where one can't be read or unpacked.
    """
    found: dict[str, bytes] = {}
    rows = []
    wanted = [*FIRST, *filesystems, *_HELPERS, *(_VOLUMES if volumes else ())]
    for name in closure(kernel.modules, wanted).order:
        path = kernel.modules.paths.get(name)
        if path is None:
            continue
        needs = [one for one in closure(kernel.modules, [name]).order if one != name and one in kernel.modules.paths]
        rows.append(f"{name}.ko: {' '.join(f'{one}.ko' for one in needs)}\n")
        found[f"{name}.ko"] = _unpacked(os.path.join(kernel.folder, path))
    found["modules.dep"] = "".join(rows).encode()
    return found


def _unpacked(path: str) -> bytes:
    from guestfix.formats.initramfs.decompress import kind_of, unpacked

    try:
        with open(path, "rb") as stream:
            data = stream.read(MODULE_BYTES)
        kind = "" if data.startswith(b"\x7fELF") else kind_of(data)
        return unpacked(kind, data, MODULE_BYTES) if kind else data
    except OSError as error:
        what = f"this module can't be read: {error.strerror}"
        raise DiskError(what, where=path, remedy=f"chmod a+r {path}") from error
    except (Corrupt, TooLarge) as error:
        remedy = "install the kernel's package again, or name another kernel: --kernel FILE"
        raise DiskError(f"this module can't be unpacked: {error.what}", where=path, remedy=remedy) from error
