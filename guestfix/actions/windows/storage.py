r"""Making Windows find its disk: the target's storage drivers start at boot, in all control sets.

Stop code 0x7B, INACCESSIBLE_BOOT_DEVICE, is what happens else.
"""

from __future__ import annotations

from collections.abc import Sequence

from guestfix.actions.windows.database import bind
from guestfix.actions.windows.install import has_file
from guestfix.actions.windows.registry import editing_system, reader, seen
from guestfix.actions.windows.store import install_staged
from guestfix.actions.workbench import Workbench
from guestfix.base.catalog.facts.windows import WINDOWS_STORAGE_DRIVERS
from guestfix.base.facts import Evidence
from guestfix.formats.windows.bindings import serving
from guestfix.formats.windows.regf import REG_DWORD, REG_EXPAND_SZ, REG_SZ, Hive
from guestfix.formats.windows.services import BOOT, KERNEL_DRIVER, STORAGE_GROUP, Service, read_service
from guestfix.formats.windows.storage import SCSI, STORAGE_DRIVERS, alternatives, is_optional


def boot_start(bench: Workbench, *, services: list[str]) -> None:
    """Make these storage drivers start at boot, where they and their files are there.

    An item may name several, ``pvscsi | lsi_sas``: any will do, the first is what the target has by itself. One
    that ends in a question mark is no loss where it is missing. In place of one that is not there, another driver
    that the guest has for the same devices will do, such as a vendor's, or one that is ready in its driver store.
    Where there is none at all that is a blocker: the guest would stop with code 7B. ``StartOverride`` goes, since
    Windows puts it over Start when it last ran without such a disk; from the buses of the target
    (``windows_buses``) too, since a disk is not found where its bus does not start.
    """
    missing = []
    offered = bench.target.windows_offers.get("storage", ())
    with editing_system(bench) as (hive, controls):
        for item in services:
            if is_optional(item):
                for name in alternatives(item):
                    _start_everywhere(bench, hive, controls, name)
                continue
            first, *others = alternatives(item)
            own = _make_ready(bench, hive, controls, first)
            there = [name for name in others if _start_everywhere(bench, hive, controls, name)]
            if not own and not there and not any(_make_ready(bench, hive, controls, name) for name in others):
                missing.append(first)
            elif not own and there:
                _report_bus(bench, first, there)
        for control in controls:
            _start_buses(bench, hive, control)
        usable = [name for name in offered if missing and _is_there(bench, hive, controls[:1], name)]
    if missing:
        _report_missing(bench, missing, usable)


def _make_ready(bench: Workbench, hive: Hive, controls: Sequence[str], name: str) -> bool:
    """Start a driver at boot; where the guest lacks it, another for its devices, or the one in the driver store."""
    if _start_everywhere(bench, hive, controls, name):
        return True
    devices = STORAGE_DRIVERS[name].devices if name in STORAGE_DRIVERS else ()
    others = dict.fromkeys(one for control in controls for one in serving(hive, control, devices))
    done = [_start_everywhere(bench, hive, controls, one) for one in others]
    if any(done):
        return True
    staged = install_staged(bench, hive, controls, name)
    return bool(staged) and _start_everywhere(bench, hive, controls, staged)


def _start_everywhere(bench: Workbench, hive: Hive, controls: Sequence[str], name: str) -> bool:
    done = [_start_at_boot(bench, hive, control, name) for control in controls]
    return any(done)


def _start_at_boot(bench: Workbench, hive: Hive, control: str, name: str) -> bool:
    service = read_service(reader(hive), control, name)
    if service is None or not has_file(bench, service):
        return False
    path = rf"{control}\Services\{service.name}"
    hive.set_value(path, "Start", REG_DWORD, BOOT)
    if service.override not in (None, BOOT):
        hive.delete_key(rf"{path}\StartOverride", recursive=True)
    known = STORAGE_DRIVERS.get(name.lower())
    _complete(hive, path, service, known is None or known.class_guid == SCSI)
    if known is not None and bind(hive, control, service.name, known):
        text = f"Windows had the driver {service.name} but gave it no device: its devices were entered for it"
        bench.find("GF-WINDOWS-DRIVER-BOUND", "info", text, *seen(bench, WINDOWS_STORAGE_DRIVERS))
    return True


def _start_buses(bench: Workbench, hive: Hive, control: str) -> None:
    """Let every bus of the target start at boot; one that is optional only where Windows meant it to."""
    for item in dict.fromkeys(item for those in bench.target.windows_buses.values() for item in those):
        for name in alternatives(item):
            service = read_service(reader(hive), control, name)
            if service is None:
                continue
            path = rf"{control}\Services\{service.name}"
            if service.start != BOOT and (is_optional(item) or not has_file(bench, service)):
                continue
            hive.set_value(path, "Start", REG_DWORD, BOOT)
            if service.override not in (None, BOOT):
                hive.delete_key(rf"{path}\StartOverride", recursive=True)


def _is_there(bench: Workbench, hive: Hive, controls: Sequence[str], name: str) -> bool:
    found = [read_service(reader(hive), control, name) for control in controls]
    return any(one is not None and has_file(bench, one) for one in found)


def _complete(hive: Hive, path: str, service: Service, is_port: bool) -> None:
    """Add what a boot driver needs and the key lacks; what is there stays."""
    defaults = (
        ("Type", REG_DWORD, KERNEL_DRIVER),
        ("ErrorControl", REG_DWORD, 1),
        ("Group", REG_SZ, STORAGE_GROUP if is_port else ""),
        ("ImagePath", REG_EXPAND_SZ, rf"system32\drivers\{service.name}.sys"),
    )
    for name, kind, data in defaults:
        if data != "" and hive.get(path, name) is None:
            hive.set_value(path, name, kind, data)


def _bus(name: str) -> str:
    return f"{STORAGE_DRIVERS[name].bus} ({name})" if name in STORAGE_DRIVERS else name


def _report_bus(bench: Workbench, first: str, there: Sequence[str]) -> None:
    text = f"the guest has no driver {first}; it has those for {', '.join(_bus(name) for name in there)}"
    remedy = f"attach its disks to such a controller, or give {first} with --payload"
    bench.find("GF-WINDOWS-STORAGE-BUS", "warning", text, *seen(bench, WINDOWS_STORAGE_DRIVERS), remedy=remedy)


def _report_missing(bench: Workbench, missing: Sequence[str], usable: Sequence[str]) -> None:
    names = ", ".join(missing)
    verb = "is" if len(missing) == 1 else "are"
    text = f"the storage driver{'s' if len(missing) > 1 else ''} {names} of the target {verb} not installed"
    remedy = "give the drivers with --payload (for virtio: the virtio-win ISO or folder)"
    if usable:
        remedy += f"; or attach the disks to {', '.join(map(_bus, usable))}, which the platform offers too"
    proofs = seen(bench, WINDOWS_STORAGE_DRIVERS) or (Evidence("/"),)
    bench.find(
        "GF-WINDOWS-STORAGE-DRIVER", "blocker", f"{text}; Windows would stop with code 7B", *proofs, remedy=remedy
    )
