r"""Which services Windows gives a device to, by the databases that it keeps in SYSTEM.

Sources: "CriticalDeviceDatabase" (to Windows 7 and Server 2008 R2), the DriverDatabase key as Windows 8 and later
keep it, and Enum, which holds the devices that Windows has seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from guestfix.formats.windows.regf import Hive
from guestfix.formats.windows.registry import Registry
from guestfix.formats.windows.storage import StorageDriver


def serving(hive: Hive, control: str, devices: Sequence[str]) -> list[str]:
    """Return the services that the guest binds to these devices, by either of its databases."""
    return list(dict.fromkeys(service for _, service in packages_serving(hive, control, devices) if service))


def packages_serving(hive: Hive, control: str, devices: Sequence[str]) -> list[tuple[str, str]]:
    """Return (package in the driver store, service) for each driver that Windows has for these devices.

    Either may be empty: what setup brought has no package, and one that was only staged no service yet (it has
    neither Configurations nor Descriptors). A driver that serves only some subsystem or revision counts too.
    """
    view = Registry(hive, "SYSTEM", "")
    critical = rf"{control}\Control\CriticalDeviceDatabase"
    found = []
    for device in devices:
        for name in _matching(view, critical, device.replace("\\", "#")):
            found.append(
                (view.text(rf"{critical}\{name}", "DriverPackageId"), view.text(rf"{critical}\{name}", "Service"))
            )
        bus, _, rest = device.rpartition("\\")
        base = rf"DriverDatabase\DeviceIds\{bus}" if bus else r"DriverDatabase\DeviceIds"
        for name in _matching(view, base, rest):
            found += _packages_for(view, rf"{base}\{name}", rf"{bus}\{name}" if bus else name)
    return [pair for pair in dict.fromkeys(found) if any(pair)]


def _matching(view: Registry, base: str, name: str) -> list[str]:
    """Return the key of this name below base, or else those of the device's subsystems and revisions."""
    if view.has(rf"{base}\{name}"):
        return [name]
    start = f"{name.lower()}&"
    return [one for one in view.names(base) if one.lower().startswith(start)]


def _packages_for(view: Registry, key: str, device: str) -> Iterator[tuple[str, str]]:
    """Yield (package, service) of what DriverDatabase binds to a device."""
    for inf in view.value_names(key):
        label = view.text(rf"DriverDatabase\DriverInfFiles\{inf}", "Active")
        package = rf"DriverDatabase\DriverPackages\{label}"
        setup = view.text(rf"{package}\Descriptors\{device}", "Configuration")
        yield label, view.text(rf"{package}\Configurations\{setup}", "Service")


def is_bound(hive: Hive, control: str, service: str, known: StorageDriver) -> bool:
    """Tell whether Windows gives one of the driver's devices to this service, or did so when it last saw one."""
    if service.lower() in (one.lower() for one in serving(hive, control, known.devices)):
        return True
    view = Registry(hive, "SYSTEM", "")
    for device in known.devices:
        bus, _, start = device.partition("\\")
        for name in view.names(rf"{control}\Enum\{bus}"):
            if name.lower().startswith(start.lower()):
                path = rf"{control}\Enum\{bus}\{name}"
                if any(view.text(rf"{path}\{one}", "Service").lower() == service.lower() for one in view.names(path)):
                    return True
    return False
