"""The guests of tests/e2e/matrix.py: a Debian's tree, its files and packages by the cell, and its disks.

Its initramfs is made on the old hardware: the guest is started there once, with one that has every driver, and its own
update-initramfs (MODULES=dep) or dracut (host only) reads that machine's /sys. Disks are filled by User-mode Linux.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from tests.build import debian
from tests.build.images import run
from tests.build.uml import COPY, DM, LVM, MD, blank, build
from tests.e2e import matrix_first, vm
from tests.e2e.image_guest import ARRAY, BOOT, ESP, ROOT, SPARE
from tests.e2e.matrix import Cell
from tests.e2e.repaired_guests import KEY, install_extlinux

BUILD = 1
"""Goes up where guests are made otherwise than before, so that results of the others do not stand for them."""

KERNEL = ("linux-image-amd64", "initramfs-tools")
PACKAGES = (
    *("systemd-sysv", "udev", "kmod", "ifupdown", "openssh-server", "lvm2", "mdadm", "xfsprogs", "btrfs-progs"),
    *("thin-provisioning-tools", "zstd"),
)
LATE = ("sid",)
"""Suites whose kernel comes after debootstrap, which knows no alternatives: there it would choose dracut too."""

DHCP = {"bullseye": "isc-dhcp-client", "bookworm": "isc-dhcp-client"}
"""The DHCP client beside ifupdown; dhcpcd-base from trixie on."""

TARGETS = {"nvme": "aws-nitro", "virtio": "kvm-virtio", "scsi": "kvm-scsi", "sata": "kvm-sata", "arm64": "kvm-virtio"}
ROOT_MIB, BOOT_MIB, ESP_MIB = 1300, 240, 240
NIC = "ens192"
ADDRESS, GATEWAY = "192.0.2.7/24", "192.0.2.1"
CONSOLE = "console=ttyS0"
VERSIONS = (
    *("systemd", "sysvinit-core", "initramfs-tools", "dracut", "netplan.io", "network-manager", "cloud-init"),
    *("systemd-boot-efi", "ifupdown", "lvm2", "mdadm", "cryptsetup-bin"),
)


def old_of(cell: Cell) -> str:
    """Return the target that the cell's old hardware is like: other disks than the new one's, that its firmware reads.

    Debian's OVMF 2022.11 finds no disk on QEMU's PVSCSI.
    """
    if cell.disk == "arm64":
        return "aws-nitro"
    if cell.disk == "sata":
        return "kvm-virtio"
    return "vmware" if cell.firmware == "bios" else "kvm-sata"


OLD_DISKS = {"arm64": "nvme0n1p", "sata": "vda"}
"""What the old hardware calls its first disk, as its partitions' names begin; sda where it is not here."""


def console_of(cell: Cell) -> str:
    """Return the kernel argument for the console that both hardwares have."""
    return "console=ttyAMA0" if cell.disk == "arm64" else CONSOLE


@dataclass
class Place:
    """How a guest lies on its disks: by which name it calls its root, and what makes it.

    An encrypted root is ``crypt``, opened of the volume that the guest calls ``under``.
    """

    root: str
    fstype: str
    commands: list[str]
    release: list[str]
    parts: list[tuple[str, int]]
    own_boot: bool
    args: str = ""
    lines: list[str] = field(default_factory=list)
    disks: int = 1
    crypt: str = ""
    under: str = ""


SECRET = "correct horse battery"
SECRET_FILE = "etc/keys/root.key"
"""The key of an encrypted root, in it: the initramfs has a copy, so that nobody need be at a console."""

LUKS_UUID = "6b1f1a52-8d0b-4f6e-9a57-0d6f6a1a0030"
LUKS = f"--type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --uuid {LUKS_UUID}"
CRYPT = ("ecb", "cbc", "xts", "essiv", "dm-crypt", "algif_skcipher", "algif_hash")

THIN = LVM.replace("backup{", 'global{thin_check_executable=""} backup{')
"""The host that makes the pool need not have thin_check."""


def place(cell: Cell) -> Place:
    """Return where a cell's guest lies."""
    own_boot = cell.root in ("lvm", "thin", "md", "luks") or (cell.loader == "extlinux" and cell.root != "ext4")
    parts = [("esp", ESP_MIB)] if cell.firmware != "bios" else []
    parts += [("boot", BOOT_MIB)] if own_boot else []
    parts += [(cell.root, ROOT_MIB)]
    number = len(parts)
    device, name = f"/dev/ubda{number}", f"{OLD_DISKS.get(cell.disk, 'sda')}{number}"
    found = Place(f"/dev/{name}", "ext4", [], ["umount /run/mnt"], parts, own_boot)
    if cell.root == "luks":
        found.crypt, found.under = f"{name}_crypt", found.root
        found.commands += [f"printf '{SECRET}' >/tmp/key", f"cryptsetup -q luksFormat {LUKS} {device} /tmp/key"]
        found.commands.append(f"cryptsetup open --key-file /tmp/key {device} {found.crypt}")
        found.root = device = f"/dev/mapper/{found.crypt}"
        found.release.append(f"cryptsetup close {found.crypt}")
    if cell.root == "md":
        members = f"{device} /dev/ubdb{number}"
        found.commands.append(
            "mdadm --create /dev/md0 --run --level=1 --raid-devices=2 --metadata=1.2 "
            f"--uuid={ARRAY} --homehost=debian --name=0 --assume-clean {members}"
        )
        found.root = device = "/dev/md0"
        found.release.append("mdadm --stop /dev/md0")
        found.disks = 2
    if cell.root in ("lvm", "thin"):
        size = f"-L {ROOT_MIB - 60}M"
        made = f"{size} -n root vg0" if cell.root == "lvm" else f"-V {ROOT_MIB - 100}M -n root --thinpool pool vg0"
        found.commands += [f"lvm pvcreate {LVM} {device}", f"lvm vgcreate {LVM} vg0 {device}"]
        if cell.root == "thin":
            found.commands.append(f"lvm lvcreate {THIN} -Zn {size} --poolmetadatasize 4M -T vg0/pool")
        found.commands.append(f"lvm lvcreate {THIN} {'-Zn -Wn ' if cell.root == 'lvm' else ''}{made}")
        found.root = device = "/dev/mapper/vg0-root"
        found.release.append(f"lvm vgchange {LVM} -an")
    found.fstype = cell.root if cell.root in ("xfs", "btrfs") else "ext4"
    option = f"-f -m uuid={ROOT}" if found.fstype == "xfs" else f"-U {ROOT}"
    found.commands.append(f"mkfs.{found.fstype} -q {option} {device}")
    if found.fstype == "btrfs":
        found.commands += [f"mount {device} /run/mnt", "cd /run/mnt && btrfs -q subvolume create @"]
        found.commands += ["cd /run/mnt && btrfs -q subvolume create @home", "umount /run/mnt"]
        found.args = "rootflags=subvol=@"
        found.lines.append(f"{found.root} /home btrfs subvol=@home 0 0")
        found.commands.append(f"mount -o subvol=@ {device} /run/mnt")
    else:
        found.commands.append(f"mount {device} /run/mnt")
    option = "subvol=@" if found.fstype == "btrfs" else "defaults"
    found.lines.insert(0, f"{found.root} / {found.fstype} {option} 0 1")
    if own_boot:
        found.lines.append(f"UUID={BOOT} /boot ext4 defaults 0 2")
    if cell.firmware != "bios":
        found.lines.append(f"UUID={ESP} /boot/efi vfat umask=0077 0 1")
    return found


# packages


def tree_tar(cell: Cell) -> Path:
    """Return a tar of a suite's root without what nobody boots with; its initramfs has what the first start needs.

    For Arm the kernel comes last, and its initramfs has few drivers: with all of them it takes half an hour.
    """
    arm = cell.disk == "arm64"
    kernel = (KERNEL[1], "linux-image-arm64") if arm else KERNEL
    late = kernel if cell.suite in LATE or arm else ()
    names = (*(KERNEL if not late else ()), *PACKAGES, DHCP.get(cell.suite, "dhcpcd-base"))
    names += ("grub-efi-arm64-bin",) if arm else ()
    include = ",".join(names)
    suite = f"{cell.suite}-arm64" if arm else cell.suite
    tar = debian.cache_folder() / f"matrix-{suite}-{debian.hash_of(include):08x}.tar"
    if tar.exists():
        return tar
    plain = debian.debootstrap(cell.suite, include, "arm64" if arm else "")
    work = debian.unpack(plain, tar.with_suffix(f".work{os.getpid()}"))
    if late:
        with matrix_first.few_drivers(work) if arm else nullcontext():
            install(work, late)
    for pattern in (one for one in SPARE if "initrd" not in one):
        for path in work.glob(pattern.replace("*lib/", "usr/lib/" if (work / "lib").is_symlink() else "lib/")):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    vm.run("chroot", work, "depmod", vm.kernel_of(work))
    vm.run("tar", "-C", work, "--xattrs", "-cf", f"{tar}.new", ".")
    os.replace(f"{tar}.new", tar)
    shutil.rmtree(work)
    plain.unlink()
    return tar


def wanted(cell: Cell) -> list[str]:
    """Return the packages of a cell that not every guest has."""
    found = {
        "netplan": ["netplan.io"],
        "networkmanager": ["network-manager"],
        "cloudinit": ["cloud-init"],
    }.get(cell.network, [])
    found += ["dracut"] if cell.initramfs == "dracut" else []
    # without systemd itself: an initramfs' systemd goes on as the root's, whatever /sbin/init is
    found += ["sysvinit-core", "systemd-sysv-", "systemd-"] if cell.init == "sysvinit" else []
    if cell.root == "luks":
        found.append("cryptsetup-initramfs" if cell.initramfs == "tools" else "cryptsetup")
        found += ["systemd-cryptsetup"] if cell.initramfs == "dracut" and cell.suite in ("trixie", "sid") else []
    found += ["systemd-boot-efi"] if cell.loader == "sdboot" and cell.suite != "bullseye" else []
    return found


NODES = {"null": (1, 3), "zero": (1, 5), "random": (1, 8), "urandom": (1, 9)}
"""The devices that programs in the tree ask for (Documentation/admin-guide/devices.txt)."""


def add_devices(tree: Path) -> None:
    """Put devices into the tree's /dev: a start sees the kernel's own above it."""
    for name, numbers in NODES.items():
        if not (tree / "dev" / name).exists():
            os.mknod(tree / "dev" / name, 0o666 | stat.S_IFCHR, os.makedev(*numbers))
            (tree / "dev" / name).chmod(0o666)


def install(tree: Path, packages: Sequence[str]) -> None:
    """Have the guest's own apt install packages; nothing is started, no initramfs made."""
    if not packages:
        return
    stopped = tree / "etc/initramfs-tools/update-initramfs.conf"
    before = stopped.read_text() if stopped.exists() else ""
    if before:
        stopped.write_text("update_initramfs=no\n")
    shutil.copy("/etc/resolv.conf", tree / "etc/resolv.conf")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    with debian.nothing_starts(tree):
        for words in (
            ("update",),
            ("install", "-y", "--no-install-recommends", "--allow-remove-essential", *packages),
            ("clean",),
        ):
            settings = ("DPkg::Options::=--force-unsafe-io", "DPkg::Options::=--force-confold")
            options = ("-q", *(word for one in (*settings, "Acquire::Check-Valid-Until=false") for word in ("-o", one)))
            vm.run("chroot", tree, "apt-get", *options, *words, env=quiet)
    shutil.rmtree(tree / "var/lib/apt/lists")
    (tree / "etc/resolv.conf").unlink()
    if before and stopped.parent.exists():
        stopped.write_text(before)


# files

EACH = {
    "ifupdown": {
        "etc/network/interfaces": f"auto lo {NIC}\niface lo inet loopback\niface {NIC} inet static\n"
        f"\taddress {ADDRESS}\n\tgateway {GATEWAY}\n"
    },
    "netplan": {
        "etc/netplan/01-netcfg.yaml": "network:\n  version: 2\n  renderer: networkd\n  ethernets:\n"
        f"    {NIC}:\n      addresses: [{ADDRESS}]\n      routes: [{{to: 0.0.0.0/0, via: {GATEWAY}}}]\n"
    },
    "networkmanager": {
        f"etc/NetworkManager/system-connections/{NIC}.nmconnection": f"[connection]\nid={NIC}\n"
        "uuid=6b1f1a52-8d0b-4f6e-9a57-0d6f6a1a0020\ntype=ethernet\n"
        f"interface-name={NIC}\n\n[ipv4]\nmethod=manual\naddress1={ADDRESS},{GATEWAY}\n"
    },
    "networkd": {
        f"etc/systemd/network/10-{NIC}.network": f"[Match]\nName={NIC}\n\n[Network]\n"
        f"Address={ADDRESS}\nGateway={GATEWAY}\n"
    },
    "cloudinit": {
        "etc/cloud/cloud.cfg.d/90_dpkg.cfg": "datasource_list: [ NoCloud, VMware, None ]\n",
        "var/lib/cloud/seed/nocloud/meta-data": "instance-id: matrix-1\nlocal-hostname: debian\n",
        "var/lib/cloud/seed/nocloud/user-data": "#cloud-config\n{}\n",
        "var/lib/cloud/seed/nocloud/network-config": "version: 2\nethernets:\n"
        f"  {NIC}:\n    addresses: [{ADDRESS}]\n    gateway4: {GATEWAY}\n",
    },
}
"""Each network as an installer on the old hardware left it: a static address on the old NIC's name."""

OWN_KEYS = {
    "tools": ("etc/cryptsetup-initramfs/conf-hook", "KEYFILE_PATTERN=/etc/keys/*.key\nUMASK=0077\n"),
    "dracut": ("etc/dracut.conf.d/keys.conf", f'install_items+=" /{SECRET_FILE} "\n'),
}
"""What has an initramfs keep the key of the root."""


def write_files(cell: Cell, tree: Path, at: Place) -> None:
    """Write the cell's files, besides those of its loader."""
    files = {
        "etc/fstab": "\n".join([*at.lines, ""]),
        "etc/hostname": "debian\n",
        "etc/network/interfaces": "auto lo\niface lo inet loopback\n",
        "etc/default/grub": f'GRUB_DEFAULT=0\nGRUB_TIMEOUT=1\nGRUB_CMDLINE_LINUX="{at.args} {console_of(cell)}"\n',
        "root/.ssh/authorized_keys": KEY,
        "etc/machine-id": "6b1f1a528d0b4f6e9a570d6f6a1a0021\n",
        **EACH[cell.network],
    }
    if cell.root == "md":
        files["etc/mdadm/mdadm.conf"] = f"ARRAY /dev/md0 metadata=1.2 UUID={ARRAY} name=debian:0\n"
    if cell.disk == "arm64":  # emulated, which takes longer than a machine's 90 seconds
        limits = "[Manager]\nDefaultTimeoutStartSec=900\nDefaultDeviceTimeoutSec=900\n"
        files["etc/systemd/system.conf.d/emulated.conf"] = limits
    if cell.root == "luks":
        files["etc/crypttab"] = f"{at.crypt} {at.under} /{SECRET_FILE} luks\n"
        name, text = OWN_KEYS[cell.initramfs]
        files[name] = text
    for name, text in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
        (tree / name).chmod(0o600 if "nmconnection" in name or "netplan" in name else 0o644)
    (tree / "root/.ssh").chmod(0o700)
    if cell.network in ("networkd", "netplan"):
        vm.run("chroot", tree, "systemctl", "enable", "systemd-networkd")
    if cell.init == "sysvinit":
        with (tree / "etc/inittab").open("a") as table:
            port = console_of(cell).removeprefix("console=")
            table.write(f"T0:23:respawn:/sbin/getty -L {port} 115200 vt100\n")
    if cell.initramfs == "tools":
        conf = tree / "etc/initramfs-tools/initramfs.conf"
        conf.write_text(conf.read_text().replace("MODULES=most", "MODULES=dep"))


PROCESSOR = {"arm64": "aa64"}
"""The end of an EFI program's name; x64 where it is not here (UEFI 2.10, 3.5.1.1)."""


def write_loader(cell: Cell, tree: Path, at: Place) -> None:
    """Write the loader's files as Debian's tools do; what belongs on the ESP lies in the tree's /boot/efi."""
    release = vm.kernel_of(tree)
    inside = "/" if at.own_boot else "/@/boot/" if cell.root == "btrfs" else "/boot/"
    words = f"root={at.root} ro {at.args} {console_of(cell)}".replace("  ", " ")
    efi = tree / "boot/efi/EFI"
    if cell.firmware != "bios":
        (efi / "BOOT").mkdir(parents=True)
        (efi / "debian").mkdir()
    if cell.loader == "grub":
        text = vm.grub_cfg(release, at.root, words.partition("ro ")[2])
        text = text.replace("\t/boot/", f"\t{inside}").replace(vm.ROOT_UUID, BOOT if at.own_boot else ROOT)
        text = text.replace("insmod part_msdos", "insmod part_msdos\n\tinsmod part_gpt\n\tinsmod btrfs\n\tinsmod xfs")
        if cell.disk == "arm64":  # whose firmware's own console is the serial port
            text = "".join(line for line in text.splitlines(True) if not line.startswith(("serial", "terminal")))
        (tree / "boot/grub").mkdir(exist_ok=True)
        (tree / "boot/grub/grub.cfg").write_text(text)
        if cell.firmware == "bios":
            vm.run("cp", "-r", vm.GRUB, tree / "boot/grub/")
        else:
            _signed(cell, tree, BOOT if at.own_boot else ROOT, f"{inside}grub")
    elif cell.loader == "extlinux":
        folder = tree / "boot/extlinux"
        folder.mkdir()
        (folder / "extlinux.conf").write_text("SERIAL 0 115200\nPROMPT 0\nTIMEOUT 10\nDEFAULT l0\nINCLUDE linux.cfg\n")
        (folder / "linux.cfg").write_text(
            f"LABEL l0\n  KERNEL {inside}vmlinuz-{release}\n  INITRD {inside}initrd.img-{release}\n  APPEND {words}\n"
        )
    else:
        _systemd_boot(cell, tree, words)


def _signed(cell: Cell, tree: Path, uuid: str, folder: str) -> None:
    """Put Debian's GRUB on the ESP, behind shim where Secure Boot is on, and as the fallback."""
    efi = tree / "boot/efi/EFI"
    end = PROCESSOR.get(cell.disk, "x64")
    if cell.disk == "arm64":
        loaders = {"grubaa64.efi": (tree / "usr/lib/grub/arm64-efi/monolithic/grubaa64.efi").read_bytes()}
    else:
        loaders = vm.signed_loaders()
    for name, data in loaders.items():
        for place_ in ("debian", "BOOT"):
            if cell.firmware == "secureboot":
                (efi / place_ / (name if place_ == "debian" or "shim" not in name else "BOOTX64.EFI")).write_bytes(data)
            elif name == f"grub{end}.efi":
                (efi / place_ / (f"BOOT{end.upper()}.EFI" if place_ == "BOOT" else name)).write_bytes(data)
    text = f"search.fs_uuid {uuid} root\nset prefix=($root)'{folder}'\nconfigfile $prefix/grub.cfg\n"
    (efi / "debian/grub.cfg").write_text(text)


def _systemd_boot(cell: Cell, tree: Path, words: str) -> None:
    """Lay the ESP out as bootctl and kernel-install do (Boot Loader Specification, type 1)."""
    release, end = vm.kernel_of(tree), PROCESSOR.get(cell.disk, "x64")
    loader = (tree / f"usr/lib/systemd/boot/efi/systemd-boot{end}.efi").read_bytes()
    esp = tree / "boot/efi"
    (esp / "EFI/debian").rmdir()
    (esp / "EFI/systemd").mkdir()
    for name in (f"EFI/systemd/systemd-boot{end}.efi", f"EFI/BOOT/BOOT{end.upper()}.EFI"):
        (esp / name).write_bytes(loader)
    ident = (tree / "etc/machine-id").read_text().strip()
    folder = esp / ident / release
    folder.mkdir(parents=True)
    shutil.copy(tree / f"boot/vmlinuz-{release}", folder / "linux")
    shutil.copy(tree / f"boot/initrd.img-{release}", folder / f"initrd.img-{release}")
    (esp / "loader/entries").mkdir(parents=True)
    (esp / "loader/loader.conf").write_text("timeout 1\n")
    (esp / f"loader/entries/{ident}-{release}.conf").write_text(
        f"title Debian GNU/Linux\nversion {release}\nmachine-id {ident}\noptions {words}\n"
        f"linux /{ident}/{release}/linux\ninitrd /{ident}/{release}/initrd.img-{release}\n"
    )
    shutil.rmtree(tree / "boot/grub", ignore_errors=True)


# disks


@dataclass
class Guest:
    """A guest's disks, the release of its kernel, the versions of what it is made of, and how its key is given."""

    disks: list[Path]
    release: str
    versions: dict[str, str]
    key: list[str]


def also(tree: Path, command: str) -> None:
    """Have the guest of a tree run a shell command on its old hardware, after it made its initramfs."""
    script, last = tree / "prepare", " rm /prepare "
    text = script.read_text()
    assert last in text, text
    script.write_text(text.replace(last, f" {command} &&{last}"))


Finish = Callable[[Path], None]
"""Changes a guest's tree after all else."""


def make(cell: Cell, folder: Path, packages: Sequence[str] = (), finish: Finish | None = None) -> Guest:
    """Return a cell's guest as the old hardware left it, with ``packages`` besides.

    Its disks lie in ``folder``, and the key of its root.
    """
    with debian.arm_programs() if cell.disk == "arm64" else nullcontext():
        return _make(cell, folder, packages, finish)


def _make(cell: Cell, folder: Path, packages: Sequence[str], finish: Finish | None) -> Guest:
    at = place(cell)
    tree = debian.unpack(tree_tar(cell), folder / "tree")
    release = vm.kernel_of(tree)
    add_devices(tree)
    if at.crypt:
        install(tree, ["cryptsetup-bin"])
        for key in (tree / SECRET_FILE, folder / "key"):
            key.parent.mkdir(mode=0o700, exist_ok=True)
            key.write_text(SECRET)
            key.chmod(0o600)
        matrix_first.opening_initramfs(tree, SECRET_FILE, at.under, at.crypt)
    kernel, first = (Path(shutil.copy(tree / f"boot/{name}-{release}", folder)) for name in ("vmlinuz", "initrd.img"))
    install(tree, [*wanted(cell), *packages])
    write_files(cell, tree, at)
    write_loader(cell, tree, at)
    matrix_first.write_script(cell, tree, own_boot=at.own_boot)
    versions = _versions(tree)
    if finish:
        finish(tree)
    disks = _fill(cell, tree, at, folder)
    shutil.rmtree(tree)
    root = f"UUID={ROOT}" if cell.root == "md" else at.root  # that initramfs has no mdadm.conf, so no /dev/md0
    words = f"root={root} ro {at.args} {console_of(cell)}"
    matrix_first.start_once(cell, old_of(cell), disks, kernel, first, words)
    for path in (kernel, first):
        path.unlink()
    return Guest(disks, release, versions, ["--key", f"all:{folder / 'key'}"] if at.crypt else [])


def _part_links(folder: Path) -> None:
    """Give files of a folder that goes to a filesystem of its own no second name elsewhere: sid's kernel has them."""
    for path in folder.rglob("*"):
        if stat.S_ISREG(path.lstat().st_mode) and path.lstat().st_nlink > 1:
            shutil.copy2(path, f"{path}.own")
            os.replace(f"{path}.own", path)


def _fill(cell: Cell, tree: Path, at: Place, folder: Path) -> list[Path]:
    if at.own_boot:
        _part_links(tree / "boot")
    total = sum(size for _, size in at.parts) + 4
    disks = [blank(folder / f"disk{index}.raw", total) for index in range(at.disks)]
    rows, start = [f"label: {'dos' if cell.firmware == 'bios' else 'gpt'}"], 1
    for kind, size in at.parts:
        boot = ", bootable" if cell.firmware == "bios" and start == 1 else ""
        rows.append(f"start={start}MiB, size={size}MiB, type={TYPES.get(kind, 'linux')}{boot}")
        start += size
    for disk in disks:
        run("sfdisk", "-q", disk, stdin="\n".join(rows) + "\n")
    more = []
    if at.own_boot:
        number = [kind for kind, _ in at.parts].index("boot") + 1
        more = [f"mkfs.ext4 -q -U {BOOT} /dev/ubda{number}", "mkdir /run/mnt/boot"]
        more += [f"mount /dev/ubda{number} /run/mnt/boot"]
    efi = []
    if cell.firmware != "bios":
        efi = [f"mkfs.vfat -F 32 -i {ESP.replace('-', '')} /dev/ubda1", "mkdir /run/mnt/esp"]
        efi += ["mount /dev/ubda1 /run/mnt/esp", "cp -r /run/mnt/boot/efi/. /run/mnt/esp/", "umount /run/mnt/esp"]
        efi += ["rmdir /run/mnt/esp", "rm -r /run/mnt/boot/efi", "mkdir /run/mnt/boot/efi"]
    release = (["umount /run/mnt/boot"] if at.own_boot else []) + at.release
    build(
        disks,
        [*at.commands, *more, COPY, *efi, *release],
        tree,
        (*DM, *MD, *(CRYPT if at.crypt else ()), "nls-iso8859-1"),
    )
    if cell.loader == "extlinux":
        install_extlinux(disks[0], folder, "extlinux" if at.own_boot else "boot/extlinux")
    elif cell.firmware == "bios":
        modules = ("xfs", "btrfs", "part_gpt")
        prefix = "/grub" if at.own_boot else "/@/boot/grub" if cell.root == "btrfs" else "/boot/grub"
        vm.install_grub(disks[0], folder, f"(hd0,msdos1){prefix}", modules)
    return disks


TYPES = {"esp": "uefi", "lvm": "lvm", "thin": "lvm", "md": "raid"}


def _versions(tree: Path) -> dict[str, str]:
    """Return the versions of the guest's packages that a result depends on."""
    words = ["chroot", str(tree), "dpkg-query", "-W", "-f", "${Package} ${Version} ${db:Status-Status}\\n", *VERSIONS]
    said = subprocess.run(words, capture_output=True, text=True, check=False).stdout
    rows = [line.split() for line in said.splitlines()]
    return {row[0]: row[1] for row in rows if row[2:] == ["installed"]}
