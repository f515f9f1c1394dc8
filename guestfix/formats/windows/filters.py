r"""Filter drivers of Windows: those of setup classes, those of single devices, and those of file systems by altitude.

A device does not start where a filter that its class or it itself names is not there, or is switched off. Sources:
"Device filter driver ordering", "System-defined device setup classes", "Code 32" and "Code 39" of the device manager's
error codes, "Load order groups and altitudes for minifilter drivers" of the Windows driver documentation; classes and
services of real Windows 7 and Windows 10 hives for what is Windows' own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice

from guestfix.base.record import frozen
from guestfix.formats.windows.regf import REG_MULTI_SZ, Hive
from guestfix.formats.windows.registry import Registry
from guestfix.formats.windows.services import AUTO, DEMAND, DISABLED, is_orphan, read_service

KINDS = ("UpperFilters", "LowerFilters")

BOOT_CLASSES = {
    "{4d36e967-e325-11ce-bfc1-08002be10318}": "DiskDrive",
    "{4d36e96a-e325-11ce-bfc1-08002be10318}": "HDC",
    "{4d36e97b-e325-11ce-bfc1-08002be10318}": "SCSIAdapter",
    "{4d36e97d-e325-11ce-bfc1-08002be10318}": "System",
    "{71a27cdd-812a-11d0-bec7-08002be2092f}": "Volume",
}
"""Classes of the devices between Windows and the disk that it starts from: a filter that is gone ends in code 7B."""
CLASSES = {
    **BOOT_CLASSES,
    "{36fc9e60-c465-11cf-8056-444553540000}": "USB",
    "{4d36e965-e325-11ce-bfc1-08002be10318}": "CDROM",
    "{4d36e966-e325-11ce-bfc1-08002be10318}": "Computer",
    "{4d36e969-e325-11ce-bfc1-08002be10318}": "FDC",
    "{4d36e96b-e325-11ce-bfc1-08002be10318}": "Keyboard",
    "{4d36e96f-e325-11ce-bfc1-08002be10318}": "Mouse",
    "{4d36e972-e325-11ce-bfc1-08002be10318}": "Net",
    "{4d36e980-e325-11ce-bfc1-08002be10318}": "FloppyDisk",
    "{50127dc3-0f36-415e-a6cc-4cb3be910b65}": "Processor",
    "{533c5b84-ec70-11d2-9505-00c04f79deaf}": "VolumeSnapshot",
    "{745a17a0-74d3-11d0-b6fe-00a0c90f57da}": "HIDClass",
}
"""Those, and others without which nobody reaches the guest: NICs, their bus, keyboard, mouse, media."""
OWN = frozenset(
    (
        *("agp440", "bthenum", "cdrom", "ehstorclass", "fvevol", "i8042prt", "iorate", "irenum", "kbdclass", "ksthunk"),
        *("mouclass", "msfilter", "ndistapi", "partmgr", "rdyboost", "scfilter", "serenum", "spatialgraphfilter"),
        *("storflt", "uagp35", "vmstorfl", "volsnap", "wpdupfltr"),
    )
)
"""Filters of devices that come with Windows, in lower case."""
OWN_MINIFILTERS = frozenset(
    (
        *("applockerfltr", "appvstrm", "appvvemgr", "appvvfs", "bfs", "bindflt", "cbafilt", "cimfs", "cldflt"),
        *("csvflt", "csvnsflt", "datascrn", "dedup", "dfsrro", "dfsdriver", "dam", "filecrypt", "fileinfo"),
        *("filetrace", "fltmgr", "fsdepends", "gameflt", "iorate", "luafv", "mssecflt", "npsvctrig", "p9rdr"),
        *("peauth", "prjflt", "quota", "resumekeyfilter", "sr", "srmfilter", "storqosflt", "svhdxflt"),
        *("uevagentdriver", "unionfs", "wcifs", "wcnfs", "wdfilter", "wimmount", "wof"),
    )
)
"""File system filters that come with Windows, in lower case."""
MAX_DEVICES = 20_000


@frozen
class FilterList:
    r"""One list of filters: the key that has it, the value's name, the names in it, and whose devices it is for.

    ``at`` is the class' name, or ``PCI\VEN...`` of a single device. ``boots``: the disk that Windows starts from may be
    behind it.
    """

    key: str
    value: str
    names: tuple[str, ...]
    at: str
    boots: bool


@frozen
class Minifilter:
    """A filter of file systems: its service, Start, load order group, and the altitude of its default instance."""

    service: str
    start: int
    group: str
    altitude: str


def filter_lists(view: Registry, control: str) -> list[FilterList]:
    """Return every list of filters that a class of CLASSES or a device below Enum has, classes first."""
    found = []
    for guid, name in CLASSES.items():
        key = rf"{control}\Control\Class\{guid}"
        for kind in KINDS:
            names = view.texts(key, kind)
            if names:
                found.append(FilterList(key, kind, tuple(names), f"the class {name}", guid in BOOT_CLASSES))
    return [*found, *_of_devices(view, control)]


def _of_devices(view: Registry, control: str) -> Iterator[FilterList]:
    for key, device in islice(_devices(view, control), MAX_DEVICES):
        for kind in KINDS:
            names = view.texts(key, kind)
            if names:
                yield FilterList(key, kind, tuple(names), f"the device {device}", False)


def _devices(view: Registry, control: str) -> Iterator[tuple[str, str]]:
    """Yield (key, device) of every device instance below Enum that has filters of its own."""
    base = rf"{control}\Enum"
    for bus in view.names(base):
        for device in view.names(rf"{base}\{bus}"):
            for instance in view.keys(rf"{base}\{bus}\{device}"):
                if any(view.holds(instance, kind) for kind in KINDS):
                    yield rf"{base}\{bus}\{device}\{view.name_of(instance)}", rf"{bus}\{device}"


def orphans(
    view: Registry, control: str, one: FilterList, has_file: Callable[[str], bool], root: str
) -> tuple[str, ...]:
    """Return the names of a list whose driver is not there, or is switched off: the device then has code 32 or 39."""
    off = (name for name in one.names if _is_off(view, control, name))

    def has(name: str, path: str) -> bool:
        return name.lower() in OWN or has_file(path)  # a part of Windows is not told gone for a file alone

    gone = (name for name in one.names if is_orphan(view, control, name, partial(has, name), root))
    return tuple(dict.fromkeys([*gone, *off]))


def _is_off(view: Registry, control: str, name: str) -> bool:
    service = read_service(view, control, name)
    return service is not None and service.start == DISABLED


def take_out(hive: Hive, one: FilterList, names: Iterable[str]) -> bool:
    """Take names, in any letter case, off a list; a list that nothing is left of goes. Return whether one was there."""
    gone = {name.lower() for name in names}
    left = [name for name in one.names if name.lower() not in gone]
    if len(left) == len(one.names):
        return False
    if left:
        hive.set_value(one.key, one.value, REG_MULTI_SZ, left)
    else:
        hive.delete_value(one.key, one.value)
    return True


def minifilters(view: Registry, control: str) -> list[Minifilter]:
    """Return the file system filters that start by themselves, the highest altitude first: the first to see a file."""
    found = []
    for key in view.keys(rf"{control}\Services"):
        values = view.content(key)
        group, start = values.get("group"), values.get("start")
        if not isinstance(start, int) or start > AUTO:
            continue
        instances = view.subkey(key, "Instances")
        if instances is None and not (isinstance(group, str) and group.lower().startswith("fsfilter")):
            continue
        name = view.name_of(key)
        path = rf"{control}\Services\{name}\Instances"
        default = view.text(path, "DefaultInstance")
        altitude = view.text(rf"{path}\{default}", "Altitude") if default else ""
        found.append(Minifilter(name, start, group if isinstance(group, str) else "", altitude))
    return sorted(found, key=lambda one: -_height(one.altitude))


def _height(altitude: str) -> float:
    try:
        return float(altitude[:40])
    except ValueError:
        return 0.0


def running_name(view: Registry, control: str, name: str) -> str:
    """Return a service's name as the hive has it, or "" where there is none or it is switched off."""
    service = read_service(view, control, name)
    return service.name if service is not None and service.start is not None and service.start <= DEMAND else ""
