"""The guest of the disk image matrix: one real Debian 12, put on any stack of filesystem, LVM and RAID.

The disks are made inside User-mode Linux, so what reads them later had no hand in making them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from guestfix.base.guest import Disk, Disks, Volume
from guestfix.base.record import replace
from tests.build import debian
from tests.build.images import run
from tests.build.uml import COPY, DM, LVM, MD, blank, build
from tests.e2e import vm

INCLUDE = (
    "linux-image-amd64,initramfs-tools,systemd-sysv,udev,kmod,ifupdown,isc-dhcp-client,openssh-server,"
    "lvm2,mdadm,xfsprogs,btrfs-progs,jfsutils"
)
SPARE = (
    *(f"usr/share/{name}/*" for name in ("doc", "locale", "man", "info")),
    *("var/cache/apt/*", "var/lib/apt/lists/*", "var/log/*", "boot/initrd*", "dev/*"),
    *(f"*lib/modules/*/kernel/{name}" for name in ("sound", "drivers/gpu", "drivers/media", "drivers/infiniband")),
    *(f"*lib/modules/*/kernel/drivers/{name}" for name in ("net/wireless", "staging", "iio", "isdn", "usb")),
)
"""What nobody plans or boots with and only makes the disks slow to build."""

MODULES = "ata_piix\nsd_mod\next4\nxfs\njfs\nbtrfs\ndm_mod\nraid1\nvfat\n"
"""What the guest's initramfs holds: an old IDE machine's drivers, none of the target's."""

ROOT = "6b1f1a52-8d0b-4f6e-9a57-0d6f6a1a0010"
BOOT = "6b1f1a52-8d0b-4f6e-9a57-0d6f6a1a0011"
USR = "6b1f1a52-8d0b-4f6e-9a57-0d6f6a1a0012"
VAR = "6b1f1a52-8d0b-4f6e-9a57-0d6f6a1a0013"
SWAP = "6b1f1a52-8d0b-4f6e-9a57-0d6f6a1a0014"
ARRAY = "6b1f1a52:8d0b4f6e:9a570d6f:6a1a0015"
ESP, ESP2 = "0AB1-0AB1", "0AB2-0AB2"

SMALL, LARGE = 16, 900
"""MiB of a swap area, and of a root filesystem: more than 250 MiB of it stay free, as guestfix asks for."""


@dataclass
class Layout:
    """How the guest lies on its disks. ``root`` names the root volume in the guest's own words."""

    name: str
    root: str
    lines: list[str]
    parts: list[list[tuple[str, int]]]
    commands: list[str]
    volumes: list[Volume] = field(default_factory=list)
    release: list[str] = field(default_factory=list)


def debian_tar() -> Path:
    """Return a tar of the root without its spare parts, with an initramfs for an IDE machine made by its own tools."""
    plain = debian.debootstrap(include=INCLUDE)
    tar = plain.with_name(plain.name.replace(".tar", "-image.tar"))
    if tar.exists():
        return tar
    work = tar.with_suffix(".work")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    vm.run("tar", "-C", work, "--xattrs", "-xpf", plain, *(f"--exclude=./{name}" for name in SPARE))
    release = vm.kernel_of(work)
    conf = work / "etc/initramfs-tools/initramfs.conf"
    conf.write_text(conf.read_text().replace("MODULES=most", "MODULES=list"))
    (work / "etc/initramfs-tools/modules").write_text(MODULES)
    vm.run("chroot", work, "depmod", release)
    vm.run("chroot", work, "mkinitramfs", "-o", f"/boot/initrd.img-{release}", release)
    (work / "etc/hostname").write_text("debian\n")
    vm.run("tar", "-C", work, "--xattrs", "-cf", f"{tar}.new", ".")
    os.replace(f"{tar}.new", tar)
    shutil.rmtree(work)
    return tar


def layout(name: str, firmware: str) -> Layout:
    """Return a layout by name: a filesystem, ``lvm`` or ``md``; with an EFI system partition for ``uefi``."""
    uefi = firmware == "uefi"
    first, offset = ([("esp", 40)], 1) if uefi else ([], 0)
    esp = [f"UUID={ESP} /boot/efi vfat umask=0077 0 1"] if uefi else []
    gone = ["/dev/sdd9 /srv/gone ext4 defaults 0 2", "//nas/pub /srv/pub cifs guest,_netdev 0 0"]
    if name == "lvm":
        return _lvm(first, offset, [*esp, *gone])
    if name == "md":
        return _md(first, offset, [*esp, *gone])
    root = f"/dev/sda{offset + 2}"
    parts = [[*first, ("swap", SMALL), (name, LARGE)]]
    device = f"/dev/ubda{offset + 2}"
    commands = [f"mkswap -q -U {SWAP} /dev/ubda{offset + 1}", *_make(name, device, ROOT, "the root")]
    mount = f"mount {device} /run/mnt"
    option = "defaults"
    if name == "btrfs":
        option = "subvol=@"
        commands += [mount, "cd /run/mnt && for one in @ @home @var; do btrfs -q subvolume create $one; done"]
        commands += ["umount /run/mnt", f"mount -o subvol=@ {device} /run/mnt", "mkdir /run/mnt/home /run/mnt/var"]
        commands += [f"mount -o subvol=@{one} {device} /run/mnt/{one}" for one in ("home", "var")]
        gone += [f"{root} /{one} btrfs subvol=@{one} 0 0" for one in ("home", "var")]
    else:
        commands += [mount]
    lines = [f"{root} / {name} {option} 0 1", f"/dev/sda{offset + 1} none swap sw 0 0", *esp, *gone]
    release = ["umount /run/mnt"]
    if name == "btrfs":
        release = ["umount /run/mnt/home /run/mnt/var /run/mnt", f"mount -o subvolid=5 {device} /run/mnt"]
        release += ["mkdir /run/mnt/.snapshots", "btrfs -q subvolume snapshot -r /run/mnt/@ /run/mnt/.snapshots/1"]
        release += ["umount /run/mnt"]
    return Layout(name, root, lines, parts, commands, release=release)


def _make(kind: str, device: str, uuid: str, label: str = "") -> list[str]:
    if kind == "jfs":
        return [f"mkfs.jfs -q {f'-L {label!r}' if label else ''} {device}", f"jfs_tune -U {uuid} {device}"]
    option = f"-m uuid={uuid}" if kind == "xfs" else f"-U {uuid}"
    return [f"mkfs.{kind} -q {option} {f'-L {label!r}' if label else ''} {device}"]


def _lvm(first: list[tuple[str, int]], offset: int, more: list[str]) -> Layout:
    """/boot on a partition; /, /usr and /var in a volume group over a partition and a whole disk."""
    boot, pv = f"/dev/ubda{offset + 1}", f"/dev/ubda{offset + 2}"
    commands = [*_make("ext4", boot, BOOT), f"lvm pvcreate {LVM} {pv} /dev/ubdb"]
    commands += [f"lvm vgcreate {LVM} vg-x {pv} /dev/ubdb"]
    sizes = {"root": 560, "usr": 560, "var": 320}
    commands += [f"lvm lvcreate {LVM} -Zn -Wn -L {size}M -n {name} vg-x" for name, size in sizes.items()]
    made = {"root": ("ext4", ROOT), "usr": ("ext4", USR), "var": ("xfs", VAR)}
    for name, (kind, uuid) in made.items():
        commands += _make(kind, f"/dev/mapper/vg--x-{name}", uuid)
    commands += ["mount /dev/mapper/vg--x-root /run/mnt", "mkdir /run/mnt/boot /run/mnt/usr /run/mnt/var"]
    commands += [f"mount /dev/mapper/vg--x-{name} /run/mnt/{name}" for name in ("usr", "var")]
    commands += [f"mount {boot} /run/mnt/boot"]
    lines = ["/dev/mapper/vg--x-root / ext4 defaults 0 1", f"/dev/sda{offset + 1} /boot ext4 defaults 0 2"]
    lines += ["/dev/vg-x/usr /usr ext4 defaults 0 2", "/dev/mapper/vg--x-var /var xfs defaults 0 2"]
    volumes = [
        Volume(f"/dev/mapper/vg--x-{name}", (f"/dev/vg-x/{name}",), *made[name], size=size << 20)
        for name, size in sizes.items()
    ]
    parts = [[*first, ("ext4", 140), ("pv", 760)], [("pv", 760)]]
    release = ["umount /run/mnt/boot /run/mnt/usr /run/mnt/var /run/mnt", f"lvm vgchange {LVM} -an"]
    return Layout("lvm", "/dev/mapper/vg--x-root", lines + more, parts, commands, volumes, release)


MD_SIZE = "blockdev --getsize64 /dev/md0"


def _md(first: list[tuple[str, int]], offset: int, more: list[str]) -> Layout:
    """A RAID 1 over a partition of each of two disks; each has an EFI system partition, as admins do it."""
    members = f"/dev/ubda{offset + 1} /dev/ubdb{offset + 1}"
    commands = [
        f"mdadm --create /dev/md0 --run --level=1 --raid-devices=2 --metadata=1.2 --uuid={ARRAY} --homehost=debian "
        f"--name=0 --assume-clean {members}",
        *_make("ext4", "/dev/md0", ROOT, "the root"), "mount /dev/md0 /run/mnt", MD_SIZE,
    ]  # fmt: skip
    names = ("/dev/md/0", "/dev/md/debian:0", "/dev/disk/by-id/md-name-debian:0")
    volume = Volume("/dev/md0", names, "ext4", ROOT, "the root")
    parts = [[*first, ("md", LARGE)], [*(("esp2", size) for _, size in first), ("md", LARGE)]]
    lines = ["/dev/md0 / ext4 defaults 0 1", *more]
    return Layout("md", "/dev/md0", lines, parts, commands, [volume], ["umount /run/mnt", "mdadm --stop /dev/md0"])


# the tree


def make_tree(root: Path, plan: Layout, firmware: str) -> None:
    """Write the guest's files for a layout into an unpacked Debian root."""
    release = vm.kernel_of(root)
    (root / "etc/fstab").write_text("\n".join(["# <file system> <mount point>", *plan.lines, ""]))
    (root / "etc/default/grub").write_text('GRUB_DEFAULT=0\nGRUB_TIMEOUT=5\nGRUB_CMDLINE_LINUX="quiet"\n')
    (root / "etc/mdadm/mdadm.conf").write_text(f"ARRAY /dev/md/0 metadata=1.2 UUID={ARRAY} name=debian:0\n")
    nic = "auto lo ens192\niface lo inet loopback\niface ens192 inet static\n\taddress 192.0.2.7/24\n"
    (root / "etc/network/interfaces").write_text(nic)
    for name in ("srv/gone", "srv/pub", "boot/grub", "boot/efi"):
        (root / name).mkdir(exist_ok=True)
    args = "rootflags=subvol=@" if plan.name == "btrfs" else ""
    text = vm.grub_cfg(release, plan.root, args)
    if plan.name in ("lvm", "btrfs"):
        prefix = "" if plan.name == "lvm" else "/@/boot"
        text = text.replace("\t/boot/", f"\t{prefix}/")
    if plan.name == "lvm":
        text = text.replace(vm.ROOT_UUID, BOOT)
    (root / "boot/grub/grub.cfg").write_text(text.replace(vm.ROOT_UUID, ROOT))
    if firmware == "uefi":
        folder = root / "boot/efi/EFI/debian"
        folder.mkdir(parents=True)
        text = f"search.fs_uuid {ROOT} root\nset prefix=($root)'/boot/grub'\nconfigfile $prefix/grub.cfg\n"
        for name, data in {**vm.signed_loaders(), "grub.cfg": text.encode()}.items():
            (folder / name).write_bytes(data)
            os.chmod(folder / name, 0o755)  # as every file on FAT is shown
    _attributes(root)


CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")
LABEL = b"system_u:object_r:etc_t:s0\0"


def _attributes(root: Path) -> None:
    """Give the files that apply changes, and one that it doesn't, owners, modes and attributes of every kind."""
    for path in ("etc/fstab", "boot/grub/grub.cfg", "etc/default/grub", "etc/network/interfaces", "usr/bin/true"):
        place = root / path
        os.chown(place, 12, 34)
        os.chmod(place, 0o640)
        os.setxattr(place, "security.selinux", LABEL)
        os.setxattr(place, "user.note", b"kept\0\xff bytes")
        os.setxattr(place, "security.capability", CAPABILITY)
        run("setfacl", "-m", "u:56:rw,g:78:r", place)


# the disks


@dataclass
class Built:
    """The guest's raw disks, its tree, and its disks as they must be seen."""

    paths: list[Path]
    tree: Path
    layout: Layout
    disks: Disks


def build_guest(name: str, firmware: str, folder: Path) -> Built:
    """Make the guest on its disks, below folder."""
    needed = {"lvm": ["lvm"], "md": ["mdadm"], "xfs": ["mkfs.xfs"], "jfs": ["mkfs.jfs", "jfs_tune"]}
    vm.need("setfacl", "sfdisk", *needed.get(name, [f"mkfs.{name}"]))
    plan = layout(name, firmware)
    tree = debian.unpack(debian_tar(), folder / "tree")
    make_tree(tree, plan, firmware)
    paths = [blank(folder / f"{name}-{index}.raw", 4 + sum(size for _, size in parts))
             for index, parts in enumerate(plan.parts)]  # fmt: skip
    for path, parts in zip(paths, plan.parts, strict=True):
        if [kind for kind, _ in parts] != ["pv"]:
            run("sfdisk", "-q", path, stdin=_table(parts, firmware))
    efi = ["mkdir -p /run/mnt/boot/efi"]
    if firmware == "uefi":
        made = [("ubda1", ESP), *([("ubdb1", ESP2)] if name == "md" else [])]
        efi += [f"mkfs.vfat -F 32 -n ESP -i {uuid.replace('-', '')} /dev/{device}" for device, uuid in made]
        efi += ["mount /dev/ubda1 /run/mnt/boot/efi", "cp -r /run/mnt/EFI /run/mnt/boot/efi/"]
        efi += ["rm -r /run/mnt/EFI", "umount /run/mnt/boot/efi"]
        shutil.copytree(tree / "boot/efi/EFI", folder / "EFI")
        shutil.rmtree(tree / "boot/efi/EFI")
        (folder / "EFI").rename(tree / "EFI")
    said = build(paths, [*plan.commands, COPY, *efi, *plan.release], tree, (*DM, *MD, "nls-iso8859-1"))
    if name == "md":
        plan.volumes[0] = replace(plan.volumes[0], size=int(said.partition(f"{MD_SIZE} -> 0 ")[2].split()[0]))
    if firmware == "uefi":
        (tree / "EFI").rename(tree / "boot/efi/EFI")
    else:
        vm.install_grub(paths[0], folder, "(hd0,msdos1)/grub")  # what it finds there is not looked at, only that it is
    return Built(paths, tree, plan, _disks(paths, plan, firmware))


TYPES = {"esp": "uefi", "esp2": "uefi", "swap": "swap", "pv": "lvm", "md": "raid"}


def _table(parts: list[tuple[str, int]], firmware: str) -> str:
    start, rows = 1, [f"label: {'gpt' if firmware == 'uefi' else 'dos'}"]
    for kind, size in parts:
        name = f', name="the {kind}"' if firmware == "uefi" else ""
        rows.append(f"start={start}MiB, size={size}MiB, type={TYPES.get(kind, 'linux')}{name}")
        start += size
    return "\n".join(rows) + "\n"


def _disks(paths: list[Path], plan: Layout, firmware: str) -> Disks:
    """Return what must be seen of the disks, by what they were made with and by sfdisk and blkid of this host."""
    found, volumes = [], []
    for index, (path, parts) in enumerate(zip(paths, plan.parts, strict=True)):
        device, size = f"/dev/sd{'abc'[index]}", path.stat().st_size
        if [kind for kind, _ in parts] == ["pv"]:
            found.append(Disk(device, size))
            volumes.append(_volume(path, device, 0, size))
            continue
        table = json.loads(run("sfdisk", "--json", path))["partitiontable"]
        rows = []
        for number, part in enumerate(table["partitions"], 1):
            ident = part.get("uuid", f"{table['id'][2:]}-{number:02x}").lower()
            one = _volume(path, f"{device}{number}", part["start"] * 512, part["size"] * 512)
            fields = (one.device, (), one.fstype, one.uuid, one.label, ident, part.get("name"), one.size)
            rows.append(Volume(*fields, start=part["start"] * 512))
        ident = table["id"].removeprefix("0x").lower()
        found.append(Disk(device, size, "gpt" if firmware == "uefi" else "mbr", tuple(rows), ident))
    return Disks(tuple(found), (*volumes, *plan.volumes), read=True)


def _volume(path: Path, device: str, start: int, size: int) -> Volume:
    command = ["blkid", "--probe", "--offset", str(start), "--size", str(size), "--output", "export", str(path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    tags = dict(line.partition("=")[::2] for line in said.splitlines())
    label = tags.get("LABEL", "").replace("\\ ", " ") or None
    return Volume(device, (), tags.get("TYPE"), tags.get("UUID"), label, size=size)


def skip_without_tools() -> None:
    """Skip where no guest can be made or reached."""
    from guestfix.backends.status import usable

    if not usable("uml"):
        pytest.skip("User-mode Linux is not installed")
    vm.need("qemu-img", "mke2fs", "tar", "blkid")
