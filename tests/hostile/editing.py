"""Every editor operation with arguments and files that it changes: what the laws and `make fuzz` go through.

An operation that is added to ``guestfix.editors.OPS`` and not here fails tests/hostile/test_editors.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from guestfix.base.edit import Content, Edit
from guestfix.base.errors import EditError
from guestfix.editors import OPS, find_op
from guestfix.editors.boot import args as bootargs
from guestfix.editors.boot import initrd as _initrd
from guestfix.editors.boot import menu as _bootmenu
from guestfix.editors.boot import syslinux as _syslinux
from guestfix.editors.network import ifcfg as _ifcfg
from guestfix.editors.network import managed as _managed
from guestfix.editors.network import netplan as _netplan
from guestfix.editors.network import routes as _routes
from guestfix.formats import ini, shellvars
from guestfix.formats.boot import argplaces, grubenv
from guestfix.formats.initramfs import modprobe
from guestfix.formats.windows.regf import Hive, empty_hive

Op = Callable[[bytes], Content | Edit]

UUID = "UUID=3e6be9de-8139-4c24-8a19-2b4a7d1a4a6b"
TABLE = {"/dev/sda1": UUID, "/dev/sdb1": "UUID=0fc63daf-8483-4772-8e79-3d69d8477de4"}
SPECS = [*TABLE.values()]
PARTS = {"/dev/sdb1": "PARTUUID=1-2"}
MODULES = ["virtio_pci", "virtio-blk"]
MAC = "52:54:00:00:00:01"

FSTAB = b"""# mounts
/dev/sda1 / ext4 defaults 0 1
/dev/sdc7 /srv ext4 defaults 0 2
nas:/home /home nfs defaults 0 0
//win/share /mnt cifs user=a 0 0
odd line
"""
CRYPTTAB = b"a /dev/sda1 none luks\nb /dev/sdb1 /dev/urandom swap\nc /dev/sdq1 /dev/urandom swap\n"
DEFAULT = b"""GRUB_DEFAULT=2
GRUB_TIMEOUT=0
GRUB_HIDDEN_TIMEOUT=0
GRUB_TERMINAL=serial
GRUB_DISABLE_LINUX_UUID=true
GRUB_TIMEOUT_STYLE=hidden
GRUB_CMDLINE_LINUX="root=/dev/sda1 quiet"
GRUB_RECORDFAIL_TIMEOUT=-1
"""
GRUBCFG = b"""set timeout=0
set timeout_style=hidden
terminal_output serial
set kernelopts="root=/dev/sda1 ro"
menuentry 'one' --id 1 {
\tlinux16 /vmlinuz-1 root=/dev/sda1 ro quiet
\tinitrd16 /initrd-1
}
"""
AT_ONCE = b"""menuentry 'one' {
\tif [ "${initrdfail}" = 1 ]; then
\t  linux /vmlinuz-1 root=PARTUUID=1-2 ro
\t  initrd /initrd-1
\telse
\t  linux /vmlinuz-1 root=PARTUUID=1-2 ro panic=-1
\tfi
\tinitrdfail
}
"""
LEGACY = b"""default 0
timeout 0
hiddenmenu
terminal --timeout=5 serial
# kopt=root=/dev/sda1 ro
title one
\troot (hd0,0)
\tkernel /vmlinuz-1 root=/dev/sda1 ro
\tinitrd /initrd-1
"""
IFCFG = b"DEVICE=eth0\nHWADDR=00:11:22:33:44:55\nIPADDR=192.0.2.2\nSTARTMODE=auto\nONBOOT=no\nGATEWAY=192.0.2.1\n"
INTERFACES = b"""auto lo eth0 eth1
iface lo inet loopback
iface eth1 inet dhcp
iface eth0 inet static
  hwaddress ether 00:11:22:33:44:55
  address 192.0.2.2/24
  gateway 192.0.2.1
"""
KEYFILE = b"""[connection]
id=a
interface-name=eth0
autoconnect=false

[ethernet]
mac-address=00:11:22:33:44:55

[ipv4]
method=manual
address1=192.0.2.2/24
"""
NETPLAN = b"""network:
  version: 2
  ethernets:
    eth0:
      match: {macaddress: "00:11:22:33:44:55"}
      set-name: eth0
      addresses: [192.0.2.2/24]
      gateway4: 192.0.2.1
"""
NETWORK = b"""[Match]
MACAddress=00:11:22:33:44:55

[Network]
Address=192.0.2.2/24
Gateway=192.0.2.1
"""
LINK = b"[Match]\nMACAddress=00:11:22:33:44:55\n\n[Link]\nMTUBytes=9000\nName=lan0\n"
UDEV = b"""# names
SUBSYSTEM=="net", ATTR{address}=="00:11:22:33:44:55", NAME="eth0"
SUBSYSTEM=="block", KERNEL=="sda", SYMLINK+="x"
SUBSYSTEM=="net", ATTR{address}=="00:11:22:33:44:56", NAME="eth1"
"""
MODPROBE = b"alias scsi_hostadapter mptbase\nblacklist virtio_blk\ninstall virtio_pci /bin/false\n"
MODULES_FILE = b"# modules\nloop max_loop=8\n"
BOOTINI = b'[boot loader]\r\nredirect=COM1\r\ntimeout=30\r\n[operating systems]\r\nmulti(0)="W" /redirect /sos\r\n'
TIME = {"gone": ["a", "c"], "others": ["b"], "servers": ["new.example"]}
BLS = b"title one\nlinux /vmlinuz-1\ninitrd /initrd-1\noptions root=/dev/sda1 ro\n"
SYSLINUX = b"DEFAULT a\nLABEL a\n  KERNEL /vmlinuz\n  APPEND root=/dev/sda1 ro initrd=/initrd\n"
MENU_WAITS = b"# menu\nDEFAULT vesamenu.c32\nTIMEOUT 9000\nLABEL a\n  KERNEL /vmlinuz\n"
BSD_FSTAB = b"# Device\n/dev/da0p2 / ufs rw 1 1\n/dev/da0p3 none swap sw 0 0\nodd\n/dev/da9p9 /x ufs rw 0 0\n"
COMMANDS = b"#!/bin/sh\n# mount /dev/sda1\nif mount -r /dev/sda1 /mnt; then\n  tune2fs -l '/dev/sdb1'|cat\nfi\n"
INITTAB = b"id:3:initdefault:\nhvc0:2345:respawn:/sbin/agetty -L 9600 hvc0 vt100\nc:2:respawn:getty hvc1\n"
INITTAB_OFF = b"1:2345:respawn:/sbin/getty 38400 tty1\n#T0:23:respawn:/sbin/getty -L ttyS0 9600 vt100\n"
GETTY = {"console": "ttyS0", "gone": [], "program": "/sbin/getty"}
RCCONF = b"""hostname="a"
ifconfig_em0="inet 192.0.2.2/24"
ifconfig_em0_alias0="inet 192.0.2.3/32"; ifconfig_lo0=up
defaultrouter='192.0.2.1'
"""
UNATTEND = b"""<?xml version="1.0"?>
<unattend xmlns="urn:schemas-microsoft-com:unattend">
  <settings pass="specialize"></settings>
</unattend>
"""


def _hive() -> bytes:
    hive = Hive.open(empty_hive("TEST"))
    hive.set_value("Setup\\A", "x", 1, "text")
    return hive.to_bytes()


class Call(NamedTuple):
    """An operation with arguments, and files that it is given. ``text``: files of lines, so the newline laws hold."""

    name: str
    op: Op
    samples: tuple[bytes, ...]
    text: bool = True


def _ops(name: str, /, *samples: bytes, text: bool = True, **args: Any) -> Call:
    op = find_op(name)
    args = {key.removesuffix("_"): value for key, value in args.items()}  # an argument may be called text too
    shown = ",".join(f"{key}={value}" for key, value in args.items() if isinstance(value, (str, bool)))
    return Call(f"{name}({shown})", lambda src: op(src, **args), samples, text)


def calls() -> list[Call]:
    """Return every operation of the registry at least once."""
    disk = {"table": TABLE, "specs": SPECS, "complete": True}
    fstab = {"table": TABLE, "types": {}, "specs": SPECS, "tagged": True, "complete": True}
    menu = {"seconds": 5, "longest": 10}
    found = [
        _ops("file.create", b"old\n", text=False, replace=True, text_="new\n"),
        _ops("file.delete", b"old\n", text=False),
        _ops("file.empty", b"old\n"),
        _ops("file.link", b"old\n", text=False, to="elsewhere"),
        _ops("ini.set", b"[a]\nk=1\n", b"[b]\nk=1\n", b"[a]\nx=1\n[b]\n", section="a", key="k", value="v"),
        _ops("modprobe.blacklist", MODPROBE, b"# none\n", modules=["virtio_blk", "pcspkr"]),
        _ops("modprobe.options", b"options a b=1 c\n", b"blacklist a\n", module="a", options="b=2 d=3"),
        _ops("shellvars.set", b"A=1\n", b"B='x y'\n", name="A", value="two words"),
        _ops("sysctl.set", b"vm.swappiness=60\n", b"# x\nnet/ipv4/ip_forward = 1\n", key="vm.swappiness", value="10"),
        _ops("text.ensure_line", b"a\n", b"a\nb\n", line="c d"),
        _ops("text.replace_line", b"a 1\n  a 2\nb\n", match="a *", line="a 3"),
        _ops("text.replace_line", b"b\n", match="a *", line="a 3", add=True),
        _ops("text.comment_lines", b"a 1\n  a 2\nb\n", matches=["a *"]),
        _ops("nsswitch.drop_sources", b"passwd: files old [NOTFOUND=return] systemd # x\n", names=["old"]),
        _ops("pam.drop_modules", b"auth required pam_old.so\nauth required pam_unix.so\n", modules=["pam_old.so"]),
        _ops("urls.replace_hosts", b"deb http://a.b/x y\n", b"# http://a.b/\nx=plugin:a.b\n", table={"a.b": "c.d"}),
        _ops("timesync.replace", b"server a\npool b\n", b"x\nrefclock PHC c", dialect="chrony", **TIME),
        _ops("timesync.replace", b"[Time]\nNTP=a b\n", b"[Time]\nFallbackNTP=a\n", dialect="timesyncd", **TIME),
        _ops(
            "cloudcfg.data_sources",
            b"a: 1\ndatasource_list: [ Azure ]\nb: 2\n",
            b"datasource_list:\n- Ec2\n",
            names=["GCE"],
        ),
        _ops("resumeconf.set_resume", b"RESUME=/dev/sda1\n", b"x=1\nresume device = /dev/sda1\n", **disk),
        _ops("bootmenu.default_initrd", b"GRUB_FORCE_PARTUUID=1-2\nA=1\n", b'A=1\nGRUB_FORCE_PARTUUID="x"\n'),
        _ops("bootmenu.grub_initrd", AT_ONCE),
        _ops("lvm.any_volume", b'devices {\n\tfilter = [ "a|^/dev/sda3$|", "r|.*|" ]\n}\n'),
        _ops("lvm.any_volume", b'devices {\n\tglobal_filter = [ "r|^/dev/vd.*|" ]\n}\n', prefix="vd"),
        _ops(
            "units.set_device",
            b"[Unit]\nBindsTo=dev-sda1.device\nAfter=a.service \\\n  dev-sdb1.device\n[Mount]\nWhat=/dev/sda1\n",
            table=TABLE,
            old=[],
        ),
        _ops("lvm.any_device", b"VERSION=1.1.1\nIDTYPE=sys_wwid IDNAME=naa.6 DEVNAME=/dev/sda2 PVID=a PART=2\n"),
        _ops("mdadm.any_member", b"DEVICE\n /dev/sda1 /dev/sdb1\n", b"# x\nDEVICE /dev/sd[ab]1\nARRAY m UUID=1\n"),
        _ops("bootmenu.default_terminal", DEFAULT, b"GRUB_TERMINAL='serial'\n"),
        _ops("bootmenu.default_uuid", DEFAULT, b"A=1\nGRUB_DISABLE_UUID=true\n"),
        _ops("bootmenu.device_map", b"(fd0) /dev/fd0\n(hd0) /dev/sda\n", prefix="vd"),
        _ops("bootmenu.env_show_menu", grubenv.create({"menu_auto_hide": "1", "x": "y"}), text=False),
        _ops("bootmenu.grub_terminal", GRUBCFG, b"serial --unit=0\nterminal_input serial\n"),
        _ops("bootmenu.grub_timeout", GRUBCFG, b"menuentry 'a' {\n}\n", b"set timeout=-1\n", **menu),
        _ops("bootmenu.legacy_boot_disk", b"#boot=/dev/sda\nboot=/dev/sda\n", prefix="vd"),
        _ops("bootmenu.legacy_terminal", LEGACY, b"terminal serial\n"),
        _ops("bootmenu.legacy_timeout", LEGACY, b"title a\nkernel /a\n", b"title\nhiddenmenu\n", **menu),
        _ops("bootmenu.loader_timeout", b"default a\n", b"timeout 0\n", b"timeout menu-force\n", **menu),
        _ops("bootmenu.syslinux_timeout", MENU_WAITS, b"UI menu.c32\n", b"PROMPT 1\nTIMEOUT 0\n", **menu),
        _ops(
            "bsd.set_label_in",
            b'vfs.root.mountfrom="ufs:/dev/da0p2" # /dev/da0p3\n',
            BSD_FSTAB,
            table={"/dev/da0p2": "/dev/gpt/rootfs"},
        ),
        _ops("bsd.set_label", BSD_FSTAB, table={"/dev/da0p2": "/dev/gpt/rootfs", "/dev/da0p3": "/dev/gpt/swap 0"}),
        _ops("commands.set_device", COMMANDS, b"swapon '/dev/sda1'\n", table=TABLE),
        _ops("kdump.set_target", b"path /x\next4 /dev/sda1\n", b"raw /dev/sdb1\n", table=TABLE, partuuids=PARTS),
        _ops("inittab.serial_login", INITTAB, INITTAB_OFF, console="ttyS0,115200n8", gone=["hvc*", "ttyS1"]),
        _ops("inittab.serial_login", INITTAB, b"id:3:initdefault:\n", **GETTY),
        _ops("inittab.serial_login", INITTAB, console="", gone=["hvc*"]),
        _ops("rcconf.dhcp", RCCONF, b"ifconfig_vtnet0=DHCP\nifconfig_em0=DHCP\n", b"ifconfig_em0=up\n", nic="vtnet"),
        _ops("crypttab.guard_missing", CRYPTTAB, old=["/dev/mapper/a", "/dev/mapper/c"], init="systemd"),
        _ops("crypttab.set_device", CRYPTTAB, table=TABLE, partuuids=PARTS, types={}),
        _ops("dracut.add_drivers", b'add_drivers+=" a "\n', b"# only\n", modules=MODULES),
        _ops("dracut.keep_drivers", b'a=1\nomit_drivers+=" virtio_pci x "\n', modules=MODULES),
        _ops("fstab.comment_unreadable", FSTAB),
        _ops("fstab.disable", FSTAB, types=["cifs"], sources=["nas:*"], why="gone"),
        _ops("fstab.guard_missing", FSTAB, **fstab, init="systemd"),
        _ops("fstab.network", FSTAB, types=["nfs"], policy="nofail", init="systemd"),
        _ops("fstab.network", FSTAB, types=["nfs"], policy="disable", init="sysv"),
        _ops("fstab.set_device", FSTAB, table=TABLE, types={}),
        _ops("grubdefault.set_default", DEFAULT),
        _ops("grubdefault.set_timeout", DEFAULT, b"GRUB_HIDDEN_TIMEOUT=0\n", seconds=5, longest=10, recordfail=30),
        _ops("ifcfg.dhcp", IFCFG, b"BOOTPROTO=static\n", any_nic=True),
        _ops("ifcfg.dhcp", IFCFG, b"STARTMODE=off\n", suse=True),
        _ops("dhclient.take_lease", b"request a;\n", b"x y;\nsupersede routers 192.0.2.1;\n"),
        _ops("ifcfg.networking_on", b"NETWORKING=no\nX=1\n", b"NETWORKING=no\n"),
        _ops("ifcfg.no_old_routes", b"10.0.0.0/8 - - eth0\ndefault 192.0.2.1\n", devices=["eth0"], loose=True),
        _ops("ifcfg.no_gateway", b"NETWORKING=yes\nGATEWAY=192.0.2.1\n"),
        _ops("ifcfg.optional", IFCFG, b"STARTMODE=auto\n"),
        _ops("ifcfg.rebind", IFCFG, b"HWADDR=00:11:22:33:44:55\n"),
        _ops("ifcfg.rebind", IFCFG, mac=MAC),
        _ops("initramfs_tools.add_modules", MODULES_FILE, b"loop\n", modules=MODULES),
        _ops("interfaces.add", INTERFACES, b"auto lo\n", name="eth9"),
        _ops("interfaces.dhcp", INTERFACES, b"auto lo eth1\n", name="eth0", drop=["eth1"]),
        _ops("interfaces.dhcp", INTERFACES, name="eth0", drop=[], up=False),
        _ops("interfaces.optional", INTERFACES, b"auto lo eth0 eth1\n", b"auto eth0\n", names=["eth0", "eth1"]),
        _ops(
            "interfaces.rebind", INTERFACES, b"iface eth0 inet dhcp\n  hwaddress ether 00:11:22:33:44:55\n", name="eth0"
        ),
        _ops("interfaces.rebind", INTERFACES, name="eth0", mac=MAC),
        _ops("keyfile.dhcp", KEYFILE, b"[ipv4]\naddress1=192.0.2.2\n", any_nic=True),
        _ops("keyfile.rebind", KEYFILE, b"[ethernet]\nmac-address=00:11:22:33:44:55\n", mac=MAC),
        _ops("keyfile.rebind", KEYFILE, b"[ethernet]\nmac-address=00:11:22:33:44:55\n"),
        _ops("mkinitcpio.append_modules", b"MODULES=(ext4)\n", b"HOOKS=(base)\n", modules=MODULES),
        _ops("mkinitcpio.add_modules", b"MODULES=(ext4)\n", b"MODULES=ext4\n", b"HOOKS=(base)\n", modules=MODULES),
        _ops("modprobe.add_adapters", MODPROBE, b"alias eth0 e1000\n", modules=MODULES),
        _ops("modprobe.allow", MODPROBE, b"blacklist virtio_blk\n", modules=["virtio_blk", "virtio_pci"]),
        _ops("netplan.dhcp", NETPLAN, b"network:\n  ethernets:\n    eth0: {}\n", name="eth0"),
        _ops("netplan.dhcp", NETPLAN, b"network:\n  ethernets:\n    eth0:\n", name="eth0", any_nic=True),
        _ops("netplan.optional", NETPLAN, b"network:\n  ethernets:\n    eth0:\n", names=["eth0"]),
        _ops("netplan.rebind", NETPLAN, name="eth0"),
        _ops("netplan.rebind", NETPLAN, name="eth0", mac=MAC),
        _ops("networkd.dhcp", NETWORK, b"[Network]\nGateway=192.0.2.1\n", b"[Match]\nName=a\n", any_nic=True),
        _ops("networkd.optional", NETWORK, b"[Link]\nMTUBytes=1\n"),
        _ops("networkd.rebind", NETWORK, b"[Match]\nMACAddress=00:11:22:33:44:55\n", name="ens3"),
        _ops("networkd.rebind", NETWORK, b"[Match]\nMACAddress=00:11:22:33:44:55\n", mac=MAC),
        _ops("networkd.unbind_link", LINK, b"[Match]\nMACAddress=00:11:22:33:44:55\n[Link]\nName=x\n"),
        _ops("registry.delete_key", _hive(), text=False, key="Setup\\A"),
        _ops("registry.delete_value", _hive(), text=False, key="Setup\\A", name="x"),
        _merge(),
        _ops("registry.set", _hive(), text=False, key="Setup\\A", name="x", data="new"),
        _ops("sysconfig_kernel.add_modules", b'INITRD_MODULES="a"\n', b"A=1\n", modules=MODULES),
        _ops("udevnet.unbind", UDEV),
        _ops("unattend.merge", UNATTEND, arch="x86_64"),
        _ops("bootini.ems_off", BOOTINI, b"[boot loader]\nredirect=COM1\n"),
    ]
    return [*found, *_parts()]


def _merge() -> Call:
    op = find_op("registry.merge")
    text = 'Windows Registry Editor Version 5.00\n\n[Setup\\A]\n"x"="new"\n'
    return Call("registry.merge", lambda src: op(src, text=text), (_hive(),), text=False)


_ARGUMENTS = {
    "grubcfg": GRUBCFG,
    "menu": LEGACY,
    "bls": BLS,
    "syslinux": SYSLINUX,
    "cmdline": b"root=/dev/sda1 ro\n",
    "default": DEFAULT,
    "bootloader": b'DEFAULT_APPEND="root=/dev/sda1 ro"\n',
    "dracut": b'kernel_cmdline="root=/dev/sda1 ro"\n',
    "update-extlinux": b'default_kernel_opts="ro quiet"\nroot=/dev/sda1\n',
}


def _rewrite(form: str, change: Any) -> Op:
    return lambda src: argplaces.rewrite(src, form, change)


def _parts() -> list[Call]:
    """Return what actions call that is no operation of a rule: arguments, and the parts that editors share."""
    found = [
        Call(f"argplaces.{form}.{name}", _rewrite(form, change), (_ARGUMENTS[form],))
        for form in argplaces.READERS
        for name, change in (
            ("ensure", bootargs.ensure(["console=ttyS0", "net.ifnames=0"])),
            ("remove", bootargs.remove(["ro", "quiet"])),
            ("console", bootargs.console("ttyS0,115200n8")),
        )
        if form != "dracut" or name == "remove"  # dracut's own arguments are changed and never added to
    ]
    block = grubenv.create({"kernelopts": "root=/dev/sda1 ro", "x": "1"})
    found += [
        Call("argplaces.grubenv", _rewrite("grubenv", bootargs.ensure(["quiet"])), (block,), text=False),
        Call(
            "syslinux.set_default",
            lambda src: _syslinux.set_default(src, "a", ("a",)),
            (SYSLINUX, b"UI a.c32\nLABEL a\n"),
        ),
        Call("initrd.grubcfg", lambda src: _initrd.add(src, "grubcfg", 2, "i"), (b"menuentry a {\n linux /k ro\n}\n",)),
        Call("initrd.bls", lambda src: _initrd.add(src, "bls", 1, "i"), (b"linux /k\noptions ro\n",)),
        Call("initrd.menu", lambda src: _initrd.add(src, "menu", 2, "i"), (b"title a\nkernel /k ro\n",)),
        Call("initrd.syslinux", lambda src: _initrd.add(src, "syslinux", 1, "i"), (b"LABEL a\nKERNEL /k\n",)),
        Call("grubenv.replace_value", lambda src: grubenv.replace_value(src, "x", "2"), (block,), text=False),
        Call("grubenv.set_value", lambda src: grubenv.set_value(src, "x", "2"), (block,), text=False),
        Call("shellvars.set_value", lambda src: shellvars.set_value(src, "A", "two words"), (b"A=1\n", b"B=1\n")),
        Call("shellvars.unset", lambda src: shellvars.unset(src, "A"), (b"A=1\n", b"B=1\nA=2\n", b"A=1 B=2\n")),
        Call("ini.set_value", lambda src: ini.set_value(src, "a", "k", "v"), (b"[a]\n", b"[a]\nk=1\n", b"[b]\nk=1\n")),
        Call("modprobe.allow", lambda src: modprobe.allow(src, ["virtio_blk"]), (MODPROBE,)),
        Call("netplan.without", lambda src: _netplan.without(src, names=["eth0"]), (NETPLAN,)),
        Call(
            "managed.except_wired",
            lambda src: _managed.except_wired(src, lines=(2, 3)),
            (b"[keyfile]\nunmanaged-devices=*\n", b"[device]\n\nmanaged=0\n", b"[device]\nmatch-device=*\nmanaged=0\n"),
        ),
        Call(
            "managed.comment_rules",
            lambda src: _managed.comment_rules(src, lines=(2,)),
            (b'A=="x"\nKERNEL=="e*", \\\n  ENV{NM_UNMANAGED}="1"\nB=="y"\n',),
        ),
        Call("ifcfg.lease_in_use", _ifcfg.lease_in_use, (b"X=1\nDHCLIENT_SET_DEFAULT_ROUTE=no\n",)),
        Call("ifcfg.on_link", _routes.on_link, (b"169.254.0.0/16 dev eth0\n10.0.0.0/8 via 192.0.2.1\n",)),
        Call("ifcfg.no_fixed_dns", _ifcfg.no_fixed_dns, (b"NETCONFIG_DNS_STATIC_SERVERS=192.0.2.1\n",)),
        Call(
            "bootmenu.loader_commands",
            lambda src: _bootmenu.loader_commands(src, linux="linux", initrd="initrd"),
            (GRUBCFG,),
        ),
    ]
    return found


def content(result: Content | Edit) -> Content:
    """Return what an operation made of a file."""
    return result.content if isinstance(result, Edit) else result


def bare(data: Content) -> Content:
    """Return the content without its last line ending."""
    if not isinstance(data, bytes):
        return data
    return data.removesuffix(b"\r\n") if data.endswith(b"\r\n") else data.removesuffix(b"\n")


def result(call: Call, src: bytes) -> tuple[Content, str]:
    """Return what the operation makes of src, or the file itself with what it says where it refuses."""
    try:
        return content(call.op(src)), ""
    except EditError as error:
        return src, error.what


def check_last_newline(call: Call, src: bytes) -> None:
    """The law: with and without its last line ending a file becomes the same but for that, or is left alone twice.

    It speaks of files whose last line has more than CR. What ending a line gets that had none is told by the first
    line: where the endings are mixed, or the only one is taken away, CR does not count.
    """
    without = bare(src)
    assert isinstance(without, bytes)
    last = without.rstrip(b"\r")
    if without == src or not last or last.endswith(b"\n"):
        return
    (one, said), (other, said_other) = result(call, src), result(call, without)
    if b"\r" in src and (b"\n" not in without or src.count(b"\r\n") != max(src.count(b"\r"), src.count(b"\n"))):
        assert bare(without_cr(one)) == bare(without_cr(other))
        return
    assert bare(one) in (other, bare(other))  # other's last line may be empty now
    assert said == said_other
    assert (one is src) == (other is without)


def without_cr(data: Content) -> Content:
    return data.replace(b"\r", b"") if isinstance(data, bytes) else data


def unix(data: Content) -> Content:
    return data.replace(b"\r\n", b"\n") if isinstance(data, bytes) else data


CALLS = calls()
MISSING = sorted(set(OPS) - {one.name.partition("(")[0] for one in CALLS})
