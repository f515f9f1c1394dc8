"""Logins on serial ports, in every init system: a second run changes nothing, and revert is exact."""

from __future__ import annotations

from pathlib import Path

import pytest

from guestfix import apply_plan, make_plan, open_guest, open_writable, revert
from guestfix.actions.system.gettys import serial_logins
from guestfix.actions.workbench import Workbench
from guestfix.base.facts import Facts
from guestfix.base.overlay import Overlay
from guestfix.cases.runner import snapshot
from guestfix.pack.cache import load_pack
from guestfix.pack.model import Target
from guestfix.plan.planner import Options
from tests.build.tree import build

BASE = {"etc/os-release": "ID=debian\nVERSION_ID=12\n", "etc/fstab": "UUID=1 / ext4 defaults 0 1\n"}
UNIT = "lib/systemd/system/serial-getty@.service"
TEMPLATE = "[Service]\nExecStart=/sbin/agetty %I\n[Install]\nWantedBy=getty.target\n"
WANTS = "etc/systemd/system/getty.target.wants"


def changed(tmp_path: Path, files: dict[str, object], target: str = "kvm-virtio") -> list[str]:
    root = tmp_path / "guest"
    build(root, {**BASE, **files})
    before = snapshot(str(root))
    options = Options(only=("access/serial-login",))
    plan = make_plan(open_guest(str(root)), load_pack(), target, options)
    apply_plan(open_writable(str(root)), plan)
    assert not make_plan(open_guest(str(root)), load_pack(), target, options).changes
    revert(open_writable(str(root)))
    assert snapshot(str(root)) == before
    return [f"{one.kind} {one.path}" for one in plan.changes]


def test_links_of_whoever_wants_the_unit_go(tmp_path: Path) -> None:
    link = ("link", f"/{UNIT}")
    files = {
        UNIT: TEMPLATE,
        "lib/systemd/system/getty@.service": "[Service]\n",
        f"{WANTS}/serial-getty@ttyS1.service": link,
        f"{WANTS}/getty@tty1.service": ("link", "/lib/systemd/system/getty@.service"),
        "etc/systemd/system/multi-user.target.wants/serial-getty@hvc0.service": link,
    }
    assert changed(tmp_path, files) == [
        f"link /{WANTS}/serial-getty@ttyS0.service",
        f"delete /{WANTS}/serial-getty@ttyS1.service",
        "delete /etc/systemd/system/multi-user.target.wants/serial-getty@hvc0.service",
    ]


def test_an_openrc_service_is_linked_to_its_script(tmp_path: Path) -> None:
    files = {
        "etc/init.d/agetty": "#!/sbin/openrc-run\n",
        "etc/init.d/agetty.hvc0": ("link", "agetty"),
        "etc/runlevels/default/agetty.hvc0": ("link", "/etc/init.d/agetty.hvc0"),
        "etc/inittab": "id:3:initdefault:\n",
    }
    assert changed(tmp_path, files) == [
        "link /etc/init.d/agetty.ttyS0",
        "delete /etc/runlevels/default/agetty.hvc0",
        "link /etc/runlevels/default/agetty.ttyS0",
    ]


OPENRC = {
    "etc/init.d/agetty": "#!/sbin/openrc-run\n",
    "etc/init.d/agetty.hvc0": ("link", "agetty"),
    "etc/runlevels/default/agetty.hvc0": ("link", "/etc/init.d/agetty.hvc0"),
}
OLD = "tty1::respawn:/sbin/getty 38400 tty1\nxvc0::respawn:/sbin/getty xvc0\n"


@pytest.mark.parametrize(
    ("files", "done"),
    [
        ({"etc/inittab": OLD}, ["delete /etc/runlevels/default/agetty.hvc0", "edit /etc/inittab"]),
        (
            {"etc/inittab": OLD, "sbin/init": ("link", "openrc-init"), "sbin/openrc-init": "x"},
            [
                "delete /etc/runlevels/default/agetty.hvc0",
                "link /etc/init.d/agetty.ttyS0",
                "link /etc/runlevels/default/agetty.ttyS0",
            ],
        ),
    ],
    ids=["of init", "of OpenRC itself"],
)
def test_lines_beside_openrcs_services_count_where_init_reads_them(tmp_path: Path, files, done) -> None:
    assert sorted(changed(tmp_path, {**OPENRC, **files})) == done


def test_a_screen_is_no_serial_port(tmp_path: Path) -> None:
    build(tmp_path, {**BASE, "etc/inittab": "a:2:respawn:/sbin/getty 9600 ttyS0\nb:2:respawn:/sbin/getty 9600 hvc0\n"})
    view = Overlay(open_guest(str(tmp_path)))
    with view.acting("x/y", ("/etc/inittab",)):
        serial_logins(Workbench(view, Facts(), Target("t", "t", hypervisor="kvm")), console="tty0")
    assert view.read("/etc/inittab") == b"a:2:respawn:/sbin/getty 9600 ttyS0\n#b:2:respawn:/sbin/getty 9600 hvc0\n"


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"etc/inittab": ("link", "/dev/null")},
        {"etc/systemd/system/getty.target.wants": ("link", "/etc")},
        {
            UNIT: TEMPLATE,
            "lib/systemd/system/getty@.service": "x",
            f"{WANTS}/serial-getty@ttyS0.service": ("link", "x"),
        },
    ],
)
def test_odd_guests_stay(tmp_path: Path, files: dict[str, object]) -> None:
    assert changed(tmp_path, files) == []
