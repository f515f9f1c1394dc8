"""Which backends work on this host, and the one command that makes a missing one work."""

from __future__ import annotations

import os
from collections.abc import Callable

from guestfix.base.record import frozen


@frozen
class Status:
    """One backend: what it is for, whether it works here, what is missing, and the command that fixes it."""

    name: str
    title: str
    writes: bool
    usable: bool
    missing: tuple[str, ...] = ()
    command: str = ""
    notes: tuple[str, ...] = ()


def _directory() -> Status:
    return Status("dir", "a guest's root as a folder", True, True)


FUSE = "/dev/fuse"


def _image() -> Status:
    reads = "raw, qcow2, VMDK, VHD, VHDX, VDI, OVA; MBR, GPT, LVM, RAID; ext2/3/4, XFS, Btrfs, NTFS, FAT"
    return Status("image", "disk images, read only", False, True, notes=(reads,))


def _importable(name: str) -> bool:
    import importlib.util

    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def _programs(*names: str) -> tuple[str, ...]:
    return tuple(name for name in names if find_program(name) is None)


def find_program(name: str) -> str | None:
    """Return the path of a host program; the folders for the administrator's programs count too."""
    for folder in (*os.environ.get("PATH", os.defpath).split(os.pathsep), "/usr/sbin", "/sbin"):
        path = os.path.join(folder, name)
        if os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    return None


CHECKERS = (
    "e2fsck", "xfs_repair", "btrfs", "ntfsfix", "fsck.vfat", "jfs_fsck", "lvm", "mdadm", "dmsetup", "ntfs-3g",
)  # fmt: skip
_UML = ("linux.uml", "qemu-img", "qemu-storage-daemon")


def _uml() -> Status:
    from guestfix.backends.packages import install

    missing = _programs(*_UML, *(() if os.geteuid() == 0 else ("fusermount3",)))
    steps = [install(*missing)] if missing else []
    if not os.path.exists(FUSE):
        missing, steps = (*missing, FUSE), [*steps, "modprobe fuse"]
    elif not os.access(FUSE, os.R_OK | os.W_OK):
        missing, steps = (*missing, f"permission for {FUSE}"), [*steps, f"chmod a+rw {FUSE}"]
    absent = _programs(*CHECKERS)
    notes = (f"for every filesystem also: {install(*absent)}",) if absent else ()
    title = "disk images through User-mode Linux, as an ordinary user"
    return Status("uml", title, True, not missing, missing, " && ".join(steps), notes)


_SUPERMIN = "/usr/lib*/*/guestfs/supermin.d/*packages*"
"""What the appliance is made from; JFS's and XFS's programs are packages of their own."""


def _libguestfs() -> Status:
    import glob

    from guestfix.backends.packages import install

    missing = () if _importable("guestfs") else _programs("guestfish")
    command = install(*missing) if missing else ""
    kernels = glob.glob("/boot/vmlinuz-*")
    if not missing and not os.environ.get("LIBGUESTFS_PATH"):  # a fixed appliance has a kernel of its own
        if not kernels:
            missing, command = ("a kernel in /boot for its appliance",), install("linux")
        elif not any(os.access(path, os.R_OK) for path in kernels):  # as on Ubuntu
            missing, command = ("permission to read /boot/vmlinuz-*",), "chmod a+r /boot/vmlinuz-*"
    notes: tuple[str, ...] = ()
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        notes += ("without /dev/kvm a start takes about 20 s",)
    parts = {os.path.basename(path).rpartition("-")[2] for path in glob.glob(_SUPERMIN)}
    absent = [f"libguestfs-{kind}" for kind in ("jfs", "xfs") if kind not in parts]
    if parts and absent:
        notes += (f"to check every filesystem after writing also: {install(*absent)}",)
    return Status(
        "libguestfs", "disk images through the libguestfs appliance", True, not missing, missing, command, notes
    )


CONTROL = "/dev/loop-control"


def _mount() -> Status:
    from guestfix.backends.packages import install

    missing = _programs("qemu-img", "qemu-storage-daemon")
    steps = [install(*missing)] if missing else []
    for device, module in ((FUSE, "fuse"), (CONTROL, "loop")):
        if not os.path.exists(device):
            missing, steps = (*missing, device), [*steps, f"modprobe {module}"]
    if os.geteuid() != 0:
        missing, steps = ("root", *missing), [*steps, "sudo guestfix ..."]
    notes: tuple[str, ...] = (
        "only where it is named: the host's own kernel parses what a stranger may have written (docs/security.md)",
    )
    absent = _programs(*_CHECKERS)
    notes += (f"for every filesystem also: {install(*absent)}",) if absent else ()
    return Status(
        "mount", "disk images mounted by this host's kernel", True, not missing, missing, " && ".join(steps), notes
    )


_BUILT_IN: dict[str, Callable[[], Status]] = {
    "dir": _directory,
    "image": _image,
    "uml": _uml,
    "libguestfs": _libguestfs,
    "mount": _mount,
}


def usable(name: str) -> bool:
    """Tell whether this backend works here."""
    return name in _BUILT_IN and _BUILT_IN[name]().usable


def all_backends() -> list[Status]:
    """Return the state of every backend, those of other packages last."""
    from importlib.metadata import entry_points

    from guestfix.backends import GROUP

    found = [check() for check in _BUILT_IN.values()]
    others = {
        point.name: f"from the package {point.dist.name if point.dist else point.value}"
        for point in entry_points(group=GROUP)
    }
    found += [Status(name, value, False, True) for name, value in sorted(others.items()) if name not in _BUILT_IN]
    return found
