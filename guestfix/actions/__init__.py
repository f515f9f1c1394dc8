"""Actions: planning steps that need more than one file in view, such as a whole network setup.

An action is ``action(bench: Workbench, *, ...) -> None``. It reads the guest and the facts through the
workbench and puts its changes there; it never touches the guest itself. ``ACTIONS`` is a literal like
``editors.OPS``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

ACTIONS: dict[str, str] = {
    "boot.fallback_loader": "boot_fallback:make_fallback",
    "boot.interface_names": "boot_args:set_interface_names",
    "boot.mend_sources": "boot_agree:mend_sources",
    "boot.repair_default": "boot_menu:repair_default",
    "boot.set_console": "boot_args:set_console",
    "boot.set_devices": "boot_args:set_devices",
    "boot.target_arguments": "boot_args:set_target_arguments",
    "boot.unblock_drivers": "boot_args:unblock_drivers",
    "boot.use_firmware_commands": "boot_menu:use_firmware_commands",
    "initramfs.inject": "initramfs:inject",
    "network.cloud_init": "network_services:cloud_init",
    "network.enable": "network_services:enable",
    "network.ifcfg": "network_ifcfg:red_hat",
    "network.ifcfg_suse": "network_ifcfg:suse",
    "network.interfaces": "network_interfaces:apply",
    "network.keep_names": "network_names:keep_names",
    "network.keyfile": "network_keyfile:apply",
    "network.new_identity": "network_services:new_identity",
    "network.netplan": "network_netplan:apply",
    "network.networkd": "network_networkd:apply",
    "windows.set_value": "windows_registry:set_value",
    "windows.delete_value": "windows_registry:delete_value",
    "windows.boot_start": "windows_storage:boot_start",
    "windows.inject": "windows_drivers:inject",
    "windows.dhcp": "windows_network:dhcp",
    "windows.dedupe_routes": "windows_network:dedupe_routes",
    "windows.remove_adapters": "windows_network:remove_adapters",
    "windows.disable_leftovers": "windows_settings:disable_leftovers",
    "windows.remove_orphan_filters": "windows_settings:remove_orphan_filters",
    "windows.allow_rdp": "windows_settings:allow_rdp",
    "windows.answer_file": "windows_settings:answer_file",
    "windows.boot_settings": "windows_boot:boot_settings",
    "windows.efi_fallback": "windows_boot:efi_fallback",
}


def find_action(name: str) -> Callable[..., Any]:
    """Return the action with this name. Raises KeyError where there is none."""
    module, _, function = ACTIONS[name].partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(f"guestfix.actions.{module}"), function)
    return found
