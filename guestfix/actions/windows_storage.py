r"""Making Windows find its disk: the target's storage drivers start at boot, in all control sets.

Sources: "Services registry tree", "CriticalDeviceDatabase" (to Windows 7 and Server 2008 R2) and the
DriverDatabase key as Windows 8 and later keep it; stop code 0x7B, INACCESSIBLE_BOOT_DEVICE.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from datetime import date
from uuid import UUID

from guestfix.actions.windows_registry import editing_system, reader, seen
from guestfix.errors import EditError
from guestfix.facts import Evidence
from guestfix.formats.inf import Driver, RegistryValue
from guestfix.formats.regf import REG_BINARY, REG_DWORD, REG_EXPAND_SZ, REG_MULTI_SZ, REG_SZ, Hive
from guestfix.formats.winfiles import has_program
from guestfix.formats.winservices import (
    BOOT,
    KERNEL_DRIVER,
    STORAGE_DRIVERS,
    STORAGE_GROUP,
    Service,
    image_path,
    read_service,
)
from guestfix.patterns import regex
from guestfix.workbench import Workbench

_SUBSYSTEM = regex(r"&(?:SUBSYS|REV)_")
Version = tuple[tuple[int, ...], tuple[int, ...]]


def boot_start(bench: Workbench, *, services: list[str]) -> None:
    """Make these storage drivers start at boot, where they and their files are there.

    In place of one that is not there, another driver that the guest has for the same devices will do, such
    as a vendor's. Where there is none that is a blocker: the guest would stop with code 7B.
    ``StartOverride`` goes, since Windows puts it over Start when it last ran without such a disk.
    """
    missing = []
    with editing_system(bench) as (hive, controls):
        for name in services:
            done = [_start_at_boot(bench, hive, control, name) for control in controls]
            if not any(done):
                done = [_stand_in(bench, hive, control, name) for control in controls]
            if not any(done):
                missing.append(name)
    if missing:
        _report_missing(bench, missing)


def _start_at_boot(bench: Workbench, hive: Hive, control: str, name: str) -> bool:
    service = read_service(reader(hive), control, name)
    if service is None or not has_file(bench, service):
        return False
    path = rf"{control}\Services\{service.name}"
    hive.set_value(path, "Start", REG_DWORD, BOOT)
    if service.override not in (None, BOOT):
        hive.delete_key(rf"{path}\StartOverride", recursive=True)
    _complete(hive, path, service)
    if hive.key("DriverDatabase") is None and name in STORAGE_DRIVERS:
        guid, devices = STORAGE_DRIVERS[name]
        critical_devices(hive, control, service.name, guid, devices)
    return True


def _stand_in(bench: Workbench, hive: Hive, control: str, name: str) -> bool:
    """Start the drivers that the guest has for the devices of another one; return whether there is one."""
    devices = STORAGE_DRIVERS[name][1] if name in STORAGE_DRIVERS else ()
    done = [_start_at_boot(bench, hive, control, one) for one in serving(hive, control, devices)]
    return any(done)


def serving(hive: Hive, control: str, devices: Sequence[str]) -> list[str]:
    """Return the services that the guest binds to these devices, by either of its databases."""
    view, found = reader(hive), []
    for device in devices:
        critical = rf"{control}\Control\CriticalDeviceDatabase\{device.lower().replace(chr(92), '#')}"
        found.append(view.text(critical, "Service"))
        for inf in view.value_names(rf"DriverDatabase\DeviceIds\{device}"):
            label = view.text(rf"DriverDatabase\DriverInfFiles\{inf}", "Active")
            package = rf"DriverDatabase\DriverPackages\{label}"
            setup = view.text(rf"{package}\Descriptors\{device}", "Configuration")
            found.append(view.text(rf"{package}\Configurations\{setup}", "Service"))
    return [name for name in dict.fromkeys(found) if name]


def has_file(bench: Workbench, service: Service) -> bool:
    """Tell whether the driver's file is in the guest."""
    path = image_path(service, bench.facts.value("windows.root", "/Windows"))
    return path is not None and has_program(bench.fs, path)


def _complete(hive: Hive, path: str, service: Service) -> None:
    """Add what a boot driver needs and the key lacks; what is there stays."""
    defaults = (
        ("Type", REG_DWORD, KERNEL_DRIVER),
        ("ErrorControl", REG_DWORD, 1),
        ("Group", REG_SZ, STORAGE_GROUP),
        ("ImagePath", REG_EXPAND_SZ, rf"system32\drivers\{service.name}.sys"),
    )
    for name, kind, data in defaults:
        if hive.get(path, name) is None:
            hive.set_value(path, name, kind, data)


def _report_missing(bench: Workbench, missing: Sequence[str]) -> None:
    names = ", ".join(missing)
    verb = "is" if len(missing) == 1 else "are"
    text = f"the storage driver{'s' if len(missing) > 1 else ''} {names} of the target {verb} not installed"
    remedy = "give the drivers with --payload (for virtio: the virtio-win ISO or folder), or choose another disk bus"
    proofs = seen(bench, "windows.storage_drivers") or (Evidence("/"),)
    bench.find(
        "GF-WINDOWS-STORAGE-DRIVER", "blocker", f"{text}; Windows would stop with code 7B", *proofs, remedy=remedy
    )


def critical_devices(hive: Hive, control: str, service: str, guid: str, devices: Sequence[str]) -> None:
    """Enter devices in CriticalDeviceDatabase, so that Windows 7 and older bind them before they are installed."""
    for device in devices:
        key = rf"{control}\Control\CriticalDeviceDatabase\{device.lower().replace(chr(92), '#')}"
        hive.set_value(key, "Service", REG_SZ, service)
        hive.set_value(key, "ClassGUID", REG_SZ, guid.upper())


def install_service(hive: Hive, control: str, driver: Driver, *, start: int) -> None:
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
    if driver.group or start == BOOT:
        hive.set_value(path, "Group", REG_SZ, driver.group or STORAGE_GROUP)
    hive.delete_key(rf"{path}\StartOverride", recursive=True)
    for value in driver.registry:
        _set_parameter(hive, path, value)


def _set_parameter(hive: Hive, path: str, value: RegistryValue) -> None:
    key = "\\".join([path, *(part for part in value.key.split("\\") if part)])
    kind = REG_DWORD if isinstance(value.data, int) else REG_SZ
    if hive.get(key, value.name) is None:
        hive.set_value(key, value.name, kind, value.data)


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
    """Return the PCI devices of a driver, each also without its subsystem and revision, which clouds change."""
    ids = [one for one in driver.hardware_ids if one.startswith("PCI\\")]
    return list(dict.fromkeys([*ids, *(_SUBSYSTEM.split(one)[0] for one in ids)]))


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
