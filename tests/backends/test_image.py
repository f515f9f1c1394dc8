"""The backend image against the tree that a filesystem was made from: every name, byte, mode, time, attribute."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from guestfix.backends import open_guest
from guestfix.backends.directory import DirectoryGuest
from guestfix.backends.image import ImageGuest, open_image
from guestfix.base.errors import GuestError, GuestfixError, NotAGuest, NotFound, SymlinkLoop, TooLarge, UsageError
from guestfix.base.guest import GuestFS
from tests.build.images import MIB, PartSpec, convert, debian, described, disk, filesystem, have, walk

needs_tools = pytest.mark.skipif(not have("mke2fs", "sfdisk", "qemu-img"), reason="e2fsprogs, fdisk or qemu missing")
pytestmark = needs_tools

ROOT_UUID = "11111111-2222-3333-4444-555555555555"
FSTAB = f"UUID={ROOT_UUID} / ext4 errors=remount-ro 0 1\n"


def same_tree(image: GuestFS, tree: GuestFS, *, times: bool = True, xattrs: bool = True) -> None:
    ours, theirs = ([p for p in walk(one) if "lost+found" not in p] for one in (image, tree))
    assert ours == theirs
    for path in theirs:
        assert described(image, path, times=times, xattrs=xattrs) == described(
            tree, path, times=times, xattrs=xattrs
        ), path


EXT = {
    "ext4": [],
    "ext4-1k": ["-b", "1024", "-I", "256"],
    "ext4-inline": ["-O", "inline_data", "-I", "512"],
    "ext4-no64": ["-O", "^64bit,^metadata_csum"],
    "ext4-bigalloc": ["-O", "bigalloc", "-C", "16384"],
    "ext3": [],
    "ext2-1k": ["-b", "1024"],
    "ext2-128": ["-I", "128"],
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return debian(tmp_path_factory.mktemp("tree") / "root", FSTAB)


@pytest.mark.parametrize("name", EXT)
def test_ext_reads_as_the_tree_it_was_made_from(name: str, tree: Path, tmp_path: Path) -> None:
    kind = name.partition("-")[0]
    place = filesystem(kind, tmp_path / "fs", 64 * MIB, tree, *EXT[name], uuid=ROOT_UUID)
    guest = open_image([str(place)])
    small = name == "ext2-128"
    same_tree(guest, DirectoryGuest(str(tree)), times=not small and "-d" not in name, xattrs=not small)
    assert guest.disks().volumes[0].fstype in ("ext2", "ext3", "ext4")


@pytest.mark.skipif(not have("mkfs.btrfs"), reason="btrfs-progs missing")
@pytest.mark.parametrize("options", [(), ("--mixed",), ("-n", "4096")])
def test_btrfs_reads_as_the_tree_it_was_made_from(options: tuple[str, ...], tree: Path, tmp_path: Path) -> None:
    place = filesystem("btrfs", tmp_path / "fs", 256 * MIB, tree, *options, uuid=ROOT_UUID)
    same_tree(open_image([str(place)]), DirectoryGuest(str(tree)))


@pytest.mark.skipif(not have("mkfs.vfat", "mcopy"), reason="dosfstools or mtools missing")
@pytest.mark.parametrize(("bits", "size"), [("12", 2), ("16", 20), ("32", 64)])
def test_fat_mounted_at_its_place(bits: str, size: int, tree: Path, tmp_path: Path) -> None:
    esp = tmp_path / "esp"
    (esp / "EFI" / "BOOT").mkdir(parents=True)
    (esp / "EFI" / "BOOT" / "BOOTX64.EFI").write_bytes(b"MZ" * 300_000)
    (esp / "EFI" / "a rather long name.cfg").write_text("long\n")
    (esp / "lower.txt").write_text("lower\n")
    root = debian(tmp_path / "root", FSTAB + "UUID=ABCD-1234 /boot/efi vfat umask=0077 0 1\n", extra=False)
    (root / "boot" / "efi").mkdir()
    parts = [
        PartSpec(filesystem("vfat", tmp_path / "fat", size * MIB, esp, "-F", bits, uuid="ABCD1234"), "uefi", "ESP"),
        PartSpec(filesystem("ext4", tmp_path / "ext", 32 * MIB, root, uuid=ROOT_UUID), "linux", "root"),
    ]
    guest = open_image([str(disk(tmp_path / "disk.raw", parts))])
    assert guest.read("/boot/efi/efi/boot/bootx64.efi") == b"MZ" * 300_000
    assert guest.realpath("/boot/efi/efi/boot/bootx64.efi") == "/boot/efi/EFI/BOOT/BOOTX64.EFI"
    assert guest.read("/boot/efi/EFI/a rather long name.cfg") == b"long\n"
    assert guest.list("/boot/efi") == ("EFI", "lower.txt")
    first, second = guest.disks().disks[0].partitions
    assert (first.device, first.uuid, first.fstype, first.partlabel) == ("/dev/sda1", "ABCD-1234", "vfat", "ESP")
    assert (second.device, second.uuid, second.label) == ("/dev/sda2", ROOT_UUID, None)
    assert guest.space("/boot/efi").free_bytes < guest.space("/boot/efi").total_bytes
    assert guest.space("/").free_bytes > 1 * MIB


@pytest.fixture(scope="module")
def guest_disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A guest with separate /boot and /usr, links across them, and NVMe names in its fstab."""
    folder = tmp_path_factory.mktemp("split")
    fstab = (
        "/dev/nvme0n1p5 / ext4 defaults 0 1\n/dev/nvme0n1p1\t/boot ext3 defaults 0 2\nLABEL=the\\040usr /usr ext2 ro\n"
    )
    root = debian(folder / "root", fstab, extra=False)
    for name in ("usr/bin", "usr"):
        (root / name).rmdir()
    (root / "usr").mkdir()
    (root / "kernel").symlink_to("boot/current")
    boot, usr = folder / "boot", folder / "usr"
    boot.mkdir()
    (boot / "vmlinuz").write_bytes(b"kernel")
    (boot / "current").symlink_to("/boot/vmlinuz")
    (boot / "up").symlink_to("../etc/hostname")
    (usr / "bin").mkdir(parents=True)
    (usr / "bin" / "true").write_bytes(b"true")
    parts = [
        PartSpec(filesystem("ext3", folder / "p1", 16 * MIB, boot), "83", bootable=True),
        PartSpec(filesystem("ext2", folder / "p2", 16 * MIB, usr, "-L", "the usr"), "83"),
    ]
    image = disk(folder / "guest.raw", parts, "mbr", "0xdeadbeef")
    add_logical(image, filesystem("ext4", folder / "p5", 32 * MIB, root, uuid=ROOT_UUID))
    return image


def add_logical(image: Path, content: Path) -> None:
    from tests.build.images import copy_sparse, run

    with image.open("r+b") as stream:
        stream.truncate(image.stat().st_size + 64 * MIB)
    run("sfdisk", "-q", "--append", image, stdin=f"start={35 * 2048}, type=5\n")
    run("sfdisk", "-q", "--append", image, stdin=f"start={36 * 2048}, type=83\n")
    table = json.loads(run("sfdisk", "--json", image))["partitiontable"]["partitions"]
    copy_sparse(content, image, table[-1]["start"] * 512)


def test_separate_filesystems_by_the_guests_own_fstab(guest_disk: Path) -> None:
    guest = open_image([str(guest_disk)])
    assert [mount.path for mount in guest.layout.mounts] == ["/", "/boot", "/usr"]
    assert guest.read("/bin/true") == b"true"
    assert guest.read("/kernel") == b"kernel"
    assert guest.read("/boot/up") == b"guest\n"
    assert guest.realpath("/kernel") == "/boot/vmlinuz"
    volumes = {volume.device: volume for volume in guest.disks().all_volumes()}
    assert sorted(volumes) == ["/dev/nvme0n1p1", "/dev/nvme0n1p2", "/dev/nvme0n1p5"]
    assert volumes["/dev/nvme0n1p5"].partuuid == "deadbeef-05"
    assert volumes["/dev/nvme0n1p5"].uuid == ROOT_UUID
    assert guest.stat("/boot").device != guest.stat("/").device
    assert guest.findings() == ()


@pytest.mark.parametrize(
    "fmt", ["qcow2", "vmdk", "vmdk:streamOptimized", "vmdk:twoGbMaxExtentSparse", "vpc", "vhdx", "vdi"]
)
def test_every_container_holds_the_same_guest(fmt: str, guest_disk: Path) -> None:
    raw, other = open_image([str(guest_disk)]), open_image([str(convert(guest_disk, fmt))])
    same_tree(other, raw)
    assert [v.uuid for v in other.disks().all_volumes()] == [v.uuid for v in raw.disks().all_volumes()]


def test_reading_by_the_contracts_errors(tree: Path, tmp_path: Path) -> None:
    guest = open_image([str(filesystem("ext4", tmp_path / "fs", 64 * MIB, tree))])
    with pytest.raises(NotFound):
        guest.read("/nowhere")
    with pytest.raises(TooLarge):
        guest.read("/srv/big", 1000)
    with pytest.raises(SymlinkLoop):
        guest.read("/srv/loop")
    with pytest.raises(GuestfixError):
        guest.open("/srv")
    assert guest.stat("/srv/dangling") is None
    assert guest.stat("/srv/dangling", follow=False).kind == "symlink"
    assert guest.list("/etc/hostname") == ()
    assert guest.stat("/etc/hostname/x") is None
    with guest.open("/srv/big") as stream:
        stream.seek(3 * MIB)
        assert len(stream.read()) == 17


def test_two_systems_need_a_choice(tmp_path: Path) -> None:
    parts = []
    for index in (1, 2):
        root = debian(tmp_path / f"root{index}", f"LABEL=os{index} / ext4 defaults 0 1\n", extra=False)
        (root / "etc" / "hostname").write_text(f"os{index}\n")
        content = filesystem("ext4", tmp_path / f"fs{index}", 16 * MIB, root, "-L", f"os{index}")
        parts.append(PartSpec(content, "linux"))
    image = str(disk(tmp_path / "two.raw", parts))
    with pytest.raises(GuestError, match="2 operating systems") as caught:
        open_image([image])
    assert (
        caught.value.code == "GF-OS-SEVERAL-ROOTS"
        and "/dev/sda1" in caught.value.what
        and "--root /dev/sda1" in caught.value.remedy
    )
    for name in ("/dev/sda2", "/dev/vda2", "LABEL=os2"):
        assert open_image([image], name).read("/etc/hostname") == b"os2\n"
    with pytest.raises(UsageError, match="names 0"):
        open_image([image], "/dev/sdb1")


def test_a_rescue_system_does_not_count(tmp_path: Path) -> None:
    rescue = debian(tmp_path / "rescue", extra=False)
    (rescue / "etc" / "os-release").write_text('PRETTY_NAME="SystemRescue 11"\nID=arch\n')
    root = debian(tmp_path / "root", FSTAB, extra=False)
    parts = [
        PartSpec(filesystem("ext4", tmp_path / "a", 16 * MIB, rescue)),
        PartSpec(filesystem("ext4", tmp_path / "b", 16 * MIB, root, uuid=ROOT_UUID)),
    ]
    guest = open_image([str(disk(tmp_path / "x.raw", parts))])
    assert guest.read("/etc/debian_version") == b"12.7\n"
    assert guest.layout.root.part.number == 2


def test_two_disks_in_order(tmp_path: Path) -> None:
    root = debian(tmp_path / "root", "/dev/sda1 / ext4 defaults 0 1\n/dev/sdb1 /data ext4 defaults 0 2\n", extra=False)
    (root / "data").mkdir()
    data = tmp_path / "data"
    data.mkdir()
    (data / "payload").write_text("payload\n")
    one = disk(tmp_path / "one.raw", [PartSpec(filesystem("ext4", tmp_path / "a", 16 * MIB, root))])
    two = disk(tmp_path / "two.raw", [PartSpec(filesystem("ext4", tmp_path / "b", 16 * MIB, data))])
    guest = open_guest([str(one), str(two)])
    assert isinstance(guest, ImageGuest)
    assert guest.read("/data/payload") == b"payload\n"
    assert open_image([str(one)]).list("/data") == ()


@pytest.mark.skipif(not have("mkfs.jfs"), reason="jfsutils missing")
def test_what_it_cannot_read_names_who_can(tmp_path: Path) -> None:
    jfs = disk(tmp_path / "jfs.raw", [PartSpec(filesystem("jfs", tmp_path / "j", 32 * MIB))])
    with pytest.raises(NotAGuest, match="JFS can't be read by the backend image; uml"):
        open_image([str(jfs)])
    luks = tmp_path / "luks.raw"
    luks.write_bytes(b"LUKS\xba\xbe\0\2".ljust(MIB, b"\0"))
    with pytest.raises(NotAGuest, match="encrypted with LUKS"):
        open_image([str(luks)])


def test_no_system_and_no_table(tmp_path: Path) -> None:
    (tmp_path / "zeros").write_bytes(bytes(MIB))
    with pytest.raises(NotAGuest):
        open_image([str(tmp_path / "zeros")])


def test_truncated_image(guest_disk: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.raw"
    cut.write_bytes(guest_disk.read_bytes()[: 40 * MIB])
    with pytest.raises(GuestfixError, match=r"truncated|beyond"):
        open_image([str(cut)])


def test_unclean_journal_is_said(tree: Path, tmp_path: Path) -> None:
    place = filesystem("ext4", tmp_path / "fs", 64 * MIB, tree)
    raw = bytearray(place.read_bytes()[:4096])
    raw[1024 + 96] |= 4
    with place.open("r+b") as stream:
        stream.write(raw)
    found = open_image([str(place)]).findings()
    assert [one.code for one in found] == ["GF-DISK-UNCLEAN-FILESYSTEM"]
    assert "journal was not replayed" in found[0].summary
