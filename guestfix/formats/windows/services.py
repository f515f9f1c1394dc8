r"""Windows services and drivers as ``Services\NAME`` describes them, and names with a known meaning.

Source: "HKLM\SYSTEM\CurrentControlSet\Services Registry Tree" of the Windows driver documentation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from guestfix.base.errors import EditError
from guestfix.base.record import frozen
from guestfix.formats.windows.regf import Hive, Key
from guestfix.formats.windows.registry import Registry
from guestfix.formats.windows.storage import STORAGE_DRIVERS

BOOT, SYSTEM, AUTO, DEMAND, DISABLED = range(5)
"""Values of Start."""
KERNEL_DRIVER, FILE_SYSTEM_DRIVER = 1, 2
STORAGE_GROUP = "SCSI miniport"
"""Load order group of storage port drivers."""

PROTECTED = frozenset(
    [
        "acpi",
        "disk",
        "partmgr",
        "volmgr",
        "volmgrx",
        "volsnap",
        "mountmgr",
        "pci",
        "pcw",
        "vdrvroot",
        "msisadrv",
        "fltmgr",
        "fileinfo",
        "fvevol",
        "ksecdd",
        "ksecpkg",
        "cng",
        "ndis",
        "tcpip",
        "tcpip6",
        "wdf01000",
        "wdffilter",
        "ntfs",
        "fastfat",
        "cdrom",
        "atapi",
        "ataport",
        "pciide",
        "intelide",
        "msahci",
        "storahci",
        "stornvme",
        "storport",
        "scsiport",
        "iastorv",
        "iastorav",
        "lsi_sas",
        "lsi_sas2i",
        "lsi_sas3i",
        "lsi_scsi",
        "lsi_fc",
        "megasas",
        "megasr",
        "symc8xx",
        "sym_hi",
        "vmbus",
        "vmbushid",
        "vmbusr",
        "storvsc",
        "storflt",
        "netvsc",
        "hyperkbd",
        "hypervideo",
        "synthvid",
        "vmgid",
        "vms3cap",
        "hvservice",
        "hvsocket",
        "hvcrash",
        "gencounter",
        "vpci",
        "vmstorfl",
        "vmicguestinterface",
        "vmicheartbeat",
        "vmickvpexchange",
        "vmicrdv",
        "vmicshutdown",
        "vmictimesync",
        "vmicvmsession",
        "vmicvss",
        "vid",
        "vhdmp",
        "spaceport",
        "ehstorclass",
        "iorate",
        "rdyboost",
        "winhv",
        "hwpolicy",
        "kbdclass",
        "mouclass",
        "i8042prt",
        "kbdhid",
        "mouhid",
        "hidusb",
        "usbhub",
        "usbhub3",
        "usbccgp",
        "usbehci",
        "usbuhci",
        "usbohci",
        "usbxhci",
        "ucx01000",
        "compositebus",
        "umbus",
        "swenum",
        "termservice",
        "rpcss",
        "dcomlaunch",
        "plugplay",
        "samss",
        "eventlog",
        "lanmanserver",
        "lanmanworkstation",
        "dhcp",
        "dnscache",
        "mpssvc",
        "bfe",
        "sharedaccess",
        "lsm",
        "nsi",
        "netlogon",
        "w32time",
        "winmgmt",
        "cryptsvc",
        "profsvc",
        "gpsvc",
        "power",
        "schedule",
        "trustedinstaller",
        "windefend",
    ]
)
"""Services that come with Windows and are never disabled or removed, whatever a rule says."""


@frozen
class Product:
    """Software of another platform. ``services`` are disabled when the guest leaves that platform.

    ``platform`` is the hypervisor or the cloud that it belongs to, as a target profile names it. ``first`` is what has
    to be done before the guest leaves, where the software can't be removed afterwards. ``titles`` are how its name
    begins in the list of programs. ``filters`` are drivers that stand before files, disks or NICs: they leave the lists
    of filters, and are disabled.
    """

    name: str
    platform: str
    services: tuple[str, ...]
    marks: tuple[str, ...] = ()
    first: str = ""
    titles: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()

    def stays(self, *platforms: str) -> bool:
        """Tell whether it belongs to one of these."""
        return self.platform in platforms


def products_of(table: Mapping[str, Mapping[str, Any]]) -> tuple[Product, ...]:
    """Return the products of a pack's table ``windows-products``, in its order."""
    return tuple(
        Product(
            *(name, row["platform"], tuple(row["services"]), tuple(row["marks"]), row["first"], tuple(row["titles"])),
            tuple(row["filters"]),
        )
        for name, row in table.items()
    )


@frozen
class Service:
    """One service or driver. ``start`` is None where the key has no Start value."""

    name: str
    start: int | None
    type: int
    error_control: int
    image: str
    group: str
    override: int | None


def read_service(system: Registry, control: str, name: str) -> Service | None:
    """Return a service of a control set, or None where there is no such key."""
    key = system.key(rf"{control}\Services\{name}")
    return None if key is None else _service(system, key)


def services_starting(system: Registry, control: str, starts: Sequence[int]) -> list[Service]:
    """Return the services and drivers of a control set whose Start is one of these values."""
    found = (_service(system, key, starts) for key in system.keys(rf"{control}\Services"))
    return [service for service in found if service is not None]


def _service(system: Registry, key: Key, starts: Sequence[int] = ()) -> Service | None:
    """Read a service's key; None where another start is wanted than it has, or where it is damaged."""
    values = system.content(key)
    name = system.name_of(key)
    if not name or (starts and values.get("start") not in starts):
        return None
    override = system.subkey(key, "StartOverride")
    overrides = [one for one in system.content(override).values() if isinstance(one, int)] if override else []
    return Service(
        name,
        _number(values.get("start"), None),
        _number(values.get("type"), 0) or 0,
        _number(values.get("errorcontrol"), 0) or 0,
        _text(values.get("imagepath")),
        _text(values.get("group")),
        max(overrides, default=None),
    )


def _number(value: object, default: int | None) -> int | None:
    return value if isinstance(value, int) else default


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def image_path(service: Service, root: str) -> str | None:
    r"""Return the guest path of a driver's file, None where it isn't on the system volume.

    Without an ImagePath it is ``System32\drivers\NAME.sys``. ``\SystemRoot``, ``%SystemRoot%``, ``\??\C:``
    and paths below the Windows folder are understood.
    """
    raw = service.image.strip().strip('"').replace("/", "\\")
    if not raw:
        return f"{root}/System32/drivers/{service.name}.sys"
    folded = raw.lower()
    for prefix in ("\\systemroot\\", "%systemroot%\\", "%windir%\\"):
        if folded.startswith(prefix):
            return _join(root, raw[len(prefix) :])
    if folded.startswith("\\??\\"):
        raw, folded = raw[4:], folded[4:]
    if folded.startswith(("system32\\", "syswow64\\")):
        return _join(root, raw)
    if folded.startswith("c:\\"):
        return _join("", raw[3:])
    return None


def _join(root: str, rest: str) -> str | None:
    parts = [part for part in rest.split("\\") if part not in ("", ".")]
    return None if ".." in parts or not parts else "/".join([root, *parts])


def is_orphan(system: Registry, control: str, name: str, has_file: Callable[[str], bool], root: str) -> bool:
    """Tell whether a class filter's driver is gone: its key, or, for one that is not Windows' own, its file.

    ``has_file`` tells whether a guest path exists.
    """
    service = read_service(system, control, name)
    if service is None:
        return True
    path = image_path(service, root)
    return name.lower() not in PROTECTED and path is not None and not has_file(path)


def is_protected(name: str) -> bool:
    """Tell whether a service is Windows' own, or a disk driver that a guest may start from."""
    return name.lower() in PROTECTED or name.lower() in STORAGE_DRIVERS


def refuse_harm(hive: Hive, path: str, name: str | None, data: object = None) -> None:
    """Raise EditError for a change that would take one of Windows' own drivers away.

    That is: removing a service that is protected, all services or a whole control set (``name`` None); removing
    what makes a protected driver one (``data`` None); or disabling it. Other keys and values may be changed.
    """
    parts = [part for part in path.lower().split("\\") if part]
    if not parts or not parts[0].startswith("controlset") or (len(parts) > 1 and parts[1] != "services"):
        return
    if name is None and len(parts) < 3:
        raise EditError(f"{path} holds Windows' own drivers and is never removed")
    if len(parts) != 3 or parts[2] not in PROTECTED:
        return
    if name is None or (data is None and name.lower() in ("start", "type", "imagepath")):
        raise EditError(f"the service {parts[2]} comes with Windows and is never removed")
    is_driver = hive.get(path, "Type") in (KERNEL_DRIVER, FILE_SYSTEM_DRIVER)
    if name.lower() == "start" and is_driver and data in (DISABLED, DISABLED.to_bytes(4, "little")):
        raise EditError(f"the driver {parts[2]} comes with Windows and is never disabled")
