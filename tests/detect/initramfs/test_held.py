"""Stored names that the target's kernel gives too: a copy inside an image stops and delays nothing for these."""

from __future__ import annotations

import io

import pytest

from guestfix.base.catalog.records.storage import Laid
from guestfix.base.facts import Facts
from guestfix.detect.initramfs.stored import stored
from guestfix.formats.initramfs import image as initramfs
from tests.build.initramfs import archive

MD, LV = "/dev/md0", "/dev/mapper/vg-root"
MDADM, LVM, HOOK = "etc/mdadm/mdadm.conf", "etc/lvm/lvm.conf", "usr/lib/dracut/hooks/initqueue/finished/devexists-x.sh"
TABLE = {"/dev/sda1": "UUID=a", "/dev/sda2": "UUID=b"}


def laid(device: str, fstype: str) -> Laid:
    return Laid("/dev/sda", None, "mbr", device, fstype, None, None)


RAID = [laid("/dev/sda1", "linux_raid_member"), laid("/dev/sdb1", "linux_raid_member")]
GROUP = [laid("/dev/sda1", "ext4"), laid("/dev/sda3", "LVM2_member")]


def filters(*patterns: str) -> str:
    return "devices {\n filter = [" + ", ".join(f'"{one}"' for one in patterns) + "]\n}\n"


CASES = {
    "members by name": (MDADM, "DEVICE /dev/sda1 /dev/sdb1\nARRAY /dev/md0 UUID=a\n", MD, RAID, "sd", True),
    "members by a pattern": (MDADM, "DEVICE /dev/sd*1\nARRAY /dev/md0 UUID=a\n", MD, RAID, "sd", True),
    "members by name, elsewhere": (MDADM, "DEVICE /dev/sda1\nARRAY /dev/md0 UUID=a\n", MD, RAID, "vd", False),
    "members of old IDE": (MDADM, "DEVICE /dev/hda1\nARRAY /dev/md0 UUID=a\n", MD, RAID, "sd", False),
    "a member that is not there": (MDADM, "DEVICE /dev/sdc1\nARRAY /dev/md0 UUID=a\n", MD, RAID, "sd", False),
    "members by path": (
        MDADM, "DEVICE /dev/disk/by-path/pci-0000:00:10.0-scsi-0:0:0:0-part1\nARRAY /dev/md0 UUID=a\n", MD, RAID, "sd",
        False,
    ),
    "a name and a path": (
        MDADM, "DEVICE /dev/sda1 /dev/disk/by-path/x-part1\nARRAY /dev/md0 UUID=a\n", MD, RAID, "sd", False,
    ),
    "members of disks that nobody described": (
        MDADM, "DEVICE /dev/sda1 /dev/sdb1\nARRAY /dev/md0 UUID=a\n", MD, None, "sd", True,
    ),
    "devices= of the array": (MDADM, "ARRAY /dev/md0 UUID=a devices=/dev/sda1,/dev/sdb1\n", MD, RAID, "sd", True),
    "a filter": (LVM, filters("a|^/dev/sda3$|", "r|.*|"), LV, GROUP, "sd", True),
    "a filter without anchors": (LVM, filters("a|sda|", "r|.*|"), LV, GROUP, "sd", True),
    "a filter, elsewhere": (LVM, filters("a|^/dev/sda3$|", "r|.*|"), LV, GROUP, "vd", False),
    "a filter for another partition": (LVM, filters("a|^/dev/sda2$|", "r|.*|"), LV, GROUP, "sd", False),
    "a filter by path": (LVM, filters("a|/dev/disk/by-path/pci|", "r|.*|"), LV, GROUP, "sd", False),
    "a filter of disks that nobody described": (LVM, filters("a|/dev/sda|", "r|.*|"), LV, None, "sd", True),
    "dracut's root": ("etc/cmdline.d/95root.conf", " root=/dev/sda2 \n", "/dev/sda2", GROUP, "sd", True),
    "dracut's root, elsewhere": ("etc/cmdline.d/95root.conf", " root=/dev/sda2 \n", "/dev/sda2", GROUP, "nvme", False),
    "resume": ("conf/conf.d/resume", "RESUME=/dev/sda1\n", "/dev/sda2", GROUP, "sd", True),
    "resume, elsewhere": ("conf/conf.d/resume", "RESUME=/dev/sda1\n", "/dev/sda2", GROUP, "vd", False),
    "resume of what is gone": ("conf/conf.d/resume", "RESUME=/dev/sda5\n", "/dev/sda2", GROUP, "sd", False),
    "a hook": (HOOK, '[ -e "/dev/sda2" ]\n', "/dev/sda2", GROUP, "sd", True),
    "a hook, elsewhere": (HOOK, '[ -e "/dev/sda2" ]\n', "/dev/sda2", GROUP, "xvd", False),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_names_that_the_target_gives_too_stop_nothing(name: str) -> None:
    path, text, root, parts, prefix, holds = CASES[name]
    facts = Facts()
    known = parts is not None
    rows = {
        "disks.known": known, "disks.uuid_by_device": TABLE if known else {},
        "disks.specs": sorted(TABLE) if known else [],
        "disks.tagged": known, "disks.complete": known, "disks.layout": parts or [], "target.disk_prefix": prefix,
    }  # fmt: skip
    for fact, value in rows.items():
        facts.put(fact, value)
    image = initramfs.scan(io.BytesIO(archive({path: text})), lambda one: True)
    (one,) = stored(facts, image, (), root)
    assert one.holds is holds and (not one.outcome) is holds, one
