"""Lists of the old platform's disks in lvm.conf, mdadm.conf and the devices file."""

import pytest

from guestfix.editors.storage.assembly import any_device, any_member, any_volume

FILTERS = [
    ('"a|/dev/sda3|", "r|.*|"', "vd", True),
    ('"a|/dev/sda3|", "r|.*|"', "", True),
    ('"r|/dev/vd|", "a|.*|"', "vd", True),
    ('"r|/dev/vd|", "a|.*|"', "sd", False),
    ('"r|^/dev/nvme.*|"', "nvme", True),
    ('"r|^/dev/nvme.*|"', "vd", False),
    ('"a|/dev/mapper/mpath.*|", "r|.*|"', "vd", True),
    ('"a|^/dev/(sda|sdb)|", "r|.*|"', "nvme", True),
    ('"a|^/dev/md|", "r|.*|"', "vd", False),
    ('"a|/dev/disk/by-id/scsi-36|", "r|.*|"', "sd", True),
    ('"a|/dev/disk/by-partuuid/|", "r|.*|"', "vd", False),
    ('"a|^/dev/[sv]d[a-z]|", "r|.*|"', "vd", False),
    ('"a|^/dev/[sh]d[a-z]|", "r|.*|"', "vd", True),
    ('"r|/dev/cdrom|", "r|/dev/vdz|"', "vd", False),
    ('"r|.*|"', "vd", True),
    ('"r|(.*)*x|"', "vd", False),
    ('"r|[z-a]|"', "vd", False),
]


@pytest.mark.parametrize("name", ["filter", "global_filter"])
@pytest.mark.parametrize(("patterns", "prefix", "shut"), FILTERS)
def test_a_filter_that_shuts_the_targets_disks_out(name, patterns, prefix, shut):
    src = f"devices {{\n\t{name} = [ {patterns} ]\n}}\n".encode()
    after = any_volume(src, prefix=prefix)
    assert after == (f'devices {{\n\t{name} = [ "a|.*|" ]\n}}\n'.encode() if shut else src)
    assert any_volume(after, prefix=prefix) is after


ARRAYS = [
    (b"ARRAY /dev/md0 UUID=1:2 devices=/dev/sda1,/dev/sdb1 level=1\n", b"ARRAY /dev/md0 UUID=1:2 level=1\n"),
    (b"array /dev/md1 devices=/dev/sdc1\n  name=x\n", b"array /dev/md1\n  name=x\n"),
    (b"ARRAY /dev/md2 super-minor=2 devices=/dev/cciss/c0d0p1\n", b"ARRAY /dev/md2 super-minor=2\n"),
    (b"ARRAY /dev/md3 devices=/dev/sda1\n", None),
    (b"ARRAY /dev/md4 UUID=1 devices=/dev/disk/by-partuuid/1\n", None),
    (b"# ARRAY /dev/md5 UUID=1 devices=/dev/sda1\n", None),
    (b"DEVICE /dev/mapper/mpatha1\n", b"DEVICE partitions\n"),
    (b"DEVICE /dev/md/*\n", None),
    (b"DEVICE\r\n /dev/sda1\r\n", b"DEVICE partitions\r\n"),
    (b"DEV\0 /dev/sda1\n", None),
]


@pytest.mark.parametrize(("before", "after"), ARRAYS)
def test_members_by_names_of_the_old_platform(before, after):
    assert any_member(before) == (after or before)


DEVICES = [
    (b"IDTYPE=sys_wwid IDNAME=naa.6 DEVNAME=/dev/sda2 PVID=a\n", True),
    (b"IDTYPE=devname IDNAME=/dev/sda2 DEVNAME=/dev/sda2 PVID=a\n", True),
    (b"IDTYPE=mpath_uuid IDNAME=mpath-36 DEVNAME=/dev/dm-0 PVID=a\n", True),
    (b"# made by lvm\nIDTYPE=crypt_uuid IDNAME=CRYPT-LUKS2-1 DEVNAME=/dev/dm-0 PVID=a\n", False),
    (b"VERSION=1.1.1\n", False),
    (b"", False),
]


@pytest.mark.parametrize(("src", "old"), DEVICES)
def test_a_devices_file_with_disks_of_the_old_platform_goes(src, old):
    after = any_device(src)
    assert after.content is None and "vgimportdevices" in after.notes[0].summary if old else after is src
