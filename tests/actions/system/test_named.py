"""Files of administrators that name old disks: what is changed, what is told, and what no file can break."""

from __future__ import annotations

from pathlib import Path

import pytest

from guestfix import apply_plan, make_plan, open_guest, open_writable, revert
from guestfix.actions.storage.named import tell_arrays
from guestfix.actions.workbench import Workbench
from guestfix.backends.directory import DirectoryGuest
from guestfix.base.catalog.facts.storage import DISKS_COMPLETE, DISKS_DOUBTFUL, DISKS_SPECS, DISKS_TAGGED
from guestfix.base.facts import Facts
from guestfix.base.guest import Disk, Disks, Volume
from guestfix.base.overlay import Overlay
from guestfix.cases.runner import snapshot
from guestfix.pack.cache import load_pack
from guestfix.pack.model import Target
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


HERE, GONE = "11111111:22222222:33333333:44444444", "aaaaaaaa:bbbbbbbb:cccccccc:dddddddd"
NAMED = [
    (f"ARRAY /dev/md0 UUID={HERE}\n", 0),
    (f"MAILADDR root\n\nARRAY /dev/md/data metadata=1.2\n   uuid={GONE}\n", 3),
    (f"ARRAY /dev/md1 UUID={GONE.replace(':', '-')}\n", 1),
    (f"#ARRAY /dev/md1 UUID={GONE}\n", 0),
    (f"ARRAY <ignore> UUID={GONE}\n", 0),
    (f"ARRAY /dev/md/imsm0 metadata=imsm UUID={GONE}\n", 0),
    (f"ARRAY /dev/md126 container=/dev/md/imsm0 member=0 UUID={GONE}\n", 0),
    ("ARRAY /dev/md2 super-minor=2\n", 0),
    ("ARRAY /dev/md2 UUID=\n", 0),
]


@pytest.mark.parametrize("by", [f"/dev/disk/by-id/md-uuid-{HERE}", "UUID=11111111-2222-2222-3333-333344444444"])
@pytest.mark.parametrize(("text", "line"), NAMED)
def test_an_array_that_is_on_no_disk_is_told_with_its_line(tmp_path, text, line, by):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/mdadm.conf").write_text(text)

    def told(complete: bool, doubtful: list[str]) -> list[tuple[str, int]]:
        facts = Facts()
        facts.put(DISKS_SPECS, ["/dev/sda1", by])
        facts.put(DISKS_TAGGED, True)
        facts.put(DISKS_COMPLETE, complete)
        facts.put(DISKS_DOUBTFUL, doubtful)
        view = Overlay(open_guest(str(tmp_path)))
        bench = Workbench(view, facts, Target("t", "t"))
        with view.acting("x/y", ["/etc/mdadm.conf"]):
            tell_arrays(bench)
        return [(one.code, one.evidence[0].line) for one in bench.findings]

    assert told(True, []) == [("GF-ARRAY-ABSENT", line)] * bool(line)
    assert told(False, []) == [] == told(True, ["/dev/disk/by-id/md-*"])
