r"""Drivers that the guest has ready in its own driver store, but that Windows has not installed yet.

Guest tools of a platform stage their drivers with pnputil before there is a device for them (virtio-win's on
VMware, VMware Tools' PVSCSI on other controllers). Windows installs such a driver when it sees its device, which
is too late for the disk that it starts from.
"""

from __future__ import annotations

from collections.abc import Sequence

from guestfix.actions.payload import Payload
from guestfix.actions.windows.database import devices_of, install_service
from guestfix.actions.windows.install import guest_platform, place_driver
from guestfix.actions.windows.payload import read_package
from guestfix.actions.windows.registry import root_of
from guestfix.actions.workbench import Workbench
from guestfix.base.errors import EditError, GuestError
from guestfix.base.facts import Evidence
from guestfix.formats.windows.bindings import packages_serving
from guestfix.formats.windows.inf import safe_name
from guestfix.formats.windows.regf import Hive
from guestfix.formats.windows.services import BOOT
from guestfix.formats.windows.storage import BOOT_CLASSES, STORAGE_DRIVERS

MAX_DRIVER = 64 * 1024 * 1024
"""Bytes of a file of the guest's driver store that are read at most."""


def install_staged(bench: Workbench, hive: Hive, controls: Sequence[str], name: str) -> str:
    """Install a storage driver from the guest's driver store; return its service, empty where none is staged."""
    devices = STORAGE_DRIVERS[name].devices if name in STORAGE_DRIVERS else ()
    found = (pair for control in controls for pair in packages_serving(hive, control, devices))
    for label in dict.fromkeys(label for label, _ in found if label and safe_name(label)):
        service = _install(bench, hive, controls, label, devices)
        if service:
            return service
    return ""


def _install(bench: Workbench, hive: Hive, controls: Sequence[str], label: str, devices: Sequence[str]) -> str:
    folder = f"{root_of(bench)}/System32/DriverStore/FileRepository/{label}"
    files = tuple(bench.fs.list(folder))
    inf = next((one for one in files if one.lower().endswith(".inf")), None)
    if inf is None:
        return ""
    payload = Payload(folder, files, lambda path: bench.fs.read(f"{folder}/{path}", MAX_DRIVER))
    platform = guest_platform(bench)
    package = read_package(payload, inf, platform)
    drivers = package.drivers if package is not None else ()
    driver = next((one for one in drivers if set(devices) & set(devices_of(one))), None)
    if package is None or driver is None or package.class_guid.lower() not in BOOT_CLASSES:
        return ""
    try:
        place_driver(bench, payload, package, driver, platform)
    except (EditError, GuestError):
        return ""  # its file is missing, packed or for another processor: nothing was placed
    for control in controls:
        install_service(hive, control, driver, start=BOOT, class_guid=package.class_guid)
    text = f"the driver {driver.service} lay ready in the guest's driver store, not installed; it is installed now"
    bench.find("GF-WINDOWS-DRIVER-STAGED", "info", text, Evidence(f"{folder}/{inf}"))
    return driver.service
