"""The volume that GRUB's default entry takes its kernel from: by UUID, by numbers, by paths on it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from guestfix.backends import open_guest
from guestfix.base.edit import apply_splices
from guestfix.pack.cache import load_pack
from guestfix.plan.model import Change, Plan
from guestfix.plan.planner import make_plan
from tests.build.tree import build

K = "6.1.0-18-amd64"
BOOT, ROOT, GONE = (
    "11111111-aaaa-4bbb-8ccc-000000000001",
    "11111111-aaaa-4bbb-8ccc-000000000002",
    "22222222-aaaa-4bbb-8ccc-000000000009",
)
ONE = f"""disks:
  - device: /dev/sda
    table: mbr
    partitions:
      - {{device: /dev/sda1, fstype: ext4, uuid: {BOOT}}}
      - {{device: /dev/sda2, fstype: ext4, uuid: {ROOT}}}
"""
TWO = f"""disks:
  - {{device: /dev/sda, partitions: [{{device: /dev/sda1, fstype: ext4, uuid: {ROOT}}}]}}
  - {{device: /dev/sdb, partitions: [{{device: /dev/sdb1, fstype: ext4, uuid: {BOOT}}}]}}
"""
APART = f"UUID={ROOT} / ext4 defaults 0 1\nUUID={BOOT} /boot ext4 defaults 0 2\n"
WHOLE = f"UUID={ROOT} / ext4 defaults 0 1\n"
BY = "search --no-floppy --fs-uuid --set=root"


def entry(where: str, kernel: str = "/vmlinuz", initrd: str = "/initrd.img") -> str:
    body = f" {where}\n linux {kernel}-{K} root=UUID={ROOT} ro\n initrd {initrd}-{K}\n"
    return f"set timeout=5\nmenuentry 'x' --id x {{\n{body}}}\n"


def plan_of(tmp_path: Path, menu: str, fstab: str, disks: str) -> Plan:
    files: dict[str, object] = {
        "etc/os-release": 'ID=debian\nVERSION_ID="12"\n',
        "etc/fstab": fstab,
        "boot/grub/grub.cfg": menu,
        f"boot/vmlinuz-{K}": "kernel",
        f"boot/initrd.img-{K}": "not read",
    }
    if disks:
        (tmp_path / "disks.yaml").write_text(disks)
    root = str(build(tmp_path / "g", files))
    return make_plan(open_guest(root, disks=str(tmp_path / "disks.yaml") if disks else None), load_pack(), "kvm-virtio")


def changed(text: str, change: Change) -> str:
    return apply_splices(text.encode(), list(change.splices)).decode()


STATES = {
    "by the UUID of /boot": (entry(f"{BY} {BOOT}"), APART, ONE, "passes", "passes", ""),
    "the same without a description": (entry(f"{BY} {BOOT}"), APART, "", "passes", "passes", ""),
    "paths of / on a /boot of its own": (
        entry(f"{BY} {BOOT}", "/boot/vmlinuz", "/boot/initrd.img"),
        APART,
        "",
        "stops",
        "passes",
        f" linux /vmlinuz-{K} ",
    ),
    "the UUID of / for files on /boot": (entry(f"{BY} {ROOT}"), APART, "", "stops", "passes", f"{BY} {BOOT}\n"),
    "paths below /boot on the root filesystem": (
        entry(f"{BY} {ROOT}", "/boot/vmlinuz", "/boot/initrd.img"),
        WHOLE,
        ONE,
        "passes",
        "passes",
        "",
    ),
    "a UUID that is gone, and the menu's own filesystem has it": (
        entry(f"{BY} {GONE}"),
        APART,
        ONE,
        "passes",
        "passes",
        "",
    ),
    "a UUID that is gone after numbers that don't hold": (
        entry(f"set root='hd0,msdos2'\n {BY} {GONE}"),
        APART,
        ONE,
        "stops",
        "passes",
        f"{BY} {BOOT}\n",
    ),
    "a UUID that is not described": (entry(f"{BY} {GONE}"), APART, "", "passes", "passes", ""),
    "a UUID that is gone after numbers that hold": (
        entry(f"set root='hd0,msdos1'\n {BY} {GONE}"),
        APART,
        ONE,
        "passes",
        "passes",
        "",
    ),
    "the second of one disk": (entry("set root='hd1,msdos1'"), APART, ONE, "stops", "passes", f"{BY} {BOOT}\n"),
    "the second of one disk before a search": (
        entry(f"set root='hd1,1'\n {BY} {BOOT}"),
        APART,
        ONE,
        "passes",
        "passes",
        "",
    ),
    "the second of two": (entry("set root=(hd1,msdos1)"), APART, TWO, "passes", "passes", ""),
    "the second of disks that nobody described": (
        entry("set root='hd1,gpt1'"),
        APART,
        "",
        "unknown",
        "passes",
        f"{BY} {BOOT}",
    ),
    "a device before the path": (
        entry("true", "(hd0,msdos2)/vmlinuz"),
        APART,
        ONE,
        "stops",
        "passes",
        f" linux /vmlinuz-{K} ",
    ),
    "the first of one disk": (entry("set root='hd0,msdos1'"), APART, ONE, "passes", "passes", ""),
    "a label": (
        entry("search --label --set=root boot"),
        APART.replace(f"UUID={BOOT}", "LABEL=boot"),
        "",
        "passes",
        "passes",
        "",
    ),
    "a file": (entry(f"search --file --set=root /vmlinuz-{K}"), APART, ONE, "passes", "passes", ""),
    "old words": (entry(f"search -n -u {BOOT} -s"), APART, ONE, "passes", "passes", ""),
    "a subvolume": (
        entry(f"{BY} {ROOT}", "/@/boot/vmlinuz"),
        f"UUID={ROOT} / btrfs subvol=@ 0 0\n",
        "",
        "passes",
        "passes",
        "",
    ),
}


@pytest.mark.parametrize("name", STATES)
def test_grub_finds_the_kernel_or_is_made_to(tmp_path: Path, name: str) -> None:
    menu, fstab, disks, before, after, has = STATES[name]
    plan = plan_of(tmp_path, menu, fstab, disks)
    assert (plan.walk.before.steps[1].outcome, plan.walk.after.steps[1].outcome) == (before, after)
    edited = next((one for one in plan.changes if one.path == "/boot/grub/grub.cfg"), None)
    assert ("boot/kernel-volume" in edited.rules if edited else False) == bool(has)
    if edited and has:
        after = changed(menu, edited)
        assert has in after
        if shutil.which("grub-script-check"):
            (tmp_path / "grub.cfg").write_text(after)
            subprocess.run(["grub-script-check", str(tmp_path / "grub.cfg")], check=True)


def test_entries_of_files_get_a_search_before_them(tmp_path: Path) -> None:
    build(
        tmp_path / "g",
        {f"boot/loader/entries/{K}.conf": f"title x\nlinux /vmlinuz-{K}\ninitrd /initrd.img-{K}\noptions ro\n"},
    )
    plan = plan_of(tmp_path, "set timeout=5\nset root=hd1,msdos1\nblscfg\n", APART, ONE)
    assert plan.walk.before.stops_at == "loader" and plan.walk.after.steps[1].outcome == "passes"
    edited = next(one for one in plan.changes if one.path == "/boot/grub/grub.cfg")
    assert f"+{BY} {BOOT}\n blscfg\n" in edited.diff


def test_a_configuration_that_leads_to_a_volume_that_is_gone(tmp_path: Path) -> None:
    wrapper = "search.fs_uuid {} root\nset prefix=($root)'/grub'\nconfigfile $prefix/grub.cfg\n"
    esp = f"{APART}UUID=ABCD-1234 /boot/efi vfat umask=0077 0 1\n"
    disks = ONE.replace(
        "    partitions:\n", "    partitions:\n      - {device: /dev/sda3, fstype: vfat, uuid: ABCD-1234}\n"
    )
    for at, (uuid, outcome) in enumerate(((BOOT, "passes"), (GONE, "stops"))):
        folder = tmp_path / str(at)
        lead = wrapper.format(uuid).replace(" root\n", " dev\n").replace("($root)", "($dev)")
        files = {
            "boot/efi/EFI/debian/grub.cfg": lead,
            "boot/efi/EFI/BOOT/BOOTX64.EFI": "x",
            "boot/efi/EFI/debian/grubx64.efi": "x",
        }
        build(folder / "g", files)
        plan = plan_of(folder, entry(f"{BY} {BOOT}"), esp, disks)
        assert plan.walk.after.steps[1].outcome == outcome
        told = [one for one in plan.findings if one.code == "GF-BOOT-VOLUME"]
        assert [one.evidence[0].path for one in told] == (
            ["/boot/efi/EFI/debian/grub.cfg"] if outcome == "stops" else []
        )


UEFI = f"""disks:
  - device: /dev/sda
    table: gpt
    partitions:
      - {{device: /dev/sda1, fstype: vfat, uuid: 0AB1-0AB1}}
      - {{device: /dev/sda2, fstype: ext4, uuid: {ROOT}}}
"""


@pytest.mark.parametrize(("uuid", "outcome"), [(ROOT, "passes"), (GONE, "stops")])
def test_a_wrapper_that_looks_for_a_volume_that_is_gone_ends_there_though_a_menu_is_to_be_seen(tmp_path, uuid, outcome):
    """Its $root stays the EFI system partition's then, and the next configuration is not on that."""
    lead = f"search.fs_uuid {uuid} root hd0,gpt2 \nset prefix=($root)'/boot/grub'\nconfigfile $prefix/grub.cfg\n"
    files: dict[str, object] = {
        "etc/os-release": 'ID=debian\nVERSION_ID="12"\n',
        "etc/fstab": f"UUID={ROOT} / ext4 defaults 0 1\nUUID=0AB1-0AB1 /boot/efi vfat umask=0077 0 1\n",
        "boot/grub/grub.cfg": entry(f"{BY} {ROOT}", "/boot/vmlinuz", "/boot/initrd.img"),
        f"boot/vmlinuz-{K}": "kernel",
        f"boot/initrd.img-{K}": "not read",
        "boot/efi/EFI/debian/grub.cfg": lead,
        **{
            f"boot/efi/EFI/{name}": "loader"
            for name in ("debian/grubx64.efi", "debian/shimx64.efi", "BOOT/BOOTX64.EFI")
        },
    }
    (tmp_path / "disks.yaml").write_text(UEFI)
    guest = open_guest(str(build(tmp_path / "g", files)), disks=str(tmp_path / "disks.yaml"))
    plan = make_plan(guest, load_pack(), "kvm-virtio")
    assert plan.walk.before.steps[1].outcome == outcome, plan.walk.before.steps[1]


def test_a_subvolume_that_the_esp_s_configuration_leads_to(tmp_path: Path) -> None:
    """What a search can't tell (paths on Btrfs have the subvolume before them) is not where the search began."""
    files: dict[str, object] = {
        "boot/efi/EFI/debian/grub.cfg": f"search.fs_uuid {ROOT} root\nset prefix=($root)'/@/boot/grub'\n"
        "configfile $prefix/grub.cfg\n",
        "boot/efi/EFI/debian/grubx64.efi": b"MZ",
        "boot/efi/EFI/BOOT/BOOTX64.EFI": b"MZ",
    }
    build(tmp_path / "g", files)
    fstab = f"UUID={ROOT} / btrfs subvol=@ 0 0\nUUID=0AB1-0AB1 /boot/efi vfat umask=0077 0 1\n"
    menu = entry(f"{BY} {ROOT}", "/@/boot/vmlinuz", "/@/boot/initrd.img")
    plan = plan_of(tmp_path, menu, fstab, "")
    assert plan.walk.before.steps[1].outcome == plan.walk.after.steps[1].outcome == "passes"
    assert "boot/kernel-volume" not in {rule for one in plan.changes for rule in one.rules}
