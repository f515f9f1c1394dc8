"""What a start of broken guests showed and the walk did not say: a kernel cut off, no init, a start for repairs."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from guestfix.backends import open_guest
from guestfix.base.guest import Disk, Disks, Volume
from guestfix.pack.cache import load_pack
from guestfix.plan.planner import make_plan
from guestfix.walk.model import Step, Walk
from tests.build.tree import build

UUID = "5cb2a1d6-6bde-4d51-8c39-3a1f1fb2a5a1"
RELEASE = "6.1.0-18-amd64"


def bzimage(paragraphs: int) -> bytes:
    """The first sector and setup of a kernel image that tells of so many 16-byte paragraphs behind 5 sectors."""
    head = bytearray(5 * 512)
    head[0x1F1] = 4
    head[0x1F4:0x1F8] = struct.pack("<I", paragraphs)
    head[0x202:0x206] = b"HdrS"
    return bytes(head) + bytes(paragraphs * 16)


def steps(tmp_path: Path, files: dict[str, object], args: str = "", *, read: bool = False) -> dict[str, Step]:
    return {one.id: one for one in walks(tmp_path, files, args, read=read)[0].steps}


def walks(tmp_path: Path, files: dict[str, object], args: str = "", *, read: bool = False) -> tuple[Walk, Walk]:
    entry = f"menuentry 'x' --id x {{\n linux /boot/vmlinuz-{RELEASE} root=UUID={UUID} ro {args}\n}}\n"
    base: dict[str, object] = {
        "etc/os-release": 'ID=debian\nVERSION_ID="12"\n',
        "etc/fstab": f"UUID={UUID} / ext4 defaults 0 1\n",
        "boot/grub/grub.cfg": f"set timeout=5\nset default=0\n{entry}",
        f"boot/vmlinuz-{RELEASE}": "kernel",
        f"lib/modules/{RELEASE}/modules.builtin": "",
    }
    root = build(tmp_path / "g", {**base, **files})
    disks = Disks((Disk("/dev/sda", None, "mbr", (Volume("/dev/sda1", (), "ext4", UUID),)),), (), read)
    plan = make_plan(open_guest(str(root), disks=disks), load_pack(), "kvm-virtio")
    return plan.walk.before, plan.walk.after


LARGE = bzimage(5000)


@pytest.mark.parametrize(("image", "stops"), [
    (LARGE, False), (LARGE + bytes(1500), False), (LARGE[:-16], True), (LARGE[: len(LARGE) // 2], True),
    (b"kernel", False), (bytes(90_000), False), (LARGE[:600], False),
], ids=["whole", "signed", "16 bytes less", "half", "a name only", "no bzImage", "an excerpt"])  # fmt: skip
def test_a_kernel_that_is_cut_off_does_not_start(tmp_path, image, stops):
    found = steps(tmp_path, {f"boot/vmlinuz-{RELEASE}": image})["kernel"]
    assert (found.outcome == "stops") is stops, found


INIT = {"usr/lib/systemd/systemd": "x", "usr/sbin/init": ("link", "../lib/systemd/systemd"),
        "sbin": ("link", "usr/sbin")}  # fmt: skip


@pytest.mark.parametrize(("files", "args", "read", "stops"), [
    (INIT, "", True, False), ({}, "", True, True), ({}, "", False, False),
    ({"sbin/init": ("link", "/lib/gone")}, "", True, True), (INIT, "init=/usr/lib/systemd/systemd", True, False),
    (INIT, "init=/bin/gone", True, True),
], ids=["there", "gone", "an excerpt", "a dead link", "by init=", "init= that is gone"])  # fmt: skip
def test_a_root_without_an_init_stops(tmp_path, files, args, read, stops):
    found = steps(tmp_path, files, args, read=read)["root"]
    assert (found.outcome == "stops") is stops, found


TARGET = "etc/systemd/system/default.target"


@pytest.mark.parametrize(("files", "args", "step"), [
    ({}, "", ""), ({}, "quiet splash", ""), ({}, "emergency", "mounts"), ({}, "single", "network"),
    ({}, "systemd.unit=rescue.target", "network"), ({}, "1 systemd.unit=multi-user.target", ""),
    ({TARGET: ("link", "/lib/systemd/system/emergency.target")}, "", "mounts"),
    ({TARGET: ("link", "/lib/systemd/system/rescue.target")}, "", "network"),
    ({TARGET: ("link", "/lib/systemd/system/rescue.target")}, "systemd.unit=graphical.target", ""),
    ({TARGET: ("link", "/lib/systemd/system/graphical.target")}, "", ""),
    ({TARGET: ("link", "\udcff/\x1b")}, "", ""),
])  # fmt: skip
def test_a_start_for_repairs_stops_where_nothing_more_is_started(tmp_path, files, args, step):
    found = [one.id for one in steps(tmp_path, files, args).values() if "mode, where it waits" in one.because]
    assert found == ([step] if step else [])


@pytest.mark.parametrize(("timeout", "before"), [("5", "passes"), ("0", "passes"), ("-1", "stops")])
def test_a_menu_that_waits_for_a_choice_is_given_a_countdown(tmp_path, timeout, before):
    entry = f"menuentry 'x' --id x {{\n linux /boot/vmlinuz-{RELEASE} root=UUID={UUID} ro\n}}\n"
    found = walks(tmp_path, {"boot/grub/grub.cfg": f"set timeout={timeout}\nset default=0\n{entry}"})
    assert [walk.steps[2].outcome for walk in found] == [before, "passes"]
