"""Kinds of boots that failed on other hardware: what a plan says of them, and what it leaves."""

from __future__ import annotations

import pytest

from guestfix.formats.boot.entry import release_in
from guestfix.formats.initramfs.compress import compress
from tests.build.boots import UUID, repaired
from tests.build.initramfs import MODULES, RELEASE, archive, guest_files, indexes, inside

NVME = ("nvme_core", "nvme")
NEWER = "6.9.0-1-amd64"


def entry(title: str, release: str, args: str = f"root=UUID={UUID} ro") -> str:
    return f"menuentry '{title}' {{\n\tlinux /boot/vmlinuz-{release} {args}\n\tinitrd /boot/initrd.img-{release}\n}}\n"


def image(names: tuple[str, ...] = NVME, generator: str = "initramfs-tools", **more: object) -> bytes:
    return compress("gzip", archive(inside(names, generator) | more))


def files(initrd: bytes | None = None, **more: object) -> dict[str, object]:
    menu = "set default=0\nset timeout=5\n" + entry("Debian", RELEASE)
    known = guest_files(image() if initrd is None else initrd) | {"boot/grub/grub.cfg": menu}
    known["etc/fstab"] = f"UUID={UUID} / ext4 defaults 0 1\n"
    return known | more


@pytest.mark.parametrize(
    ("source", "kept"),
    [
        ('GRUB_CMDLINE_LINUX_DEFAULT="console=ttyS0"\nGRUB_CMDLINE_LINUX=""\n', 'DEFAULT="console=ttyS0"\n'),
        ('GRUB_CMDLINE_LINUX="console=ttyS0,9600 earlycon=uart"\n', "console=ttyS0,9600 earlycon=uart"),
        ('GRUB_CMDLINE_LINUX="console=tty0 quiet"\n', "console=tty0 quiet console=ttyS0,115200n8"),
        ('GRUB_TIMEOUT=5; GRUB_CMDLINE_LINUX="console=ttyS0"\n', 'GRUB_CMDLINE_LINUX="console=ttyS0'),
    ],
)
def test_a_second_plan_of_consoles_changes_nothing(tmp_path, source, kept):
    guest = repaired(tmp_path / "g", files(**{"etc/default/grub": source}), "aws-nitro")
    assert kept in guest.text("etc/default/grub")
    assert not guest.again.changes


def test_another_installed_kernel_with_the_targets_drivers_becomes_the_default(tmp_path):
    lacks = {f"usr/lib/modules/{NEWER}/{name}": data for name, data in indexes(("virtio",)).items()}
    menu = "set default=0\nset timeout=5\n" + entry("new", NEWER) + entry("old", RELEASE)
    more = {"boot/grub/grub.cfg": menu, f"boot/vmlinuz-{NEWER}": "x", f"boot/initrd.img-{NEWER}": image(())}
    guest = repaired(tmp_path / "g", files(**lacks, **more), "aws-nitro")
    assert 'set default="old"' in guest.text("boot/grub/grub.cfg")
    assert any("nvme" in one and NEWER in one for one in guest.plan.follow_ups)
    assert guest.step("initramfs", after=False) == "stops" and guest.step("initramfs") == "passes"
    assert not guest.plan.blockers and not guest.again.changes


@pytest.mark.parametrize("bad", [b"", None])
def test_a_default_without_its_initramfs_gives_way_to_one_that_has_it(tmp_path, bad):
    more: dict[str, object] = {f"boot/vmlinuz-{NEWER}": "x", f"boot/initrd.img-{NEWER}": bad}
    more = {name: data for name, data in more.items() if data is not None}
    more |= {f"usr/lib/modules/{NEWER}/{name}": data for name, data in indexes(tuple(MODULES)).items()}
    more["boot/grub/grub.cfg"] = "set default=0\nset timeout=5\n" + entry("new", NEWER) + entry("old", RELEASE)
    guest = repaired(tmp_path / "g", files(**more), "aws-nitro")
    assert 'set default="old"' in guest.text("boot/grub/grub.cfg") and not guest.plan.blockers
    assert guest.step("initramfs", after=False) == "stops" and guest.step("initramfs") == "passes"


@pytest.mark.parametrize(
    ("path", "release"),
    [
        ("/boot/vmlinuz-6.1.0-18-amd64", "6.1.0-18-amd64"),
        ("/boot/efi/0123456789abcdef/6.1.0-18-amd64/linux", "6.1.0-18-amd64"),
        ("/vmlinuz", "vmlinuz"),
        ("linux", "linux"),
    ],
)
def test_the_release_is_in_the_name_or_the_folders(path, release):
    assert release_in(path) == release
