"""Which volume is the root, and what is mounted where: snapshots, rescue systems, several systems, fstab."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from guestfix.backends.directory import DirectoryGuest
from guestfix.backends.layout.model import DiskInfo, Layout, Part, Subvolume, View
from guestfix.backends.layout.mounts import lay_out
from guestfix.backends.volumes.probe import Probe
from guestfix.base.errors import GuestError, NotAGuest
from tests.build.images import debian


class Disks:
    """Volumes as folders of the host, by key and subvolume."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.parts: list[Part] = []
        self.places: dict[tuple[int, str], Path] = {}
        self.subvolumes: dict[int, list[Subvolume]] = {}

    def add(self, kind: str, uuid: str, tree: Mapping[str, str | None] | None = None, **more) -> Part:
        """Add a partition, or a volume where it is named; ``tree`` maps a subvolume to its fstab (None: no system)."""
        key = len(self.parts)
        disk = {"disk": 0, "number": key + 1} if "names" not in more else {}
        part = Part(key, Probe(kind, uuid), **{**disk, **more})
        self.parts.append(part)
        for name, fstab in (tree or {"": None}).items():
            place = self.places[(key, name)] = self.base / f"{key}-{name.replace('/', '-')}"
            place.mkdir()
            if fstab is not None:
                debian(place, fstab, extra=False)
        return part

    def view(self, part: Part, subvolume: str) -> View | None:
        place = self.places.get((part.key, subvolume))
        return DirectoryGuest(str(place)) if place else None

    def lay_out(self, wanted: str = "") -> Layout:
        disks = [DiskInfo(1 << 30, "gpt")]
        return lay_out(disks, self.parts, self.view, lambda part: self.subvolumes.get(part.key, []), wanted)


@pytest.fixture
def disks(tmp_path: Path) -> Disks:
    return Disks(tmp_path)


def btrfs(disks: Disks, *rows: Subvolume, fstab: str) -> None:
    part = disks.add("btrfs", "b", {row.path: fstab if row.path != "subvolid:5" else None for row in rows})
    disks.subvolumes[part.key] = list(rows)


TOP = Subvolume("subvolid:5")
UBUNTU = "UUID=b / btrfs defaults,subvol=@ 0 1\nUUID=b /home btrfs subvol=@home 0 2\n"
SUSE = "UUID=b / btrfs defaults 0 0\n"
LAYOUTS = {
    "snapshots beside the root": (
        [TOP, Subvolume("@"), Subvolume(".snapshots/1/snapshot", True), Subvolume(".snapshots/2/snapshot", True)],
        UBUNTU,
        "@",
    ),
    "timeshift keeps copies with the same fstab": (
        [TOP, Subvolume("@"), Subvolume("timeshift-btrfs/snapshots/2025-01-01_00-00-01/@", True)],
        UBUNTU,
        "@",
    ),
    "a copy that isn't marked as snapshot, below timeshift": (
        [TOP, Subvolume("timeshift-btrfs/snapshots/1/@"), Subvolume("@")],
        UBUNTU,
        "@",
    ),
    "an openSUSE as installed": (
        [TOP, Subvolume("@"), Subvolume("@/.snapshots/1/snapshot", default=True)],
        SUSE,
        "@/.snapshots/1/snapshot",
    ),
    "an openSUSE that was rolled back": (
        [TOP, *(Subvolume(f"@/.snapshots/{n}/snapshot", n > 1, n == 7) for n in (1, 3, 7))],
        SUSE,
        "@/.snapshots/7/snapshot",
    ),
    "a rolled back Ubuntu: the root was made from a snapshot": (
        [TOP, Subvolume("@", True), Subvolume("@old")],
        UBUNTU,
        "@",
    ),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_snapshots_are_told_from_the_root(name: str, disks: Disks) -> None:
    rows, fstab, wanted = LAYOUTS[name]
    btrfs(disks, *rows, fstab=fstab)
    assert disks.lay_out().root.subvolume == wanted


def test_two_systems_on_one_btrfs_need_a_choice(disks: Disks) -> None:
    btrfs(disks, TOP, Subvolume("debian"), Subvolume("arch"), fstab="")
    with pytest.raises(GuestError, match="2 operating systems") as caught:
        disks.lay_out()
    assert "--root /dev/sda1:debian" in caught.value.remedy
    assert disks.lay_out("/dev/sda1:arch").root.subvolume == "arch"
    assert disks.lay_out("UUID=b:arch").root.subvolume == "arch"


def test_a_snapshot_of_a_logical_volume_is_not_its_origin(disks: Disks) -> None:
    """Whatever their names: both answer to the same UUID, and the origin is meant."""
    fstab = {"": "UUID=r / ext4 defaults 0 1\nUUID=v /var ext4 defaults 0 2\n"}
    disks.add("ext4", "r", fstab, names=("/dev/mapper/vg-before",), snapshot=True)
    disks.add("ext4", "v", names=("/dev/mapper/vg-old",), snapshot=True)
    disks.add("ext4", "r", fstab, names=("/dev/mapper/vg-root",))
    disks.add("ext4", "v", names=("/dev/mapper/vg-var",))
    found = disks.lay_out()
    assert [(one.path, one.part.names[0]) for one in found.mounts] == [
        ("/", "/dev/mapper/vg-root"), ("/var", "/dev/mapper/vg-var"),
    ]  # fmt: skip
    assert disks.lay_out("/dev/mapper/vg-before").root.part.snapshot


def test_a_cloned_disk_is_a_tie(disks: Disks) -> None:
    for _ in range(2):
        disks.add("ext4", "r", {"": "UUID=r / ext4 defaults 0 1\n"})
    with pytest.raises(GuestError, match="2 operating systems"):
        disks.lay_out()


def test_separate_filesystems_as_the_fstab_says(disks: Disks) -> None:
    fstab = """/dev/hda2 / ext4 defaults 0 1
/dev/hda3 /boot ext2 noauto 0 2
UUID=U /usr ext4 ro 0 2
/dev/disk/by-uuid/v /var/ ext4 defaults 0 2
UUID=abcd-1234 /boot/efi vfat umask=0077 0 1
/dev/hda7 /mnt/later ext4 noauto 0 0
/dev/hda9 /srv ext4 defaults 0 2
/dev/hda1 none swap sw 0 0
tmpfs /tmp tmpfs defaults 0 0
LABEL=x /../etc ext4 defaults 0 0
"""
    disks.add("swap", "s")
    disks.add("ext4", "r", {"": fstab})
    for kind, uuid in (("ext2", "b"), ("ext4", "u"), ("ext4", "v"), ("vfat", "ABCD-1234"), ("ext4", "later")):
        disks.add(kind, uuid)
    found = disks.lay_out()
    assert [(one.path, one.part.number) for one in found.mounts] == [
        ("/", 2), ("/boot", 3), ("/boot/efi", 6), ("/usr", 4), ("/var", 5),
    ]  # fmt: skip
    assert [volume.device for volume in found.disks.disks[0].partitions][:2] == ["/dev/hda1", "/dev/hda2"]


def test_a_rescue_system_and_a_mere_copy_of_etc_do_not_count(disks: Disks) -> None:
    disks.add("ext4", "x", {"": "UUID=r / ext4 defaults 0 1\n"})
    rescue = disks.add("ext4", "rescue", {"": ""})
    (disks.places[(rescue.key, "")] / "etc/os-release").write_text('PRETTY_NAME="SystemRescue 11"\n')
    backup = disks.add("ext4", "backup")
    (disks.places[(backup.key, "")] / "etc").mkdir()
    (disks.places[(backup.key, "")] / "etc/fstab").write_text("UUID=x / ext4 defaults 0 1\n")
    assert disks.lay_out().root.part.number == 1


def test_no_system(disks: Disks) -> None:
    disks.add("ext4", "data")
    with pytest.raises(NotAGuest, match="no operating system was found"):
        disks.lay_out()
