"""The walk's first step: what firmware finds once the boot entries of the old machine are gone."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from guestfix.backends import open_guest
from guestfix.base.facts import Facts
from guestfix.base.guest import Disk, Disks
from guestfix.detect.boot.shim import started_by
from guestfix.detect.limits.firmware import check
from guestfix.pack.cache import load_pack
from guestfix.plan.model import Plan
from guestfix.plan.planner import Options, make_plan
from tests.build.tree import build

SHIM = b"MZ" + bytes(70) + "\\grubx64.efi".encode("utf-16-le") + bytes(40)
SHIM_AA = SHIM.replace("x64".encode("utf-16-le"), "aa64".encode("utf-16-le"))
GRUB, FB, BOOT = b"MZ grub", b"MZ fallback", b"MZ systemd-boot"
CSV = "\ufeffshimx64.efi,debian,,text\n".encode("utf-16-le")
KERNEL = "6.1.0-18-amd64"
ROOT = "5cb2a1d6-6bde-4d51-8c39-3a1f1fb2a5a1"
MENU = f"set timeout=5\nmenuentry 'x' {{\n linux /boot/vmlinuz-{KERNEL} root=UUID={ROOT} ro\n}}\n"


def plan_of(tmp_path: Path, esp: dict[str, bytes], target: str = "kvm-virtio", **options: tuple[str, ...]) -> Plan:
    files: dict[str, object] = {
        "etc/os-release": 'ID=debian\nVERSION_ID="12"\n',
        "etc/fstab": f"UUID={ROOT} / ext4 defaults 0 1\nUUID=ABCD-1234 /boot/efi vfat umask=0077 0 1\n",
        "boot/grub/grub.cfg": MENU,
        f"boot/vmlinuz-{KERNEL}": "kernel",
        **{f"boot/efi/EFI/{name}": data for name, data in esp.items()},
    }
    return make_plan(open_guest(str(build(tmp_path, files))), load_pack(), target, Options(**options))  # type: ignore[arg-type]


def firmware(plan: Plan) -> tuple[str, str]:
    return plan.walk.before.steps[0].outcome, plan.walk.after.steps[0].outcome


STATES = {
    "GRUB alone, and its copy": ({"debian/grubx64.efi": GRUB}, "stops", "passes"),
    "shim and GRUB": ({"debian/shimx64.efi": SHIM, "debian/grubx64.efi": GRUB}, "stops", "passes"),
    "a fallback of its own": ({"BOOT/BOOTX64.EFI": GRUB, "debian/grubx64.efi": GRUB}, "passes", "passes"),
    "names in small letters": ({"Boot/bootx64.efi": GRUB}, "passes", "passes"),
    "systemd-boot": ({"systemd/systemd-bootx64.efi": BOOT}, "stops", "passes"),
    "shim without its GRUB": (
        {"BOOT/BOOTX64.EFI": SHIM, "debian/shimx64.efi": SHIM, "debian/grubx64.efi": GRUB},
        "stops",
        "passes",
    ),
    "another shim without its GRUB": ({"BOOT/BOOTX64.EFI": SHIM, "debian/grubx64.efi": GRUB}, "stops", "passes"),
    "shim with its GRUB": ({"BOOT/BOOTX64.EFI": SHIM, "BOOT/grubx64.efi": GRUB}, "passes", "passes"),
    "shim with the fallback program and an option": (
        {"BOOT/BOOTX64.EFI": SHIM, "BOOT/fbx64.efi": FB, "debian/BOOTX64.CSV": CSV, "debian/shimx64.efi": SHIM},
        "passes",
        "passes",
    ),
    "the fallback program without an option": (
        {"BOOT/BOOTX64.EFI": SHIM, "BOOT/fbx64.efi": FB, "debian/shimx64.efi": SHIM, "debian/grubx64.efi": GRUB},
        "stops",
        "passes",
    ),
    "an option whose loader is gone": (
        {"BOOT/BOOTX64.EFI": SHIM, "BOOT/fbx64.efi": FB, "debian/BOOTX64.CSV": CSV, "debian/grubx64.efi": GRUB},
        "stops",
        "stops",
    ),
    "shim whose GRUB is nowhere": ({"BOOT/BOOTX64.EFI": SHIM}, "stops", "stops"),
    "settings of which the loader is not to be seen": ({"debian/grub.cfg": b"configfile /x\n"}, "unknown", "unknown"),
}


@pytest.mark.parametrize("name", STATES)
def test_the_fallback_path_decides(tmp_path: Path, name: str) -> None:
    esp, before, after = STATES[name]
    plan = plan_of(tmp_path, esp)
    assert firmware(plan) == (before, after)
    assert (after == "stops") == any(one.step == "firmware" and one.severity == "blocker" for one in plan.findings)


def test_a_guest_that_boots_by_bios_too_is_only_warned(tmp_path: Path) -> None:
    build(tmp_path, {"boot/grub/i386-pc/core.img": b"x"})
    plan = plan_of(tmp_path, {"debian/grubx64.efi": GRUB}, only=("fstab/*",))
    assert firmware(plan) == ("unknown", "unknown")
    assert {one.severity for one in plan.findings if one.code == "GF-BOOT-NO-FALLBACK"} == {"warning"}


LOADERS = [(SHIM, "grubx64.efi"), (SHIM_AA, "grubaa64.efi"), (GRUB, ""), (SHIM[2:], ""), (b"", ""), (b"MZ", "")]


@pytest.mark.parametrize(("loader", "name"), LOADERS)
def test_shim_is_told_by_the_name_that_it_starts(loader: bytes, name: str) -> None:
    assert started_by(loader) == name


CODES = [
    (("grub",), "", ""),
    (("none",), "stops", "no boot code"),
    (("coreless",), "stops", "are empty"),
    (("inactive",), "stops", "no partition is active"),
    (("other",), "", ""),
    (("",), "", ""),
    ((), "", ""),
    (("none", "grub"), "unknown", "/dev/sdb has some"),
    (("grub", "none"), "", ""),
]


@pytest.mark.parametrize(("codes", "outcome", "says"), CODES)
def test_a_bios_needs_boot_code_on_the_first_disk(codes: tuple[str, ...], outcome: str, says: str) -> None:
    guest = SimpleNamespace(
        disks=lambda: Disks(tuple(Disk(f"/dev/sd{'ab'[at]}", boot=one) for at, one in enumerate(codes)), read=True)
    )
    facts = Facts()
    for name, value in (("os.family", "linux"), ("boot.firmware", "bios"), ("boot.loaders", ["grub2"])):
        facts.put(name, value)
    found = check(guest, facts, load_pack().targets["kvm-virtio"])  # type: ignore[arg-type]
    assert [(one.code, one.outcome) for one in found] == ([("GF-BOOT-CODE", outcome)] if outcome else [])
    assert all(says in one.summary for one in found)


def test_a_tree_does_not_show_the_first_sector(tmp_path: Path) -> None:
    build(tmp_path, {"boot/grub/i386-pc/core.img": b"x", "etc/fstab": f"UUID={ROOT} / ext4 defaults 0 1\n"})
    plan = make_plan(
        open_guest(str(build(tmp_path, {"etc/os-release": "ID=debian\n", "boot/grub/grub.cfg": MENU}))), load_pack()
    )
    step = plan.walk.after.steps[0]
    assert step.outcome == "unknown" and "first sector" in step.because
