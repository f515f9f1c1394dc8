"""Disks of image-based hosts: /usr on a partition of its own, and no fstab to say so."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

from tests.build.images import MIB, PartSpec, disk, filesystem

USR_TYPE = "5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6"
USR_A, USR_B = "7130c94a-213a-4e5a-8e26-6cce9662f132", "e03dd35c-7c2d-4a47-b3fe-27f15780a57c"
ROOT_UUID = "5cb2a1d6-6bde-4d51-8c39-3a1f1fb2a5a1"
OEM = {"grub.cfg": 'set oem_id="vmware"\n'}
MENU = """set default="flatcar"
set timeout=1
set linux_root="root=LABEL=ROOT"
set linux_console="console=ttyS0,115200n8 console=tty0"
search --no-floppy --set oem --part-label OEM --hint "$root"
if [ -n "$oem" -a -f "($oem)/grub.cfg" ]; then
    source "($oem)/grub.cfg"
fi
if [ -n "$oem_id" ]; then
    set oem="flatcar.oem.id=$oem_id ignition.platform.id=$oem_id"
fi
set linux_cmdline="rootflags=rw mount.usrflags=ro consoleblank=0 $linux_root $linux_console $oem $linux_append"
menuentry "Flatcar default" --id=flatcar --unrestricted {
    gptprio.next -d usr -u usr_uuid
    if [ "$usr_uuid" = "7130c94a-213a-4e5a-8e26-6cce9662f132" ]; then
        linux /flatcar/vmlinuz-a $linux_cmdline mount.usr=PARTUUID=$usr_uuid
    else
        linux /flatcar/vmlinuz-b $linux_cmdline mount.usr=PARTUUID=$usr_uuid
    fi
}
menuentry "Flatcar USR-A" --id=flatcar-a {
    linux /flatcar/vmlinuz-a $linux_cmdline mount.usr=PARTLABEL=USR-A
}
"""


def kernel(release: str) -> bytes:
    """Return a bzImage by its header: 64-bit, and the release where version_string says."""
    head = bytearray(4096)
    head[510:512], head[514:518] = b"\x55\xaa", b"HdrS"
    struct.pack_into("<HH", head, 518, 0x20D, 0)
    struct.pack_into("<H", head, 526, 0x400)
    struct.pack_into("<H", head, 566, 1)
    text = f"{release} (builder@example) #1 SMP".encode()
    head[0x600 : 0x600 + len(text)] = text
    return bytes(head)


def tree(base: Path, files: Mapping[str, str | bytes | None]) -> Path:
    """Write files below a folder; None makes a folder, text that begins with ``->`` a link."""
    base.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        place = base / name
        (place if content is None else place.parent).mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            place.write_bytes(content)
        elif content is not None and content.startswith("->"):
            place.symlink_to(content[2:])
        elif content is not None:
            place.write_text(content)
    return base


def usr(
    base: Path,
    version: str,
    release: str,
    name: str = "Flatcar Container Linux by Kinvolk",
    modules: tuple[str, ...] = (),
) -> Path:
    """Write what a /usr of such a host has."""
    ident = name.split()[0].lower()
    folder = f"lib/modules/{release}"
    return tree(
        base,
        {
            "bin": None, "sbin": "->bin", "share": None, "lib64": None,
            "lib/os-release": f'NAME="{name}"\nID={ident}\nID_LIKE=coreos\nVERSION_ID={version}\n'
            f'PRETTY_NAME="{name} {version}"\n',
            "lib/systemd/systemd": "\x7fELF", "bin/init": "->../lib/systemd/systemd",
            "lib/systemd/system/oem.mount": "[Mount]\nWhat=/dev/disk/by-label/OEM\nWhere=/oem\n",
            f"{folder}/modules.builtin": "".join(
                f"kernel/drivers/{one}.ko\n"
                for one in ("nvme", "nvme-core", "virtio_pci", "virtio_blk", "virtio_net", "ena", "ext4", "sd_mod")
            ),
            f"{folder}/modules.dep": "".join(f"kernel/{one}.ko:\n" for one in modules),
            f"{folder}/modules.alias": "", f"{folder}/modules.softdep": "",
        },
    )  # fmt: skip


def container_host(tmp: Path, *, active: str = "a", started: bool = True, modules: tuple[str, ...] = ()) -> Path:
    """Make a disk of EFI-SYSTEM, USR-A, USR-B, OEM and ROOT; ``started``: the root has been filled by a first start."""
    boot = {
        "EFI/boot/bootx64.efi": "MZ", "EFI/boot/grub.efi": "MZ", "flatcar/grub/grub.cfg": MENU,
        "flatcar/vmlinuz-a": kernel("6.1.96-flatcar"), "flatcar/vmlinuz-b": kernel("6.6.54-flatcar"),
    }  # fmt: skip
    folders: dict[str, str | bytes | None] = {"usr": None, "boot": None, "oem": None}
    if started:
        folders |= {
            "etc/os-release": "->../usr/lib/os-release", "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
            "etc/systemd/network/00-eth0.network": "[Match]\nName=eth0\n[Network]\nAddress=192.0.2.10/24\n",
            "var/lib": None, "home": None, "lib": "->usr/lib", "bin": "->usr/bin", "sbin": "->usr/sbin",
        }  # fmt: skip
    first, second = ("GUID:48,49,56", "GUID:48") if active == "a" else ("GUID:48", "GUID:48,49,52")
    parts = [
        PartSpec(filesystem("vfat", tmp / "esp", 34 * MIB, tree(tmp / "esp.d", boot)), "uefi", "EFI-SYSTEM"),
        PartSpec(
            filesystem("ext4", tmp / "a", 8 * MIB, usr(tmp / "a.d", "3815.2.5", "6.1.96-flatcar", modules=modules)),
            USR_TYPE, "USR-A", uuid=USR_A, attributes=first,
        ),
        PartSpec(
            filesystem("ext4", tmp / "b", 8 * MIB, usr(tmp / "b.d", "4081.2.0", "6.6.54-flatcar")),
            USR_TYPE, "USR-B", uuid=USR_B, attributes=second,
        ),
        PartSpec(
            filesystem("ext4", tmp / "oem", 4 * MIB, tree(tmp / "oem.d", OEM), "-L", "OEM"),
            "linux", "OEM",
        ),
        PartSpec(
            filesystem("ext4", tmp / "root", 16 * MIB, tree(tmp / "root.d", folders), "-L", "ROOT", uuid=ROOT_UUID),
            "3884dd41-8582-4404-b9a8-e9b84f2df50e", "ROOT",
        ),
    ]  # fmt: skip
    return disk(tmp / "host.raw", parts)


ROOT_TYPE, USR_X86 = "4f68bce3-e8cd-4db1-96e7-fbcaf984b709", "8484680c-9521-48c6-9c11-b0720656f69e"
HOME_TYPE, VAR_TYPE = "933ac7e1-2eb4-4f13-b844-0e14e2aef915", "4d21b016-b534-45c2-a9fb-5c16e091fd2d"
MACHINE = "0123456789abcdef0123456789abcdef"


def typed_host(tmp: Path, *, var_uuid: str, entry: str = "options quiet rw\n") -> Path:
    """Make a disk that is mounted by the types of its partitions alone: ESP, two /usr, root, /home, /var."""
    boot = {
        "EFI/BOOT/BOOTX64.EFI": "MZ", "EFI/systemd/systemd-bootx64.efi": "MZ", "loader/loader.conf": "timeout 3\n",
        "loader/entries/acme.conf": f"title Acme\nlinux /acme/linux\ninitrd /acme/initrd\n{entry}",
        "acme/linux": kernel("6.6.54-acme"), "acme/initrd": "not one",
    }  # fmt: skip
    folders: dict[str, str | bytes | None] = {
        "usr": None, "efi": None, "home": None, "var": None, "etc/machine-id": MACHINE + "\n",
        "etc/os-release": "->../usr/lib/os-release",
    }  # fmt: skip
    folders |= {"sbin": "->usr/bin"}
    plain = {
        "bin/init": "->../lib/systemd/systemd",
        "lib/systemd/systemd": "\x7fELF",
        "lib/os-release": 'NAME="Acme"\nID=acme\nPRETTY_NAME="Acme %s"\n',
        "bin": None,
        "share": None,
    }
    versions = {
        one: filesystem("ext4", tmp / one, 4 * MIB, tree(tmp / f"{one}.d", {**plain, "lib/os-release": text % one}))
        for one in ("1.9", "1.10")
        if isinstance(text := plain["lib/os-release"], str)
    }
    root = filesystem("ext4", tmp / "root", 16 * MIB, tree(tmp / "root.d", folders))
    return disk(
        tmp / "typed.raw",
        [
            PartSpec(filesystem("vfat", tmp / "esp", 34 * MIB, tree(tmp / "esp.d", boot)), "uefi", "esp"),
            PartSpec(versions["1.10"], USR_X86, "acme_1.10"),
            PartSpec(versions["1.9"], USR_X86, "acme_1.9", uuid=USR_A),
            PartSpec(root, ROOT_TYPE, "root"),
            PartSpec(filesystem("ext4", tmp / "home", 4 * MIB), HOME_TYPE),
            PartSpec(filesystem("ext4", tmp / "var", 4 * MIB), VAR_TYPE, uuid=var_uuid),
        ],
    )
