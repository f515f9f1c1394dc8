from __future__ import annotations

import struct
from pathlib import Path

from guestfix.backends.directory import open_directory
from guestfix.base.facts import Facts, Finding, Unknown
from guestfix.detect.boot import loaders as boot
from guestfix.detect.storage import disks, fstab
from guestfix.detect.system.os import put_system
from guestfix.formats.boot import grubenv
from guestfix.pack.model import Target
from tests.build import menus as samples
from tests.build.facts import told
from tests.build.systems import SYSTEMS
from tests.build.tree import build

MID = "dfac0af9ab37411fb113ce430dd79e9e"
OLD, NEW = "4.18.0-80.el8.x86_64", "4.18.0-240.el8.x86_64"


def detect(
    tmp_path: Path, files: dict[str, object], os_id: str = "debian", firmware: tuple[str, ...] = ("bios", "uefi")
) -> tuple[Facts, list[Finding]]:
    guest = open_directory(str(build(tmp_path, {"etc/os-release": f"ID={os_id}\n", **files})))
    facts, target = Facts(), Target("t", "T", firmware=firmware)
    facts.put("os.family", "linux")
    facts.put("os.id", os_id)
    put_system(facts, SYSTEMS)
    disks.detect(guest, facts, target)
    fstab.detect(guest, facts, target)
    return facts, boot.detect(guest, facts, target)


def codes(findings: list[Finding]) -> list[str]:
    return [one.code for one in findings]


def rhel8(saved: str, **more: object) -> dict[str, object]:
    env = {"saved_entry": saved, "kernelopts": "root=/dev/mapper/rhel-root ro quiet ", "boot_success": "0"}
    return {
        "boot/grub2/grub.cfg": samples.RHEL8,
        "boot/grub2/i386-pc/core.img": b"\0",
        "boot/grub2/grubenv": grubenv.create(env),
        f"boot/loader/entries/{MID}-{OLD}.conf": samples.bls(OLD),
        f"boot/loader/entries/{MID}-{NEW}.conf": samples.bls(NEW),
        f"boot/loader/entries/{MID}-0-rescue.conf": samples.bls(f"0-rescue-{MID}", "$kernelopts"),
        **more,
    }


def test_debian_entries_default_and_evidence(tmp_path: Path) -> None:
    versions = ("6.1.0-18-amd64", "6.1.0-9-amd64")
    facts, findings = detect(
        tmp_path,
        {
            "boot/grub/grub.cfg": samples.debian(versions=versions),
            "boot/grub/i386-pc/core.img": b"",
            "boot/vmlinuz-6.1.0-18-amd64": b"",
            "boot/grub/grubenv": grubenv.create({}),
        },
    )
    assert findings == []
    assert facts.value("boot.loaders") == ["grub2"]
    assert facts.value("boot.firmware") == "bios"
    entries = told(facts, "boot.entries")
    assert [one["kernel"] for one in entries] == [
        "/boot/vmlinuz-6.1.0-18-amd64",
        "/boot/vmlinuz-6.1.0-18-amd64",
        "/boot/vmlinuz-6.1.0-18-amd64",
        "/boot/vmlinuz-6.1.0-9-amd64",
        "/boot/vmlinuz-6.1.0-9-amd64",
    ]
    default = told(facts, "boot.default")
    assert default["id"] == f"gnulinux-simple-{samples.UUID}"
    assert default["args"] == ["root=/dev/sda2", "ro", "quiet"]
    assert default["initrd"] == ["/boot/initrd.img-6.1.0-18-amd64"]
    line = samples.debian(versions=versions).splitlines()[default["line"] - 1]
    assert line.strip().startswith("linux\t/boot/vmlinuz-6.1.0-18")
    assert facts.value("boot.fallback", "missing") is None
    assert facts.value("boot.env_block") == "/boot/grub/grubenv"


def test_default_by_submenu_path_number_and_title(tmp_path: Path) -> None:
    versions = ("6.1.0-18-amd64", "6.1.0-9-amd64")
    advanced = f"gnulinux-advanced-{samples.UUID}"
    for at, (choice, wanted) in enumerate(
        (
            (
                f"{advanced}>gnulinux-6.1.0-9-amd64-advanced-{samples.UUID}",
                f"{advanced}>gnulinux-6.1.0-9-amd64-advanced-",
            ),
            ("1>3", f"{advanced}>gnulinux-6.1.0-9-amd64-recovery-"),
            ("1", f"{advanced}>gnulinux-6.1.0-18-amd64-advanced-"),
            ("Debian GNU/Linux", "gnulinux-simple-"),
            ("no such entry", "gnulinux-simple-"),
        )
    ):
        facts, findings = detect(tmp_path / str(at), {"boot/grub/grub.cfg": samples.debian(choice, versions=versions)})
        assert told(facts, "boot.default")["id"].startswith(wanted), choice
        assert codes(findings) == (["GF-BOOT-DEFAULT-LOST"] if choice == "no such entry" else [])


def test_next_entry_and_saved_entry(tmp_path: Path) -> None:
    wanted = f"gnulinux-advanced-{samples.UUID}>gnulinux-6.1.0-9-amd64-advanced-{samples.UUID}"
    for at, env in enumerate(({"saved_entry": wanted}, {"next_entry": wanted, "saved_entry": "0"})):
        facts, _ = detect(
            tmp_path / str(at),
            {
                "boot/grub/grub.cfg": samples.debian("${saved_entry}", versions=("6.1.0-18-amd64", "6.1.0-9-amd64")),
                "boot/grub/grubenv": grubenv.create(env),
            },
        )
        assert told(facts, "boot.default")["id"] == wanted


def test_bls_entries_sorted_and_expanded(tmp_path: Path) -> None:
    facts, findings = detect(tmp_path, rhel8(f"{MID}-{OLD}"), "rhel")
    assert findings == []
    assert facts.value("boot.loaders") == ["grub2", "bls"]
    assert [one["id"] for one in told(facts, "boot.entries")] == [f"{MID}-{NEW}", f"{MID}-{OLD}", f"{MID}-0-rescue"]
    default = told(facts, "boot.default")
    assert default["id"] == f"{MID}-{OLD}"
    assert default["args"] == ["root=/dev/mapper/rhel-root", "ro", "quiet"]
    assert default["initrd"] == [f"/boot/initramfs-{OLD}.img"]
    assert (default["path"], default["line"]) == (f"/boot/loader/entries/{MID}-{OLD}.conf", 3)
    forms = {one["form"] for one in told(facts, "boot.sources")}
    assert forms == {"grubcfg", "bls", "grubenv"}


def test_bls_default_that_names_no_entry(tmp_path: Path) -> None:
    facts, findings = detect(tmp_path, rhel8("cafe-4.18.0-1.el8.x86_64"), "rhel")
    assert codes(findings) == ["GF-BOOT-DEFAULT-LOST"]
    assert told(facts, "boot.default")["id"] == f"{MID}-{NEW}"
    assert facts.value("boot.choice") == "cafe-4.18.0-1.el8.x86_64"


def test_efi_wrapper_leads_to_the_real_file(tmp_path: Path) -> None:
    facts, findings = detect(
        tmp_path,
        rhel8(
            f"{MID}-{NEW}",
            **{
                "boot/efi/EFI/redhat/grub.cfg": samples.WRAPPER,
                "boot/efi/EFI/redhat/shimx64.efi": b"MZ",
                "boot/efi/EFI/redhat/grubx64.efi": b"MZ",
                "etc/fstab": "UUID=AB-CD /boot/efi vfat umask=0077 0 2\n",
            },
        ),
        "rhel",
    )
    assert findings == []
    assert facts.value("boot.firmware") == "uefi"
    assert facts.value("boot.firmwares") == ["bios", "uefi"]
    assert facts.value("boot.wrapper") == "/boot/efi/EFI/redhat/grub.cfg"
    used = [one["path"] for one in told(facts, "boot.configs") if one["used"]]
    assert used == ["/boot/grub2/grub.cfg"]
    assert told(facts, "boot.default")["id"] == f"{MID}-{NEW}"


def test_target_firmware_decides_between_two(tmp_path: Path) -> None:
    files = {
        "boot/grub/grub.cfg": samples.debian(),
        "boot/grub/i386-pc/core.img": b"",
        "boot/efi/EFI/debian/grub.cfg": samples.DEBIAN_WRAPPER,
        "boot/efi/EFI/debian/grubx64.efi": b"MZ",
    }
    facts, _ = detect(tmp_path / "a", files, firmware=("bios",))
    assert facts.value("boot.firmware") == "bios"
    facts, _ = detect(tmp_path / "b", files, firmware=("uefi",))
    assert facts.value("boot.firmware") == "uefi"
    assert told(facts, "boot.default")["kernel"] == "/boot/vmlinuz-6.1.0-18-amd64"


def test_grub_legacy_default_fallback(tmp_path: Path) -> None:
    files: dict[str, object] = {
        "boot/grub/grub.conf": samples.GRUB_CONF,
        "boot/grub/menu.lst": ("link", "./grub.conf"),
        "boot/grub/stage2": b"",
        "boot/grub/device.map": "(hd0) /dev/sda\n",
    }
    facts, findings = detect(tmp_path, files, "centos")
    assert findings == []
    assert facts.value("boot.loaders") == ["grub-legacy"]
    assert told(facts, "boot.default")["kernel"] == "/boot/vmlinuz-2.6.32-642.el6.x86_64"
    assert told(facts, "boot.default")["line"] == 14
    assert told(facts, "boot.fallback")["kernel"] == "/boot/vmlinuz-2.6.32-642.1.1.el6.x86_64"
    assert [one["path"] for one in told(facts, "boot.configs")] == ["/boot/grub/grub.conf"]


def test_several_configurations(tmp_path: Path) -> None:
    files = {
        "boot/grub2/grub.cfg": samples.debian(),
        "boot/grub2/i386-pc/core.img": b"",
        "boot/grub/menu.lst": samples.GRUB_CONF,
    }
    facts, findings = detect(tmp_path, files, "opensuse")
    assert codes(findings) == ["GF-BOOT-SEVERAL-CONFIGS"]
    assert [one.path for one in findings[0].evidence] == ["/boot/grub2/grub.cfg", "/boot/grub/menu.lst"]
    assert told(facts, "boot.default")["path"] == "/boot/grub2/grub.cfg"


def test_systemd_boot(tmp_path: Path) -> None:
    initrds = "initrd /amd-ucode.img\ninitrd /initramfs-linux.img\n"
    entry = f"title Arch\nlinux /vmlinuz-linux\n{initrds}options root=/dev/sda2 rw\n"
    files = {
        "boot/EFI/systemd/systemd-bootx64.efi": b"MZ",
        "boot/loader/loader.conf": "default arch.conf\ntimeout 3\n",
        "boot/loader/entries/arch.conf": entry,
        "boot/loader/entries/zen.conf": entry.replace("Arch", "Zen"),
        "boot/EFI/Linux/arch.efi": b"MZ",
    }
    facts, findings = detect(tmp_path, files, "arch")
    assert codes(findings) == ["GF-BOOT-UKI"]
    assert facts.value("boot.loaders") == ["systemd-boot", "uki"]
    default = told(facts, "boot.default")
    assert default["id"] == "arch"
    assert default["initrd"] == ["/boot/amd-ucode.img", "/boot/initramfs-linux.img"]


def test_extlinux(tmp_path: Path) -> None:
    text = (
        "DEFAULT l0\nLABEL l1\n  LINUX ../vmlinuz-1\n  APPEND initrd=../initrd-1 root=/dev/sda1\n"
        "LABEL l0\n\tMENU LABEL ^Linux\n\tKERNEL /boot/vmlinuz-2\n\tINITRD /boot/initrd-2\n\tAPPEND root=/dev/sda1 ro\n"
    )
    facts, findings = detect(tmp_path, {"boot/extlinux/extlinux.conf": text}, "alpine")
    assert findings == []
    assert told(facts, "boot.default")["kernel"] == "/boot/vmlinuz-2"
    first = told(facts, "boot.entries")[0]
    assert (first["kernel"], first["initrd"], first["args"]) == (
        "/boot/vmlinuz-1",
        ["/boot/initrd-1"],
        ["root=/dev/sda1"],
    )


def test_nothing_to_see(tmp_path: Path) -> None:
    facts, findings = detect(tmp_path, {"boot/vmlinuz": b""})
    assert codes(findings) == ["GF-BOOT-NO-CONFIG"]
    assert isinstance(facts["boot.default"].value, Unknown)
    assert told(facts, "boot.entries") == []


def test_btrfs_subvolume_path(tmp_path: Path) -> None:
    text = samples.debian().replace("/boot/vmlinuz", "/@/boot/vmlinuz").replace("/boot/initrd", "/@/boot/initrd")
    facts, _ = detect(tmp_path, {"boot/grub2/grub.cfg": text}, "sles")
    assert told(facts, "boot.default")["kernel"] == "/boot/vmlinuz-6.1.0-18-amd64"


def test_entries_named_after_another_machine(tmp_path: Path) -> None:
    other = "0123456789abcdef0123456789abcdef"
    _, findings = detect(tmp_path / "a", rhel8(f"{MID}-{NEW}", **{"etc/machine-id": other + "\n"}), "rhel")
    assert codes(findings) == ["GF-BOOT-MACHINE-ID"]
    assert len(findings[0].evidence) == 3
    for at, text in enumerate((MID, "", "uninitialized")):
        assert detect(tmp_path / str(at), rhel8(f"{MID}-{NEW}", **{"etc/machine-id": text + "\n"}), "rhel")[1] == []


def image(sections: dict[str, bytes]) -> bytes:
    """Return a PE file with these sections, as ukify would make one."""
    head = bytearray(b"MZ" + bytes(62) + b"PE\0\0" + struct.pack("<HH12xHH", 0x8664, len(sections), 240, 0x22))
    struct.pack_into("<I", head, 0x3C, 64)
    head += struct.pack("<H", 0x20B) + bytes(238)
    at, body = 1024, b""
    for name, data in sections.items():
        head += struct.pack("<8sIIII16x", name.encode(), len(data), 0, len(data), at + len(body))
        body += data
    return bytes(head).ljust(at, b"\0") + body


def test_unified_kernel_images_are_entries(tmp_path: Path) -> None:
    osrel = b'NAME=Arch\nPRETTY_NAME="Arch Linux"\n'
    files = {
        "efi/EFI/systemd/systemd-bootx64.efi": b"MZ",
        "efi/EFI/Linux/arch-6.6.efi": image({".osrel": osrel, ".cmdline": b"root=/dev/sda2 rw\0", ".linux": b"k"}),
        "efi/EFI/Linux/arch-6.5.efi": image({".osrel": osrel, ".cmdline": b"root=UUID=x rw"}),
        "efi/EFI/Linux/broken.efi": b"MZ" + b"\xff" * 90,
        "efi/loader/loader.conf": "default arch-6.5*\n",
    }
    facts, findings = detect(tmp_path, files, "arch")
    assert codes(findings) == ["GF-BOOT-UKI"]
    assert [one["title"] for one in told(facts, "boot.entries")] == ["broken.efi", "Arch Linux", "Arch Linux"]
    default = told(facts, "boot.default")
    assert (default["loader"], default["kernel"]) == ("uki", "/efi/EFI/Linux/arch-6.5.efi")
    assert default["args"] == ["root=UUID=x", "rw"]
