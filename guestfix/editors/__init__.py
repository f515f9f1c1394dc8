"""Editor operations: pure functions from a file's bytes to a file's bytes, one module a format.

``OPS`` maps the name a rule uses to ``module:function`` below this package; it is a literal, so that
a run imports only the formats that its rules need.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from guestfix.guest import MAX_READ

OPS: dict[str, str] = {
    "resumeconf.set_resume": "resumeconf:set_resume",
    "bootmenu.default_terminal": "bootmenu:default_terminal",
    "bootmenu.default_uuid": "bootmenu:default_uuid",
    "bootmenu.device_map": "bootmenu:device_map",
    "bootmenu.env_show_menu": "bootmenu:env_show_menu",
    "bootmenu.grub_terminal": "bootmenu:grub_terminal",
    "bootmenu.grub_timeout": "bootmenu:grub_timeout",
    "bootmenu.legacy_boot_disk": "bootmenu:legacy_boot_disk",
    "bootmenu.legacy_terminal": "bootmenu:legacy_terminal",
    "bootmenu.legacy_timeout": "bootmenu:legacy_timeout",
    "bootmenu.loader_timeout": "bootmenu:loader_timeout",
    "crypttab.set_device": "crypttab:set_device",
    "dracut.add_drivers": "initrdconf:dracut_add_drivers",
    "dracut.keep_drivers": "initrdconf:dracut_keep_drivers",
    "fstab.comment_unreadable": "fstab:comment_unreadable",
    "fstab.disable": "fstab:disable",
    "fstab.guard_missing": "fstab:guard_missing",
    "fstab.network": "fstab:network",
    "fstab.set_device": "fstab:set_device",
    "grubdefault.set_default": "grubdefault:set_default",
    "grubdefault.set_timeout": "grubdefault:set_timeout",
    "ifcfg.dhcp": "ifcfg:dhcp",
    "ifcfg.networking_on": "ifcfg:networking_on",
    "ifcfg.no_old_routes": "ifcfg:no_old_routes",
    "ifcfg.no_gateway": "ifcfg:no_gateway",
    "ifcfg.optional": "ifcfg:optional",
    "ifcfg.rebind": "ifcfg:rebind",
    "initramfs_tools.add_modules": "initrdconf:initramfs_tools_add_modules",
    "interfaces.add": "interfaces:add",
    "interfaces.dhcp": "interfaces:dhcp",
    "interfaces.optional": "interfaces:optional",
    "interfaces.rebind": "interfaces:rebind",
    "keyfile.dhcp": "keyfile:dhcp",
    "keyfile.rebind": "keyfile:rebind",
    "mkinitcpio.add_modules": "initrdconf:mkinitcpio_add_modules",
    "modprobe.add_adapters": "initrdconf:modprobe_add_adapters",
    "modprobe.allow": "initrdconf:modprobe_allow",
    "netplan.dhcp": "netplan:dhcp",
    "netplan.optional": "netplan:optional",
    "netplan.rebind": "netplan:rebind",
    "networkd.dhcp": "networkd:dhcp",
    "networkd.optional": "networkd:optional",
    "networkd.rebind": "networkd:rebind",
    "networkd.unbind_link": "networkd:unbind_link",
    "registry.delete_key": "registry:delete_key",
    "registry.delete_value": "registry:delete_value",
    "registry.merge": "registry:merge",
    "registry.set": "registry:set_value",
    "sysconfig_kernel.add_modules": "initrdconf:sysconfig_add_modules",
    "udevnet.unbind": "udevnet:unbind",
    "unattend.merge": "unattend:merge",
    "bootini.ems_off": "bootini:ems_off",
}


HIVE_LIMIT = 512 * 1024 * 1024
"""Bytes of a registry hive that an editor takes."""


def read_limit(name: str) -> int:
    """Return how many bytes a file may have for the editor with this name: hives are large, other files are not."""
    return HIVE_LIMIT if name.startswith("registry.") else MAX_READ


def find_op(name: str) -> Callable[..., Any]:
    """Return the editor with this name. Raises KeyError where there is none."""
    module, _, function = OPS[name].partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(f"guestfix.editors.{module}"), function)
    return found
