"""Drivers for the devices that the target has: its disk controllers, and the buses that they stand on."""

from __future__ import annotations

from guestfix.base.catalog.facts.windows import WINDOWS_BUS_DRIVERS, WINDOWS_DISK_BINDINGS, WINDOWS_STORAGE_DRIVERS
from guestfix.base.catalog.records.windows import DriverBinding, DriverService
from guestfix.base.facts import Facts
from guestfix.base.guest import GuestFS
from guestfix.detect.windows.boot import driver_of
from guestfix.formats.windows.bindings import is_bound, packages_serving
from guestfix.formats.windows.registry import Registry
from guestfix.formats.windows.services import read_service
from guestfix.formats.windows.storage import STORAGE_DRIVERS, all_names
from guestfix.pack.model import Target


def learn_devices(guest: GuestFS, system: Registry, facts: Facts, target: Target, root: str, control: str) -> None:
    """Put the state of every storage driver that guestfix or the target knows, and of the target's buses.

    ``windows.disk_bindings`` has by which services Windows drives the target's controllers: a vendor's driver may
    stand in for the one that the target names.
    """
    wanted = all_names(target.windows_drivers.get("storage", ()))
    bindings = [_binding(system, control, name) for name in wanted]
    standing_in = [name for one in bindings for name in one.services]
    proof = system.evidence(rf"{control}\Services")
    names = [*wanted, *STORAGE_DRIVERS, *standing_in]
    facts.put(WINDOWS_STORAGE_DRIVERS, _drivers(guest, system, root, control, names), proof)
    facts.put(WINDOWS_DISK_BINDINGS, bindings, system.evidence("DriverDatabase" if _has_database(system) else control))
    buses = all_names([item for those in target.windows_buses.values() for item in those])
    facts.put(WINDOWS_BUS_DRIVERS, _drivers(guest, system, root, control, buses), proof)


def _has_database(system: Registry) -> bool:
    return system.has("DriverDatabase")


def _drivers(guest: GuestFS, system: Registry, root: str, control: str, names: list[str]) -> list[DriverService]:
    """Return the drivers of these names that the control set has, each once."""
    once = {name.lower(): name for name in reversed(names)}
    services = [read_service(system, control, once[name]) for name in dict.fromkeys(one.lower() for one in names)]
    return [driver_of(guest, service, root) for service in services if service is not None]


def _binding(system: Registry, control: str, name: str) -> DriverBinding:
    known = STORAGE_DRIVERS.get(name)
    if known is None or not known.devices:
        return DriverBinding(name, [name], False)
    found = packages_serving(system.hive, control, known.devices)
    services = {service.lower(): service for _, service in found if service}
    if name not in services and is_bound(system.hive, control, name, known):
        services = {name: name, **services}
    return DriverBinding(name, list(services.values()), any(not service for _, service in found))
