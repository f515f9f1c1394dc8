"""The command of this host's own package manager that brings a program which guestfix calls.

Sources: the managers' package lists (packages.debian.org, packages.fedoraproject.org, software.opensuse.org,
archlinux.org/packages, formulae.brew.sh), as far as they have the program; read in November 2026 or known from before.
"""

from __future__ import annotations

from guestfix.backends.status import find_program

MANAGERS = {
    "apt": ("apt-get", "apt-get install"),
    "dnf": ("dnf", "dnf install"),
    "zypper": ("zypper", "zypper install"),
    "pacman": ("pacman", "pacman -S"),
    "brew": ("brew", "brew install"),
}
"""Each manager's program, and its command; the first that is there is the host's own."""

_LINUX = ("apt", "dnf", "zypper", "pacman")

PACKAGES: dict[str, dict[str, str]] = {
    "linux.uml": {"apt": "user-mode-linux"},
    "qemu-img": {"apt": "qemu-utils", "dnf": "qemu-img", "zypper": "qemu-img", "pacman": "qemu-img", "brew": "qemu"},
    "qemu-storage-daemon": {
        "apt": "qemu-system-common", "dnf": "qemu-img", "zypper": "qemu-img", "pacman": "qemu-storage-daemon",
    },
    "qemu-system-x86_64": {
        "apt": "qemu-system-x86", "dnf": "qemu-system-x86-core", "zypper": "qemu-x86", "pacman": "qemu-system-x86",
        "brew": "qemu",
    },
    "qemu-system-aarch64": {
        "apt": "qemu-system-arm", "dnf": "qemu-system-aarch64-core", "zypper": "qemu-arm",
        "pacman": "qemu-system-aarch64", "brew": "qemu",
    },
    "ovmf": {"apt": "ovmf", "dnf": "edk2-ovmf", "zypper": "qemu-ovmf-x86_64", "pacman": "edk2-ovmf"},
    "qemu-efi-aarch64": {
        "apt": "qemu-efi-aarch64", "dnf": "edk2-aarch64", "zypper": "qemu-uefi-aarch64", "pacman": "edk2-aarch64",
    },
    "fusermount3": dict.fromkeys(_LINUX, "fuse3"),
    "guestfish": {"apt": "libguestfs-tools", "dnf": "libguestfs", "zypper": "guestfs-tools", "pacman": "libguestfs"},
    "linux": {"apt": "linux-image-amd64", "dnf": "kernel-core", "zypper": "kernel-default", "pacman": "linux"},
    "e2fsck": dict.fromkeys(MANAGERS, "e2fsprogs"),
    "xfs_repair": dict.fromkeys(_LINUX, "xfsprogs"),
    "btrfs": {"apt": "btrfs-progs", "dnf": "btrfs-progs", "zypper": "btrfsprogs", "pacman": "btrfs-progs"},
    "ntfsfix": {"apt": "ntfs-3g", "dnf": "ntfsprogs", "zypper": "ntfsprogs", "pacman": "ntfs-3g"},
    "ntfs-3g": dict.fromkeys(_LINUX, "ntfs-3g"),
    "fsck.vfat": dict.fromkeys(_LINUX, "dosfstools"),
    "jfs_fsck": dict.fromkeys(_LINUX, "jfsutils"),
    "lvm": dict.fromkeys(_LINUX, "lvm2"),
    "mdadm": dict.fromkeys(_LINUX, "mdadm"),
    "dmsetup": {"apt": "dmsetup", "dnf": "device-mapper", "zypper": "device-mapper", "pacman": "device-mapper"},
    "tesseract": {"apt": "tesseract-ocr", "dnf": "tesseract", "zypper": "tesseract-ocr", "pacman": "tesseract",
                  "brew": "tesseract"},
    "libguestfs-jfs": {"apt": "libguestfs-jfs"},
    "libguestfs-xfs": {"apt": "libguestfs-xfs", "dnf": "libguestfs-xfs"},
}  # fmt: skip
"""The package that has each program, by manager; a manager that is not named has none that is known."""


def manager() -> str:
    """Return this host's package manager, Debian's where none is known."""
    return next((name for name, (program, _) in MANAGERS.items() if find_program(program)), "apt")


def install(*programs: str) -> str:
    """Return the command that brings these programs here; what the host's own manager has no package of is named."""
    host = manager()
    known = [PACKAGES[one][host] for one in programs if host in PACKAGES[one]]
    foreign = [one for one in programs if host not in PACKAGES[one]]
    command = f"{MANAGERS[host][1]} {' '.join(dict.fromkeys(known))}" if known else ""
    without = f"{' and '.join(foreign)}: no package of {host} is known" if foreign else ""
    return "; ".join(filter(None, (command, without)))
