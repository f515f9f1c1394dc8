"""Whether SELinux is in force, files without its labels, and what keeps a boot from being seen on a serial port."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from guestfix import open_guest
from guestfix.base.catalog.facts.system import SELINUX_MODE
from guestfix.detect.services.selinux import in_force, unlabeled
from guestfix.detect.system.console import hides_console
from guestfix.formats.selinux import XATTR, mode
from guestfix.pack.cache import load_pack
from guestfix.plan.planner import make_plan
from tests.build.tree import build

ON = "SELINUX=enforcing\nSELINUXTYPE=targeted\n"


@pytest.mark.parametrize(
    ("config", "args", "found"),
    [
        (ON, (), "enforcing"),
        (ON, ("enforcing=0",), "permissive"),
        (ON, ("selinux=0", "enforcing=1"), "disabled"),
        ("SELINUX=permissive\n", ("enforcing=1",), "enforcing"),
        ("SELINUX=disabled\n", ("enforcing=1",), "disabled"),
        ("# SELINUX=enforcing\n", (), "disabled"),
        ("SELINUX=Permissive  \n", (), "permissive"),
        ("SELINUX=enforcing\nSELINUX=disabled\n", (), "disabled"),
    ],
)
def test_the_kernels_arguments_go_before_the_file(
    tmp_path: Path, config: str, args: tuple[str, ...], found: str
) -> None:
    build(tmp_path / "guest", {"etc/selinux/config": config})
    told = in_force(open_guest(str(tmp_path / "guest")), args)
    assert told is not None and told[0] == found


def test_a_guest_without_selinux_has_no_mode(tmp_path: Path) -> None:
    build(tmp_path / "guest", {"etc/os-release": "ID=debian\n"})
    assert in_force(open_guest(str(tmp_path / "guest")), ()) is None
    assert mode(b"\xff\x00SELINUX=\n") == ("disabled", 0, "")


@pytest.mark.parametrize("how", ["bare", "labeled", "relabel", "permissive"])
def test_files_without_labels_are_told_where_it_is_enforcing(tmp_path: Path, how: str) -> None:
    root = tmp_path / "guest"
    config = ON.replace("enforcing", "permissive") if how == "permissive" else ON
    files = {"etc/os-release": 'ID=rhel\nVERSION_ID="9.4"\n', "etc/selinux/config": config, "etc/passwd": ""}
    build(root, {**files, **({".autorelabel": ""} if how == "relabel" else {})})
    if how == "labeled":
        try:
            os.setxattr(root / "etc", XATTR, b"system_u:object_r:etc_t:s0\0")
        except PermissionError:
            pytest.skip("this user may not set labels")
    plan = make_plan(open_guest(str(root)), load_pack(), "kvm-virtio")
    assert ("GF-SELINUX-UNLABELED" in [one.code for one in plan.findings]) == (how == "bare")
    assert (unlabeled(open_guest(str(root))) is None) == (how in ("labeled", "relabel"))
    assert next(one.value for one in plan.facts if one.name == SELINUX_MODE.name) == config.split("\n")[0][8:]


UNITS, LIB = "etc/systemd/system/", "usr/lib/systemd/system/"
GRAPHICAL, MANAGER = (
    ("link", "/usr/lib/systemd/system/graphical.target"),
    ("link", "/usr/lib/systemd/system/gdm.service"),
)
SCREENS: dict[str, tuple[dict[str, object], str]] = {
    "a desktop": ({UNITS + "default.target": GRAPHICAL, UNITS + "display-manager.service": MANAGER}, "default.target"),
    "by default": ({LIB + "default.target": ("link", "graphical.target"), UNITS + "display-manager.service": MANAGER},
                   "lib/systemd/system/default.target"),
    "no display manager": ({UNITS + "default.target": GRAPHICAL, LIB + "gdm.service": ""}, ""),
    "a server": ({UNITS + "default.target": ("link", "/lib/systemd/system/multi-user.target"),
                  LIB + "default.target": GRAPHICAL, UNITS + "display-manager.service": MANAGER}, ""),
    "run level 5": ({"etc/inittab": "# x\nid:5:initdefault:\n", "usr/bin/Xorg": ""}, "/etc/inittab"),
    "run level 5 without X": ({"etc/inittab": "id:5:initdefault:\n"}, ""),
    "run level 3": ({"etc/inittab": "id:3:initdefault:\n", "usr/bin/Xorg": ""}, ""),
}  # fmt: skip


@pytest.mark.parametrize("name", SCREENS)
def test_what_hides_a_boot_from_its_console(tmp_path: Path, name: str) -> None:
    files, place = SCREENS[name]
    build(tmp_path, files)
    guest = open_guest(str(tmp_path))
    told = hides_console(guest, ("quiet", "splash"))
    assert (told is not None and told[1] is not None and told[1].path.endswith(place)) if place else told is None
    assert hides_console(guest, ("plymouth.ignore-serial-consoles",)) == (
        "plymouth shows nothing on serial ports",
        None,
    )


def test_it_is_told_beside_the_login(tmp_path: Path) -> None:
    release = "6.1.0-1"
    files = {
        "etc/os-release": "ID=debian\nVERSION_ID=12\n",
        "etc/fstab": "UUID=1-1 / ext4 defaults 0 1\n",
        f"boot/vmlinuz-{release}": "x",
        f"boot/initrd.img-{release}": "x",
        f"lib/modules/{release}/modules.dep": "",
        "boot/grub/grub.cfg": (
            f"menuentry a {{\nlinux /boot/vmlinuz-{release} root=UUID=1-1 plymouth.ignore-serial-consoles\n"
            f"initrd /boot/initrd.img-{release}\n}}\n"
        ),
        "etc/inittab": "s:2:respawn:/sbin/getty 9600 ttyS0\n",
    }
    build(tmp_path / "guest", files)
    plan = make_plan(open_guest(str(tmp_path / "guest")), load_pack(), "kvm-virtio")
    (told,) = (one for one in plan.findings if one.code == "GF-CONSOLE-HIDDEN")
    assert told.evidence[0].path == "/boot/grub/grub.cfg"
