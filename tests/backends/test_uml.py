"""Plan, apply and revert on disk images through User-mode Linux; the image is untouched until it is told otherwise."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from guestfix.backends import open_guest
from guestfix.backends.directory import DirectoryGuest
from guestfix.backends.image import open_image
from guestfix.backends.status import usable
from guestfix.errors import GuestfixError
from guestfix.guest import GuestFS, Meta
from guestfix.pack.cache import load_pack
from guestfix.plan import plan_out
from guestfix.planner import make_plan
from tests.backends.images import MIB, PartSpec, clear, convert, debian, disk, filesystem, have, run
from tests.backends.test_image import described, walk
from tests.backends.uml_build import COPY, DM, LVM, MD, blank, build

pytestmark = [
    pytest.mark.skipif(not usable("uml"), reason="User-mode Linux is not installed"),
    pytest.mark.skipif(not have("mke2fs", "sfdisk", "qemu-img"), reason="e2fsprogs, fdisk or qemu missing"),
]

ROOT = Path(__file__).resolve().parents[2]
ROOT_UUID = "11111111-2222-3333-4444-555555555555"
FSTAB = "/dev/sda1 / ext4 errors=remount-ro 0 1\n/dev/sdb9 /gone ext4 defaults 0 2\n"
ENV = {**os.environ, "PYTHONPATH": str(ROOT)}


def guestfix(*args: object, status: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "guestfix", *map(str, args)], capture_output=True, text=True, env=ENV, check=False
    )
    assert done.returncode == status, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def snapshot(guest: GuestFS) -> dict[str, tuple]:
    return {path: described(guest, path, times=True, xattrs=True) for path in walk(guest) if "lost+found" not in path}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tree(tmp_path_factory.mktemp("tree") / "root", FSTAB)


def make_tree(place: Path, fstab: str) -> Path:
    root = debian(place, fstab)
    try:
        os.setxattr(root / "etc/fstab", "security.selinux", b"system_u:object_r:etc_t:s0\0")
        os.chown(root / "etc/fstab", 12, 34)
    except OSError:
        pass
    return root


@pytest.fixture
def image(tree: Path, tmp_path: Path) -> Path:
    content = filesystem("ext4", tmp_path / "fs", 64 * MIB, tree, uuid=ROOT_UUID)
    found = convert(disk(tmp_path / "disk.raw", [PartSpec(content, name="root")]), "qcow2")
    content.unlink()
    return found


def plan_without_backend(guest: GuestFS) -> dict:
    plan = plan_out(make_plan(guest, load_pack(), "kvm-virtio"))
    plan["guest"] = {key: value for key, value in plan["guest"].items() if key != "uri"}
    return plan


def same_plans(paths: list[Path], *, with_image: bool = True) -> dict:
    uml = open_guest([f"uml:{paths[0]}", *map(str, paths[1:])])
    try:
        plan = plan_without_backend(uml)
    finally:
        uml.close()
    if with_image:
        assert plan == plan_without_backend(open_image([str(path) for path in paths]))
    return plan


def test_apply_and_revert_leave_the_image_alone(image: Path) -> None:
    before, original = digest(image), snapshot(open_image([str(image)]))
    assert json.loads(guestfix("report", image, "--format", "json", status=1)) is not None
    done = json.loads(guestfix("apply", f"uml:{image}", "--format", "json"))
    assert "/etc/fstab" in done["applied"]
    assert done["image"]["how"] == "overlay"
    assert [(one["command"], one["clean"]) for one in done["image"]["checks"]] == [("e2fsck -fn", True)]
    overlay = image.with_name("disk.guestfix.qcow2")
    assert done["image"]["files"] == [str(overlay)]
    assert digest(image) == before
    changed = open_image([str(overlay)])
    assert f"UUID={ROOT_UUID}".encode() in changed.read("/etc/fstab")
    assert b"/dev/sda1" in changed.read("/etc/.fstab.guestfix.orig")
    assert changed.meta("/etc/fstab") == open_image([str(image)]).meta("/etc/fstab")
    guestfix("revert", f"uml:{overlay}", "--in-place")
    assert snapshot(open_image([str(overlay)])) == original
    assert digest(image) == before


def test_in_place_and_new_images(image: Path, tmp_path: Path) -> None:
    before = digest(image)
    out = tmp_path / "new.vmdk"
    guestfix("apply", f"uml:{image}", "--output", out, "--image-format", "vmdk")
    assert digest(image) == before
    assert b"UUID=" in open_image([str(out)]).read("/etc/fstab")
    assert "exists already" in refused("apply", f"uml:{image}", "--output", out, "--image-format", "vmdk")
    plan = tmp_path / "plan.json"  # made through image, carried out through uml
    plan.write_text(guestfix("report", image, "--format", "json", status=1))
    guestfix("apply", "--plan", plan, f"uml:{image}", "--in-place")
    assert digest(image) != before
    assert b"UUID=" in open_image([str(image)]).read("/etc/fstab")
    assert json.loads(guestfix("apply", f"uml:{image}", "--format", "json"))["applied"] == []
    assert not list(tmp_path.glob("*.part"))


def refused(*args: object) -> str:
    done = subprocess.run([sys.executable, "-m", "guestfix", *map(str, args)], capture_output=True, text=True, env=ENV)
    assert done.returncode not in (0, 1), done.stdout
    return done.stderr


def test_killed_at_random_moments(image: Path, tmp_path: Path) -> None:
    before, rng = digest(image), random.Random(11)
    for _ in range(6):
        process = subprocess.Popen(
            [sys.executable, "-m", "guestfix", "apply", f"uml:{image}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENV,
        )  # fmt: skip
        time.sleep(rng.uniform(0.2, 2.5))
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert digest(image) == before
        for left in tmp_path.glob("*.guestfix.qcow2"):  # an overlay appears whole or not at all
            assert b"UUID=" in open_image([str(left)]).read("/etc/fstab")
            left.unlink()


def test_an_unclean_journal_is_replayed_into_the_overlay(tree: Path, tmp_path: Path) -> None:
    place = blank(tmp_path / "dirty.raw", 64)
    build(
        [place],
        ["mkfs.ext4 -q /dev/ubda", "mount /dev/ubda /run/mnt", COPY, "sync", "echo late > /run/mnt/etc/late"],
        tree,
    )
    before = digest(place)
    found = [one.code for one in open_image([str(place)]).findings()]
    assert found == ["GF-DISK-UNCLEAN-FILESYSTEM"]
    guest = open_guest(f"uml:{place}")
    try:
        assert guest.read("/etc/late") == b"late\n"
        assert [one.severity for one in guest.findings()] == ["info"]
    finally:
        guest.close()
    assert digest(place) == before


def ova(disks: list[Path], place: Path) -> Path:
    from tests.backends.test_image_formats import OVF

    names = ["boot.vmdk", "data.vmdk"]
    text = OVF if len(disks) == 2 else OVF.replace("data.vmdk", "boot.vmdk")
    (place.parent / "guest.ovf").write_text(text)
    with tarfile.open(place, "w", format=tarfile.USTAR_FORMAT) as archive:
        archive.add(place.parent / "guest.ovf", "guest.ovf")
        for name, one in zip(names, disks, strict=False):
            archive.add(convert(one, "vmdk:streamOptimized"), name)
    return place


MAKERS = {
    "xfs": ("mkfs.xfs", 400, ["mkfs.xfs -q {}"]),
    "jfs": ("mkfs.jfs", 320, ["mkfs.jfs -q {}"]),
    "btrfs": ("mkfs.btrfs", 400, ["mkfs.btrfs -q {}"]),
    "ext4": ("mkfs.ext4", 400, ["mkfs.ext4 -q {}"]),
}
ROOT_LINES = {"btrfs": "/dev/sda1 / btrfs subvol=@ 0 1", "lvm": "/dev/vg-x/root / ext4 defaults 0 1"}
ROOT_LINES |= {"md": "/dev/md0 / ext4 defaults 0 1"}


def fstab_of(kind: str) -> str:
    return ROOT_LINES.get(kind, f"/dev/sda1 / {kind} defaults 0 1") + "\n/dev/sdc9 /gone ext4 defaults 0 2\n"


def guest_disks(kind: str, tree: Path, folder: Path) -> list[Path]:
    """Make the same guest on a filesystem, on LVM over two disks, or on a RAID 1."""
    if kind in MAKERS:
        _, mib, commands = MAKERS[kind]
        place = blank(folder / f"{kind}.raw", mib + 2)
        run("sfdisk", "-q", place, stdin="label: gpt\nstart=2048, type=linux\n")
        steps = [*(one.format("/dev/ubda1") for one in commands), "mount /dev/ubda1 /run/mnt"]
        if kind == "btrfs":
            steps += ["btrfs subvolume create /run/mnt/@", "umount /run/mnt", "mount -o subvol=@ /dev/ubda1 /run/mnt"]
        done = [COPY, "umount /run/mnt"]
        if kind == "btrfs":
            done += ["mount -o subvolid=5 /dev/ubda1 /run/mnt", "mkdir /run/mnt/.snapshots"]
            done += ["btrfs subvolume snapshot -r /run/mnt/@ /run/mnt/.snapshots/1", "umount /run/mnt"]
        build([place], [*steps, *done], tree)
        return [place]
    disks = [blank(folder / f"{kind}{index}.raw", 400) for index in (1, 2)]
    if kind == "lvm":
        steps = [f"lvm pvcreate {LVM} /dev/ubda /dev/ubdb", f"lvm vgcreate {LVM} vg-x /dev/ubda /dev/ubdb"]
        steps += [f"lvm lvcreate {LVM} -Zn -Wn -L 700M -n root vg-x", "mkfs.ext4 -q /dev/mapper/vg--x-root"]
        steps += ["mount /dev/mapper/vg--x-root /run/mnt", COPY, "umount /run/mnt", f"lvm vgchange {LVM} -an"]
        build(disks, steps, tree, DM)
    else:
        steps = ["mdadm --create /dev/md0 --run --level=1 --raid-devices=2 --homehost=h --name=0 --assume-clean "
                 "/dev/ubda /dev/ubdb", "mkfs.ext4 -q /dev/md0", "mount /dev/md0 /run/mnt", COPY, "umount /run/mnt",
                 "mdadm --stop /dev/md0"]  # fmt: skip
        build(disks, steps, tree, MD)
    return disks


def as_format(disks: list[Path], fmt: str) -> list[Path]:
    if fmt == "raw":
        return disks
    if fmt == "ova":
        return [ova(disks, disks[0].with_suffix(".ova"))]
    return [convert(one, fmt) for one in disks]


def needs(kind: str) -> bool:
    tool = MAKERS[kind][0] if kind in MAKERS else {"lvm": "lvm", "md": "mdadm"}[kind]
    return have(tool)


SUBSET = [("xfs", "vhdx"), ("jfs", "qcow2"), ("btrfs", "vmdk"), ("lvm", "ova"), ("md", "raw")]
FULL = [(kind, fmt) for kind in (*MAKERS, "lvm", "md") for fmt in ("raw", "qcow2", "vmdk", "vhdx", "ova")]


def planned_and_applied(kind: str, fmt: str, tmp_path: Path) -> None:
    if not needs(kind):
        pytest.skip(f"no tool here makes {kind}")
    tree = make_tree(tmp_path / "tree", fstab_of(kind))
    paths = as_format(guest_disks(kind, tree, tmp_path), fmt)
    before = [digest(path) for path in paths]
    plan = same_plans(paths, with_image=kind != "jfs")
    base = plan_without_backend(DirectoryGuest(str(tree), open_disks(paths)))
    assert [(one["path"], one["after"]) for one in plan["changes"]] == [
        (one["path"], one["after"]) for one in base["changes"]
    ]
    out = tmp_path / "out.qcow2"
    done = json.loads(guestfix("apply", f"uml:{paths[0]}", *paths[1:], "--output", out, "--format", "json"))
    assert "/etc/fstab" in done["applied"]
    assert all(one["clean"] for one in done["image"]["checks"]), done["image"]
    assert [digest(path) for path in paths] == before
    files = done["image"]["files"]
    assert len(files) == (2 if kind in ("lvm", "md") and fmt != "ova" else len(files))
    guestfix("revert", f"uml:{files[0]}", *files[1:], "--in-place")
    uml = open_guest([f"uml:{files[0]}", *files[1:]])
    try:
        assert uml.read("/etc/fstab") == fstab_of(kind).encode()
        assert uml.meta("/etc/fstab").uid == os.stat(tree / "etc/fstab").st_uid
        assert [n for n, _ in uml.meta("/etc/fstab").xattrs] == sorted(os.listxattr(tree / "etc/fstab"))
    finally:
        uml.close()


def open_disks(paths: list[Path]):
    uml = open_guest([f"uml:{paths[0]}", *map(str, paths[1:])])
    try:
        return uml.disks()
    finally:
        uml.close()


@pytest.mark.parametrize(("kind", "fmt"), SUBSET)
def test_every_stack_is_planned_alike_and_applied(
    request: pytest.FixtureRequest, kind: str, fmt: str, tmp_path: Path
) -> None:
    planned_and_applied(kind, fmt, tmp_path)


@pytest.mark.e2e
@pytest.mark.parametrize(("kind", "fmt"), [one for one in FULL if one not in SUBSET])
def test_the_whole_matrix(kind: str, fmt: str, tmp_path: Path) -> None:
    planned_and_applied(kind, fmt, tmp_path)


@pytest.mark.e2e
@pytest.mark.skipif(not usable("libguestfs"), reason="libguestfs is not installed")
def test_libguestfs_plans_and_applies_alike(image: Path, tmp_path: Path) -> None:
    plan = plan_without_backend(open_image([str(image)]))
    guest = open_guest(f"libguestfs:{image}")
    try:
        assert plan_without_backend(guest) == plan
    finally:
        guest.close()
    out = tmp_path / "out.qcow2"
    done = json.loads(guestfix("apply", f"libguestfs:{image}", "--output", out, "--format", "json"))
    assert [one["clean"] for one in done["image"]["checks"]] == [True]
    assert b"UUID=" in open_image([str(out)]).read("/etc/fstab")


def test_a_uefi_stack_with_separate_boot(tmp_path: Path) -> None:
    if not have("mkfs.vfat", "mcopy"):
        pytest.skip("dosfstools or mtools missing")
    esp, boot = tmp_path / "esp", tmp_path / "boot"
    (esp / "EFI/debian").mkdir(parents=True)
    (esp / "EFI/debian/shimx64.efi").write_bytes(b"MZ" * 5000)
    (esp / "EFI/debian/grub.cfg").write_text("search --fs-uuid 1\n")
    (boot / "grub").mkdir(parents=True)
    entry = "menuentry 'Debian' {\n linux /vmlinuz-6.1.0-30-amd64 root=/dev/sda3 ro\n}\n"
    (boot / "grub/grub.cfg").write_text("set timeout=5\n" + entry)
    (boot / "efi").mkdir()
    lines = "/dev/sda3 / ext4 defaults 0 1\n/dev/sda2 /boot ext4 defaults 0 2\n"
    lines += "UUID=ABCD-1234 /boot/efi vfat umask=0077 0 1\n"
    root = make_tree(tmp_path / "root", lines)
    parts = [
        PartSpec(filesystem("vfat", tmp_path / "p1", 40 * MIB, esp, "-F", "32", uuid="ABCD1234"), "uefi", "EFI"),
        PartSpec(filesystem("ext4", tmp_path / "p2", 300 * MIB, boot), "linux", "boot"),
        PartSpec(filesystem("ext4", tmp_path / "p3", 400 * MIB, root, uuid=ROOT_UUID), "linux", "root"),
    ]
    place = convert(disk(tmp_path / "uefi.raw", parts), "vhdx")
    same_plans([place])
    ours, uml = open_image([str(place)]), open_guest(f"uml:{place}")
    try:
        assert uml.disks() == ours.disks()
        names = list(walk(ours, "/boot"))
        assert names == list(walk(uml, "/boot")) and "/boot/efi/EFI/debian/shimx64.efi" in names
        for path in names:
            if "lost+found" not in path:
                assert described(ours, path, times=True, xattrs=True) == described(uml, path, times=True, xattrs=True)
        uml.mkdir("/boot/efi/EFI/BOOT", Meta(0o700))
        uml.put("/boot/efi/EFI/BOOT/BOOTX64.EFI", [uml.read("/boot/efi/efi/DEBIAN/shimx64.efi")], Meta(0o644, 0, 0))
        uml.keep("/boot/efi/EFI/debian/grub.cfg", "/boot/efi/EFI/debian/.grub.cfg.guestfix.orig")
        assert {one.filesystem: one.clean for one in uml.check()}["ext4"] is True
        saved = uml.save(output=str(tmp_path / "out.qcow2"))
    finally:
        uml.close()
    after = open_image([saved.files[0]])
    assert after.read("/boot/efi/EFI/BOOT/BOOTX64.EFI") == b"MZ" * 5000
    assert after.read("/boot/efi/EFI/debian/.grub.cfg.guestfix.orig") == b"search --fs-uuid 1\n"


def test_what_can_not_be_written(image: Path, tmp_path: Path) -> None:
    assert "only reads" in refused("apply", f"image:{image}")
    assert "--in-place goes with neither" in refused("apply", f"uml:{image}", "--in-place", "--output", "x")
    with pytest.raises(GuestfixError):
        open_guest(f"uml:{tmp_path / 'none.qcow2'}")
    with pytest.raises(GuestfixError, match="--disks is for folders"):
        open_guest(f"uml:{image}", disks="x.yaml")
    left = [name for name in os.listdir("/tmp") if name.startswith("guestfix-")]
    assert shutil.which("linux.uml") and isinstance(left, list)


def test_windows_with_hives(tmp_path: Path) -> None:
    if not have("mkntfs", "ntfs-3g"):
        pytest.skip("ntfs-3g is not installed")
    pytest.importorskip("dissect.ntfs")
    root = tmp_path / "tree"
    config = root / "Windows/System32/config"
    config.mkdir(parents=True)
    for name in ("SYSTEM", "SOFTWARE"):
        (config / name).write_bytes(b"regf" + random.Random(name).randbytes(300_000))
    (root / "ProgramData").mkdir()
    place = blank(tmp_path / "win.raw", 66)
    run("sfdisk", "-q", place, stdin="label: dos\nstart=2048, type=7, bootable\n")
    mount = "ntfs-3g -o streams_interface=none /dev/ubda1 /run/mnt"
    build([place], ["mkntfs -q -f -F /dev/ubda1", mount, COPY, "umount /run/mnt"], root)
    ours = open_image([str(place)])
    assert ours.case_insensitive
    uml = open_guest(f"uml:{place}")
    try:
        assert uml.case_insensitive
        names = [path for path in walk(ours) if not path.startswith("/System Volume Information")]
        assert names == [path for path in walk(uml) if not path.startswith("/System Volume Information")]
        for path in names:
            assert described(ours, path, times=True, xattrs=False) == described(uml, path, times=True, xattrs=False)
        assert uml.realpath("/windows/system32/CONFIG/system") == "/Windows/System32/config/SYSTEM"
        uml.put("/ProgramData/new", [b"x" * 100_000], ours.meta("/Windows/System32/config/SYSTEM"))
        uml.keep("/ProgramData/new", "/ProgramData/.new.orig")
        assert [(one.filesystem, one.clean) for one in uml.check()] == [("ntfs", True)]
        saved = uml.save(output=str(tmp_path / "out.qcow2"))
        assert open_image([saved.files[0]]).read("/programdata/NEW") == b"x" * 100_000
    finally:
        uml.close()
    clear(root)
