"""Devices that commands of scripts open, and kdump's target: what becomes a link by UUID, and all that stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guestfix.editors.storage.commands import set_device, set_dump_target

TABLE = {"/dev/sda1": "UUID=aa-1", "/dev/sda2": "UUID=bb-2", "/dev/vg/root": "UUID=cc-3"}
PARTS = {"/dev/sda1": "PARTUUID=01-1", "/dev/sda3": "PARTUUID=01-3"}
A, B = "/dev/disk/by-uuid/aa-1", "/dev/disk/by-uuid/bb-2"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("mount /dev/sda1 /mnt", f"mount {A} /mnt"),
        ("mount -o ro,x=1 '/dev/sda1' /mnt", f"mount -o ro,x=1 '{A}' /mnt"),
        ('/sbin/swapon "/dev/sda2"; echo /dev/sda2', f'/sbin/swapon "{B}"; echo /dev/sda2'),
        ("  if ! /usr/bin/umount /dev/sda1; then", f"  if ! /usr/bin/umount {A}; then"),
        ("0 3 * * * root tune2fs -l /dev/sda1|mail x", f"0 3 * * * root tune2fs -l {A}|mail x"),
        ("fsck.ext4 -n /dev/sda1 && fsck /dev/sda2", f"fsck.ext4 -n {A} && fsck {B}"),
        ("ExecStart=-/bin/mount /dev/sda1 /x", f"ExecStart=-/bin/mount {A} /x"),
        ("x=`blockdev --getsize64 /dev/sda1 `", f"x=`blockdev --getsize64 {A} `"),
        ("swapon /dev/sda2\r", f"swapon {B}\r"),
    ],
)
def test_what_a_command_opens_becomes_a_link(before: str, after: str) -> None:
    assert set_device(before.encode(), table=TABLE) == after.encode()
    assert set_device(after.encode(), table=TABLE) == after.encode()


@pytest.mark.parametrize(
    "text",
    [
        "# mount /dev/sda1 /mnt",
        "mount UUID=aa-1 /mnt # was /dev/sda1",
        "mount | grep /dev/sda1",
        "mountpoint /dev/sda1",
        "remount /dev/sda1",
        "mount /dev/sdb1 /mnt",
        "mount /dev/sda10 /mnt",
        "mount /dev/vg/root /mnt",
        "mount $DEV /mnt; DEV=/dev/sda1",
        "mount --source=/dev/sda1 /mnt",
        "dd if=/dev/sda1 of=/x",
        "df /dev/sda1",
        "parted /dev/sda print",
        "mount /dev/sda1* /mnt",
        "",
    ],
)
def test_all_else_stays(text: str) -> None:
    src = text.encode()
    assert set_device(src, table=TABLE) is src


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("ext4 /dev/sda1\n", "ext4 UUID=aa-1\n"),
        ("path /x\nxfs   /dev/sda2  \n", "path /x\nxfs   UUID=bb-2  \n"),
        ("raw /dev/sda3\n", "raw /dev/disk/by-partuuid/01-3\n"),
    ],
)
def test_the_target_of_a_dump_goes_by_what_goes_with_the_data(before: str, after: str) -> None:
    assert set_dump_target(before.encode(), table=TABLE, partuuids=PARTS) == after.encode()


@pytest.mark.parametrize(
    "text",
    ["#ext4 /dev/sda1\n", "ext4 /dev/vg/root\n", "raw /dev/sda9\n", "ext4 UUID=x", "nfs h:/dev/sda1", "path /dev/sda1"],
)
def test_other_targets_of_a_dump_stay(text: str) -> None:
    src = text.encode()
    assert set_dump_target(src, table=TABLE, partuuids=PARTS) is src


PIECES = st.sampled_from(
    ["mount", "swapon ", " ", "\n", "/dev/sda1", "/dev/sda2", "'", '"', ";", "#", "=", "x", "|", "\\\n"]
)


@given(st.lists(PIECES, max_size=20).map("".join) | st.text(max_size=60))
def test_it_is_done_once_and_changes_nothing_but_names(text: str) -> None:
    src = text.encode("utf-8", "surrogatepass")
    for once in (
        lambda data: set_device(data, table=TABLE),
        lambda data: set_dump_target(data, table=TABLE, partuuids=PARTS),
    ):
        after = once(src)
        assert once(after) == after
        for link, name in ((A, "/dev/sda1"), (B, "/dev/sda2"), ("UUID=aa-1", "/dev/sda1"), ("UUID=bb-2", "/dev/sda2")):
            after = after.replace(link.encode(), name.encode())
        assert after == src


def test_a_missing_file_stays_missing() -> None:
    assert set_device(None, table=TABLE) is None and set_dump_target(None, table=TABLE, partuuids=PARTS) is None
