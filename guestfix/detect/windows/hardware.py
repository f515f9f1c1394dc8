r"""What a Windows keeps of the machine that it ran on: its maker, devices that were switched off, processor drivers."""

from __future__ import annotations

from collections.abc import Iterator

from guestfix.base.catalog.facts.system import OS_VERSION
from guestfix.base.catalog.facts.windows import (
    WINDOWS_DISABLED_DEVICES,
    WINDOWS_HARDWARE,
    WINDOWS_PHYSICAL,
    WINDOWS_PROCESSOR_DRIVERS,
)
from guestfix.base.facts import Finding
from guestfix.detect.windows.state import State
from guestfix.formats.windows.netdrivers import of
from guestfix.formats.windows.services import DISABLED, read_service
from guestfix.formats.windows.storage import STORAGE_DRIVERS, all_names

INFORMATION = r"Control\SystemInformation"
CONFIG = "HardwareConfig"
FLAG_DISABLED = 1
"""CONFIGFLAG_DISABLED of a device's ConfigFlags."""
PROCESSOR_DRIVERS = ("intelppm", "processor", "amdk7", "amdk8", "amdppm", "p3", "crusoe", "viac7")
"""Processor drivers; before Vista one of another maker's processor stops Windows (code 7E)."""


def find_hardware(state: State) -> Iterator[Finding]:
    """Put ``windows.hardware``, ``windows.physical``, ``windows.disabled_devices``, ``windows.processor_drivers``."""
    yield from _maker(state)
    yield from _disabled(state)
    yield from _processors(state)


def _maker(state: State) -> Iterator[Finding]:
    path = state.key(INFORMATION)
    current = state.system.text(CONFIG, "LastConfig")
    if not state.system.text(path, "SystemManufacturer") and current:
        path = rf"{CONFIG}\{current}"
    maker, product = (state.system.text(path, name) for name in ("SystemManufacturer", "SystemProductName"))
    shown = " ".join(part for part in (maker, product) if part)
    proof = state.system.evidence(path, "SystemManufacturer")
    state.facts.put(WINDOWS_HARDWARE, shown, proof)
    words = [word for those in state.target.tables.get("virtual-machines", {}).values() for word in those]
    physical = bool(shown) and not any(word in shown.lower() for word in words)
    state.facts.put(WINDOWS_PHYSICAL, physical, proof)
    if physical:
        text = f"Windows last ran on hardware ({shown}): its maker's drivers and services stay, an OEM licence may not"
        remedy = "uninstall the maker's software (monitoring, RAID, NIC teams) before the move; see to the licence"
        yield Finding("GF-WINDOWS-PHYSICAL", "info", text, (proof,), remedy)


def _wanted(state: State) -> set[str]:
    """Return how devices that the target has begin, in capitals."""
    disks = all_names(state.target.windows_drivers.get("storage", ()))
    nics = all_names(state.target.windows_drivers.get("network", ()))
    known = [one for name in disks if name in STORAGE_DRIVERS for one in STORAGE_DRIVERS[name].devices]
    return {one.upper() for one in [*known, *(device for name in nics for device in of(name).devices)]}


def _disabled(state: State) -> Iterator[Finding]:
    """Devices that the target has and that somebody switched off here, as in the device manager."""
    wanted, found = _wanted(state), []
    base = state.key("Enum")
    for bus in {one.partition("\\")[0] for one in wanted}:
        for device in state.system.names(rf"{base}\{bus}"):
            name = f"{bus}\\{device}".upper()
            if not any(name.startswith(one) for one in wanted):
                continue
            for instance in state.system.names(rf"{base}\{bus}\{device}"):
                key = rf"{base}\{bus}\{device}\{instance}"
                if (state.system.number(key, "ConfigFlags") or 0) & FLAG_DISABLED:
                    found.append(key)
    proofs = tuple(state.system.evidence(key, "ConfigFlags") for key in found[:8])
    state.facts.put(WINDOWS_DISABLED_DEVICES, [key.partition("\\Enum\\")[2] for key in found], *proofs)
    if found:
        shown = ", ".join(key.partition("\\Enum\\")[2] for key in found[:4])
        text = f"devices that the target has are switched off in this Windows: {shown}"
        remedy = "let the rule windows/enable-devices switch them on, or do so in the device manager"
        yield Finding("GF-WINDOWS-DEVICE-OFF", "warning", text, proofs, remedy, outcome="unknown")


def _processors(state: State) -> Iterator[Finding]:
    old = str(state.facts.value(OS_VERSION, "")).startswith("5.")
    services = [read_service(state.system, state.control, name) for name in PROCESSOR_DRIVERS if old]
    on = [one.name for one in services if one is not None and one.start not in (None, DISABLED)]
    proofs = tuple(state.system.evidence(state.key(rf"Services\{name}"), "Start") for name in on)
    state.facts.put(WINDOWS_PROCESSOR_DRIVERS, on, *proofs)
    if on:
        text = f"drivers for the old machine's processor start: {', '.join(on)}; on another maker's Windows stops (7E)"
        remedy = "let the rule windows/processor-drivers switch them off; Windows needs none of them"
        yield Finding("GF-WINDOWS-PROCESSOR-DRIVER", "warning", text, proofs, remedy, outcome="unknown")
