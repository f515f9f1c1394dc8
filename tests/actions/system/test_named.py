"""Files of administrators that name old disks: what is changed, what is told, and what no file can break."""

from __future__ import annotations

from pathlib import Path

from guestfix import apply_plan, make_plan, open_guest, open_writable, revert
from guestfix.backends.directory import DirectoryGuest
from guestfix.base.guest import Disk, Disks, Volume
from guestfix.cases.runner import snapshot
from guestfix.pack.cache import load_pack
from guestfix.plan.planner import Options
from tests.build.tree import build

DISKS = Disks((Disk("/dev/sda", partitions=(Volume("/dev/sda1", fstype="ext4", uuid="aa-1"),)),))
OPTIONS = Options(only=("storage/own-files",))
LINE = "mount /dev/sda1 /mnt\n"


def test_nothing_in_the_folders_of_scripts_makes_the_rule_fail(tmp_path: Path) -> None:
    root = tmp_path / "guest"
    build(
        root,
        {
            "etc/os-release": "ID=debian\nVERSION_ID=12\n",
            "etc/fstab": "UUID=aa-1 / ext4 defaults 0 1\n",
            "usr/local/bin/large": b"\x7fELF" + bytes(3 << 20),
            "usr/local/bin/long": (LINE * 9000).encode(),
            "usr/local/bin/binary": b"\0" + LINE.encode(),
            "usr/local/bin/folder/inner": LINE,
            "usr/local/bin/linked": ("link", "/opt/tool"),
            "usr/local/bin/dangling": ("link", "/nowhere"),
            "usr/local/bin/loop": ("link", "loop"),
            "opt/tool": LINE,
            "etc/systemd/system/masked.service": ("link", "/dev/null"),
            "etc/cron.d/odd": b"\xff\xfe mount /dev/sda1 /mnt\n",
            "usr/local/bin/mine": LINE,
        },
    )
    before = snapshot(str(root))
    plan = make_plan(DirectoryGuest(str(root), DISKS), load_pack(), "kvm-virtio", OPTIONS)
    assert [one.path for one in plan.changes] == ["/etc/cron.d/odd", "/usr/local/bin/mine"]
    assert [one.outcome for one in plan.decisions if one.rule == "storage/own-files"] == ["applied"]
    apply_plan(open_writable(str(root)), plan)
    assert (root / "usr/local/bin/mine").read_text() == "mount /dev/disk/by-uuid/aa-1 /mnt\n"
    revert(open_writable(str(root)))
    assert snapshot(str(root)) == before


def test_each_place_is_told_once_and_no_more_than_a_screen_holds(tmp_path: Path) -> None:
    root = tmp_path / "guest"
    lines = "#!/bin/sh\n" + "hdparm /dev/sdb\n" * 50
    files = {"etc/rc.d/rc.local": lines, "etc/rc.local": ("link", "rc.d/rc.local"), "etc/os-release": "ID=debian\n"}
    build(root, {**files, "etc/smartd.conf": "# /dev/sda\nDEVICESCAN\n", "etc/cron.d/x": "x\0/dev/sdc\n"})
    plan = make_plan(open_guest(str(root)), load_pack(), "kvm-virtio", OPTIONS)
    (told,) = (one for one in plan.findings if one.code == "GF-DISK-NAMED")
    assert len(told.evidence) == 20 and "30 more places" in told.summary and "/dev/sdc" not in told.summary
    same = make_plan(open_guest(str(root)), load_pack(), "kvm-scsi", OPTIONS)
    assert "GF-DISK-NAMED" not in [one.code for one in same.findings]
