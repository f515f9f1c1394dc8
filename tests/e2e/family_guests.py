"""Guests laid out as the Red Hat and the SUSE family lay theirs out, put together from Debian's packages.

docs/verify.md says what is theirs and what is Debian's: kernel, systemd, dracut, NetworkManager and GRUB are Debian's.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.e2e import matrix_guests, vm
from tests.e2e.image_guest import BOOT, ESP, ROOT
from tests.e2e.matrix import Cell

BUILD = 1
"""Goes up where guests are made otherwise than before, so that results of the others do not stand for them."""

DEBIANS = (
    *("etc/debian_version", "etc/apt", "etc/network", "etc/initramfs-tools", "etc/default/grub.d", "boot/grub"),
    *("var/lib/dpkg", "vmlinuz", "initrd.img", "vmlinuz.old", "initrd.img.old", "etc/kernel", "etc/grub.d"),
)
"""What tells a Debian, or is read by Debian's programs alone."""


def drop(tree: Path, *names: str) -> None:
    """Remove files and folders, as far as they are there."""
    for place in (tree / name for name in names):
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)


def write(tree: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)


def kernel_beside_modules(tree: Path, release: str) -> None:
    """Have the kernel in /usr/lib/modules/VERSION, where both families' packages put it, and a copy in /boot."""
    own, boot = tree / f"usr/lib/modules/{release}/vmlinuz", tree / f"boot/vmlinuz-{release}"
    data = boot.read_bytes()
    drop(tree, str(boot.relative_to(tree)))
    own.write_bytes(data)
    boot.write_bytes(data)


def own_image(tree: Path, kind: str, prefix: str, modules: Sequence[str]) -> bytes:
    """Return an image of the guest's own GRUB, made by its own grub-mkimage."""
    words = ["grub-mkimage", "-O", kind, "-p", prefix, "-o", "/image", *modules, "normal", "search", "linux", "echo"]
    vm.run("chroot", tree, *words, "test", "configfile", "serial", "terminal", "loadenv")
    data = (tree / "image").read_bytes()
    (tree / "image").unlink()
    return data


SERIAL = "serial --unit=0 --speed=115200\nterminal_input serial console\nterminal_output serial console\n"

# Red Hat

RED_HAT = Cell("sid", "bios", "grub", "lvm", "dracut", "networkmanager", "systemd", "virtio")
RED_HAT_RELEASE = """NAME="Red Hat Enterprise Linux"
VERSION="10.0 (Coughlan)"
ID="rhel"
ID_LIKE="centos fedora"
VERSION_ID="10.0"
PLATFORM_ID="platform:el10"
PRETTY_NAME="Red Hat Enterprise Linux 10.0 (Coughlan)"
CPE_NAME="cpe:/o:redhat:enterprise_linux:10::baseos"
"""
RED_HAT_CFG = f"""set pager=1
if [ -f ${{config_directory}}/grubenv ]; then
  load_env -f ${{config_directory}}/grubenv
elif [ -s $prefix/grubenv ]; then
  load_env
fi
set default="${{saved_entry}}"
{SERIAL}set timeout=1
insmod part_msdos
insmod ext2
search --no-floppy --fs-uuid --set=root {BOOT}
blscfg
"""
"""As its grub2-mkconfig writes it, cut down: no entry is in it (GRUB_ENABLE_BLSCFG=true)."""

ENVIRONMENT = "# GRUB Environment Block\n"
RED_HAT_ARGS = f"rd.lvm.lv=vg0/root nosmt {matrix_guests.CONSOLE}"
"""``nosmt`` for its six letters: see :data:`STRAY`."""


def as_red_hat(tree: Path, folder: Path) -> None:
    """Lay a Debian out as RHEL 10: /boot/grub2, entries in /boot/loader/entries, initramfs-VERSION.img."""
    release = vm.kernel_of(tree)
    entry = f"{(tree / 'etc/machine-id').read_text().strip()}-{release}"
    drop(tree, *DEBIANS, "etc/os-release")
    modules = ("biosdisk", "part_msdos", "ext2", "lvm")
    (folder / "own.img").write_bytes(own_image(tree, "i386-pc", "(hd0,msdos1)/grub2", modules))
    shutil.copy(tree / "usr/lib/grub/i386-pc/boot.img", folder / "boot.img")
    shutil.copytree(tree / "usr/lib/grub/i386-pc", tree / "boot/grub2/i386-pc")
    kernel_beside_modules(tree, release)
    variables = f"{ENVIRONMENT}saved_entry={entry}\n"
    write(
        tree,
        {
            "etc/os-release": RED_HAT_RELEASE,
            "etc/redhat-release": "Red Hat Enterprise Linux release 10.0 (Coughlan)\n",
            "etc/kernel/cmdline": f"root=/dev/mapper/vg0-root ro {RED_HAT_ARGS}\n",
            "etc/default/grub": "GRUB_TIMEOUT=1\nGRUB_DEFAULT=saved\nGRUB_DISABLE_SUBMENU=true\n"
            f'GRUB_CMDLINE_LINUX="{RED_HAT_ARGS}"\nGRUB_ENABLE_BLSCFG=true\n',
            "boot/grub2/grub.cfg": RED_HAT_CFG,
            "boot/grub2/grubenv": variables.ljust(1024, "#"),
            f"boot/loader/entries/{entry}.conf": f"title Red Hat Enterprise Linux ({release}) 10.0 (Coughlan)\n"
            f"version {release}\nlinux /vmlinuz-{release}\ninitrd /initramfs-{release}.img\n"
            f"options root=/dev/mapper/vg0-root ro {RED_HAT_ARGS}\n"
            "grub_users $grub_users\ngrub_arg --unrestricted\ngrub_class rhel\n",
        },
    )
    matrix_guests.also(tree, f"mv /boot/initrd.img-{release} /boot/initramfs-{release}.img")


# SUSE

SUSE = Cell("trixie", "uefi", "grub", "btrfs", "dracut", "networkmanager", "systemd", "virtio")
SUSE_RELEASE = """NAME="openSUSE Leap"
VERSION="15.6"
ID="opensuse-leap"
ID_LIKE="suse opensuse"
VERSION_ID="15.6"
PRETTY_NAME="openSUSE Leap 15.6"
CPE_NAME="cpe:/o:opensuse:leap:15.6"
"""
SUSE_ARGS = f"rootflags=subvol=@ {matrix_guests.CONSOLE}"
SUSE_CFG = f"""if [ -s $prefix/grubenv ]; then
  load_env
fi
set default="${{saved_entry}}"
{SERIAL}set timeout=1
menuentry 'openSUSE Leap 15.6' --class opensuse --class os $menuentry_id_option 'gnulinux-simple-{ROOT}' {{
\tinsmod part_gpt
\tinsmod btrfs
\tsearch --no-floppy --fs-uuid --set=root {ROOT}
\techo\t'Loading Linux {{release}} ...'
\tlinux\t/@/boot/vmlinuz-{{release}} root=UUID={ROOT} {SUSE_ARGS}
\techo\t'Loading initial ramdisk ...'
\tinitrd\t/@/boot/initrd-{{release}}
}}
"""


def as_suse(tree: Path, folder: Path) -> None:
    """Lay a Debian out as openSUSE Leap 15: /boot/grub2, EFI/opensuse, kernel in /usr/lib/modules, initrd-VERSION."""
    release = vm.kernel_of(tree)
    drop(tree, *DEBIANS, "etc/os-release", "boot/efi/EFI/debian")
    image = own_image(tree, "x86_64-efi", "/EFI/opensuse", ("part_gpt", "fat", "btrfs", "efi_gop"))
    efi = tree / "boot/efi/EFI"
    (efi / "opensuse").mkdir()
    for name in ("opensuse/grubx64.efi", "BOOT/BOOTX64.EFI"):
        (efi / name).write_bytes(image)
    kernel_beside_modules(tree, release)
    drop(tree, f"boot/vmlinuz-{release}")
    (tree / f"boot/vmlinuz-{release}").symlink_to(f"../usr/lib/modules/{release}/vmlinuz")
    (tree / "boot/vmlinuz").symlink_to(f"vmlinuz-{release}")
    (tree / "boot/initrd").symlink_to(f"initrd-{release}")
    (tree / "etc/systemd/system/network.service").symlink_to("/usr/lib/systemd/system/NetworkManager.service")
    address, gateway, nic = matrix_guests.ADDRESS, matrix_guests.GATEWAY, matrix_guests.NIC
    write(
        tree,
        {
            "etc/os-release": SUSE_RELEASE,
            "etc/fstab": f"UUID={ROOT} / btrfs subvol=/@ 0 0\nUUID={ROOT} /home btrfs subvol=/@home 0 0\n"
            f"UUID={ESP} /boot/efi vfat utf8 0 2\n",
            "etc/default/grub": f'GRUB_DEFAULT=saved\nGRUB_TIMEOUT=1\nGRUB_CMDLINE_LINUX_DEFAULT="{SUSE_ARGS}"\n',
            f"etc/sysconfig/network/ifcfg-{nic}": f"BOOTPROTO='static'\nSTARTMODE='auto'\nIPADDR='{address}'\n",
            "etc/sysconfig/network/routes": f"default {gateway} - -\n",
            "etc/sysconfig/bootloader": 'LOADER_TYPE="grub2-efi"\nSECURE_BOOT="no"\n',
            "boot/grub2/grub.cfg": SUSE_CFG.replace("{release}", release),
            "boot/grub2/grubenv": ENVIRONMENT.ljust(1024, "#"),
            "boot/efi/EFI/opensuse/grub.cfg": f"search --fs-uuid --set=root {ROOT}\n"
            "set prefix=(${root})/@/boot/grub2\nconfigfile ${prefix}/grub.cfg\n",
        },
    )
    matrix_guests.also(tree, f"mv /boot/initrd.img-{release} /boot/initrd-{release}")


# the guests

STRAY = "GRUB 2.14-4's blscfg puts stray bytes before an entry's initrd: \"can't find command\", and no initramfs"
"""By the length of the entry's line: six letters more, and the same entry started; without them it never did."""

NOT_QEMU = "--omit 'qemu qemu-net'"
"""What dracut adds in QEMU alone, virtio's drivers: the old hardware is not QEMU where a guest comes from."""


@dataclass(frozen=True)
class Family:
    """A guest of a family: the cell that it is made as, its GRUB's packages, and what makes it the family's.

    ``fault``: why it can't start here whatever is repaired.
    """

    cell: Cell
    packages: Sequence[str]
    finish: Callable[[Path, Path], None]
    fault: str = ""


FAMILIES = {
    "red-hat": Family(RED_HAT, ("grub-pc-bin", "grub-common"), as_red_hat, STRAY),
    "suse": Family(SUSE, ("grub-efi-amd64-bin", "grub-common"), as_suse),
}


def make(family: Family, folder: Path) -> matrix_guests.Guest:
    """Return the guest of a family as its old hardware left it; its disks lie in ``folder``."""

    def finish(tree: Path) -> None:
        family.finish(tree, folder)
        script = tree / "prepare"
        script.write_text(script.read_text().replace("--hostonly ", f"--hostonly {NOT_QEMU} "))

    guest = matrix_guests.make(family.cell, folder, family.packages, finish)
    if (folder / "own.img").exists():
        vm.put_grub(guest.disks[0], (folder / "boot.img").read_bytes(), (folder / "own.img").read_bytes())
    return guest
