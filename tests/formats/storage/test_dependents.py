"""Which entries of fstab fail with another one."""

import pytest

from guestfix.formats.storage.dependents import dependents, device_of, path_of
from guestfix.formats.storage.fstab import readable

BASE = "LABEL=data /data ext4 defaults 0 2\n"
NEED = [
    "/data/docker /var/lib/docker none bind 0 0",
    "/data /mnt none rbind 0 0",
    "/data/swap none swap sw 0 0",
    "overlay /opt overlay lowerdir=/base:/data/low,upperdir=/u,workdir=/w 0 0",
    "none /opt aufs br=/data/rw=rw:/base=ro 0 0",
    "/base:/data/two /pool fuse.mergerfs defaults 0 0",
    "/data/disk.img /img ext4 loop 0 0",
    "tmpfs /data/tmp tmpfs defaults 0 0",
    "UUID=ab /srv ext4 x-systemd.requires=/data 0 2",
    "UUID=ab /srv ext4 x-systemd.requires=data.mount 0 2",
    "UUID=ab /srv ext4 x-systemd.requires-mounts-for=/data/x 0 2",
]
NEED_NOT = [
    "/database /mnt none bind 0 0",
    "/srv /mnt none bind 0 0",
    "/swapfile none swap sw 0 0",
    "overlay /opt overlay lowerdir=/base,upperdir=/u,workdir=/w 0 0",
    "//data/share /mnt cifs ro 0 0",
    "UUID=ab /srv ext4 x-systemd.after=data.mount 0 2",
]


def lost_with(line: str) -> list[int]:
    found = readable((BASE + line + "\n").encode())
    return [entry.number for entry, _ in dependents(found, found[:1])]


@pytest.mark.parametrize("line", NEED)
def test_what_builds_upon_a_lost_entry(line):
    assert lost_with(line) == [2]


@pytest.mark.parametrize("line", NEED_NOT)
def test_what_does_not(line):
    assert lost_with(line) == []


def test_a_chain_is_followed_and_a_mount_in_between_counts():
    text = BASE + "/data/a /a none bind 0 0\n/a/b /b none bind 0 0\nUUID=x /data/own ext4 d 0 2\n"
    found = readable(text.encode())
    assert [(one.place, base.place) for one, base in dependents(found, found[:1])] == [
        ("/a", "/data"),
        ("/b", "/a"),
        ("/data/own", "/data"),
    ]
    assert dependents(found, []) == []


def test_units_name_paths_and_devices():
    assert path_of("mnt-big\\x2ddata.mount") == "/mnt/big-data"
    assert device_of("dev-disk-by\\x2duuid-ab\\x2dcd.device") == "/dev/disk/by-uuid/ab-cd"
    assert device_of("/dev/sdb1") == "/dev/sdb1"
    assert device_of("data.mount") == "" and path_of("sshd.service") == ""
