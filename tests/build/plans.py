"""Guests and plans for tests of the engine that need no rule."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

from guestfix.backends.directory import DirectoryGuest
from guestfix.base.edit import Link
from guestfix.base.overlay import Overlay
from guestfix.plan.changes import changes_of
from guestfix.plan.learn import identity_of
from guestfix.plan.model import Plan
from tests.build.tree import build

FILES = {
    "etc/os-release": 'ID=debian\nVERSION_ID="12"\n',
    "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
    "etc/fstab": "/dev/sda1 / ext4 defaults 0 1\n",
    "etc/hosts": "127.0.0.1 localhost\n",
    "etc/udev/rules.d/70-persistent-net.rules": "# old NIC\n",
    "etc/resolv.conf": ("link", "../run/resolv.conf"),
    "boot/initrd.img": bytes(range(256)) * 8192,
    "var/lib/dpkg/status": "",
}


def make_guest(root: Path) -> DirectoryGuest:
    build(root, FILES)
    os.chmod(root / "etc/fstab", 0o640)
    return DirectoryGuest(str(root))


VERSIONS = {"guestfix": "0", "pack": "0", "pack_digest": "0", "compat": "0"}


def plan_for(
    guest: DirectoryGuest,
    change: Callable[[Overlay], None],
    rule: str = "test/rule",
    versions: Mapping[str, object] = VERSIONS,
) -> Plan:
    overlay = Overlay(guest)
    with overlay.acting(rule, ("/**",)):
        change(overlay)
    return Plan(
        {"uri": guest.uri, "identity": identity_of(guest)},
        "kvm-virtio",
        "unknown",
        {},
        (),
        (),
        (),
        changes_of(overlay),
        (),
        versions,
    )


def every_kind(overlay: Overlay) -> None:
    """Plan one change of every kind."""
    overlay.put("/etc/fstab", b"UUID=1 / ext4 defaults 0 1\n")
    overlay.put("/etc/hosts", b"127.0.0.1 localhost guest\n")
    overlay.put("/etc/udev/rules.d/70-persistent-net.rules", None)
    overlay.put("/etc/systemd/network/10-guestfix.network", b"[Match]\nType=ether\n")
    overlay.put("/etc/systemd/system/multi-user.target.wants/ssh.service", Link("/lib/systemd/system/ssh.service"))
    overlay.append("/boot/initrd.img", b"\0" * 100 + b"070701")


def tree(root: Path) -> dict[str, object]:
    """Return everything that revert must restore, by relative path."""
    found = {}
    for folder, folders, names in os.walk(root):
        for name in [".", *names, *(one for one in folders if os.path.islink(os.path.join(folder, one)))]:
            path = os.path.normpath(os.path.join(folder, name))
            info = os.lstat(path)
            content: object = None
            if stat.S_ISLNK(info.st_mode):
                content = os.readlink(path)
            elif stat.S_ISREG(info.st_mode):
                content = Path(path).read_bytes()
            xattrs = {
                one: os.getxattr(path, one, follow_symlinks=False) for one in os.listxattr(path, follow_symlinks=False)
            }
            found[os.path.relpath(path, root)] = (
                info.st_mode, info.st_uid, info.st_gid, info.st_mtime_ns, content, tuple(sorted(xattrs.items()))
            )  # fmt: skip
    return found
