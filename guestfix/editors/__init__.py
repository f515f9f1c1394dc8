"""Editor operations: pure functions from a file's bytes to a file's bytes, one module a format.

``OPS`` maps the name a rule uses to ``module:function`` below this package; it is a literal, so that
a run imports only the formats that its rules need.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

from guestfix.base.bounds import HIVE, MENU, MOUNT_TABLE, SMALL_TEXT
from guestfix.base.edit import Content, Edit

OPS: dict[str, str] = {
    "file.create": "system.files:create",
    "file.delete": "system.files:delete",
    "file.empty": "system.files:empty",
    "file.link": "system.files:link",
    "ini.set": "system.settings:set_ini",
    "modprobe.blacklist": "system.modules:blacklist",
    "modprobe.options": "system.modules:options",
    "shellvars.set": "system.settings:set_shell",
    "sysctl.set": "system.settings:set_sysctl",
    "text.comment_lines": "system.text:comment_lines",
    "text.ensure_line": "system.text:ensure_line",
    "text.replace_line": "system.text:replace_line",
    "rcconf.dhcp": "network.rcconf:dhcp",
    "resumeconf.set_resume": "initramfs.resume:set_resume",
    "bootmenu.default_initrd": "boot.initrdless:default_initrd",
    "bootmenu.grub_initrd": "boot.initrdless:grub_initrd",
    "bootmenu.default_terminal": "boot.menu:default_terminal",
    "bootmenu.default_uuid": "boot.menu:default_uuid",
    "bootmenu.device_map": "boot.menu:device_map",
    "bootmenu.env_show_menu": "boot.menu:env_show_menu",
    "bootmenu.grub_terminal": "boot.menu:grub_terminal",
    "bootmenu.grub_timeout": "boot.menu:grub_timeout",
    "bootmenu.legacy_boot_disk": "boot.menu:legacy_boot_disk",
    "bootmenu.legacy_terminal": "boot.menu:legacy_terminal",
    "bootmenu.legacy_timeout": "boot.menu:legacy_timeout",
    "bootmenu.loader_timeout": "boot.menu:loader_timeout",
    "bootmenu.syslinux_timeout": "boot.menu:syslinux_timeout",
    "commands.set_device": "storage.commands:set_device",
    "cloudcfg.data_sources": "system.cloudcfg:data_sources",
    "crypttab.guard_missing": "storage.crypttab:guard_missing",
    "crypttab.set_device": "storage.crypttab:set_device",
    "dhclient.take_lease": "network.dhclient:take_lease",
    "dracut.add_drivers": "initramfs.conf:dracut_add_drivers",
    "dracut.keep_drivers": "initramfs.conf:dracut_keep_drivers",
    "bsd.set_label": "storage.bsdlabels:set_label",
    "bsd.set_label_in": "storage.bsdlabels:set_label_in",
    "fstab.comment_unreadable": "storage.fstab:comment_unreadable",
    "fstab.disable": "storage.fstab:disable",
    "fstab.guard_missing": "storage.missing:guard_missing",
    "fstab.network": "storage.fstab:network",
    "fstab.set_device": "storage.fstab:set_device",
    "grubdefault.set_default": "boot.grubdefault:set_default",
    "grubdefault.set_timeout": "boot.grubdefault:set_timeout",
    "ifcfg.dhcp": "network.ifcfg:dhcp",
    "ifcfg.networking_on": "network.ifcfg:networking_on",
    "ifcfg.no_old_routes": "network.routes:no_old_routes",
    "ifcfg.no_gateway": "network.ifcfg:no_gateway",
    "ifcfg.optional": "network.ifcfg:optional",
    "ifcfg.rebind": "network.ifcfg:rebind",
    "inittab.serial_login": "system.inittab:serial_login",
    "initramfs_tools.add_modules": "initramfs.conf:initramfs_tools_add_modules",
    "interfaces.add": "network.interfaces:add",
    "interfaces.dhcp": "network.interfaces:dhcp",
    "interfaces.optional": "network.interfaces:optional",
    "interfaces.rebind": "network.interfaces:rebind",
    "kdump.set_target": "storage.commands:set_dump_target",
    "keyfile.dhcp": "network.keyfile:dhcp",
    "keyfile.rebind": "network.keyfile:rebind",
    "lvm.any_device": "storage.assembly:any_device",
    "lvm.any_volume": "storage.assembly:any_volume",
    "mdadm.any_member": "storage.assembly:any_member",
    "mkinitcpio.append_modules": "initramfs.conf:mkinitcpio_append_modules",
    "mkinitcpio.add_modules": "initramfs.conf:mkinitcpio_add_modules",
    "modprobe.add_adapters": "initramfs.conf:modprobe_add_adapters",
    "modprobe.allow": "initramfs.conf:modprobe_allow",
    "netplan.dhcp": "network.netplan:dhcp",
    "netplan.optional": "network.netplan:optional",
    "netplan.rebind": "network.netplan:rebind",
    "networkd.dhcp": "network.networkd:dhcp",
    "networkd.optional": "network.networkd:optional",
    "networkd.rebind": "network.networkd:rebind",
    "networkd.unbind_link": "network.networkd:unbind_link",
    "nsswitch.drop_sources": "system.logins:drop_sources",
    "pam.drop_modules": "system.logins:drop_modules",
    "registry.delete_key": "windows.registry:delete_key",
    "registry.delete_value": "windows.registry:delete_value",
    "registry.merge": "windows.registry:merge",
    "registry.set": "windows.registry:set_value",
    "sysconfig_kernel.add_modules": "initramfs.conf:sysconfig_add_modules",
    "units.set_device": "storage.units:set_device",
    "timesync.replace": "system.timesync:replace",
    "udevnet.unbind": "network.udevnet:unbind",
    "urls.replace_hosts": "system.urls:replace_hosts",
    "unattend.merge": "windows.unattend:merge",
    "bootini.ems_off": "windows.bootini:ems_off",
}


ABOUT_NAMES = ("file.delete", "file.link")
"""Operations on a name itself: they are given a link where it is one, not the file that it leads to."""


def read_limit(name: str) -> int:
    """Return how many bytes a file may have for the editor with this name: hives and menus are large, others not."""
    if name.startswith("bootmenu.grub_"):
        return MENU
    if name.startswith(("fstab.", "crypttab.")):
        return MOUNT_TABLE
    return HIVE if name.startswith("registry.") else SMALL_TEXT


def find_op(name: str) -> Callable[..., Content | Edit]:
    """Return the editor with this name. Raises KeyError where there is none."""
    module, _, function = OPS[name].partition(":")
    found: Callable[..., Content | Edit] = getattr(importlib.import_module(f"guestfix.editors.{module}"), function)
    return found
