"""The same small Debian on every filesystem and stack, in every disk format: planned alike by every backend, applied.

A part of the matrix that fits into make check; tests/e2e/test_images.py has all of it, with a real Debian.
"""

from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path

import pytest

from guestfix.backends import open_guest
from guestfix.backends.directory import DirectoryGuest
from guestfix.backends.image import open_image
from guestfix.backends.status import usable
from guestfix.base.guest import Meta
from tests.build.images import MIB, PartSpec, convert, described, disk, filesystem, have, walk
from tests.build.uml import COPY, DM, LVM, blank, build
from tests.build.uml_guests import (
    FSTAB,
    MAKERS,
    NEEDS_UML,
    ROOT_UUID,
    digest,
    ext4_image,
    fstab_of,
    guest_disks,
    guestfix,
    make_tree,
    plan_without_backend,
    same_plans,
)

pytestmark = NEEDS_UML


def ova(disks: list[Path], place: Path) -> Path:
    from tests.build.images import OVF

    names = ["boot.vmdk", "data.vmdk"]
    text = OVF if len(disks) == 2 else OVF.replace("data.vmdk", "boot.vmdk")
    (place.parent / "guest.ovf").write_text(text)
    with tarfile.open(place, "w", format=tarfile.USTAR_FORMAT) as archive:
        archive.add(place.parent / "guest.ovf", "guest.ovf")
        for name, one in zip(names, disks, strict=False):
            archive.add(convert(one, "vmdk:streamOptimized"), name)
    return place


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
"""Every stack and every format once; tests/e2e/test_images.py has all of them with a real Debian."""


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


@pytest.mark.skipif(not have("lvm"), reason="lvm2 is not installed")
def test_a_snapshot_of_the_root_is_not_the_root(tmp_path: Path) -> None:
    """Though its name comes first, and all that mounts by UUID could mean it."""
    tree, place = (
        make_tree(tmp_path / "tree", f"UUID={ROOT_UUID} / ext4 defaults 0 1\n"),
        blank(tmp_path / "d.raw", 300),
    )
    steps = [f"lvm pvcreate {LVM} /dev/ubda", f"lvm vgcreate {LVM} vg /dev/ubda"]
    steps += [f"lvm lvcreate {LVM} -Zn -Wn -L 120M -n root vg", f"mkfs.ext4 -q -U {ROOT_UUID} /dev/mapper/vg-root"]
    steps += ["mount /dev/mapper/vg-root /run/mnt", COPY, "umount /run/mnt"]
    steps += [f"lvm lvcreate {LVM} -s -L 40M -n before vg/root", "mount /dev/mapper/vg-root /run/mnt"]
    steps += ["echo newer > /run/mnt/etc/hostname", "umount /run/mnt", f"lvm vgchange {LVM} -an"]
    build([place], steps, tree, (*DM, "dm-snapshot"))
    ours = open_image([str(place)])
    assert ours.read("/etc/hostname") == b"newer\n"
    assert any("snapshot of root; uml, qemu and libguestfs can read it" in one.summary for one in ours.findings())
    for root, name in (("", b"newer\n"), ("/dev/mapper/vg-before", b"guest\n")):
        uml = open_guest(f"uml:{place}", root=root)
        try:
            assert uml.read("/etc/hostname") == name
        finally:
            uml.close()


@pytest.mark.skipif(not usable("libguestfs"), reason="libguestfs is not installed")
def test_libguestfs_plans_and_applies_alike(tmp_path: Path) -> None:
    image = ext4_image(make_tree(tmp_path / "tree", FSTAB), tmp_path)
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
