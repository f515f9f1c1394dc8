r"""Installing a driver offline: its files among the guest's drivers, its service, its devices in the database."""

from __future__ import annotations

from collections.abc import Sequence

from guestfix.actions.payload import Payload
from guestfix.actions.windows.database import (
    critical_devices,
    database_label,
    devices_of,
    driver_database,
    install_service,
)
from guestfix.actions.windows.payload import Package, locate
from guestfix.actions.windows.registry import root_of, seen
from guestfix.actions.workbench import Workbench
from guestfix.base.catalog.facts.system import OS_ARCH, OS_ID, OS_VERSION
from guestfix.base.catalog.facts.windows import WINDOWS_PRODUCT_TYPE
from guestfix.base.errors import EditError
from guestfix.formats.windows.files import has_program, is_packed
from guestfix.formats.windows.inf import CopiedFile, Driver, Platform, parse, safe_name
from guestfix.formats.windows.pe import HEAD, imports, machine
from guestfix.formats.windows.regf import Hive
from guestfix.formats.windows.services import BOOT, Service, image_path

DRIVERS = "/Windows/System32/drivers"
_KERNEL = frozenset(("ntoskrnl.exe", "hal.dll", "bootvid.dll", "kdcom.dll"))
_ARCH = {"x86_64": "amd64", "i686": "x86", "aarch64": "arm64"}
_PRODUCT = {"winnt": 1, "lanmannt": 2, "servernt": 3}


def has_file(bench: Workbench, service: Service) -> bool:
    """Tell whether the driver's file is in the guest."""
    path = image_path(service, root_of(bench))
    return path is not None and has_program(bench.fs, path)


def guest_platform(bench: Workbench) -> Platform:
    """Return what packages are chosen for. Raises EditError where version or architecture isn't known."""
    version = str(bench.facts.value(OS_VERSION, "")).split(".")
    arch = _ARCH.get(bench.facts.value(OS_ARCH, ""), "")
    if not arch or len(version) < 2:
        raise EditError("no driver can be chosen: the guest's Windows version or architecture is not known")
    kind = bench.facts.value(WINDOWS_PRODUCT_TYPE, "")
    numbers = [int(part) for part in (*version, "0")[:3]]
    return Platform(arch, numbers[0], numbers[1], numbers[2], _PRODUCT.get(kind, 1))


def put_new(bench: Workbench, path: str, data: bytes) -> None:
    """Put a file, unless it holds just this already, or Windows keeps its own packed there."""
    if is_packed(bench.fs, path):
        return
    known = bench.fs.stat(path)
    if known is None or known.size != len(data) or bench.fs.read(path, len(data)) != data:
        bench.fs.put(path, data, diff=f"driver file: {len(data)} bytes\n")


def place_driver(bench: Workbench, payload: Payload, package: Package, driver: Driver, platform: Platform) -> None:
    """Put the driver's file, and the libraries that it needs, among the guest's drivers.

    Libraries are those that its .inf copies, and what lies beside it. One that neither the package nor the guest
    has is a finding. Raises EditError where the package lacks a file, or it is for another processor.
    """
    others = [one for one in driver.files if one.directory == DRIVERS and one.name.lower().endswith(".sys")]
    own = next((one for one in others if one.name.lower() == driver.binary.lower()), None)
    wanted = [own or CopiedFile(DRIVERS, driver.binary, driver.binary), *(one for one in others if one != own)]
    placed: dict[str, tuple[str, bytes]] = {}
    lacking: list[str] = []
    while wanted:
        one = wanted.pop(0)
        data = _driver_file(payload, package, one, platform)
        placed[one.name.lower()] = one.name, data
        for name in imports(data):
            if name.lower() in placed or _has_library(bench, name) or not safe_name(name):
                continue
            if locate(payload, package, name) is not None:
                wanted.append(CopiedFile(DRIVERS, name, name))
            else:
                lacking.append(name)
    for name, data in placed.values():
        put_new(bench, f"{root_of(bench)}/System32/drivers/{name}", data)
    if lacking and has_program(bench.fs, f"{root_of(bench)}/System32/ntoskrnl.exe"):
        text = (
            f"{driver.binary} needs {', '.join(dict.fromkeys(lacking))}, which the guest lacks; Windows can't load it"
        )
        remedy = f"put the file beside {package.inf.rpartition('/')[2]} in the payload, or take an older driver"
        bench.find("GF-WINDOWS-DRIVER-LIBRARY", "blocker", text, *seen(bench, OS_ID), remedy=remedy)


def _driver_file(payload: Payload, package: Package, wanted: CopiedFile, platform: Platform) -> bytes:
    source = locate(payload, package, wanted.source) or locate(payload, package, wanted.name)
    if source is None:
        raise EditError(f"the package lacks its driver file {wanted.name}", where=package.inf)
    data = payload.read(source)
    found = machine(data[:HEAD])
    if found != platform.arch:
        text = f"{wanted.name} is for {found or 'no known processor'}, the guest is {platform.arch}"
        raise EditError(text, where=source)
    return data


def _has_library(bench: Workbench, name: str) -> bool:
    """Tell whether the guest has a module that drivers are linked with; those of the kernel always are there,
    and API sets are no files.
    """
    folders = (f"{root_of(bench)}/System32", f"{root_of(bench)}/System32/drivers")
    return (
        name.lower() in _KERNEL
        or name.lower().startswith(("api-ms-", "ext-ms-"))
        or any(has_program(bench.fs, f"{folder}/{name}") for folder in folders)
    )


def enter_driver(
    hive: Hive, controls: Sequence[str], payload: Payload, package: Package, driver: Driver, platform: Platform
) -> None:
    """Enter a driver so that it starts at boot, in every control set, and bind its devices to it."""
    guid = package.class_guid
    for control in controls:
        install_service(hive, control, driver, start=BOOT, class_guid=guid)
        if hive.key("DriverDatabase") is None:
            critical_devices(hive, control, driver.service, guid, devices_of(driver))
    if hive.key("DriverDatabase") is not None:
        raw = payload.read(package.inf)
        name = f"gf{package.name}.inf"
        label = database_label(raw, name, platform.arch)
        provider = parse(raw).value("Version", "Provider") or "guestfix"
        driver_database(hive, driver, inf=name, label=label, guid=guid, version=package.version, provider=provider)
