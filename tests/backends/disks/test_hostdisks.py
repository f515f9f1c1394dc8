"""Disks read from the host: a real partitioned disk on a loop device, and hostile or absent answers."""

import json
import os
import subprocess

import pytest

from guestfix.backends.disks import hostdisks
from guestfix.backends.disks.naming import disk_names, letters, partition_name, partition_names
from guestfix.base.errors import GuestfixError
from guestfix.cli import run


@pytest.mark.parametrize(
    ("index", "name"), [(0, "a"), (25, "z"), (26, "aa"), (51, "az"), (52, "ba"), (701, "zz"), (702, "aaa")]
)
def test_letters_count_as_the_kernel_does(index, name):
    assert letters(index) == name


def test_names():
    assert disk_names(1) == ("/dev/sdb", "/dev/vdb", "/dev/xvdb", "/dev/hdb", "/dev/nvme1n1")
    assert partition_name("/dev/nvme0n1", 2) == "/dev/nvme0n1p2"
    assert "/dev/xvda3" in partition_names(0, 3)


def test_a_folder_that_is_no_mount(tmp_path):
    with pytest.raises(GuestfixError, match="no block device is mounted there"):
        hostdisks.disks_of_mount(str(tmp_path))


def test_mountinfo_is_read_with_its_escapes(tmp_path):
    info = tmp_path / "mountinfo"
    info.write_text(
        "36 35 98:0 / /mnt/a\\040guest rw - ext4 /dev/null rw\n"
        "37 36 98:1 / /mnt/a\\040guest/boot rw - ext4 /dev/zero rw\n"
        "38 35 98:2 / /mnt/a\\040guest2 rw - ext4 /dev/full rw\n39 36 0:5 / /mnt/a\\040guest/run rw - tmpfs tmpfs rw\n"
    )
    assert hostdisks.mounted_sources("/mnt/a guest", str(info)) == {"/dev/null", "/dev/zero"}


TREE = {
    "path": "/dev/loop7", "type": "loop", "size": 1000, "pttype": "gpt", "children": [
        {"path": "/dev/loop7p1", "type": "part", "size": 10, "fstype": "vfat", "uuid": "ABCD-1234", "label": "EFI"},
        {"path": "/dev/loop7p3", "type": "part", "size": 900, "fstype": "LVM2_member", "uuid": "x", "children": [
            {"path": "/dev/mapper/vg-root", "type": "lvm", "size": 800, "fstype": "xfs", "uuid": "r"}]},
    ],
}  # fmt: skip


def test_names_of_every_platform_lead_to_a_partition(monkeypatch):
    monkeypatch.setattr(hostdisks, "_lsblk", lambda: [TREE, {"path": "/dev/other", "type": "disk", "size": 1}])
    monkeypatch.setattr(hostdisks, "mounted_sources", lambda root: {"/dev/mapper/vg-root"})
    disks = hostdisks.disks_of_mount("/mnt/guest")
    (disk,) = disks.disks
    assert (disk.device, disk.table) == ("/dev/sda", "gpt")
    assert [part.device for part in disk.partitions] == ["/dev/sda1", "/dev/sda3"]
    assert {"/dev/vda3", "/dev/nvme0n1p3", "/dev/loop7p3"} <= set(disk.partitions[1].aliases)
    assert [(one.device, one.uuid) for one in disks.volumes] == [("/dev/mapper/vg-root", "r")]


@pytest.mark.parametrize("answer", [b"", b"{}", b"nonsense"])
def test_lsblk_that_says_nothing_is_an_error_of_ours(monkeypatch, answer):
    monkeypatch.setattr(hostdisks.subprocess, "run", lambda *a, **k: subprocess.CompletedProcess(a, 0, answer, b""))
    with pytest.raises(GuestfixError, match="lsblk"):
        hostdisks._lsblk()


@pytest.mark.skipif(os.geteuid() != 0, reason="loop devices and mounts need root")
@pytest.mark.parametrize("device", ["/dev/vda", "/dev/nvme0n1p2"], ids=["whole disk", "partition"])
def test_a_mounted_disk_image_tells_its_own_disks(tmp_path, capfdbinary, device):
    image, mount = tmp_path / "disk.img", tmp_path / "mnt"
    with open(image, "wb") as stream:
        stream.truncate(64 << 20)
    if device.endswith("p2"):
        subprocess.run(["sfdisk", "-q", str(image)], input=b"label: gpt\n,16M\n,,\n", check=True)
    made = subprocess.run(["losetup", "-P", "--show", "-f", str(image)], capture_output=True, text=True)
    if made.returncode:
        pytest.skip("this container has no loop devices")
    loop = made.stdout.strip()
    part = f"{loop}p2" if device.endswith("p2") else loop
    mount.mkdir()
    try:
        if not os.path.exists(part):
            pytest.skip("the kernel makes no partition nodes of loop devices here")
        subprocess.run(["mke2fs", "-q", "-t", "ext4", "-U", "5cb2a1d6-6bde-4d51-8c39-3a1f1fb2a5a1", part], check=True)
        subprocess.run(["mount", part, str(mount)], check=True)
        (mount / "etc").mkdir()
        (mount / "etc/os-release").write_text("ID=debian\nVERSION_ID=12\n")
        (mount / "etc/fstab").write_text(f"{device} / ext4 defaults 0 1\n")
        run(["report", str(mount), "--disks", "host", "--format", "json"])
        report = json.loads(capfdbinary.readouterr().out)
        (change,) = [one for one in report["changes"] if one["path"] == "/etc/fstab"]
        assert "+UUID=5cb2a1d6-6bde-4d51-8c39-3a1f1fb2a5a1 / ext4 defaults 0 1" in change["diff"]
    finally:
        subprocess.run(["umount", str(mount)], check=False, capture_output=True)
        subprocess.run(["losetup", "-d", loop], check=False)
