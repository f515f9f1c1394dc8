"""Guests for arm64: told by their kernels and programs, started by UEFI, and by a board where they are a board's."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import pytest

import guestfix
from guestfix.formats.boot.kernelimage import arch_of, release_of
from guestfix.pack.cache import load_pack
from tests.build.tree import build, bzimage, elf

PACK = load_pack()
RELEASE = "6.1.0-18-arm64"


def pe(machine: int) -> bytes:
    head = bytearray(0x200)
    head[:2] = b"MZ"
    struct.pack_into("<I", head, 0x3C, 0x80)
    struct.pack_into("<4sH", head, 0x80, b"PE\0\0", machine)
    return bytes(head)


def image(stub: bool = True) -> bytes:
    """Return the begin of an Image (Documentation/arch/arm64/booting.rst), with or without an EFI stub."""
    head = bytearray(pe(0xAA64) if stub else bytes(0x200))
    head[0x38:0x3C] = b"ARM\x64"
    return bytes(head)


ZBOOT = bytes([*b"MZ\0\0zimg"]) + pe(0xAA64)[8:]
PACKED = gzip.compress(image(False) + bytes(4096))


@pytest.mark.parametrize(
    ("head", "arch"),
    [
        (image(), "aarch64"),
        (image(False), "aarch64"),
        (PACKED, "aarch64"),
        (PACKED[:60], "aarch64"),
        (ZBOOT, "aarch64"),
        (pe(0x8664), "x86_64"),
        (bzimage("6.1.0", wide=True), "x86_64"),
        (bzimage("6.1.0", wide=False), "i686"),
        (b"\x1f\x8b" + bytes(100), None),
        (PACKED[:12], None),
        (pe(0x5032), None),
        (b"MZ" + bytes(0x3A) + b"\xff\xff\xff\xff" + bytes(8), None),
        (b"", None),
    ],
)
def test_what_a_kernel_image_is_built_for(head: bytes, arch: str | None) -> None:
    assert arch_of(head) == arch
    assert release_of(head) in (None, "6.1.0")


def guest_of(tmp_path: Path, more: dict[str, object]) -> guestfix.GuestFS:
    files: dict[str, object] = {
        "etc/os-release": 'ID=debian\nVERSION_ID="12"\n',
        "etc/fstab": "UUID=0a-1 / ext4 defaults 0 1\n",
        f"boot/vmlinuz-{RELEASE}": image(),
        f"lib/modules/{RELEASE}/modules.dep": "",
        "boot/grub/grub.cfg": f"menuentry 'Debian' {{\n linux /boot/vmlinuz-{RELEASE} root=UUID=0a-1 ro\n}}\n",
        **more,
    }
    return guestfix.open_guest(str(build(tmp_path / "root", {k: v for k, v in files.items() if v is not None})))


def report(tmp_path: Path, target: str, **more: object) -> tuple[dict[str, object], dict[str, object], guestfix.Plan]:
    files = {name.replace("__", "/"): data for name, data in more.items()}
    plan = guestfix.make_plan(guest_of(tmp_path, files), PACK, target)
    return {one.name: one.value for one in plan.facts}, {one.code: one for one in plan.findings}, plan


def test_the_kernel_tells_the_processor_where_no_program_does(tmp_path: Path) -> None:
    facts, found, _ = report(tmp_path, "kvm-virtio")
    assert facts["os.arch"] == "aarch64" and facts["kernel.default"] == RELEASE
    assert "GF-TARGET-ARCH" not in found and "GF-BOOT-BOARD" not in found


def test_a_program_tells_it_first_and_then_the_target_is_as_it_is_for_arm(tmp_path: Path) -> None:
    facts, _, plan = report(tmp_path, "kvm-virtio", bin__sh=elf(183), etc__default__grub='GRUB_CMDLINE_LINUX=""\n')
    assert facts["os.arch"] == "aarch64" and facts["target.console"] == "ttyAMA0,115200n8"
    assert facts["boot.firmware"] == "uefi" and facts["target.firmware"] == ["uefi"]
    changed = "".join(one.diff for one in plan.changes)
    assert "console=ttyAMA0,115200n8" in changed and "ttyS0" not in changed


@pytest.mark.parametrize(("target", "port"), [("aws-nitro", "ttyS0"), ("oci", "ttyAMA0"), ("azure", "ttyAMA0")])
def test_the_console_is_the_targets_own_for_the_processor(tmp_path: Path, target: str, port: str) -> None:
    facts, _, _ = report(tmp_path, target, bin__sh=elf(183))
    assert str(facts["target.console"]).startswith(port)


@pytest.mark.parametrize(
    ("marks", "whose"),
    [
        ({"boot/firmware/config.txt": "arm_64bit=1\n", "boot/grub/grub.cfg": None}, "Raspberry"),
        (
            {"boot/extlinux/extlinux.conf": "label l\n kernel /Image\n fdtdir /dtbs\n", "boot/grub/grub.cfg": None},
            "U-Boot",
        ),
        ({"boot/boot.scr": "", "boot/grub/grub.cfg": None}, "U-Boot"),
    ],
)
def test_a_boards_system_is_told_as_one(tmp_path: Path, marks: dict[str, object], whose: str) -> None:
    plan = guestfix.make_plan(guest_of(tmp_path, {"bin/sh": elf(183), **marks}), PACK, "aws-nitro")
    (found,) = [one for one in plan.findings if one.code == "GF-BOOT-BOARD"]
    assert whose in found.summary and found.evidence and found.remedy and found.severity == "blocker"


def test_a_loader_for_uefi_beside_a_boards_files_will_do(tmp_path: Path) -> None:
    more = {"boot/firmware/config.txt": "", "boot/efi/EFI/BOOT/BOOTAA64.EFI": "MZ", "bin/sh": elf(183)}
    plan = guestfix.make_plan(guest_of(tmp_path, more), PACK, "aws-nitro")
    assert "GF-BOOT-BOARD" not in {one.code for one in plan.findings}


@pytest.mark.parametrize(
    ("target", "config", "words", "outcome"),
    [
        ("aws-nitro", "# CONFIG_ACPI is not set\n", "", "stops"),
        ("kvm-virtio", "# CONFIG_ACPI is not set\n", "", "unknown"),
        ("aws-nitro", "CONFIG_ACPI=y\n", "acpi=off", "stops"),
        ("aws-nitro", "CONFIG_ACPI=y\n", "", None),
    ],
)
def test_a_kernel_without_acpi(tmp_path: Path, target: str, config: str, words: str, outcome: str | None) -> None:
    menu = f"menuentry 'Debian' {{\n linux /boot/vmlinuz-{RELEASE} root=UUID=0a-1 ro {words}\n}}\n"
    more = {f"boot/config-{RELEASE}": config, "boot/grub/grub.cfg": menu, "bin/sh": elf(183)}
    plan = guestfix.make_plan(guest_of(tmp_path, more), PACK, target)
    found = [one for one in plan.findings if one.code == "GF-KERNEL-ACPI"]
    assert [one.outcome for one in found] == ([outcome] if outcome else [])


@pytest.mark.parametrize(
    ("path", "text", "arch"),
    [
        ("var/lib/dpkg/arch", "arm64\namd64\n", "aarch64"),
        ("var/lib/dpkg/arch", "i386\n", "i686"),
        ("etc/rpm/platform", "aarch64-redhat-linux-gnu\n", "aarch64"),
        ("etc/apk/arch", "x86_64\n", "x86_64"),
        ("etc/apk/arch", "\xff\n", None),
        ("etc/rpm/platform", "", None),
    ],
)
def test_a_package_database_tells_the_processor_where_no_program_does(
    tmp_path: Path, path: str, text: str, arch: str | None
) -> None:
    plan = guestfix.make_plan(guest_of(tmp_path, {path: text, f"boot/vmlinuz-{RELEASE}": ""}), PACK, "aws-nitro")
    value = next(one.value for one in plan.facts if one.name == "os.arch")
    assert value == arch if arch else not isinstance(value, str)


def test_an_x86_guest_has_none_of_it(tmp_path: Path) -> None:
    more = {"boot/firmware/config.txt": "", f"boot/config-{RELEASE}": "# CONFIG_ACPI is not set\n", "bin/sh": elf(62)}
    plan = guestfix.make_plan(guest_of(tmp_path, more), PACK, "aws-nitro")
    assert not {"GF-BOOT-BOARD", "GF-KERNEL-ACPI"} & {one.code for one in plan.findings}


def test_the_fallback_is_called_by_its_own_name(tmp_path: Path) -> None:
    none = dict.fromkeys((f"boot/vmlinuz-{RELEASE}", "boot/grub/grub.cfg", f"lib/modules/{RELEASE}/modules.dep"))
    _, _, plan = report(tmp_path, "kvm-virtio", bin__sh=elf(183), **none)
    (one,) = [finding for finding in plan.findings if finding.code == "GF-BOOT-NO-FALLBACK"]
    assert "EFI/BOOT/BOOTAA64.EFI" in one.summary and "BOOTX64" not in one.summary


TREE = " linux /boot/vmlinuz-{0} root=UUID=0a-1 ro\n"


@pytest.mark.parametrize(
    ("menu", "target", "line", "outcome"),
    [
        (f"menuentry 'A' {{\n{TREE} devicetree /boot/dtb\n}}\n", "oci", 3, "stops"),
        (f"menuentry 'A' {{\n\tdevicetree\t/boot/dtb-{{0}}\n{TREE}}}\n", "kvm-virtio", 2, "unknown"),
        (f"menuentry 'A' {{\n{TREE}}}\nmenuentry 'B' {{\n{TREE} devicetree /boot/dtb\n}}\n", "oci", None, None),
        (f"menuentry 'A' {{\n{TREE} # devicetree /boot/dtb\n}}\n", "oci", None, None),
    ],
)
def test_a_device_tree_of_the_default_entry_is_told(
    tmp_path: Path, menu: str, target: str, line: int | None, outcome: str | None
) -> None:
    text = menu.replace("{0}", RELEASE)
    more = {"boot/grub/grub.cfg": text, f"boot/config-{RELEASE}": "CONFIG_ACPI=y\n", "bin/sh": elf(183)}
    plan = guestfix.make_plan(guest_of(tmp_path, more), PACK, target)
    found = [one for one in plan.findings if one.code == "GF-KERNEL-ACPI"]
    assert [(one.evidence[0].line, one.outcome) for one in found] == ([(line, outcome)] if line else [])
