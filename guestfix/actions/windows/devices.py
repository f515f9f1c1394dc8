"""Devices of the target that were switched off in Windows, and drivers of a processor that stays behind."""

from __future__ import annotations

from guestfix.actions.windows.registry import disable_service, editing_system
from guestfix.actions.workbench import Workbench
from guestfix.base.catalog.facts.windows import WINDOWS_DISABLED_DEVICES, WINDOWS_PROCESSOR_DRIVERS
from guestfix.detect.windows.hardware import FLAG_DISABLED
from guestfix.formats.windows.regf import REG_DWORD


def enable_devices(bench: Workbench) -> None:
    """Switch devices that the target has on again: the bit for disabled leaves their ConfigFlags."""
    with editing_system(bench) as (hive, controls):
        for control in controls:
            for name in bench.facts.value(WINDOWS_DISABLED_DEVICES, []):
                key = rf"{control}\Enum\{name}"
                flags = hive.get(key, "ConfigFlags")
                if isinstance(flags, int) and flags & FLAG_DISABLED:
                    hive.set_value(key, "ConfigFlags", REG_DWORD, flags & ~FLAG_DISABLED)


def disable_processor_drivers(bench: Workbench) -> None:
    """Switch drivers of processors off, which Windows before Vista starts without looking at the processor."""
    with editing_system(bench) as (hive, controls):
        for control in controls:
            for name in bench.facts.value(WINDOWS_PROCESSOR_DRIVERS, []):
                disable_service(hive, control, name)
