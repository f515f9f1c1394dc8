"""The disks description: its form, and every mistake in it at its place."""

import pytest

from guestfix.backends.disks.sidecar import parse_disks, read_disks
from guestfix.base.errors import GuestfixError, PackError

WHOLE = b"""
disks:
  - device: /dev/sda
    size: 1000
    table: gpt
    partitions:
      - {device: /dev/sda1, fstype: vfat, uuid: AAAA-BBBB, label: EFI, partuuid: p, partlabel: q, size: 10}
volumes:
  - {device: /dev/mapper/vg-root, aliases: [/dev/vg/root], fstype: xfs, uuid: u}
"""


def test_the_form_of_the_issue():
    disks = parse_disks(WHOLE, "d.yaml")
    (disk,) = disks.disks
    assert (disk.device, disk.size, disk.table) == ("/dev/sda", 1000, "gpt")
    part, root = disks.all_volumes()
    assert (part.device, part.fstype, part.uuid, part.label, part.partuuid, part.size) == (
        "/dev/sda1", "vfat", "AAAA-BBBB", "EFI", "p", 10,
    )  # fmt: skip
    assert (root.aliases, root.uuid) == (("/dev/vg/root",), "u")


def test_every_key_but_device_is_optional():
    disks = parse_disks(b"disks:\n- device: /dev/sda\n  partitions:\n  - device: /dev/sda1\nvolumes: []\n", "d")
    assert disks.all_volumes()[0].uuid is None
    assert parse_disks(b"volumes:\n- device: /dev/md0\n", "d").disks == ()


def test_a_disk_without_partitions_is_a_volume_itself():
    whole = b"disks:\n- device: /dev/sdb\nvolumes:\n- {device: /dev/sdb, fstype: LVM2_member}\n"
    disks = parse_disks(whole, "d")
    assert (disks.disks[0].device, disks.volumes[0].fstype) == ("/dev/sdb", "LVM2_member")
    for more in (b"- device: /dev/sdb\n", b"- {device: /dev/sdc, aliases: [/dev/sdb]}\n"):
        with pytest.raises(PackError, match="described twice"):
            parse_disks(whole + more, "d")


MISTAKES = {
    b"disks: x\n": "d:1:8: 'disks' must be a list",
    b"disks:\n- size: 1\n": "d:2:3: a disk lacks the key 'device'",
    b"disks:\n- device: sda\n": "d:2:11: 'sda' is no device name",
    b"disks:\n- {device: /dev/sda, size: big}\n": "d:2:28: 'size' must be a whole number",
    b"disks:\n- {device: /dev/sda, size: -1}\n": "'size' must be a whole number",
    b"disks:\n- {device: /dev/sda, table: bsd}\n": "'table' can't be 'bsd'",
    b"disks:\n- {device: /dev/sda, uid: x}\n": "d:2:22: a disk has no key 'uid'",
    b"disks:\n- device: /dev/sda\n- device: /dev/sda\n": "d:3:11: '/dev/sda' is described twice",
    b"disks:\n- device: /dev/sda\n  partitions:\n  - {device: /dev/sda}\n": "d:4:14: '/dev/sda' is described twice",
    b"- a\n": "the disks description must be a mapping",
    b"": "the file is empty",
    b"\xff": "not UTF-8",
    b"disks: [{device: /dev/sda, device: /dev/sdb}]": "a second time",
}


@pytest.mark.parametrize("text", MISTAKES, ids=[str(number) for number in range(len(MISTAKES))])
def test_mistakes(text):
    with pytest.raises(PackError) as caught:
        parse_disks(text, "d")
    assert MISTAKES[text] in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(GuestfixError, match="can't read the disks description"):
        read_disks(str(tmp_path / "none"))


def test_what_is_harvested_is_read_again():
    from guestfix.cases.harvest import disks_plain

    text = b"disks:\n- device: /dev/sda\n  partitions:\n  - {device: /dev/sda1, fstype: ntfs, size: 7, unclean: yes}\n"
    disks = parse_disks(text, "d")
    assert disks.all_volumes()[0].unclean is True
    import json

    assert parse_disks(json.dumps(disks_plain(disks)).encode(), "d") == disks
