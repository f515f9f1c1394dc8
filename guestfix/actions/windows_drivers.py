r"""Bringing the operator's drivers into the guest, and having the rest installed at the first start, once.

Storage drivers are entered in the registry and placed among the drivers, so that the guest boots. All
chosen packages also go to ``\Windows\guestfix\drivers``, which DevicePath names, and a service that runs
once hands them to pnputil.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from guestfix.actions.windows_payload import MAX_PACKAGE, Package, Payload, locate, open_payload, packages
from guestfix.actions.windows_registry import editing, editing_system, hive_path, reader, seen
from guestfix.actions.windows_storage import (
    critical_devices,
    database_label,
    devices_of,
    driver_database,
    has_file,
    install_service,
)
from guestfix.errors import EditError, TooLarge
from guestfix.facts import Evidence
from guestfix.formats.inf import Driver, Platform, parse
from guestfix.formats.pe import HEAD, machine
from guestfix.formats.regf import REG_DWORD, REG_EXPAND_SZ, REG_SZ, Hive
from guestfix.formats.regf.guestfile import open_guest_hive
from guestfix.formats.regf.values import Value
from guestfix.formats.winfiles import is_packed
from guestfix.formats.winservices import AUTO, BOOT, STORAGE_DRIVERS, read_service
from guestfix.workbench import Workbench

FOLDER = "guestfix"
SERVICE = "guestfix-firstboot"
MARKER = "firstboot.done"
OWN_PROCESS = 0x10
STORAGE_CLASSES = ("{4d36e97b-e325-11ce-bfc1-08002be10318}", "{4d36e96a-e325-11ce-bfc1-08002be10318}")
_ARCH = {"x86_64": "amd64", "i686": "x86", "aarch64": "arm64"}
_PRODUCT = {"winnt": 1, "lanmannt": 2, "servernt": 3}
CURRENT_VERSION = r"Microsoft\Windows\CurrentVersion"

SCRIPT = r"""@echo off
rem Written by guestfix. Installs the drivers beside this file at the first start, once.
setlocal
set HERE=%~dp0
if exist "%HERE%{marker}" exit /b 0
echo started %DATE% %TIME%>"%HERE%{marker}"
sc config {service} start= disabled >>"%HERE%firstboot.log" 2>&1
if not exist "%SystemRoot%\System32\pnputil.exe" goto finish
for /d %%D in ("%HERE%drivers\*") do for %%I in ("%%D\*.inf") do pnputil -i -a "%%I" >>"%HERE%firstboot.log" 2>&1
:finish
sc delete {service} >>"%HERE%firstboot.log" 2>&1
echo finished %DATE% %TIME%>>"%HERE%{marker}"
"""
"""The marker is written before anything else: whatever happens, there is no second run and no loop."""


def inject(bench: Workbench, *, payload: str, storage: list[str], network: list[str], choice: str) -> None:
    """Bring driver packages of a payload into the guest.

    ``payload`` is a folder or ISO image of the host. ``storage`` and ``network`` are the driver services
    that the target needs; those of storage must be there at boot. ``choice`` is ``needed`` (packages that
    add one of them) or ``all`` (every package that fits the guest). Raises UsageError for an unreadable
    payload; drivers that the payload lacks are a finding.
    """
    source = open_payload(payload)
    platform = guest_platform(bench)
    fitting = packages(source, str(bench.facts.value("os.id", "")), platform)
    known = _installed(bench, (*storage, *network))
    standing_in = _standing_in(fitting, [name for name in storage if name.lower() not in known])
    wanted = {name.lower() for name in (*storage, *network)} | set(standing_in)
    chosen = [one for one in fitting if choice == "all" or wanted & set(one.services())]
    replaced = set(standing_in.values())
    lacking = sorted(wanted - {name for one in fitting for name in one.services()} - known - replaced)
    if lacking:
        text = f"the payload has no driver for {', '.join(lacking)} that fits {bench.facts.value('os.id')}"
        remedy = f"give a payload with drivers for {platform.arch} and this Windows"
        bench.find("GF-WINDOWS-PAYLOAD", "warning", text, *seen(bench, "os.id", "os.arch"), remedy=remedy)
    if not chosen:
        return
    _place_packages(bench, source, chosen)
    _enter(bench, source, chosen, {name.lower() for name in (*storage, *standing_in)}, platform)
    _device_path(bench, chosen)
    _signatures(bench)


def _standing_in(fitting: Sequence[Package], storage: Sequence[str]) -> dict[str, str]:
    """Return services of the payload for the devices of drivers that neither it nor the guest has."""
    offered = {name for one in fitting for name in one.services()}
    found: dict[str, str] = {}
    for name in storage:
        devices = set(STORAGE_DRIVERS[name][1]) if name in STORAGE_DRIVERS and name.lower() not in offered else set()
        for driver in (driver for one in fitting for driver in one.drivers):
            if devices & set(devices_of(driver)):
                found[driver.service.lower()] = name.lower()
    return found


def guest_platform(bench: Workbench) -> Platform:
    """Return what packages are chosen for. Raises EditError where version or architecture isn't known."""
    version = str(bench.facts.value("os.version", "")).split(".")
    arch = _ARCH.get(bench.facts.value("os.arch", ""), "")
    if not arch or len(version) < 2:
        raise EditError("no driver can be chosen: the guest's Windows version or architecture is not known")
    kind = bench.facts.value("windows.product_type", "")
    numbers = [int(part) for part in (*version, "0")[:3]]
    return Platform(arch, numbers[0], numbers[1], numbers[2], _PRODUCT.get(kind, 1))


def _installed(bench: Workbench, names: Iterable[str]) -> set[str]:
    """Return which of these services the guest has, with their files; in lower case."""
    system = reader(open_guest_hive(bench.fs, hive_path(bench, "SYSTEM")))
    control = str(bench.facts.value("windows.control_set", "ControlSet001"))
    found = (read_service(system, control, name) for name in names)
    return {one.name.lower() for one in found if one is not None and has_file(bench, one)}


def _root(bench: Workbench) -> str:
    return str(bench.facts.value("windows.root", "/Windows"))


def _place_packages(bench: Workbench, payload: Payload, chosen: Iterable[Package]) -> None:
    for package in chosen:
        total = 0
        for name in package.files:
            data = payload.read(name)
            total += len(data)
            if total > MAX_PACKAGE:
                raise TooLarge(f"the driver package is larger than {MAX_PACKAGE} bytes", where=package.inf)
            _put_new(bench, f"{_root(bench)}/{FOLDER}/drivers/{package.name}/{name.rpartition('/')[2]}", data)


def _put_new(bench: Workbench, path: str, data: bytes) -> None:
    """Put a file, unless it holds just this already, or Windows keeps its own packed there."""
    if is_packed(bench.fs, path):
        return
    known = bench.fs.stat(path)
    if known is None or known.size != len(data) or bench.fs.read(path, len(data)) != data:
        bench.fs.put(path, data, diff=f"driver file: {len(data)} bytes\n")


def _enter(
    bench: Workbench, payload: Payload, chosen: Sequence[Package], storage: set[str], platform: Platform
) -> None:
    """Enter the boot-critical drivers in the registry and place their files, and register the service."""
    with editing_system(bench) as (hive, controls):
        for package in chosen:
            boot = [one for one in package.drivers if one.service.lower() in storage]
            if boot and package.class_guid.lower() not in STORAGE_CLASSES:
                raise EditError(f"{package.inf} is no package of a storage class ({package.class_guid or 'none'})")
            for driver in boot:
                _place_driver(bench, payload, package, driver, platform)
                _enter_driver(hive, controls, payload, package, driver, platform)
        if not _ran(bench):
            for control in controls:
                _first_boot_service(hive, control)
    if not _ran(bench):
        script = SCRIPT.format(marker=MARKER, service=SERVICE).replace("\n", "\r\n").encode("ascii")
        path = f"{_root(bench)}/{FOLDER}/firstboot.cmd"
        if bench.fs.stat(path) is None or bench.fs.read(path) != script:
            bench.fs.put(path, script)
        bench.follow_up(f"the drivers are installed at the first start; see \\Windows\\{FOLDER}\\firstboot.log")


def _ran(bench: Workbench) -> bool:
    """Tell whether the first start has already happened: its marker is there."""
    return bench.fs.stat(f"{_root(bench)}/{FOLDER}/{MARKER}") is not None


def _place_driver(bench: Workbench, payload: Payload, package: Package, driver: Driver, platform: Platform) -> None:
    """Put the driver's file among the guest's drivers. Raises EditError where it is for another processor."""
    source = locate(payload, package, driver.binary)
    copied = next((one for one in driver.files if one.name.lower() == driver.binary.lower()), None)
    if copied is not None:
        source = locate(payload, package, copied.source) or source
    if source is None:
        raise EditError(f"the package lacks its driver file {driver.binary}", where=package.inf)
    data = payload.read(source)
    found = machine(data[:HEAD])
    if found != platform.arch:
        raise EditError(
            f"{driver.binary} is for {found or 'no known processor'}, the guest is {platform.arch}", where=source
        )
    _put_new(bench, f"{_root(bench)}/System32/drivers/{driver.binary}", data)


def _enter_driver(
    hive: Hive, controls: Sequence[str], payload: Payload, package: Package, driver: Driver, platform: Platform
) -> None:
    for control in controls:
        install_service(hive, control, driver, start=BOOT)
        if hive.key("DriverDatabase") is None:
            critical_devices(hive, control, driver.service, package.class_guid, devices_of(driver))
    if hive.key("DriverDatabase") is not None:
        raw = payload.read(package.inf)
        name = f"gf{package.name}.inf"
        label = database_label(raw, name, platform.arch)
        provider = parse(raw).value("Version", "Provider") or "guestfix"
        driver_database(
            hive, driver, inf=name, label=label, guid=package.class_guid, version=package.version, provider=provider
        )


def _first_boot_service(hive: Hive, control: str) -> None:
    """Register the service. cmd starts the script on its own, since a script can't answer the service manager."""
    shell = r"%SystemRoot%\System32\cmd.exe"
    command = rf'{shell} /c start "" /b {shell} /c "%SystemRoot%\{FOLDER}\firstboot.cmd"'
    path = rf"{control}\Services\{SERVICE}"
    values = (
        ("Type", REG_DWORD, OWN_PROCESS),
        ("Start", REG_DWORD, AUTO),
        ("ErrorControl", REG_DWORD, 0),
        ("ImagePath", REG_EXPAND_SZ, command),
        ("DisplayName", REG_SZ, "guestfix: install drivers once"),
        ("ObjectName", REG_SZ, "LocalSystem"),
    )
    for name, kind, data in values:
        hive.set_value(path, name, kind, data)


def _device_path(bench: Workbench, chosen: Iterable[Package]) -> None:
    """Add the packages' folders to DevicePath, where Windows looks for drivers of new devices."""
    with editing(bench, hive_path(bench, "SOFTWARE")) as hive:
        found: Value | None = hive.value(CURRENT_VERSION, "DevicePath")
        old = found.decoded if found is not None and isinstance(found.decoded, str) else r"%SystemRoot%\inf"
        parts = [part for part in old.split(";") if part]
        known = {part.lower() for part in parts}
        new = [rf"%SystemRoot%\{FOLDER}\drivers\{one.name}" for one in chosen]
        parts += [part for part in new if part.lower() not in known]
        hive.set_value(CURRENT_VERSION, "DevicePath", REG_EXPAND_SZ, ";".join(parts))


def _signatures(bench: Workbench) -> None:
    """Windows 7 and Server 2008 R2 accept drivers with SHA-2 signatures only after an update."""
    if bench.facts.value("os.id") not in ("windows-7", "windows-server-2008-r2"):
        return
    if bench.facts.value("windows.sha2_signatures"):
        return
    text = "the update for SHA-2 signatures (KB4474419, or KB3033929) was not found; newer drivers will be rejected"
    proofs = seen(bench, "windows.sha2_signatures") or (Evidence(hive_path(bench, "SOFTWARE")),)
    bench.find("GF-WINDOWS-SHA2", "warning", text, *proofs, remedy="install KB4474419 on the old platform first")
