"""Names in the guest's files against its volumes: elimination, multipath, udev rules, crypttab, labels given twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from guestfix.backends.directory import open_directory
from guestfix.base.facts import Facts
from guestfix.base.guest import Disk, Disks, Volume
from guestfix.detect.storage import disks as detect_disks
from guestfix.formats.storage.known import known
from guestfix.pack.model import Target
from tests.build.tree import build

SWAP = Volume("/dev/sda1", fstype="swap", uuid="u1")
ROOT = Volume("/dev/sda2", fstype="ext4", uuid="u2")
ONE = Disk("/dev/sda", partitions=(SWAP, ROOT))
DATA = Disk("/dev/sdb", partitions=(Volume("/dev/sdb1", fstype="ext4", uuid="d1"),))
LUN = "3600a098038303053453f463045727678"


def facts_of(tmp_path: Path, files: dict[str, str], *disks: Disk, volumes: tuple[Volume, ...] = (), read: bool = False):
    place = tmp_path / str(len(list(tmp_path.iterdir())))
    guest = open_directory(str(build(place, {"etc/os-release": "ID=x\n", **files})), Disks(disks, volumes, read))
    facts = Facts()
    facts.put("os.family", "linux")
    findings = detect_disks.detect(guest, facts, Target("t", "T"))
    value = facts.value
    names = known(
        value("disks.uuid_by_device"),
        value("disks.specs"),
        value("disks.tagged"),
        value("disks.complete"),
        value("disks.unclaimed"),
        value("disks.old_names"),
    )
    return names, {one.code for one in findings}


def test_a_key_that_nobody_gave_may_be_any_volume_that_no_entry_claims(tmp_path):
    names, _ = facts_of(tmp_path, {"etc/fstab": "UUID=u2 / ext4 d 0 1\nUUID=u1 none swap sw 0 0\n"}, ONE)
    assert names.answer("LABEL=data") == names.answer("PARTUUID=1-1") == "absent"
    names, _ = facts_of(tmp_path, {"etc/fstab": "PARTUUID=1-2 / ext4 d 0 1\n"}, ONE)
    assert names.answer("PARTUUID=1-2") == names.answer("LABEL=data") == "unknown"
    names, _ = facts_of(tmp_path, {"etc/fstab": "PARTUUID=1-2 / ext4 d 0 1\n"}, ONE, read=True)
    assert names.answer("PARTUUID=1-2") == names.answer("LABEL=data") == "absent"


def test_links_by_uuid_above_partitions_are_unknown_unless_read(tmp_path):
    pv = Disk("/dev/sda", partitions=(Volume("/dev/sda1", fstype="LVM2_member"),))
    lv = Volume("/dev/mapper/vg-root", fstype="ext4", uuid="r")
    link = "/dev/disk/by-id/dm-uuid-LVM-" + "a" * 64
    names, _ = facts_of(tmp_path, {}, pv, volumes=(lv,))
    assert names.answer(link) == "unknown" and names.answer("/dev/disk/by-id/lvm-pv-uuid-x") == "unknown"
    assert names.answer("/dev/disk/by-id/dm-name-vg-root") == "yes" and names.answer("/dev/vg/home") == "absent"
    names, _ = facts_of(tmp_path, {}, pv, volumes=(lv,), read=True)
    assert names.answer(link) == "absent"


def test_a_lost_volume_answers_to_nothing(tmp_path):
    lost = Volume("/dev/mapper/vg-data", fstype="xfs", uuid="x", lost=True)
    names, _ = facts_of(tmp_path, {}, ONE, volumes=(lost, Volume("/dev/mapper/vg-root", uuid="r")), read=True)
    assert names.answer("/dev/vg/data") == names.answer("UUID=x") == "absent"
    locked = Disk("/dev/sdb", partitions=(Volume("/dev/sdb1", fstype="crypto_LUKS", uuid="l"),))
    names, _ = facts_of(tmp_path, {}, ONE, locked, volumes=(lost,), read=True)
    assert names.answer("/dev/mapper/vg-data") == names.answer("/dev/vg/data") == "absent"
    assert names.answer("/dev/vg/other") == "unknown"


def test_arrays_whose_content_no_backend_reads_leave_what_is_on_them_unknown(tmp_path):
    part = Disk("/dev/sdb", partitions=(Volume("/dev/sdb1", fstype="linux_raid_member"),))
    names, _ = facts_of(tmp_path, {}, ONE, part, volumes=(Volume("/dev/md0"),), read=True)
    assert names.answer("/dev/vg/data") == "unknown"
    names, _ = facts_of(tmp_path, {}, ONE, part, volumes=(Volume("/dev/md0", fstype="xfs", uuid="m"),), read=True)
    assert names.answer("/dev/vg/data") == names.answer("UUID=x") == "absent"


STEMS = [
    ("A-part2 / ext4\n@A-part1 none swap\n@B-part1 /data ext4", {"A-part2": "u2", "A-part1": "u1", "B-part1": "d1"}),
    ("A-part2 / ext4\n@B-part1 /data ext4\n@C-part1 /more ext4", {"A-part2": "u2"}),
    ("A-part2 / xfs", {}),
]


@pytest.mark.parametrize(("lines", "told"), STEMS)
@pytest.mark.parametrize("folder", ["/dev/disk/by-id/scsi-", "/dev/disk/by-path/pci-0:"])
def test_several_disks_are_told_by_partition_number_and_type(tmp_path, folder, lines, told):
    table = "".join(f"{line} d 0 0\n" for line in f"@{lines}".replace("@", folder).split("\n"))
    names, _ = facts_of(tmp_path, {"etc/fstab": table}, ONE, DATA)
    for name in ("A-part1", "A-part2", "B-part1", "C-part1"):
        assert names.table.get(folder + name) == (f"UUID={told[name]}" if name in told else None), name


def test_alike_disks_are_told_by_the_order_of_the_device_map_or_not_at_all(tmp_path):
    table = "/dev/disk/by-id/x-part1 /a ext4 d 0 0\n/dev/disk/by-id/w-part1 /b ext4 d 0 0\n"
    alike = Disk("/dev/sda", partitions=(Volume("/dev/sda1", fstype="ext4", uuid="a1"),))
    names, _ = facts_of(tmp_path, {"etc/fstab": table}, alike, DATA)
    assert names.answer("/dev/disk/by-id/x-part1") == "absent"
    order = "(hd0) /dev/disk/by-id/w\n(hd1) /dev/disk/by-id/x\n"
    names, _ = facts_of(tmp_path, {"etc/fstab": table, "boot/grub/device.map": order}, alike, DATA)
    assert names.table["/dev/disk/by-id/w-part1"] == "UUID=a1"
    assert names.table["/dev/disk/by-id/x-part1"] == "UUID=d1"


@pytest.mark.parametrize(
    "files",
    [
        {"etc/fstab": "/dev/mapper/mpatha2 / ext4 d 0 0\n/dev/mapper/mpathb1 /ora ext4 d 0 0\n"},
        {"etc/fstab": f"/dev/mapper/{LUN}-part2 / ext4 d 0 0\n"},
        {
            "etc/multipath.conf": f"multipaths {{\n multipath {{\n  wwid {LUN}\n  alias sysdisk\n }}\n}}\n",
            "etc/fstab": "/dev/mapper/sysdisk-part2 / ext4 d 0 0\n",
        },
        {"etc/multipath/bindings": f"sysdisk {LUN}\n", "etc/fstab": "/dev/mapper/sysdiskp2 / ext4 d 0 0\n"},
    ],
)
def test_multipath_names_are_of_the_old_storage(tmp_path, files):
    names, codes = facts_of(tmp_path, files, ONE)
    root = files["etc/fstab"].split()[0]
    assert names.is_old(root) and names.table[root] == "UUID=u2" and "GF-DISK-MULTIPATH" in codes
    assert names.answer("/dev/mapper/mpathb1") == "absent"


RULES = [
    ('ENV{ID_SERIAL}=="36000c29", SYMLINK+="data%n"', "/dev/data1"),
    (
        'KERNEL=="sd?1", SUBSYSTEM=="block", PROGRAM=="/x", RESULT=="36000", SYMLINK+="oracleasm/d1"',
        "/dev/oracleasm/d1",
    ),
    ('SUBSYSTEM=="block", ENV{ID_PATH}=="pci-0:1", SYMLINK+="big/%k"', "/dev/big/sda1"),
    ('SUBSYSTEM=="block", ATTRS{serial}=="x", NAME="fast"', "/dev/fast"),
    ('SUBSYSTEM=="block", KERNELS=="0000:03:00.0", SYMLINK+="slow"', "/dev/slow"),
    ('KERNEL=="sd*", KERNELS=="2:0:1:0", SYMLINK+="slow"', "/dev/slow"),
    ('ENV{DM_NAME}=="mpatha", SYMLINK+="asm1"', "/dev/asm1"),
    ('ENV{DM_UUID}=="mpath-36000c29*", SYMLINK+="asm1"', "/dev/asm1"),
    ('ENV{SCSI_IDENT_SERIAL}=="6000c29", SYMLINK+="asm1"', "/dev/asm1"),
]


@pytest.mark.parametrize(("rule", "name"), RULES)
def test_links_that_udev_makes_by_the_old_hardware(tmp_path, rule, name):
    files = {"etc/udev/rules.d/99-x.rules": rule + "\n", "etc/fstab": f"{name} /u01 xfs d 0 0\n"}
    names, codes = facts_of(tmp_path, files, ONE)
    assert names.answer(name) == "absent" and "GF-UDEV-OLD-DISK" in codes


@pytest.mark.parametrize(
    "rule",
    [
        'KERNEL=="sdb1", OWNER="oracle", GROUP="dba", MODE="0660"',
        'KERNEL=="sd*", PROGRAM=="/x", RESULT=="36000c29a", OWNER:="grid"',
        'ENV{DM_NAME}=="mpathb", OWNER:="grid", MODE:="660"',
        'SUBSYSTEM=="block", ENV{ID_SERIAL}=="36000c29", GROUP="dba"',
    ],
)
def test_an_owner_that_udev_gives_one_old_disk(tmp_path, rule):
    _, codes = facts_of(tmp_path, {"etc/udev/rules.d/99-x.rules": rule + "\n"}, ONE)
    assert codes == {"GF-UDEV-OLD-DISK"} or list(codes) == ["GF-UDEV-OLD-DISK"]


@pytest.mark.parametrize(
    "rule",
    [
        'SUBSYSTEM=="block", ENV{ID_FS_UUID}=="u2", SYMLINK+="data1"',
        'SUBSYSTEM=="net", ATTR{address}=="52:54:00:00:00:01", NAME="eth0"',
        'SUBSYSTEM=="block", ENV{ID_CDROM}=="?*", ENV{ID_PATH}=="pci", SYMLINK+="cdrom"',
        'SUBSYSTEM=="tty", ATTRS{serial}=="x", SYMLINK+="modem"',
        'ENV{DM_NAME}=="vg-data", SYMLINK+="data1", OWNER="oracle"',
        'ENV{DM_UUID}=="mpath-?*", SYMLINK+="data1"',
        'SUBSYSTEM=="tty", KERNELS=="0000:00:1d.0", SYMLINK+="modem"',
        'KERNEL=="sd*", SUBSYSTEM=="block", GROUP="disk"',
        'KERNEL=="sdb1", ATTR{queue/rotational}="0"',
        '# KERNEL=="sdb1", OWNER="oracle"',
        'KERNEL=="ttyS0", OWNER="oracle"',
    ],
)
def test_links_by_what_goes_with_the_data_or_of_no_disk(tmp_path, rule):
    names, codes = facts_of(tmp_path, {"etc/udev/rules.d/99-x.rules": rule + "\n"}, ONE)
    assert names.answer("/dev/data1") == "unknown" and not codes


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("c UUID=l1 none luks", "yes"),
        ("c /dev/sdb1 none luks", "yes"),
        ("c UUID=l9 none luks", "absent"),
        ("c /dev/sdc1 none luks", "absent"),
        ("c /dev/sdb1 /dev/urandom swap", "absent"),
        ("c PARTUUID=1-9 none luks", "unknown"),
    ],
)
def test_a_mapping_of_crypttab_is_there_with_its_device(tmp_path, line, answer):
    luks = Disk("/dev/sdb", partitions=(Volume("/dev/sdb1", fstype="crypto_LUKS", uuid="l1"),))
    names, _ = facts_of(tmp_path, {"etc/crypttab": line + "\n"}, ONE, luks)
    assert names.answer("/dev/mapper/c") == answer


def test_a_label_of_two_volumes_is_told_by_type_or_reported(tmp_path):
    def twins(kind):
        return [
            Disk(f"/dev/sd{x}", partitions=(Volume(f"/dev/sd{x}1", (), k, x, "data"),))
            for x, k in (("a", "xfs"), ("b", kind))
        ]

    files = {"etc/fstab": "LABEL=data /data xfs d 0 0\n"}
    names, codes = facts_of(tmp_path, files, *twins("ext4"))
    assert names.table["LABEL=data"] == "UUID=a" and "GF-DISK-LABEL-TWICE" not in codes
    names, codes = facts_of(tmp_path, files, *twins("xfs"))
    assert "LABEL=data" not in names.table and "GF-DISK-LABEL-TWICE" in codes
