"""Which backends work on this host, and the one command that makes a missing one work."""

from __future__ import annotations

import os
from collections.abc import Callable

from guestfix.base.record import frozen, replace


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


def qemu_missing() -> tuple[tuple[str, ...], str]:
    """Return what the backend qemu lacks here, and the command that brings it."""
    from guestfix.backends.packages import install
    from guestfix.backends.qemu.host import MACHINES, find_qemu, program_name

    if os.uname().machine not in MACHINES:
        return (f"a machine of QEMU's for {os.uname().machine}",), "guestfix backends"
    missing = (*(() if find_qemu() else (program_name(),)), *_programs("qemu-img"))
    return missing, install(*missing) if missing else ""


def _qemu() -> Status:
    from guestfix.backends.accel import works
    from guestfix.backends.qemu.host import chosen_kernel, find_qemu
    from guestfix.base.errors import GuestError

    missing, command = qemu_missing()
    notes: tuple[str, ...] = ()
    try:
        kernel = chosen_kernel(rare=True)
        notes = (f"starts the kernel {kernel.release}: {', '.join(kernel.filesystems())}",)
    except GuestError as error:
        missing = (*missing, "a kernel that QEMU can start")
        command, notes = " && ".join(filter(None, (command, error.remedy))), (error.what,)
    if not missing:
        fast, why = works(str(find_qemu()))
        notes += (why if fast else f"it is emulated, and starts in some seconds of processor time: {why}",)
    title = "disk images through a QEMU machine, as an ordinary user"
    return Status("qemu", title, True, not missing, missing, command, notes)


def fast_qemu() -> bool:
    """Tell whether QEMU with KVM is here, which is faster than any other machine."""
    from guestfix.backends.accel import works
    from guestfix.backends.qemu.host import find_qemu

    return os.access("/dev/kvm", os.R_OK | os.W_OK) and not qemu_missing()[0] and works(str(find_qemu()))[0]


def first_writer() -> str:
    """Return the backend that writes to disk images here where none is named; empty where none can.

    QEMU with KVM, User-mode Linux, QEMU emulated, libguestfs: as fast as each is (docs/decisions/137).
    """
    return next((name for name in _order() if usable(name)), "")


def _order() -> tuple[str, ...]:
    from guestfix.backends import WRITERS

    return ("qemu", *WRITERS) if fast_qemu() else WRITERS


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
    absent = _programs(*CHECKERS)
    notes += (f"for every filesystem also: {install(*absent)}",) if absent else ()
    return Status(
        "mount", "disk images mounted by this host's kernel", True, not missing, missing, " && ".join(steps), notes
    )


_BUILT_IN: dict[str, Callable[[], Status]] = {
    "dir": _directory,
    "image": _image,
    "uml": _uml,
    "qemu": _qemu,
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
    first = next((name for name in _order() if any(one.name == name and one.usable for one in found)), "")
    chosen = "writes to images where no other is named"
    found = [replace(one, notes=(chosen, *one.notes)) if one.name == first else one for one in found]
    others = {
        point.name: f"from the package {point.dist.name if point.dist else point.value}"
        for point in entry_points(group=GROUP)
    }
    found += [Status(name, value, False, True) for name, value in sorted(others.items()) if name not in _BUILT_IN]
    return found
