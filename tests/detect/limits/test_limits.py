"""The limits of a move: each on a guest that has it and on one that has not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from guestfix.backends.directory import DirectoryGuest
from guestfix.base.facts import Facts, Finding
from guestfix.base.guest import Disk, Disks, Space, Volume
from guestfix.pack.cache import load_pack
from guestfix.pack.model import Target
from tests.build.detection import detect_all
from tests.build.tree import build, bzimage

TARGETS = load_pack().targets
BASE: dict[str, object] = {"etc/os-release": 'ID=debian\nVERSION_ID="12"\n'}


class Guest(DirectoryGuest):
    """A directory whose room is as a test says."""

    rooms: dict[str, Space]

    def space(self, path: str) -> Space | None:
        return self.rooms.get(path, self.rooms.get("/"))


def findings_of(
    root: Path,
    files: dict[str, object],
    disks: Disks | None = None,
    rooms: dict[str, Space] | None = None,
    target: Target = TARGETS["kvm-virtio"],
) -> dict[str, Finding]:
    build(root, {**BASE, **files})
    guest = Guest(str(root), disks)
    guest.rooms = rooms or {}
    return {one.code: one for one in detect_all(guest, Facts(), target, load_pack().systems)}


def disk(*kinds: str, device: str = "/dev/sda", **more: Any) -> Disk:
    return Disk(
        device, partitions=tuple(Volume(f"{device}{n}", fstype=kind) for n, kind in enumerate(kinds, 1)), **more
    )


FSTAB = {"etc/fstab": "/dev/sda1 / ext4 defaults 0 1\n"}
ON_B = {"etc/fstab": "/dev/sdb1 / ext4 defaults 0 1\n"}
EFI = {"boot/efi/EFI/debian/shimx64.efi": "", "boot/efi/EFI/debian/grubx64.efi": ""}
GIB = 1024**3


def room(free: int, filesystem: str = "1", inodes: int = 10**6, own: bool = True) -> Space:
    return Space(filesystem, free, 100 * GIB, inodes, own)


def kernels(*releases: str) -> dict[str, object]:
    return {f"boot/vmlinuz-{release}": bzimage(release) for release in releases}


def wtmp(release: str) -> bytes:
    return b"\x02\x00" + bytes(74) + release.encode().ljust(256, b"\0") + bytes(52)


MANY = {f"usr/bin/program{number}": "" for number in range(50)}
UNIT = "usr/lib/systemd/system"
SSHD: dict[str, object] = {"usr/sbin/sshd": "", f"{UNIT}/ssh.service": ""}
SSH_ON: dict[str, object] = {
    **SSHD,
    "etc/systemd/system/multi-user.target.wants/ssh.service": ("link", f"/{UNIT}/ssh.service"),
}
FIREWALL_ON: dict[str, object] = {
    f"{UNIT}/nftables.service": "",
    "etc/systemd/system/sysinit.target.wants/nftables.service": ("link", f"/{UNIT}/nftables.service"),
}
CLOSED = "table ip f { chain i { type filter hook input priority 0; policy drop; %s } }\n"
PASSWD = "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n"

BLS = (
    "title RHEL\nversion 5.14.0-1.el9.x86_64\nlinux /vmlinuz-5.14.0-1.el9.x86_64\n"
    "initrd /initramfs-5.14.0-1.el9.x86_64.img\noptions root=UUID=1\n"
)
GRUBENV = "# GRUB Environment Block\nsaved_entry={}\n"
BLS_BOOT: dict[str, object] = {
    **kernels("5.14.0-1.el9.x86_64"),
    "boot/grub2/grub.cfg": 'load_env\nset default="${saved_entry}"\nblscfg\n',
    "boot/loader/entries/abc-5.14.0-1.el9.x86_64.conf": BLS,
}
INTERFACES = "auto eth0\niface eth0 inet static\n address 10.0.0.5\n"
LOST: dict[str, object] = {**BLS_BOOT, "boot/grub2/grubenv": GRUBENV.format("gone").ljust(1024, "#")}
MENU = "menuentry {0} {{\n linux /boot/vmlinuz-{0} root=UUID=1\n}}\n"
TWO_MENUS: dict[str, object] = {
    "boot/grub2/grub.cfg": MENU.format("5.14.0-1.el9.x86_64"),
    "boot/grub/grub.cfg": MENU.format("4.18.0-1.el8.x86_64"),
}

HAS = [
    # code, severity, files, more
    ("GF-OS-SEVERAL-ROOTS", "warning", {"old/etc/os-release": "ID=x\n"}, {}),
    ("GF-OS-SEVERAL-ROOTS", "warning", {"mnt/disk2/etc/fstab": ""}, {}),
    ("GF-OS-SEVERAL-ROOTS", "warning", {"mnt/win/Windows/System32/x": ""}, {}),
    ("GF-OS-SEVERAL-ETC", "warning", {"ETC/x": ""}, {}),
    ("GF-OS-DUAL-BOOT", "warning", {**EFI, "boot/efi/EFI/Microsoft/Boot/bootmgfw.efi": ""}, {}),
    ("GF-DISK-LUKS", "warning", {}, {"disks": Disks((disk("ext4", "crypto_LUKS"),))}),
    ("GF-DISK-LUKS", "warning", {"etc/crypttab": "data UUID=1 none luks\n"}, {}),
    ("GF-DISK-BITLOCKER", "warning", {}, {"disks": Disks((disk("ext4", "BitLocker"),))}),
    ("GF-DISK-DYNAMIC", "warning", {}, {"disks": Disks((disk("ntfs", table="ldm"),))}),
    ("GF-DISK-TOO-MANY", "warning", {}, {"disks": Disks(tuple(disk("ext4", device=f"/dev/x{n}") for n in range(22)))}),
    ("GF-DISK-TOO-LARGE", "warning", {}, {"disks": Disks((disk("xfs", size=16 * 1024**4),))}),
    ("GF-DISK-HIBERNATED", "blocker", {}, {"disks": Disks((disk("ext4", "swsuspend"),))}),
    ("GF-DISK-ROOT-FILESYSTEM", "warning", FSTAB, {"disks": Disks((disk("reiserfs"),))}),
    ("GF-DISK-ROOT-SUBVOLUME", "info", {"etc/fstab": "UUID=1 / btrfs subvol=@ 0 0\n"}, {}),
    ("GF-DISK-ROOT-DISK", "warning", ON_B, {"disks": Disks((disk("xfs"), disk("ext4", device="/dev/sdb")))}),
    ("GF-BOOT-NO-FALLBACK", "warning", EFI, {}),
    ("GF-BOOT-FIRMWARE", "blocker", EFI, {"target": TARGETS["aws-xen"]}),
    ("GF-BOOT-LILO", "warning", {"etc/lilo.conf": "boot=/dev/sda\n"}, {}),
    ("GF-BOOT-DEFAULT-LOST", "warning", LOST, {}),
    ("GF-BOOT-DEFAULT-UNSAVED", "info", BLS_BOOT, {}),
    ("GF-BOOT-SEVERAL-CONFIGS", "warning", TWO_MENUS, {}),
    ("GF-FSTAB-UNREADABLE", "blocker", {"etc/fstab": "one\ntwo\n"}, {}),
    ("GF-KERNEL-NONE", "warning", MANY, {}),
    ("GF-KERNEL-CUSTOM", "warning", kernels("6.1.55-mine"), {}),
    ("GF-KERNEL-XEN", "blocker", kernels("2.6.18-400.el5xen"), {}),
    ("GF-KERNEL-XEN", "warning", kernels("3.0.101-63-xen", "3.0.101-63-default"), {"default": "3.0.101-63-xen"}),
    ("GF-KERNEL-NOT-LAST-BOOTED", "info", {**kernels("6.1.0-18-amd64"), "var/log/wtmp": wtmp("6.1.0-9-amd64")}, {}),
    ("GF-KERNEL-IMAGE-MISSING", "warning", kernels("6.1.0-18-amd64"), {"default": "6.1.0-30-amd64"}),
    ("GF-SSH-MISSING", "warning", MANY, {}),
    ("GF-SSH-DISABLED", "warning", SSHD, {}),
    ("GF-SSH-ADDRESS", "warning", {**SSH_ON, "etc/ssh/sshd_config": "ListenAddress 10.0.0.5\n"}, {}),
    ("GF-SSH-FIREWALL", "warning", {**SSH_ON, **FIREWALL_ON, "etc/nftables.conf": CLOSED % ""}, {}),
    (
        "GF-SSH-FIREWALL-LIMITED",
        "info",
        {**SSH_ON, **FIREWALL_ON, "etc/nftables.conf": CLOSED % "ip saddr 10.0.0.1 tcp dport 22 accept"},
        {},
    ),
    ("GF-SSH-NO-HOST-KEYS", "warning", {**MANY, **SSH_ON, "etc/ssh/sshd_config": "Port 22\n"}, {}),
    ("GF-USER-NO-KEY", "info", {**SSH_ON, "etc/passwd": PASSWD, "home/alice": None}, {}),
    ("GF-SPACE-ROOT", "warning", {}, {"rooms": {"/": room(GIB // 8)}}),
    ("GF-SPACE-ROOT-INODES", "warning", {}, {"rooms": {"/": room(GIB, inodes=5)}}),
    ("GF-SPACE-BOOT", "warning", {}, {"rooms": {"/": room(GIB), "/boot": room(1, "2")}}),
    ("GF-SPACE-BOOT-INODES", "warning", {}, {"rooms": {"/": room(GIB), "/boot": room(GIB, "2", 5)}}),
]


def grub(release: str) -> dict[str, object]:
    return {"boot/grub/grub.cfg": f"menuentry x {{\n linux /boot/vmlinuz-{release} root=UUID=1\n}}\n"}


def ident(one: Any) -> str:
    return one if isinstance(one, str) and one.startswith("GF-") else ""


@pytest.mark.parametrize(("code", "severity", "files", "more"), HAS, ids=ident)
def test_a_guest_that_has_the_limit(
    tmp_path: Path, code: str, severity: str, files: dict[str, object], more: dict[str, Any]
) -> None:
    given = dict(more)
    default = given.pop("default", None)
    found = findings_of(tmp_path, {**files, **(grub(default) if default else {})}, **given)
    assert code in found, sorted(found)
    finding = found[code]
    assert finding.severity == severity
    assert finding.summary and finding.evidence
    assert finding.remedy or severity == "info"


SAVED = GRUBENV.format("abc-5.14.0-1.el9.x86_64")
HAS_NOT = [
    # code, files, more
    ("GF-OS-SEVERAL-ROOTS", {"old/etc/hosts": "", "srv/chroot/etc/os-release": "", "mnt/data/x": ""}, {}),
    ("GF-OS-SEVERAL-ROOTS", {"self": ("link", "."), "mnt/loop": ("link", "../..")}, {}),
    ("GF-DISK-LUKS", {"etc/crypttab": "# none\nswap /dev/sda2 /dev/urandom swap\n"}, {}),
    ("GF-DISK-TOO-MANY", {}, {"disks": Disks(tuple(disk("ext4", device=f"/dev/x{n}") for n in range(21)))}),
    ("GF-DISK-TOO-LARGE", {}, {"disks": Disks((disk("xfs", size=16 * 1024**4 - 1),))}),
    ("GF-DISK-ROOT-FILESYSTEM", FSTAB, {"disks": Disks((disk("xfs"),))}),
    ("GF-DISK-ROOT-FILESYSTEM", {"etc/fstab": "UUID=1 / auto defaults 0 1\n"}, {}),
    ("GF-DISK-ROOT-DISK", FSTAB, {"disks": Disks((disk("xfs"), disk("ext4", device="/dev/sdb")))}),
    ("GF-BOOT-NO-FALLBACK", {**EFI, "boot/efi/EFI/BOOT/BOOTX64.EFI": ""}, {}),
    ("GF-BOOT-NO-FALLBACK", {}, {}),
    ("GF-BOOT-FIRMWARE", EFI, {}),
    ("GF-BOOT-FIRMWARE", {}, {"target": TARGETS["aws-xen"]}),
    ("GF-BOOT-LILO", {"etc/lilo.conf": "boot=/dev/sda\n"}, {"default": "6.1.0-30-amd64"}),
    ("GF-BOOT-DEFAULT-LOST", {**BLS_BOOT, "boot/grub2/grubenv": SAVED.ljust(1024, "#")}, {}),
    ("GF-BOOT-DEFAULT-UNSAVED", {**BLS_BOOT, "boot/grub2/grubenv": SAVED.ljust(1024, "#")}, {}),
    ("GF-BOOT-DEFAULT-UNSAVED", {}, {"default": "5.14.0-1.el9.x86_64"}),
    ("GF-FSTAB-UNREADABLE", FSTAB, {}),
    ("GF-KERNEL-NONE", {}, {}),
    ("GF-KERNEL-CUSTOM", kernels("6.1.0-18-amd64"), {}),
    ("GF-KERNEL-NOT-LAST-BOOTED", {**kernels("6.1.0-9-amd64"), "var/log/wtmp": wtmp("6.1.0-9-amd64")}, {}),
    ("GF-KERNEL-IMAGE-MISSING", {}, {"default": "6.1.0-30-amd64"}),
    ("GF-SSH-MISSING", {}, {}),
    ("GF-SSH-DISABLED", SSH_ON, {}),
    ("GF-SSH-FIREWALL", {**SSH_ON, "etc/nftables.conf": CLOSED % ""}, {}),
    ("GF-SSH-FIREWALL", {**FIREWALL_ON, "etc/nftables.conf": CLOSED % "tcp dport 22 accept"}, {}),
    (
        "GF-SSH-NO-HOST-KEYS",
        {**MANY, **SSH_ON, "etc/ssh/sshd_config": "", "etc/ssh/ssh_host_rsa_key": "x"},
        {},
    ),
    ("GF-SSH-NO-HOST-KEYS", {**SSH_ON, "etc/ssh/sshd_config": "Port 22\n"}, {}),
    ("GF-USER-NO-KEY", {**SSH_ON, "etc/passwd": PASSWD, "home/alice/.ssh/authorized_keys": "ssh-rsa A\n"}, {}),
    ("GF-USER-NO-KEY", {"etc/passwd": PASSWD}, {}),
    ("GF-SPACE-ROOT", {}, {"rooms": {"/": room(1, own=False)}}),
    ("GF-SPACE-BOOT", {}, {"rooms": {"/": room(GIB), "/boot": room(1, "1")}}),
]


@pytest.mark.parametrize(("code", "files", "more"), HAS_NOT, ids=ident)
def test_a_guest_without_it(tmp_path: Path, code: str, files: dict[str, object], more: dict[str, Any]) -> None:
    given = dict(more)
    default = given.pop("default", None)
    found = findings_of(tmp_path, {**files, **(grub(default) if default else {})}, **given)
    assert code not in found, found[code]


def test_boot_needs_room_for_another_initramfs(tmp_path: Path) -> None:
    files = {**kernels("6.1.0-18-amd64"), "boot/initrd.img-6.1.0-18-amd64": bytes(40 * 1024 * 1024)}
    rooms = {"/": room(GIB), "/boot": room(30 * 1024 * 1024, "2")}
    assert "40 MiB are wanted" in findings_of(tmp_path, files, rooms=rooms)["GF-SPACE-BOOT"].summary


def test_windows_wants_more_room(tmp_path: Path) -> None:
    build(tmp_path, {"Windows/System32/ntoskrnl.exe": ""})
    guest = Guest(str(tmp_path))
    guest.rooms = {"/": room(5 * GIB)}
    assert "GF-SPACE-ROOT" in [
        one.code for one in detect_all(guest, Facts(), TARGETS["kvm-virtio"], load_pack().systems)
    ]


def test_windows_11_needs_uefi() -> None:
    from guestfix.detect.limits.firmware import check

    facts = Facts()
    facts.put("os.family", "windows")
    facts.put("os.id", "windows-11")
    guest: Any = None
    assert [one.code for one in check(guest, facts, TARGETS["aws-xen"])] == ["GF-BOOT-FIRMWARE"]
    assert check(guest, facts, TARGETS["kvm-virtio"]) == []


def test_a_copy_in_a_folder_of_the_host_has_no_room_of_its_own(tmp_path: Path) -> None:
    build(tmp_path, BASE)
    space = DirectoryGuest(str(tmp_path)).space("/")
    assert space is not None and space.own is False


def test_every_code_is_documented() -> None:
    text = (Path(__file__).resolve().parents[3] / "docs/limits.md").read_text()
    for code, *_ in HAS:
        assert code in text, code


def twins(*kinds: str, **more: Any) -> Disks:
    parts = [
        Volume(f"/dev/sd{x}1", fstype=kind, label="root", uuid=f"{x}-1") for x, kind in zip("abc", kinds, strict=False)
    ]
    return Disks(tuple(Disk(one.device[:-1], partitions=(one,)) for one in parts), **more)


BY_LABEL = "LABEL=root / {} defaults 0 1\n"


@pytest.mark.parametrize(
    ("fstab", "disks", "said", "on"),
    [
        (BY_LABEL.format("reiserfs"), twins("ext4", "reiserfs"), "/dev/sdb1: of /dev/sda1, /dev/sdb1", "/dev/sdb"),
        (BY_LABEL.format("auto"), twins("ext4", "reiserfs"), "ext4 or reiserfs (/dev/sda1, /dev/sdb1 answer", ""),
        (BY_LABEL.format("auto"), twins("ext4", "reiserfs", root="/dev/sdb1"), "which holds the system", "/dev/sdb"),
        (BY_LABEL.format("auto").replace("LABEL=root", "/dev/disk/by-label/root"), twins("ext4", "reiserfs"),
         "can't be told", ""),
        (BY_LABEL.format("ext4"), twins("ext4", "reiserfs"), "", ""),
        (BY_LABEL.format("reiserfs") + "UUID=a-1 /srv auto defaults 0 2\n", twins("reiserfs", "reiserfs"),
         "/dev/sdb1: of /dev/sda1, /dev/sdb1", "/dev/sdb"),
        (BY_LABEL.format("reiserfs"), twins("reiserfs", "reiserfs"), "can't be told", ""),
    ],
)  # fmt: skip
def test_of_volumes_of_one_label_it_is_said_which_is_the_root(
    tmp_path: Path, fstab: str, disks: Disks, said: str, on: str
) -> None:
    """Before, the first of them was taken without a word."""
    found = findings_of(tmp_path, {"etc/fstab": fstab}, disks)
    told = found.get("GF-DISK-ROOT-FILESYSTEM")
    assert (said in told.summary) if told else not said
    elsewhere = found.get("GF-DISK-ROOT-DISK")
    assert (f"is on {on}," in elsewhere.summary) if elsewhere else not on
