"""Guests that are just enough of one to be recognised, after those that virt-v2v and guestfs-tools are tested with.

What each has was read from their scripts (test-data/phony-guests, 2026-08-21); everything here is written anew. They
have no loader code, and most no kernel: what a tool says of them, and whether it harms them, is what they show.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.build.windows import hive

KERNEL = "5.19.0-0.rc1.14.fc37.x86_64"
BOOT_ID, ROOT_ID = (f"01234567-0123-0123-0123-01234567890{n}" for n in (1, 2))
HALVES = ["part-init /dev/sda mbr", "part-add /dev/sda p 64 1048575", "part-add /dev/sda p 1048576 -64"]
VOLUMES = {"Root": (256, 4096), "LV1": (32, 4096), "LV2": (32, 1024), "LV3": (64, 2048)}
GRUB = f"title Fedora\n    root (hd0,0)\n    kernel /vmlinuz-{KERNEL}\n    initrd /initramfs-{KERNEL}.img\n"
RPM = f"""#!/bin/sh
[ "$1" = -ql ] || exit 1
echo /boot/vmlinuz-{KERNEL}
for part in "" /kernel /kernel/drivers /kernel/drivers/block /kernel/drivers/block/virtio_blk.ko; do
    echo "/lib/modules/{KERNEL}$part"
done
"""
WINDOWS_SYSTEM = r"""
[Select]
"Current"=dword:1
"Default"=dword:1
"Failed"=dword:0
"LastKnownGood"=dword:2
[MountedDevices]
"\\DosDevices\\C:"=hex:31,32,33,34,00,00,00,10,00,00,00,00
[ControlSet001\Services\Tcpip\Parameters]
"Hostname"="windows.invalid"
"""
WINDOWS_SOFTWARE = r"""
[Microsoft\Windows NT\CurrentVersion]
"CurrentBuild"="20348"
"CurrentBuildNumber"="20348"
"CurrentMajorVersionNumber"=dword:a
"CurrentMinorVersionNumber"=dword:0
"CurrentVersion"="6.3"
"EditionID"="ServerStandard"
"InstallationType"="Server"
"ProductName"="Windows Server 2022 Phony Edition"
"SystemRoot"="C:\\Windows"
[Microsoft\Windows\CurrentVersion\Uninstall\made-up]
"DisplayName"="Software that nobody made"
"DisplayVersion"="1.2.3"
"""
COREOS = 'NAME=CoreOS\nID=coreos\nVERSION_ID=899.13.0\nPRETTY_NAME="CoreOS 899.13.0"\n'


def fish(work: Path, disks: Sequence[tuple[str, int]], lines: Sequence[str]) -> list[Path]:
    """Make disks of so many megabytes by commands of guestfish; CalledProcessError where it fails."""
    made = [work / name for name, _ in disks]
    for path, (_, size) in zip(made, disks, strict=True):
        with open(path, "wb") as stream:
            stream.truncate(size << 20)
    words = [word for path in made for word in ("--format=raw", "-a", str(path))]
    text = "\n".join(["run", *lines]) + "\n"
    here = {"LIBGUESTFS_BACKEND": "direct", "LIBGUESTFS_BACKEND_SETTINGS": "force_tcg", **os.environ}
    done = subprocess.run(["guestfish", *words], input=text, text=True, capture_output=True, check=False, env=here)
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, "guestfish", done.stdout, done.stderr)
    return made


def package_database(work: Path) -> Path:
    """Return the database of a system that has a kernel of Fedora installed."""
    spec, folder = work / "kernel.spec", work / "rpmdb"
    version, release = KERNEL.removesuffix(".x86_64").split("-", 1)
    spec.write_text(
        f"Name: kernel\nVersion: {version}\nRelease: {release}\nSummary: A kernel in name\nLicense: none\n"
        f"%description\nIt has the files of one.\n%install\nmkdir -p %{{buildroot}}/boot\n"
        f"touch %{{buildroot}}/boot/vmlinuz-{KERNEL}\n%files\n/boot/vmlinuz-{KERNEL}\n"
    )
    top = ["--define", f"_topdir {work}/rpm", "--target", "x86_64"]
    subprocess.run(["rpmbuild", "-bb", *top, str(spec)], check=True, capture_output=True)
    package = next((work / "rpm").rglob("*.rpm"))
    place = ["--define", f"_dbpath {folder}", "--define", "_db_backend sqlite"]
    subprocess.run(["rpm", *place, "--justdb", "--nodeps", "-i", str(package)], check=True, capture_output=True)
    return folder / "rpmdb.sqlite"


def write(work: Path, name: str, text: str | bytes) -> str:
    """Return the line that puts a file into the guest."""
    kept = work / f"file{len(list(work.glob('file*')))}"
    kept.write_bytes(text.encode() if isinstance(text, str) else text)
    return f"upload {kept} {name}"


def _fedora(work: Path, fstab: str, more: Sequence[str] = ()) -> list[str]:
    shell, database = shutil.which("busybox") or "/bin/busybox", package_database(work)
    folders = ["/boot", "/bin", "/etc/sysconfig", "/sbin", "/usr/lib/rpm", "/var/lib/rpm", "/boot/grub"]
    lines = [*(f"mkdir-p {one}" for one in folders if one != "/boot" and one != "/boot/grub")]
    lines += [
        "mkdir-p /boot",
        "mount {boot} /boot",
        "mkdir-p /boot/grub",
        f"mkdir-p /lib/modules/{KERNEL}/kernel/drivers/block",
    ]
    lines += [f"upload {database} /var/lib/rpm/rpmdb.sqlite", f"upload {shell} /bin/sh", f"upload {shell} /bin/ls"]
    lines += [write(work, "/bin/rpm", RPM), write(work, "/sbin/dracut", "#!/bin/sh\nexit 0\n")]
    lines += [f"chmod 0755 {one}" for one in ("/bin/sh", "/bin/ls", "/bin/rpm", "/sbin/dracut")]
    lines += [
        write(work, "/etc/fstab", fstab),
        write(work, "/etc/fedora-release", "Fedora release 14 (Phony)"),
        write(work, "/etc/redhat-release", "Fedora release 14 (Phony)"),
        write(work, "/etc/sysconfig/network", "HOSTNAME=fedora.invalid"),
        write(work, "/usr/lib/rpm/macros", "%_dbpath /var/lib/rpm\n%_db_backend sqlite\n"),
        write(work, "/etc/shadow", "root::15440:0:99999:7:::\n"),
        write(work, "/boot/grub/grub.conf", GRUB),
        f"upload {shell} /lib/modules/{KERNEL}/kernel/drivers/block/virtio_blk.ko",
        *(f"touch {one}" for one in (f"/boot/vmlinuz-{KERNEL}", f"/boot/initramfs-{KERNEL}.img", "/etc/modprobe.conf")),
        "touch /usr/lib/rpm/rpmrc",
        *more,
    ]
    return lines


def _boot(device: str) -> list[str]:
    return [f"mkfs ext2 {device} blocksize:4096", f"set-label {device} BOOT", f"set-e2uuid {device} {BOOT_ID}"]


def _volumes(device: str) -> list[str]:
    lines = [f"pvcreate {device}", f"vgcreate VG {device}"]
    for name, (size, block) in VOLUMES.items():
        lines += [f"lvcreate {name} VG {size}", f"mkfs ext2 /dev/VG/{name} blocksize:{block}"]
    return [*lines, "set-label /dev/VG/Root ROOT", f"set-e2uuid /dev/VG/Root {ROOT_ID}", "mount /dev/VG/Root /"]


def _plain(boot: str, lines: Sequence[str]) -> list[str]:
    return [line.replace("{boot}", boot) for line in lines]


LABELS = "LABEL=BOOT /boot ext2 default 0 0\nLABEL=ROOT / ext2 default 0 0\n"


def fedora(work: Path) -> list[Path]:
    """GRUB legacy, /boot on a partition, the root on LVM, an empty initramfs."""
    lines = [*HALVES, *_boot("/dev/sda1"), *_volumes("/dev/sda2"), *_plain("/dev/sda1", _fedora(work, LABELS))]
    return fish(work, [("fedora.img", 1024)], lines)


def fedora_md(work: Path) -> list[Path]:
    """Two disks that mirror each other, LVM on the second mirror; fstab says /dev/md0, the array is called bootdev."""
    lines = [line.replace("sda", f"sd{disk}") for disk in "ab" for line in HALVES]
    lines += ['md-create bootdev "/dev/sda1 /dev/sdb1"', 'md-create rootdev "/dev/sda2 /dev/sdb2"']
    lines += [*_boot("/dev/md/bootdev"), *_volumes("/dev/md/rootdev")]
    conf = work / "mdadm.conf"
    conf.write_text("MAILADDR root\nAUTO +imsm +1.x -all\n")
    for number, name in enumerate(("bootdev", "rootdev")):
        line = f"s|^uuid: |ARRAY /dev/md{number} level=raid1 num-devices=2 UUID=|p"
        lines += [f"md-detail /dev/md/{name} | sed -n '{line}' >> {conf}"]
    more = [f"upload {conf} /etc/mdadm.conf"]
    text = LABELS.replace("LABEL=BOOT", "/dev/md0")
    lines += _plain("/dev/md/bootdev", _fedora(work, text, more))
    return fish(work, [("fedora-md1.img", 1024), ("fedora-md2.img", 1024)], lines)


def fedora_btrfs(work: Path) -> list[Path]:
    """The root and /home are subvolumes."""
    lines = [HALVES[0], "part-add /dev/sda p 64 524287", "part-add /dev/sda p 524288 -64", *_boot("/dev/sda1")]
    lines += ["mkfs-btrfs /dev/sda2 label:ROOT", "mount /dev/sda2 /", "btrfs-subvolume-create /root"]
    lines += ["btrfs-subvolume-create /home", "umount /", "mount btrfsvol:/dev/sda2/root /"]
    text = "LABEL=BOOT /boot ext2 default 0 0\n"
    text += "LABEL=ROOT / btrfs subvol=root 0 0\nLABEL=ROOT /home btrfs subvol=home 0 0\n"
    return fish(work, [("fedora-btrfs.img", 1024)], [*lines, *_plain("/dev/sda1", _fedora(work, text))])


def _packages(name: str) -> str:
    fields = ("Status: install ok installed", "Architecture: amd64", "Version: 1:0.1-1", "Description: made up")
    return "\n".join([f"Package: {name}", *fields, "", ""])


def debian_guest(work: Path) -> list[Path]:
    """Debian 5 with a volume for each of root, /usr, /var and /home, and an empty grub.conf."""
    lines = [HALVES[0], "part-add /dev/sda p 64 524287", "part-add /dev/sda p 524288 -64", *_boot("/dev/sda1")]
    lines += ["pvcreate /dev/sda2", "vgcreate debian /dev/sda2", "lvcreate root debian 64"]
    lines += [f"lvcreate {one} debian 32" for one in ("usr", "var", "home")]
    lines += [f"mkfs ext2 /dev/debian/{one} blocksize:4096" for one in ("root", "usr", "var", "home")]
    lines += ["mount /dev/debian/root /", "mkdir /boot", "mount /dev/sda1 /boot"]
    lines += [f"{verb}/{one}" for one in ("usr", "var", "home") for verb in ("mkdir ", f"mount /dev/debian/{one} ")]
    lines += ["mkdir /bin", "mkdir /etc", "mkdir-p /var/lib/dpkg", "mkdir /boot/grub", "touch /boot/grub/grub.conf"]
    text = "LABEL=BOOT /boot ext2 default 0 0\n/dev/debian/root / ext2 default 0 0\n" + "".join(
        f"/dev/debian/{one} /{one} ext2 default 1 2\n" for one in ("usr", "var", "home")
    )
    lines += [write(work, "/etc/fstab", text), write(work, "/etc/debian_version", "5.0.1")]
    lines += [write(work, "/var/lib/dpkg/status", _packages("made-up")), f"upload {shutil.which('busybox')} /bin/ls"]
    return fish(work, [("debian.img", 512)], lines)


def ubuntu(work: Path) -> list[Path]:
    """Ubuntu 10.10 on /dev/sda2, with a swap area of crypttab that is not there."""
    lines = [HALVES[0], "part-add /dev/sda p 64 524287", "part-add /dev/sda p 524288 -64", *_boot("/dev/sda1")]
    lines += ["mkfs ext2 /dev/sda2 blocksize:4096", f"set-e2uuid /dev/sda2 {ROOT_ID}", "mount /dev/sda2 /"]
    lines += ["mkdir /boot", "mount /dev/sda1 /boot", *(f"mkdir {one}" for one in ("/bin", "/etc", "/home", "/usr"))]
    lines += ["mkdir-p /var/lib/dpkg", "mkdir /boot/grub"]
    text = (
        "LABEL=BOOT /boot ext2 default 0 0\n/dev/sda2 / ext2 default 1 2\n\n/dev/mapper/cryptswap1 none swap sw 0 0\n"
    )
    release = "DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=10.10\nDISTRIB_CODENAME=maverick\n"
    lines += [write(work, "/etc/fstab", text), write(work, "/etc/lsb-release", release), "touch /boot/grub/grub.conf"]
    lines += [write(work, "/etc/debian_version", "5.0.1"), write(work, "/var/lib/dpkg/status", _packages("made-up"))]
    return fish(work, [("ubuntu.img", 512)], [*lines, f"upload {shutil.which('busybox')} /bin/ls"])


def archlinux(work: Path) -> list[Path]:
    """One partition, named by its device."""
    lines = [HALVES[0], "part-add /dev/sda p 64 -64", "mkfs ext4 /dev/sda1 blocksize:4096", "mount /dev/sda1 /"]
    lines += [
        "mkdir-p /boot/grub",
        "mkdir /bin",
        "mkdir /etc",
        "mkdir /home",
        "mkdir /usr",
        "mkdir-p /var/lib/pacman/local/made-up-1:0.1-1",
    ]
    lines += [write(work, "/etc/fstab", "/dev/sda1 / ext4 rw,relatime,data=ordered 0 1"), "touch /etc/arch-release"]
    lines += ["touch /boot/grub/grub.conf", f"upload {shutil.which('busybox')} /bin/ls"]
    return fish(work, [("archlinux.img", 512)], lines)


def coreos(work: Path) -> list[Path]:
    """Container Linux: /usr on a partition of its own, os-release there alone, no fstab, no kernel."""
    ends = ["4096 266239", "266240 270335", "270336 532479", "532480 794623", "794624 -4096"]
    lines = ["part-init /dev/sda gpt", *(f"part-add /dev/sda p {one}" for one in ends)]
    names = ["EFI_SYSTEM", "BIOS-BOOT", "USR-A", "USR-B", "ROOT"]
    lines += [f"part-set-name /dev/sda {n} {name}" for n, name in enumerate(names, 1)]
    lines += ["mkfs fat /dev/sda1", "mkfs ext4 /dev/sda3", "set-label /dev/sda3 USR-A", "mkfs ext4 /dev/sda5"]
    lines += [
        "set-label /dev/sda5 ROOT",
        "mount /dev/sda5 /",
        "mkdir-p /etc/coreos",
        "mkdir /usr",
        "mount /dev/sda3 /usr",
    ]
    lines += [
        "mkdir /usr/bin",
        "mkdir /usr/lib64",
        "mkdir-p /usr/share/coreos",
        "ln-s usr/bin /bin",
        "ln-s usr/lib64 /lib64",
    ]
    lines += ["ln-s lib64 /lib", "ln-s lib64 /usr/lib", write(work, "/usr/lib/os-release", COREOS)]
    lines += ["ln-s ../usr/lib/os-release /etc/os-release", write(work, "/etc/coreos/update.conf", "GROUP=stable\n")]
    return fish(work, [("coreos.img", 512)], lines)


def windows(work: Path) -> list[Path]:
    """Windows Server 2022 of two small hives: no loader, no driver, no service but the name of the machine."""
    lines = [
        "part-init /dev/sda gpt",
        "part-add /dev/sda p 64 524287",
        "part-add /dev/sda p 524288 -64",
        "mkfs vfat /dev/sda1",
    ]
    lines += [
        "part-set-gpt-type /dev/sda 1 21686148-6449-6E6F-744E-656564454649",
        "mkfs ntfs /dev/sda2",
        "mount /dev/sda2 /",
    ]
    lines += ["mkdir-p /Windows/System32/Config", "mkdir-p /Windows/System32/Drivers", "mkdir-p /Windows/TEMP"]
    lines += [write(work, "/Windows/System32/Config/SYSTEM", hive(WINDOWS_SYSTEM, "SYSTEM"))]
    lines += [write(work, "/Windows/System32/Config/SOFTWARE", hive(WINDOWS_SOFTWARE, "SOFTWARE"))]
    lines += [write(work, "/Windows/System32/cmd.exe", _program()), 'mkdir "/Program Files"', "touch /autoexec.bat"]
    return fish(work, [("windows.img", 512)], lines)


def _program() -> bytes:
    """Return the head of a program for 64-bit Windows, of which inspection reads the processor."""
    head = bytearray(0x400)
    head[:2], head[0x3C:0x40] = b"MZ", (0x80).to_bytes(4, "little")
    head[0x80:0x86] = b"PE\0\0" + (0x8664).to_bytes(2, "little")
    head[0x94:0x98] = (0xF0).to_bytes(2, "little") + (0x22).to_bytes(2, "little")  # an optional header follows; runs
    head[0x98:0x9A], head[0xDC:0xDE] = (0x20B).to_bytes(2, "little"), (3).to_bytes(2, "little")  # PE32+, on a console
    return bytes(head)


GUESTS: dict[str, Callable[[Path], list[Path]]] = {
    "fedora": fedora,
    "fedora-md": fedora_md,
    "fedora-btrfs": fedora_btrfs,
    "debian": debian_guest,
    "ubuntu": ubuntu,
    "archlinux": archlinux,
    "coreos": coreos,
    "windows": windows,
}
