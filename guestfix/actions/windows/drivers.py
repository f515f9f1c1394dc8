r"""Bringing the operator's drivers into the guest, and having the rest installed at the first start, once.

Storage drivers, and the drivers of the buses that they hang on, are entered in the registry and placed among the
drivers, so that the guest boots. All chosen packages also go to ``\Windows\guestfix\drivers``, which DevicePath
names, and a service that runs once hands them to pnputil.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from guestfix.actions.payload import Payload, open_payload
from guestfix.actions.windows.database import devices_of
from guestfix.actions.windows.firstboot import put_script, register, runs_at_first_start
from guestfix.actions.windows.install import enter_driver, guest_platform, has_file, place_driver, put_new
from guestfix.actions.windows.payload import MAX_PACKAGE, Package, packages
from guestfix.actions.windows.registry import editing, editing_system, hive_path, reader, root_of, seen
from guestfix.actions.workbench import Workbench
from guestfix.base.catalog.facts.system import OS_ARCH, OS_ID, PAYLOAD_DIR
from guestfix.base.catalog.facts.windows import WINDOWS_CONTROL_SET, WINDOWS_SHA2_SIGNATURES
from guestfix.base.errors import EditError, TooLarge
from guestfix.base.facts import Evidence
from guestfix.formats.windows.firststart import FOLDER
from guestfix.formats.windows.inf import Platform
from guestfix.formats.windows.regf import REG_EXPAND_SZ
from guestfix.formats.windows.regf.guestfile import open_guest_hive
from guestfix.formats.windows.regf.values import Value
from guestfix.formats.windows.services import read_service
from guestfix.formats.windows.storage import BOOT_CLASSES, STORAGE_DRIVERS, all_names, alternatives, is_optional

IN_BOX_BUSES = frozenset(
    (
        "pci",
        "acpi",
        "root",
        "vmbus",
        "usb",
        "scsi",
        "ide",
        "pcmcia",
        "isapnp",
        "sd",
        "hid",
        "sw",
        "swd",
        "umb",
        "storage",
        "hdaudio",
        "1394",
        "display",
    )
)
"""Enumerators of Windows itself: devices on them need no other package."""
CURRENT_VERSION = r"Microsoft\Windows\CurrentVersion"


def inject(bench: Workbench, *, storage: list[str], network: list[str], choice: str) -> None:
    """Bring driver packages of a payload into the guest.

    The payload is the fact payload.dir, a folder or ISO image of the host that the operator named: a rule names no
    place of the host. ``storage`` and ``network`` are the driver services that the target needs, with
    alternatives; those of storage must be there at boot. ``choice`` is ``needed``
    (packages that add one which the guest lacks, and the bus drivers that they hang on) or ``all`` (every package
    that fits the guest). Raises UsageError for an unreadable payload; drivers that the payload lacks are a finding.
    """
    payload = bench.facts.value(PAYLOAD_DIR)
    if not payload:
        raise EditError("no payload was given", remedy="name a folder or an ISO image with drivers: --payload PATH")
    source = open_payload(str(payload))
    platform = guest_platform(bench)
    folders = bench.target.tables.get("driver-folders", {})
    fitting = packages(source, str(bench.facts.value(OS_ID, "")), platform, folders)
    offered = {name for one in fitting for name in one.services()}
    known = _installed(bench, {*all_names([*storage, *network]), *offered})
    needed = {item: _needed(item, known, fitting) for item in (*storage, *network) if not is_optional(item)}
    boot = _with_buses(fitting, {name for item in storage for name in needed.get(item, ())}, known)
    wanted = _with_buses(fitting, {name for names in needed.values() for name in names}, known)
    chosen = [one for one in fitting if choice == "all" or wanted & set(one.services())]
    lacking = wanted - offered - known
    lacking |= (_buses(fitting, boot) - offered) - _installed(bench, _buses(fitting, boot))
    _report_lacking(bench, sorted(lacking), platform)
    if not chosen:
        return
    _place_packages(bench, source, chosen)
    _enter(bench, source, chosen, boot, platform)
    _device_path(bench, chosen)
    _signatures(bench)


def _needed(item: str, known: set[str], fitting: Sequence[Package]) -> set[str]:
    """Return the services to bring in for one item of a target: none where the guest has one that will do."""
    names = [name.lower() for name in alternatives(item)]
    offered = {name for one in fitting for name in one.services()}
    if names[0] not in known and names[0] in offered:
        return {names[0]}
    if known & set(names):
        return set()
    return (set(names) & offered) or {one for name in names for one in _standing_in(fitting, name)} or {names[0]}


def _standing_in(fitting: Sequence[Package], name: str) -> set[str]:
    """Return services of the payload for the devices of a driver that it lacks."""
    devices = set(STORAGE_DRIVERS[name].devices) if name in STORAGE_DRIVERS else set()
    drivers = (driver for one in fitting for driver in one.drivers)
    return {driver.service.lower() for driver in drivers if devices & set(devices_of(driver))}


def _with_buses(fitting: Sequence[Package], names: set[str], known: set[str]) -> set[str]:
    r"""Return the services with those of the buses that their devices are on.

    ``XENBUS\VEN_XP0001&DEV_VBD`` is a device that the driver xenbus finds; such a driver is named as the bus is.
    """
    offered = {name for one in fitting for name in one.services()}
    found, more = set(names), set(names)
    while more:
        more = (_buses(fitting, more) & offered) - found - known
        found |= more
    return found


def _buses(fitting: Sequence[Package], names: set[str]) -> set[str]:
    """Return the buses, besides Windows' own, that the devices of these drivers are on, in lower case."""
    drivers = [driver for one in fitting for driver in one.drivers if driver.service.lower() in names]
    ids = (one.partition("\\") for driver in drivers for one in driver.hardware_ids)
    return {bus.lower() for bus, slash, _ in ids if slash} - IN_BOX_BUSES


def _report_lacking(bench: Workbench, lacking: Sequence[str], platform: Platform) -> None:
    if lacking:
        text = f"the payload has no driver for {', '.join(lacking)} that fits {bench.facts.value(OS_ID)}"
        remedy = f"give a payload with drivers for {platform.arch} and this Windows"
        bench.find("GF-WINDOWS-PAYLOAD", "warning", text, *seen(bench, OS_ID, OS_ARCH), remedy=remedy)


def _installed(bench: Workbench, names: Iterable[str]) -> set[str]:
    """Return which of these services the guest has, with their files; in lower case."""
    system = reader(open_guest_hive(bench.fs, hive_path(bench, "SYSTEM")))
    control = str(bench.facts.value(WINDOWS_CONTROL_SET, "ControlSet001"))
    found = (read_service(system, control, name) for name in names)
    return {one.name.lower() for one in found if one is not None and has_file(bench, one)}


def _place_packages(bench: Workbench, payload: Payload, chosen: Iterable[Package]) -> None:
    for package in chosen:
        total = 0
        for name in package.files:
            data = payload.read(name)
            total += len(data)
            if total > MAX_PACKAGE:
                raise TooLarge(f"the driver package is larger than {MAX_PACKAGE} bytes", where=package.inf)
            put_new(bench, f"{root_of(bench)}/{FOLDER}/drivers/{package.name}/{name.rpartition('/')[2]}", data)


def _enter(
    bench: Workbench, payload: Payload, chosen: Sequence[Package], storage: set[str], platform: Platform
) -> None:
    """Enter the boot-critical drivers in the registry and place their files, and register the service."""
    with editing_system(bench) as (hive, controls):
        for package in chosen:
            boot = [one for one in package.drivers if one.service.lower() in storage]
            if boot and package.class_guid.lower() not in BOOT_CLASSES:
                raise EditError(f"{package.inf} is no package of a storage class ({package.class_guid or 'none'})")
            for driver in boot:
                place_driver(bench, payload, package, driver, platform)
                enter_driver(hive, controls, payload, package, driver, platform)
        if platform.major >= 6 and runs_at_first_start(bench):
            register(hive, controls)
    if platform.major >= 6 and runs_at_first_start(bench):
        put_script(bench)
        bench.follow_up(f"the drivers are installed at the first start; see \\Windows\\{FOLDER}\\firstboot.log")
    elif platform.major < 6:
        place = rf"\Windows\{FOLDER}\drivers"
        bench.follow_up(f"log on at the console: Windows asks for the drivers of new devices, which are in {place}")


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
    if bench.facts.value(OS_ID) not in ("windows-7", "windows-server-2008-r2"):
        return
    if bench.facts.value(WINDOWS_SHA2_SIGNATURES):
        return
    text = "the update for SHA-2 signatures (KB4474419, or KB3033929) was not found; newer drivers will be rejected"
    proofs = seen(bench, WINDOWS_SHA2_SIGNATURES) or (Evidence(hive_path(bench, "SOFTWARE")),)
    bench.find("GF-WINDOWS-SHA2", "warning", text, *proofs, remedy="install KB4474419 on the old platform first")
