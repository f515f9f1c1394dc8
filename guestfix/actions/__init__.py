"""Actions: planning steps that need more than one file in view, such as a whole network setup.

An action is ``action(bench: Workbench, *, ...) -> None``. It reads the guest and the facts through the
workbench and puts its changes there; it never touches the guest itself. ``ACTIONS`` is a literal like
``editors.OPS``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

ACTIONS: dict[str, str] = {
    "access.authorize": "system.keys:authorize",
    "boot.fallback_loader": "boot.fallback:make_fallback",
    "boot.find_source": "boot.source:find_source",
    "boot.fix_sources": "boot.agree:fix_sources",
    "boot.ignition_platform": "boot.ignition:set_platform",
    "boot.install_devices": "boot.installdevice:set_install_devices",
    "boot.load_initrd": "boot.initrd:load_initrd",
    "boot.repair_default": "boot.menu:repair_default",
    "boot.set_devices": "boot.args:set_devices",
    "boot.unlock_default": "boot.unlock:unlock_default",
    "boot.unblock_drivers": "boot.args:unblock_drivers",
    "boot.use_firmware_commands": "boot.menu:use_firmware_commands",
    "console.serial_logins": "system.gettys:serial_logins",
    "guest.tell": "system.tell:tell",
    "initramfs.inject": "initramfs.inject:inject",
    "initramfs.keep_features": "initramfs.mkinitfs:keep_drivers",
    "kernel.add_arguments": "boot.args:add_arguments",
    "kernel.exchange_argument": "boot.args:exchange_argument",
    "kernel.remove_arguments": "boot.args:remove_arguments",
    "network.cloud_init": "network.services:cloud_init",
    "network.enable": "network.services:enable",
    "network.ifcfg": "network.ifcfg:red_hat",
    "network.ifcfg_suse": "network.ifcfg:suse",
    "network.interfaces": "network.interfaces:apply",
    "network.keep_names": "network.names:keep_names",
    "network.keyfile": "network.keyfile:apply",
    "network.managed": "network.managed:apply",
    "network.netplan": "network.netplan:apply",
    "network.networkd": "network.networkd:apply",
    "service.disable": "system.services:disable",
    "service.enable": "system.services:enable",
    "payload.stage": "system.brought:stage",
    "storage.grow_root": "storage.grow:grow_root",
    "storage.name_disks": "storage.named:name_disks",
    "storage.tell_arrays": "storage.named:tell_arrays",
    "storage.tell_names": "storage.named:tell_names",
    "storage.release_units": "storage.units:release",
    "systemd.disable": "system.units:disable",
    "systemd.enable": "system.units:enable",
    "systemd.mask": "system.units:mask",
    "windows.boot_start": "windows.storage:boot_start",
    "windows.inject": "windows.drivers:inject",
    "windows.dhcp": "windows.network:dhcp",
    "windows.dedupe_routes": "windows.network:dedupe_routes",
    "windows.remove_adapters": "windows.network:remove_adapters",
    "windows.cloudbase": "windows.cloud:cloudbase",
    "windows.disable_processor_drivers": "windows.devices:disable_processor_drivers",
    "windows.enable_devices": "windows.devices:enable_devices",
    "windows.disable_leftovers": "windows.leftovers:disable_leftovers",
    "windows.network_services": "windows.network:network_services",
    "windows.stage_programs": "windows.programs:stage_programs",
    "windows.remove_orphan_filters": "windows.leftovers:remove_orphan_filters",
    "windows.allow_rdp": "windows.settings:allow_rdp",
    "windows.answer_file": "windows.settings:answer_file",
    "windows.boot_entries": "windows.boot:boot_entries",
    "windows.boot_settings": "windows.boot:boot_settings",
    "windows.efi_fallback": "windows.boot:efi_fallback",
}


def find_action(name: str) -> Callable[..., None]:
    """Return the action with this name. Raises KeyError where there is none."""
    module, _, function = ACTIONS[name].partition(":")
    found: Callable[..., None] = getattr(importlib.import_module(f"guestfix.actions.{module}"), function)
    return found
