"""The initramfs of a throw-away machine: the host's Python and programs, guestfix's agent, the kernel's modules."""

from __future__ import annotations

import json
import marshal
import os
import subprocess
import sys
from collections.abc import Sequence

from guestfix.backends.machine import agent
from guestfix.backends.machine.guest import HOLDERS
from guestfix.backends.machine.session import Kinds
from guestfix.backends.qemu import shipped
from guestfix.backends.qemu.kernel import FILESYSTEMS, Kernel, module_files
from guestfix.backends.qemu.tree import Tree
from guestfix.backends.status import CHECKERS, find_program
from guestfix.backends.volumes.block import DiskError

MODULES, SETTINGS, AGENT = "/guestfix/modules", "/guestfix/settings", "/guestfix/agent.pyc"
SHIP_SECONDS = 60.0
DEVICES = {"/dev/console": (5, 1), "/dev/null": (1, 3), "/dev/urandom": (1, 9)}
"""What Python opens before anything is mounted: a kernel without a source of randomness gives some by urandom alone."""

_EXT = (("ext4", "ext3", "ext2"), ("e2fsck",))
USED: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "ext2": _EXT, "ext3": _EXT, "ext4": _EXT,
    "xfs": (("xfs",), ("xfs_repair",)),
    "btrfs": (("btrfs",), ("btrfs",)),
    "vfat": (("vfat",), ("fsck.vfat",)),
    "jfs": (("jfs",), ("jfs_fsck",)),
    "reiserfs": (("reiserfs",), ()),
    "ntfs": (("fuse", "ntfs3"), ("ntfs-3g", "ntfsfix")),
    **dict.fromkeys(("swap", "swsuspend", "BitLocker"), ((), ())),
}  # fmt: skip
"""The modules and programs for each thing that a volume can be."""

PACKAGE = os.path.abspath(f"{agent.__file__}/../../../..")
PYTHON = os.path.realpath(sys.executable)


def build(kernel: Kernel, settings: dict[str, object], kinds: Kinds) -> bytes:
    """Return the archive (newc). The agent is at AGENT, what it is told at SETTINGS; ``kinds`` is what is on the disks.

    GuestError where a file of the host can't be read, or Python's own libraries are not found.
    """
    shipping = subprocess.Popen(
        [PYTHON, "-I", "-S", os.path.abspath(shipped.__file__), PACKAGE],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        tree = Tree()
        tree.program(PYTHON)
        filesystems, programs, volumes = needed_for(kinds)
        for name, data in module_files(kernel, filesystems, volumes=volumes).items():
            tree.put(f"{MODULES}/{name}", data)
        missing, folders = list(tree.missing), []
        for name in programs:
            place = find_program(name)
            if place is not None and tree.program(place):
                folders.append(os.path.dirname(place))
        made, said = shipping.communicate(timeout=SHIP_SECONDS)
    except BaseException:
        shipping.kill()
        shipping.communicate()
        raise
    if shipping.returncode:
        text = said.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise DiskError(f"the machine's agent can't be put together: {text}", remedy="install guestfix again")
    if missing:
        what = f"libraries of {PYTHON} are not found on the host: {', '.join(missing)}"
        raise DiskError(what, remedy="run guestfix with the distribution's own Python")
    _python(tree, made)
    for name, numbers in DEVICES.items():
        tree.device(name, *numbers)
    told = {**settings, "package": PACKAGE, "modules": MODULES, "path": ":".join(dict.fromkeys([*folders, "/bin"]))}
    tree.put(SETTINGS, json.dumps(told).encode())
    return tree.write()


def needed_for(kinds: Kinds) -> tuple[Sequence[str], Sequence[str], bool]:
    """Return the modules and programs for what is on the disks, and whether it has LVM, RAID or encryption.

    All of them where it has: what is inside is not seen from outside.
    """
    if not kinds.isdisjoint(HOLDERS) or not kinds <= USED.keys():
        return FILESYSTEMS, CHECKERS, True
    modules = dict.fromkeys(one for kind in sorted(kinds) for one in USED[kind][0])
    return tuple(modules), tuple(dict.fromkeys(one for kind in sorted(kinds) for one in USED[kind][1])), False


def _python(tree: Tree, made: bytes) -> None:
    """Add the modules that the agent loads, compiled and without their sources, and Python's extensions."""
    magic, modules = marshal.loads(made)
    for path, code in modules:
        if code is None:
            tree.program(path)
            continue
        data = magic + bytes(12) + code
        tree.put(f"{path.rpartition('.')[0]}.pyc", data)
        if path == os.path.abspath(agent.__file__):
            tree.put(AGENT, data)
    for name in ("/etc/ld.so.cache", *_musl()):
        if os.path.exists(name):
            tree.copy(name)


def _musl() -> list[str]:
    folder = "/etc"
    return [f"{folder}/{one}" for one in os.listdir(folder) if one.startswith("ld-musl-")]
