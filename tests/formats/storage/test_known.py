"""What a volume answers to, and when its absence can be told."""

import pytest

from guestfix.formats.storage import devices
from guestfix.formats.storage.known import known

TABLE = {"/dev/sda1": "UUID=aa", "/dev/disk/by-id/*-part1": "UUID=aa", "/dev/mapper/mpatha1": "UUID=aa"}
SPECS = ["/dev/sda1", "/dev/sda2", "UUID=aa", "LABEL=root", "/dev/mapper/vg-root", "/dev/vg/root"]
ANSWERS = [
    ("UUID=AA", "yes"),
    ("/dev/disk/by-label/root", "yes"),
    ("/dev//vg/root", "yes"),
    ("/dev/sda1", "yes"),
    ("/dev/disk/by-id/scsi-1-part1", "yes"),
    ("/dev/mapper/mpatha1", "yes"),
    ("/dev/sda2", "unnamed"),
    ("/dev/sdb1", "absent"),
    ("/dev/mapper/mpathb1", "absent"),
    ("/dev/mapper/orabig", "absent"),
    ("UUID=cc", "absent"),
    ("/dev/vg/home", "absent"),
    ("PARTUUID=1-2", "unknown"),
    ("/dev/disk/by-id/dm-uuid-LVM-abc", "unknown"),
    ("/dev/data1", "absent"),
    ("/dev/some", "unknown"),
]


@pytest.mark.parametrize(("name", "answer"), ANSWERS)
def test_answers(name, answer):
    doubtful, old = ["PARTUUID=*", "/dev/disk/by-id/dm-uuid-*"], ["/dev/mapper/orabig", "/dev/data[0-9]"]
    assert known(TABLE, SPECS, True, True, doubtful, old).answer(name) == answer


@pytest.mark.parametrize("name", ["UUID=cc", "LABEL=x", "/dev/vg/home"])
def test_where_volumes_above_partitions_are_not_described_nothing_is_called_absent(name):
    assert known(TABLE, SPECS, True, False).answer(name) == "unknown"
    assert not known({}, [], True, True).is_gone(name)


@pytest.mark.parametrize(
    "name",
    [
        "/dev/mapper/mpatha", "/dev/mapper/mpathab3", "/dev/mapper/mpatha-part2", "/dev/mapper/mpathap2",
        "/dev/mapper/3600a098038303053453f463045727678", "/dev/mapper/3600a098038303053453f463045727678p1",
        "/dev/mapper/3600a098038303053453f463045727678_part1", "/dev/disk/by-id/dm-name-mpatha1",
        "/dev/disk/by-id/dm-uuid-mpath-3600a098038303053453f463045727678",
        "/dev/disk/by-id/dm-uuid-part1-mpath-3600a098038303053453f463045727678",
    ],
)  # fmt: skip
def test_multipath_names_are_as_unstable_as_device_names(name):
    assert devices.is_unstable(name)


@pytest.mark.parametrize(
    "name",
    [
        "/dev/disk/by-id/dm-uuid-LVM-abc", "/dev/disk/by-id/dm-name-vg-root", "/dev/disk/by-id/md-uuid-a:b:c:d",
        "/dev/disk/by-id/lvm-pv-uuid-x", "/dev/mapper/vg-mpatha", "/dev/mapper/mpath--vg-root", "/dev/mapper/luks-1",
    ],
)  # fmt: skip
def test_names_by_what_lies_above_partitions_last(name):
    assert not devices.is_unstable(name)


def test_one_name_of_a_logical_volume_implies_the_others():
    names = (
        "/dev/mapper/ubuntu--vg-ubuntu--lv",
        "/dev/disk/by-id/dm-name-ubuntu--vg-ubuntu--lv",
        "/dev/ubuntu-vg/ubuntu-lv",
    )
    assert devices.implied(names[0]) == names
    assert set(devices.implied(names[2])) == set(names[:2])
    assert devices.implied("/dev/md/0") == ("/dev/md0", "/dev/md/0") and devices.implied("/dev/sda1") == ()
