"""Windows' storage drivers by service: their setup class, the devices they serve, and what carries the disks then.

The devices are those that Windows' own CriticalDeviceDatabase and DriverDatabase name, or a driver's .inf file.
"""

from __future__ import annotations

from collections.abc import Mapping

from guestfix.base.record import frozen

SYSTEM = "{4d36e97d-e325-11ce-bfc1-08002be10318}"
SCSI = "{4d36e97b-e325-11ce-bfc1-08002be10318}"
ATA = "{4d36e96a-e325-11ce-bfc1-08002be10318}"
BOOT_CLASSES = (SCSI, ATA, SYSTEM)
"""Setup classes whose drivers may be entered to start at boot: disk controllers, and the buses that carry them."""


@frozen
class StorageDriver:
    """A driver's setup class, its devices' ids, and the controller as administrators call it."""

    class_guid: str
    devices: tuple[str, ...]
    bus: str


STORAGE_DRIVERS = {
    "storahci": StorageDriver(ATA, ("PCI\\CC_010601",), "SATA (AHCI)"),
    "msahci": StorageDriver(ATA, ("PCI\\CC_010601",), "SATA (AHCI)"),
    "stornvme": StorageDriver(SCSI, ("PCI\\CC_010802", "PCI\\VEN_1D0F&DEV_8061", "PCI\\VEN_1D0F&DEV_0061"), "NVMe"),
    "lsi_sas": StorageDriver(SCSI, ("PCI\\VEN_1000&DEV_0054",), "LSI Logic SAS"),
    "lsi_scsi": StorageDriver(SCSI, ("PCI\\VEN_1000&DEV_0030",), "LSI Logic Parallel"),
    "symmpi": StorageDriver(SCSI, ("PCI\\VEN_1000&DEV_0030", "PCI\\VEN_1000&DEV_0054"), "LSI Logic Parallel or SAS"),
    "symc8xx": StorageDriver(SCSI, ("PCI\\VEN_1000&DEV_0012",), "LSI 53C895A"),
    "pvscsi": StorageDriver(SCSI, ("PCI\\VEN_15AD&DEV_07C0",), "VMware Paravirtual (PVSCSI)"),
    "intelide": StorageDriver(ATA, ("PCI\\VEN_8086&DEV_7010", "PCI\\VEN_8086&DEV_7111"), "IDE"),
    "pciide": StorageDriver(ATA, ("PCI\\CC_0101",), "IDE"),
    "atapi": StorageDriver(ATA, ("primary_ide_channel", "secondary_ide_channel"), "IDE"),
    "vmbus": StorageDriver(SYSTEM, ("ACPI\\VMBus",), "Hyper-V SCSI"),
    "storvsc": StorageDriver(SCSI, ("VMBUS\\{ba6163d9-04a1-4d29-b605-72e2ffb1dc7f}",), "Hyper-V SCSI"),
    "viostor": StorageDriver(SCSI, ("PCI\\VEN_1AF4&DEV_1001", "PCI\\VEN_1AF4&DEV_1042"), "virtio-blk"),
    "vioscsi": StorageDriver(SCSI, ("PCI\\VEN_1AF4&DEV_1004", "PCI\\VEN_1AF4&DEV_1048"), "virtio-scsi"),
    "xenvbd": StorageDriver(SCSI, (), "Xen PV"),
}
"""The drivers of the platforms that guestfix knows; xenvbd's devices hang on its vendor and come from its .inf."""


def alternatives(item: str) -> tuple[str, ...]:
    """Return the services of an item of a target's list, the preferred one first: ``pvscsi | lsi_sas``."""
    return tuple(name for name in (part.strip() for part in item.rstrip(" ?").split("|")) if name)


def is_optional(item: str) -> bool:
    """Tell whether an item is of use where it is there, but nothing to miss: ``storflt?``."""
    return item.rstrip().endswith("?")


def all_names(items: list[str] | tuple[str, ...]) -> list[str]:
    """Return every service that a target's list names, in order."""
    return list(dict.fromkeys(name for item in items for name in alternatives(item)))


def buses_of(service: str, buses: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Return the items of a target's table of buses that a driver stands on: its bus, that one's, up to the root.

    ``buses`` has for each service what it stands on; ``*`` is for every device's driver that it does not name. An item
    may be optional. Each comes once, so that a table which runs in a circle ends.
    """
    found: dict[str, str] = {}
    ahead = list(buses.get(service.lower(), buses.get("*", ())))
    while ahead:
        item = ahead.pop(0)
        for name in alternatives(item):
            if name not in found:
                found[name] = item
                ahead += buses.get(name, ())
    return tuple(dict.fromkeys(found.values()))
