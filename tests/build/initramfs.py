"""Build small guests with kernels, modules and initramfs images from text. Modules are real ELF files in form."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

from guestfix.formats.initramfs import cpio, kmodindex, moddep
from guestfix.formats.initramfs.compress import compress
from tests.build.tree import build

RELEASE = "6.1.0-10-amd64"
ROOT = "6a3c12fd-17ab-4f25-a5b6-3c1c0f2e7a11"

MODULES: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "virtio": ("virtio/virtio", (), ()),
    "virtio_ring": ("virtio/virtio_ring", (), ()),
    "virtio_pci": ("virtio/virtio_pci", ("virtio_ring", "virtio"), ("pci:v00001AF4d*sv*sd*bc*sc*i*",)),
    "virtio_blk": ("block/virtio_blk", ("virtio_ring", "virtio"), ("virtio:d00000002v*",)),
    "scsi_mod": ("scsi/scsi_mod", (), ()),
    "virtio_scsi": ("scsi/virtio_scsi", ("scsi_mod", "virtio_ring", "virtio"), ("virtio:d00000008v*",)),
    "sd_mod": ("scsi/sd_mod", ("scsi_mod",), ("scsi:t-0x00*",)),
    "nvme_core": ("nvme/host/nvme-core", (), ()),
    "nvme": ("nvme/host/nvme", ("nvme_core",), ("pci:v*d*sv*sd*bc01sc08i02*",)),
    "ata_piix": ("ata/ata_piix", ("scsi_mod",), ("pci:v00008086d00007010sv*sd*bc*sc*i*",)),
    "crc32c_generic": ("crypto/crc32c_generic", (), ("crc32c", "crypto-crc32c")),
    "libcrc32c": ("lib/libcrc32c", (), ()),
    "xfs": ("fs/xfs/xfs", ("libcrc32c",), ("fs-xfs",)),
}
"""Name -> (path below kernel/, everything it depends on, aliases), as in a distribution's kernel."""

SOFTDEPS = {"libcrc32c": "pre: crc32c"}

SUSE_START = "[ \"$RESOLVED_INITRD_MODULES\" ] || RESOLVED_INITRD_MODULES=' ata_piix processor'\n"
SUSE_RUN_ALL = f"""[ "$debug" ] && echo preping 01-devfunctions.sh
[ "$debug" ] && echo running 01-devfunctions.sh
source boot/01-devfunctions.sh
[ "$modules" ] && load_modules
[ "$debug" ] && echo preping 11-start.sh
{SUSE_START}modules="$RESOLVED_INITRD_MODULES"
[ "$debug" ] && echo running 11-start.sh
source boot/11-start.sh
[ "$modules" ] && load_modules
[ "$debug" ] && echo preping 12-udev.sh
[ "$debug" ] && echo running 12-udev.sh
source boot/12-udev.sh
[ "$modules" ] && load_modules
"""
"""What SUSE's mkinitrd writes of three of its steps: the configuration of a step stands before it."""


def elf_module(name: str) -> bytes:
    """Return an ELF object that modinfo and depmod read as they read a kernel module.

    It exports ``<name>_api`` and uses that of every module which :data:`MODULES` says it depends on.
    """
    _, needs, aliases = MODULES[name]
    items = [f"depends={','.join(needs)}", *(f"alias={alias}" for alias in aliases), f"name={name}"]
    items += [f"softdep={SOFTDEPS[name]}"] if name in SOFTDEPS else []
    names, symbols = b"\0", bytes(24)
    for need in needs:
        symbols += struct.pack("<IBBHQQ", len(names), 0x10, 0, 0, 0, 0)
        names += f"{need}_api".encode() + b"\0"
    sections = [
        (b".modinfo", 1, b"\0".join(item.encode() for item in items) + b"\0", 0, 0),
        (b"__ksymtab_strings", 1, f"{name}_api".encode() + b"\0", 0, 0),
        (b".symtab", 2, symbols, 4, 24),
        (b".strtab", 3, names, 0, 0),
    ]
    return _elf(sections)


def _elf(sections: list[tuple[bytes, int, bytes, int, int]]) -> bytes:
    strings, body, rows = b"\0", b"", [bytes(64)]
    for name, kind, data, link, size in [*sections, (b".shstrtab", 3, b"", 0, 0)]:
        place = len(strings)
        strings += name + b"\0"
        data = strings if name == b".shstrtab" else data
        body += bytes(-len(body) % 8)
        rows.append(struct.pack("<IIQQQQIIQQ", place, kind, 0, 0, 64 + len(body), len(data), link, 0, 8, size))
        body += data
    body += bytes(-len(body) % 8)
    head = b"\x7fELF\x02\x01\x01" + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 1, 62, 1, 0, 0, 64 + len(body), 0, 64, 0, 0, 64, len(rows), len(rows) - 1)
    return head + body + b"".join(rows)


def module_path(name: str, suffix: str = "") -> str:
    """Return a module's path below the folder of its kernel."""
    return f"kernel/{MODULES[name][0]}.ko{suffix}"


def indexes(names: Sequence[str], suffix: str = "", builtin: Sequence[str] = ("ext4",)) -> dict[str, bytes]:
    """Return the modules.* files that depmod would make for these modules."""
    dep = {name: [module_path(need, suffix) for need in MODULES[name][1]] for name in names}
    lines = [" ".join([f"{module_path(name, suffix)}:", *needs]) for name, needs in dep.items()]
    aliases = [(alias, name) for name in names for alias in MODULES[name][2]]
    rows = [(name, number, lines[number]) for number, name in enumerate(names)]
    alias_rows = [(moddep.alias_key(alias), names.index(name), name) for alias, name in aliases]
    builtins = "".join(f"kernel/fs/{name}/{name}.ko\n" for name in builtin)
    return {
        "modules.dep": "".join(f"{line}\n" for line in lines).encode(),
        "modules.dep.bin": kmodindex.write(rows),
        "modules.alias": "".join(f"alias {alias} {name}\n" for alias, name in aliases).encode(),
        "modules.alias.bin": kmodindex.write(alias_rows),
        "modules.softdep": "".join(f"softdep {n} {t}\n" for n, t in SOFTDEPS.items() if n in names).encode(),
        "modules.builtin": builtins.encode(),
    }


def archive(files: Mapping[str, bytes | str | tuple[str, str]], modes: Mapping[str, int] | None = None) -> bytes:
    """Return a cpio archive of files and links (("link", target)), with the folders that they need."""
    entries: dict[str, tuple[int, bytes]] = {}
    for name, content in files.items():
        for depth in range(1, name.count("/") + 1):
            entries.setdefault("/".join(name.split("/")[:depth]), (0o040755, b""))
        if isinstance(content, tuple):
            entries[name] = (0o120777, content[1].encode())
        else:
            data = content.encode() if isinstance(content, str) else content
            entries[name] = ((modes or {}).get(name, 0o100644), data)
    return cpio.write([(name, mode, data) for name, (mode, data) in entries.items()])


def inside(names: Sequence[str], generator: str = "initramfs-tools", suffix: str = "") -> dict[str, object]:
    """Return what an image of this generator holds, with these modules."""
    root = "usr/lib/modules" if generator in ("initramfs-tools", "mkinitcpio") else "lib/modules"
    files: dict[str, object] = {}
    if root.startswith("usr"):
        files["lib"] = ("link", "usr/lib")
    files |= {f"{root}/{RELEASE}/{module_path(name, suffix)}": elf_module(name) for name in names}
    files |= {f"{root}/{RELEASE}/{name}": data for name, data in indexes(names, suffix).items()}
    makers = {
        "initramfs-tools": {
            "init": "#!/bin/sh\n",
            "scripts/functions": "load_modules() { :; }\n",
            "conf/initramfs.conf": "MODULES=dep\nCOMPRESS=gzip\n",
        },
        "dracut": {
            "init": "#!/bin/sh\n",
            "usr/lib/dracut/hostonly-files": "",
            "usr/lib/dracut/build-parameter.txt": " --hostonly\n",
            "usr/lib/systemd/systemd-modules-load": "program\n",
            "etc/cmdline.d/95root.conf": " root=/dev/sda2 \n",
        },
        "mkinitcpio": {
            "init": "#!/usr/bin/ash\n",
            "init_functions": "",
            "hooks/udev": "",
            "config": 'EARLYHOOKS="udev"\nMODULES="ata_piix"\n',
            "buildconfig": "HOOKS=(base udev autodetect block filesystems)\n",
        },
        "mkinitfs": {"init": "#!/bin/sh\n", "sbin/nlplug-findfs": "program\n"},
        "mkinitrd-suse": {"init": "#!/bin/bash\n", "run_all.sh": SUSE_RUN_ALL, "config/start.sh": SUSE_START},
    }
    return files | makers.get(generator, {})


def modules_in_front(
    files: Mapping[str, object], kind: str, modes: Mapping[str, int] | None = None, early: bytes = b""
) -> bytes:
    """Return an image as Debian 13 makes it: modules in an archive that isn't compressed, the rest behind it."""
    front = {name: data for name, data in files.items() if name.endswith((".ko", ".ko.xz"))}
    rest = {name: data for name, data in files.items() if name not in front}
    packed = compress(kind, archive(rest, modes))  # type: ignore[arg-type]
    return early + archive(front) + packed  # type: ignore[arg-type]


def guest_files(
    image: bytes,
    *,
    present: Sequence[str] = tuple(MODULES),
    initrd: str = f"initrd.img-{RELEASE}",
    fstype: str = "ext4",
    suffix: str = "",
    os_release: str = 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
) -> dict[str, object]:
    """Return a guest tree with one kernel, its modules and this initramfs."""
    folder = f"usr/lib/modules/{RELEASE}"
    files: dict[str, object] = {
        "lib": ("link", "usr/lib"),
        "etc/os-release": os_release,
        "etc/fstab": f"UUID={ROOT} / {fstype} defaults 0 1\n",
        f"boot/vmlinuz-{RELEASE}": "a kernel\n",
        f"boot/{initrd}": image,
    }
    files |= {f"{folder}/{name}": data for name, data in indexes(present, suffix).items()}
    kinds = {"": "none", ".gz": "gzip", ".xz": "xz", ".zst": "zstd"}
    files |= {f"{folder}/{module_path(n, suffix)}": compress(kinds[suffix], elf_module(n)) for n in present}
    return files


def guest(root: Path, image: bytes, **options: object) -> Path:
    """Build :func:`guest_files` below root."""
    return build(root, guest_files(image, **options))  # type: ignore[arg-type]
