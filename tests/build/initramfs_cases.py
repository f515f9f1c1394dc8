"""Write the guests of the cases below rules/fix/initramfs: ``python -m tests.build.initramfs_cases``.

A test builds them again and compares, so that what is in the repository has a source that can be read.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from guestfix.formats.initramfs.compress import compress
from tests.build.initramfs import RELEASE, ROOT, archive, guest_files, inside, modules_in_front
from tests.build.tree import build

RULES = Path(__file__).resolve().parents[2] / "rules" / "fix" / "initramfs"
OLD = ("scsi_mod", "sd_mod", "ata_piix")
NEW = ("virtio", "virtio_ring", "virtio_pci", "virtio_blk")
MICROCODE = archive({"kernel/x86/microcode/GenuineIntel.bin": "microcode\n"})
RHEL = 'ID="rhel"\nVERSION_ID="9.4"\nPRETTY_NAME="Red Hat Enterprise Linux 9.4 (Plow)"\n'
SUSE = 'ID="sles"\nVERSION_ID="11.4"\nPRETTY_NAME="SUSE Linux Enterprise Server 11 SP4"\n'
TRIXIE = 'ID=debian\nVERSION_ID="13"\nPRETTY_NAME="Debian GNU/Linux 13 (trixie)"\n'
ARCH = 'ID=arch\nPRETTY_NAME="Arch Linux"\n'

NASH = """#!/bin/nash
mount -t proc /proc /proc
echo "Loading scsi_mod.ko module"
insmod /lib/scsi_mod.ko
echo "Loading ata_piix.ko module"
insmod /lib/ata_piix.ko
mkblkdevs
mount /sysroot
switchroot
"""


def _gzip(files: Mapping[str, object]) -> bytes:
    return compress("gzip", archive(files))  # type: ignore[arg-type]


def _nash() -> dict[str, object]:
    image = _gzip({"init": NASH, "lib/scsi_mod.ko": "module\n", "lib/ata_piix.ko": "module\n", "bin/nash": "nash\n"})
    release = 'ID="centos"\nVERSION_ID="5.11"\nPRETTY_NAME="CentOS release 5.11"\n'
    return guest_files(image, initrd=f"initrd-{RELEASE}.img", os_release=release) | {
        "etc/modprobe.conf": "alias eth0 e1000\nalias scsi_hostadapter ata_piix\n"
    }


def _alpine(config: str, *features: str) -> dict[str, object]:
    """Return a guest of Alpine: names and texts of its own features follow its configuration."""
    image = _gzip(inside(OLD, "mkinitfs"))
    release = 'ID=alpine\nVERSION_ID=3.19.1\nPRETTY_NAME="Alpine Linux v3.19"\n'
    files = guest_files(image, initrd=f"initramfs-{RELEASE}", os_release=release)
    files |= {"etc/mkinitfs/mkinitfs.conf": config}
    return files | {
        f"etc/mkinitfs/features.d/{name}": text for name, text in zip(features[::2], features[1::2], strict=True)
    }


def _loader_entry(old: bytes) -> dict[str, object]:
    """Return a guest that systemd-boot starts from an EFI system partition at /efi."""
    files = guest_files(old)
    folder = f"efi/abc/{RELEASE}"
    files[f"{folder}/linux"] = files.pop(f"boot/vmlinuz-{RELEASE}")
    files[f"{folder}/initrd"] = files.pop(f"boot/initrd.img-{RELEASE}")
    entry = f"title Debian\nlinux /abc/{RELEASE}/linux\ninitrd /abc/{RELEASE}/initrd\noptions root=UUID={ROOT} ro\n"
    return files | {
        f"efi/loader/entries/abc-{RELEASE}.conf": entry,
        "efi/loader/loader.conf": "default abc-*\n",
        "efi/EFI/systemd/systemd-bootx64.efi": "",
    }


def cases() -> dict[str, dict[str, object]]:
    """Return every case's tree by ``rule/case``."""
    old, both = _gzip(inside(OLD)), _gzip(inside((*OLD, *NEW)))
    dracut = MICROCODE + compress("xz", archive(inside(OLD, "dracut", ".xz")))  # type: ignore[arg-type]
    dracut_guest = guest_files(dracut, initrd=f"initramfs-{RELEASE}.img", os_release=RHEL, suffix=".xz", fstype="xfs")
    blocked = {"usr/lib/modprobe.d/cloud.conf": "# hardening\ninstall virtio-pci /bin/false\noptions nvme_core x=1\n"}
    inside_blocked = inside((*OLD, *NEW)) | {"etc/modprobe.d/hyperv.conf": "blacklist virtio_blk\nblacklist floppy\n"}
    unlisted = {k: v for k, v in guest_files(old).items() if "/modules." not in k or k.endswith("builtin")}
    squash = _gzip(inside(OLD, "dracut") | {"squash-root.img": "hsqs...\n"})
    suse = _gzip(inside(OLD, "mkinitrd-suse"))
    mkinitcpio = _gzip(inside(OLD, "mkinitcpio"))
    return {
        "target-drivers/lacks-virtio": guest_files(old),
        "target-drivers/has-virtio": guest_files(both),
        "target-drivers/dracut-nvme-xz": dracut_guest,
        "target-drivers/modules-in-front": guest_files(
            modules_in_front(inside(OLD, suffix=".xz"), "zstd"), os_release=TRIXIE, suffix=".xz"
        ),
        "target-drivers/unreadable": guest_files(b"an initrd that was not kept\n"),
        "target-drivers/truncated": guest_files(old[:-40]),
        "target-drivers/kernel-without-driver": guest_files(old, present=(*OLD, "virtio", "virtio_ring", "virtio_pci")),
        "target-drivers/squashfs": guest_files(squash, initrd=f"initramfs-{RELEASE}.img", os_release=RHEL),
        "target-drivers/depmod-never-ran": unlisted,
        "target-drivers/loader-entry": _loader_entry(old),
        "target-drivers/nash": _nash(),
        "target-drivers/suse-run-all": guest_files(suse, initrd=f"initrd-{RELEASE}", os_release=SUSE),
        "target-drivers/blocked-inside": guest_files(_gzip(inside_blocked)),
        "unblock/install-false": guest_files(both) | blocked,
        "unblock/another-module": guest_files(both) | {"etc/modprobe.d/blacklist.conf": "blacklist pcspkr\n"},
        "persist-initramfs-tools/listed": guest_files(old)
        | {"etc/initramfs-tools/modules": "# List of modules\nvirtio_pci force_legacy=1"},
        "persist-initramfs-tools/nothing-missing": guest_files(both) | {"etc/initramfs-tools/modules": "# none\n"},
        "persist-dracut/omitted": dracut_guest
        | {"etc/dracut.conf.d/site.conf": 'hostonly="yes"\nomit_drivers+=" nvme floppy "\n'},
        "persist-mkinitcpio/array": guest_files(mkinitcpio, initrd=f"initramfs-{RELEASE}.img", os_release=ARCH)
        | {"etc/mkinitcpio.conf": "MODULES=(ata_piix)\nHOOKS=(base udev autodetect)\n"},
        "persist-mkinitrd-suse/words": guest_files(suse, initrd=f"initrd-{RELEASE}", os_release=SUSE)
        | {"etc/sysconfig/kernel": '## Type: string\nINITRD_MODULES="ata_piix processor"\nDOMU_INITRD_MODULES=""\n'},
        "persist-mkinitcpio/drop-in": {
            **guest_files(_gzip(inside(OLD, "mkinitcpio")), initrd=f"initramfs-{RELEASE}.img", os_release=ARCH),
            "etc/mkinitcpio.conf": "MODULES=()\nHOOKS=(base udev autodetect block filesystems)\n",
            "etc/mkinitcpio.conf.d/disks.conf": "MODULES=(ata_piix)\n",
        },
        "persist-mkinitfs/features": _alpine('features="base ext4 scsi"\n'),
        "persist-mkinitfs/own-feature": _alpine(
            'features="base ext4"\n', "nvme.modules", "kernel/nvme\n", "scsi.modules", "kernel/scsi\n"
        ),
        "persist-mkinitfs/computed": _alpine('features="base $MORE"\n'),
        "persist-mkinitrd-rh/adapters": _nash(),
    }


TITLES = {
    "target-drivers/lacks-virtio": ("An initramfs with the old platform's drivers only gets virtio", "kvm-virtio"),
    "target-drivers/has-virtio": ("An initramfs that has what it takes is not touched", "kvm-virtio"),
    "target-drivers/dracut-nvme-xz": ("dracut, microcode in front, compressed modules, NVMe", "aws-nitro"),
    "target-drivers/modules-in-front": ("Debian 13 keeps modules in front, and new ones join them", "kvm-virtio"),
    "target-drivers/unreadable": ("What is no initramfs can't be judged and is left alone", "kvm-virtio"),
    "target-drivers/truncated": ("A damaged initramfs is reported with the offset and left alone", "kvm-virtio"),
    "target-drivers/kernel-without-driver": ("A driver that the guest doesn't have is a blocker", "kvm-virtio"),
    "target-drivers/squashfs": ("dracut's squashfs images are left alone, with the remedy", "kvm-virtio"),
    "target-drivers/depmod-never-ran": ("Without modules.dep the modules themselves are asked", "kvm-virtio"),
    "target-drivers/loader-entry": ("An initrd on an EFI system partition at /efi, for systemd-boot", "kvm-virtio"),
    "target-drivers/nash": ("A nash script of Red Hat's old mkinitrd loads the modules by hand", "kvm-virtio"),
    "target-drivers/suse-run-all": ("SUSE's old mkinitrd loads the drivers in its first step", "kvm-virtio"),
    "target-drivers/blocked-inside": ("A blacklist inside the initramfs is lifted there", "kvm-virtio"),
    "unblock/install-false": ("install X /bin/false in the guest's modprobe.d is lifted", "kvm-virtio"),
    "unblock/another-module": ("A blacklist of other modules stays", "kvm-virtio"),
    "persist-initramfs-tools/listed": ("The list keeps its lines and arguments", "kvm-virtio"),
    "persist-initramfs-tools/nothing-missing": ("Nothing is listed where nothing was missing", "kvm-virtio"),
    "persist-dracut/omitted": ("An omit_drivers that names a needed driver loses it", "aws-nitro"),
    "persist-mkinitcpio/array": ("The MODULES array gets the drivers", "kvm-virtio"),
    "persist-mkinitrd-suse/words": ("INITRD_MODULES gets the drivers", "kvm-virtio"),
    "persist-mkinitcpio/drop-in": ("Files of mkinitcpio.conf.d set MODULES anew, so one more adds to it", "kvm-virtio"),
    "persist-mkinitfs/features": ("The features get the one that has the driver", "aws-nitro"),
    "persist-mkinitfs/own-feature": ("No feature of this mkinitfs has virtio, so it gets one of its own", "kvm-virtio"),
    "persist-mkinitfs/computed": ("Features that the shell computes are told and stay", "kvm-virtio"),
    "persist-mkinitrd-rh/adapters": ("modprobe.conf gets scsi_hostadapter aliases", "kvm-virtio"),
}


def write(root: Path) -> None:
    """Write every case below root, except its golden report."""
    for name, files in cases().items():
        rule, case = name.split("/")
        folder = root / rule / "cases" / case
        shutil.rmtree(folder / "in", ignore_errors=True)
        build(folder / "in", files)
        title, target = TITLES[name]
        (folder / "case.yaml").write_text(f"title: {title}\ntarget: {target}\n")


if __name__ == "__main__":
    write(RULES)
