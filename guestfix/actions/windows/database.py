r"""The two databases by which Windows binds drivers to devices before they are installed, and a driver's service.

Sources: "Services registry tree", "CriticalDeviceDatabase" (to Windows 7 and Server 2008 R2) and the
DriverDatabase key as Windows 8 and later keep it.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from datetime import date
from uuid import UUID

from guestfix.actions.windows.registry import reader
from guestfix.base.errors import EditError
from guestfix.base.patterns import regex
from guestfix.formats.windows.bindings import is_bound
from guestfix.formats.windows.inf import Driver
from guestfix.formats.windows.infregistry import RegistryValue
from guestfix.formats.windows.regf import REG_BINARY, REG_DWORD, REG_EXPAND_SZ, REG_MULTI_SZ, REG_SZ, Hive
from guestfix.formats.windows.services import BOOT, STORAGE_GROUP
from guestfix.formats.windows.storage import SCSI, StorageDriver

_SUBSYSTEM = regex(r"&(?:SUBSYS|REV)_")
Version = tuple[tuple[int, ...], tuple[int, ...]]
OWN_VERSION: Version = ((2006, 6, 21), (1, 0, 0, 0))
"""Of an entry that guestfix makes without a package: as old as Windows' own, so that any real one is better."""


def bind(hive: Hive, control: str, service: str, known: StorageDriver) -> bool:
    """Enter a driver that is there in the database of this Windows, where nothing binds its devices to it yet."""
    if hive.key("DriverDatabase") is None:
        critical_devices(hive, control, service, known.class_guid, known.devices)
        return False
    if not known.devices or is_bound(hive, control, service, known):
        return False
    name = f"gf{service.lower()}.inf"
    driver = Driver(service, f"{service}.sys", 1, BOOT, 1, STORAGE_GROUP, known.devices, (), (), "")
    arch = reader(hive).text(rf"{control}\Control\Session Manager\Environment", "PROCESSOR_ARCHITECTURE").lower()
    label = database_label("\n".join(known.devices).encode(), name, arch or "amd64")
    driver_database(hive, driver, inf=name, label=label, guid=known.class_guid, version=OWN_VERSION)
    return True


def critical_devices(hive: Hive, control: str, service: str, guid: str, devices: Sequence[str]) -> None:
    """Enter devices in CriticalDeviceDatabase, so that Windows 7 and older bind them before they are installed."""
    for device in devices:
        key = rf"{control}\Control\CriticalDeviceDatabase\{device.lower().replace(chr(92), '#')}"
        for name, data in (("Service", service), ("ClassGUID", guid.upper())):
            if str(hive.get(key, name)).lower() != data.lower():
                hive.set_value(key, name, REG_SZ, data)


def install_service(hive: Hive, control: str, driver: Driver, *, start: int, class_guid: str = SCSI) -> None:
    r"""Enter a driver of a package as a service, with its own parameters."""
    path = rf"{control}\Services\{driver.service}"
    values = (
        ("Type", REG_DWORD, driver.type),
        ("Start", REG_DWORD, start),
        ("ErrorControl", REG_DWORD, driver.error_control),
        ("ImagePath", REG_EXPAND_SZ, rf"System32\drivers\{driver.binary}"),
    )
    for name, kind, data in values:
        hive.set_value(path, name, kind, data)
    if driver.group or (start == BOOT and class_guid.lower() == SCSI):
        hive.set_value(path, "Group", REG_SZ, driver.group or STORAGE_GROUP)
    hive.delete_key(rf"{path}\StartOverride", recursive=True)
    for value in driver.registry:
        _set_parameter(hive, path, value)


def _set_parameter(hive: Hive, path: str, value: RegistryValue) -> None:
    key = "\\".join([path, *(part for part in value.key.split("\\") if part)])
    if hive.get(key, value.name) is None:
        hive.set_value(key, value.name, value.type, value.data)


def database_label(inf: bytes, name: str, arch: str) -> str:
    """Return the name of a package in DriverDatabase: ``NAME.inf_amd64_`` and 16 hex digits of its content."""
    return f"{name}_{arch}_{hashlib.sha256(inf).hexdigest()[:16]}"


def driver_database(
    hive: Hive, driver: Driver, *, inf: str, label: str, guid: str, version: Version, provider: str = "guestfix"
) -> None:
    """Enter a driver in DriverDatabase, so that Windows 8 and later bind its devices at the first start.

    ``inf`` is the package's name there, ``label`` that of :func:`database_label`. Raises EditError for a
    class that is no GUID.
    """
    root = "DriverDatabase"
    configuration = f"{driver.service}_conf"
    file = rf"{root}\DriverInfFiles\{inf}"
    hive.set_value(file, "", REG_MULTI_SZ, [label])
    hive.set_value(file, "Active", REG_SZ, label)
    hive.set_value(file, "Configurations", REG_MULTI_SZ, [configuration])
    package = rf"{root}\DriverPackages\{label}"
    hive.set_value(package, "", REG_SZ, inf)
    hive.set_value(package, "Version", REG_BINARY, package_version(guid, version))
    hive.set_value(package, "Provider", REG_SZ, provider)
    setup = rf"{package}\Configurations\{configuration}"
    hive.set_value(setup, "ConfigFlags", REG_DWORD, 0)
    hive.set_value(setup, "Service", REG_SZ, driver.service)
    for device in devices_of(driver):
        hive.set_value(rf"{root}\DeviceIds\{device}", inf, REG_BINARY, b"\x01\xff\x00\x00")
        hive.set_value(rf"{package}\Descriptors\{device}", "Configuration", REG_SZ, configuration)


def devices_of(driver: Driver) -> list[str]:
    """Return a driver's devices; those on PCI also without their subsystem and revision, which clouds change."""
    pci = [one for one in driver.hardware_ids if one.upper().startswith("PCI\\")]
    return list(dict.fromkeys([*driver.hardware_ids, *(_SUBSYSTEM.split(one)[0] for one in pci)]))


def package_version(guid: str, version: Version) -> bytes:
    """Return the 48 bytes of a package's Version: a head, the class, the date as FILETIME, the version."""
    try:
        setup_class = UUID(guid).bytes_le
    except ValueError as error:
        raise EditError(f"the driver package's class {guid!r} is no GUID") from error
    (year, month, day), numbers = version[0], [*version[1], 0, 0, 0, 0][:4]
    try:
        days = (date(year, month, day) - date(1601, 1, 1)).days
    except ValueError:
        days = 0
    parts = [min(number, 0xFFFF) for number in reversed(numbers)]
    return struct.pack("<II16sQ4HQ", 0x0009FF00, 0, setup_class, max(days, 0) * 864_000_000_000, *parts, 0)
