r"""Boot configuration data: the hive that Windows' boot manager reads (``\Boot\BCD``, ``\EFI\Microsoft\Boot\BCD``).

Objects are keys below ``Objects``, named by GUID, with ``Description\Type`` and ``Elements\XXXXXXXX\Element``.
The element's number tells the form of its data. Source: Microsoft's BCD reference (BcdLibraryElementTypes,
BcdOSLoaderElementTypes, BcdBootMgrElementTypes).
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterator, Mapping, Sequence

from guestfix.base.errors import EditError
from guestfix.base.record import frozen
from guestfix.formats.windows.regf.hive import Hive
from guestfix.formats.windows.regf.keys import Key
from guestfix.formats.windows.regf.values import REG_BINARY, REG_MULTI_SZ, REG_SZ

DEVICE, STRING, GUID, GUID_LIST, INTEGER, BOOLEAN, INTEGER_LIST = range(1, 8)
"""Forms of an element, bits 24 to 27 of its number."""

BOOTMGR = "{9dea862c-5cdd-4e70-acc1-f32b344d4795}"
FIRMWARE_BOOTMGR = "{a5a30fa2-3d06-4e9f-b5f4-a01df9d1fcba}"
EMS_SETTINGS = "{0ce4991b-e6b3-4b16-b23c-5e0d9250e5d9}"
GLOBAL_SETTINGS = "{7ea2e1ac-2e61-4728-aaa3-896d9d0a9f0e}"
LOADER_SETTINGS = "{6efb52bf-1766-41db-a6b3-0ee5eff72bd7}"
WELL_KNOWN = {
    BOOTMGR: "bootmgr",
    FIRMWARE_BOOTMGR: "fwbootmgr",
    EMS_SETTINGS: "emssettings",
    GLOBAL_SETTINGS: "globalsettings",
    LOADER_SETTINGS: "bootloadersettings",
    "{1afa9c49-16ab-4a5c-901b-212802da9460}": "resumeloadersettings",
    "{4636856e-540f-4170-a130-a84776f4c654}": "dbgsettings",
    "{5189b25c-5558-4bf2-bca4-289b11bd29e2}": "badmemory",
    "{7ff607e0-4395-11db-b0de-0800200c9a66}": "hypervisorsettings",
    "{b2721d73-1db4-4c62-bf78-c548a880142d}": "memdiag",
    "{466f5a88-0af2-4f76-9038-095b170dc21c}": "ntldr",
}
OS_LOADER, RESUME_LOADER = 0x10200003, 0x10200004
"""Object types of an entry that starts a Windows, and of one that wakes it from hibernation."""
SAFE_MODES = {0: "minimal", 1: "network", 2: "dsrepair"}
"""Values of safeboot."""

EMS, BOOT_EMS, BOOT_STATUS_POLICY = 0x260000B0, 0x16000020, 0x250000E0
RECOVERY_ENABLED, INHERIT, GRAPHICS_MODE_DISABLED = 0x16000009, 0x14000006, 0x16000046
APPLICATION_DEVICE, APPLICATION_PATH, DESCRIPTION = 0x11000001, 0x12000002, 0x12000004
RECOVERY_SEQUENCE, NO_INTEGRITY_CHECKS, TEST_SIGNING = 0x14000008, 0x16000048, 0x16000049
SAFE_BOOT, HYPERVISOR_LAUNCH, RESUME_OBJECT = 0x25000080, 0x250000F0, 0x23000003
OS_DEVICE, SYSTEM_ROOT, DEFAULT, DISPLAY_ORDER, TIMEOUT = 0x21000001, 0x22000002, 0x23000003, 0x24000001, 0x25000004
LIBRARY_NAMES = {
    APPLICATION_DEVICE: "device",
    APPLICATION_PATH: "path",
    DESCRIPTION: "description",
    0x12000005: "locale",
    INHERIT: "inherit",
    RECOVERY_SEQUENCE: "recoverysequence",
    RECOVERY_ENABLED: "recoveryenabled",
    0x16000010: "bootdebug",
    BOOT_EMS: "bootems",
    0x15000011: "debugtype",
    0x15000013: "debugport",
    0x15000014: "baudrate",
    0x15000022: "emsport",
    0x15000023: "emsbaudrate",
    GRAPHICS_MODE_DISABLED: "graphicsmodedisabled",
    NO_INTEGRITY_CHECKS: "nointegritychecks",
    TEST_SIGNING: "testsigning",
}
"""What bcdedit calls the elements that every boot program may have (class 1)."""
LOADER_NAMES = {
    OS_DEVICE: "osdevice",
    SYSTEM_ROOT: "systemroot",
    RESUME_OBJECT: "resumeobject",
    0x25000020: "nx",
    SAFE_BOOT: "safeboot",
    0x250000C2: "bootmenupolicy",
    EMS: "ems",
    BOOT_STATUS_POLICY: "bootstatuspolicy",
    0x260000A0: "debug",
    HYPERVISOR_LAUNCH: "hypervisorlaunchtype",
}
"""What bcdedit calls the elements of Windows loaders (class 2)."""
MANAGER_NAMES = {
    DISPLAY_ORDER: "displayorder",
    0x24000002: "bootsequence",
    DEFAULT: "default",
    TIMEOUT: "timeout",
    0x23000006: "resumeobject",
    0x24000010: "toolsdisplayorder",
}
"""What bcdedit calls the elements of the boot manager (class 2)."""
_FIRMWARE_OR_MANAGER = 0x1010

IGNORE_ALL_FAILURES, IGNORE_SHUTDOWN_FAILURES = 1, 2
"""Values of bootstatuspolicy: never stop in recovery because the last start or stop went wrong."""

Content = str | int | bool | list[str] | list[int] | bytes


DEVICE_KINDS = {2: "partition", 3: "serial", 4: "network", 5: "boot", 6: "partition", 8: "locate"}
DISK_KINDS = {0: "disk", 1: "floppy", 2: "cdrom", 3: "ramdisk", 5: "file", 6: "vhd"}
"""What the record of a device element is of, by its type; type 0 is told apart by a second number."""


@frozen
class Device:
    """What a device element names: ``kind`` is one of DEVICE_KINDS or DISK_KINDS, or other.

    ``boot`` is the device that the boot manager came from, ``locate`` any that holds the file that is wanted
    (what sysprep makes of every device). A partition is told by ``disk`` and ``partition``: GUIDs on a GPT
    disk; the disk's signature (eight hex digits) and the partition's offset in bytes on an MBR one.
    """

    kind: str
    style: str = ""
    disk: str = ""
    partition: str = ""


@frozen
class Element:
    """One setting: its number, and its data decoded by the number's form; bytes where they don't fit it."""

    number: int
    value: Content

    @property
    def device(self) -> Device | None:
        """Return what a device element names, or None where it is no device."""
        return decode_device(self.value) if isinstance(self.value, bytes) and form(self.number) == DEVICE else None


@frozen
class Object:
    """One object: an entry, or settings that entries inherit. ``id`` is its GUID in braces, in lower case."""

    id: str
    type: int
    elements: dict[int, Element]

    @property
    def alias(self) -> str:
        """Return bcdedit's name for a well-known object, or its GUID."""
        return WELL_KNOWN.get(self.id, self.id)

    def name_of(self, number: int) -> str:
        """Return bcdedit's name for an element of this object, or ``custom:`` and the number in hex."""
        names = MANAGER_NAMES if self.type >> 16 & 0xFFF0 == _FIRMWARE_OR_MANAGER else LOADER_NAMES
        return LIBRARY_NAMES.get(number) or names.get(number) or f"custom:{number:08x}"

    def value(self, number: int) -> Content | None:
        """Return an element's value, or None where the object doesn't have it."""
        found = self.elements.get(number)
        return None if found is None else found.value


def form(number: int) -> int:
    """Return the form of an element's data: DEVICE, STRING ... INTEGER_LIST."""
    return number >> 24 & 0xF


def objects(hive: Hive) -> dict[str, Object]:
    """Return every object by its GUID (in braces, lower case), in the hive's order. Raises BadHive."""
    found = hive.key("Objects")
    return {} if found is None else {one.id: one for one in map(_object, found.subkeys())}


def _object(key: Key) -> Object:
    kind = key.find("Description")
    number = kind and kind.value("Type")
    decoded = number.decoded if number else 0
    elements = {element.number: element for element in _elements(key.subkey("Elements"))}
    return Object(key.name.lower(), decoded if isinstance(decoded, int) else 0, elements)


def _elements(key: Key | None) -> Iterator[Element]:
    for one in key.subkeys() if key else ():
        value = one.value("Element")
        try:
            number = int(one.name, 16)
        except ValueError:
            continue
        if value is not None:
            yield Element(number, decode(number, value.decoded))


def decode(number: int, data: object) -> Content:
    """Return an element's data in the form that its number tells, or as it is stored."""
    kind = form(number)
    if isinstance(data, bytes):
        if kind == INTEGER and len(data) in (4, 8):
            return int.from_bytes(data, "little")
        if kind == BOOLEAN and len(data) == 1:
            return data != b"\0"
        if kind == INTEGER_LIST and len(data) % 8 == 0:
            return [number for (number,) in struct.iter_unpack("<Q", data)]
        return data
    return data if isinstance(data, str | int | list) else b""


def encode(number: int, value: Content) -> tuple[int, bytes | str | list[str]]:
    """Return the registry type and data for an element's value. Raises EditError where they don't go together."""
    kind = form(number)
    if kind == BOOLEAN and isinstance(value, bool):
        return REG_BINARY, bytes([value])
    if kind == INTEGER and isinstance(value, int) and 0 <= value < 1 << 64:
        return REG_BINARY, value.to_bytes(8, "little")
    if kind in (STRING, GUID) and isinstance(value, str):
        return REG_SZ, value
    if kind == GUID_LIST and isinstance(value, list):
        return REG_MULTI_SZ, [str(one) for one in value]
    if kind == INTEGER_LIST and isinstance(value, list):
        numbers = [one for one in value if isinstance(one, int) and 0 <= one < 1 << 64]
        if len(numbers) == len(value):
            return REG_BINARY, struct.pack(f"<{len(numbers)}Q", *numbers)
    if isinstance(value, bytes):
        return REG_BINARY, value
    raise EditError(f"{value!r} is no value for BCD element {number:08x}")


def decode_device(data: bytes) -> Device:
    """Return what a device element's bytes name: a GUID of options, then a record with its type and length."""
    if len(data) < 32:
        return Device("other")
    kind, _, length = struct.unpack_from("<III", data, 16)
    if kind == 0 and length > 40 and len(data) >= 36:
        return Device(DISK_KINDS.get(struct.unpack_from("<I", data, 32)[0], "other"))
    if kind != 6 or len(data) < 72:
        return Device(DEVICE_KINDS.get(kind, "other"))
    style = struct.unpack_from("<I", data, 52)[0]
    if style == 0:
        disk, part = (str(uuid.UUID(bytes_le=data[at : at + 16])) for at in (56, 32))
        return Device("partition", "gpt", disk, part)
    offset, signature = struct.unpack_from("<Q", data, 32)[0], struct.unpack_from("<I", data, 56)[0]
    return Device("partition", "mbr", f"{signature:08x}", str(offset)) if style == 1 else Device("partition")


def encode_device(device: Device) -> bytes:
    """Return the bytes of a device element for a partition, without options. Raises EditError for another kind."""
    try:
        if (device.kind, device.style) == ("partition", "gpt"):
            part, disk, style = uuid.UUID(device.partition).bytes_le, uuid.UUID(device.disk).bytes_le, 0
        elif (device.kind, device.style) == ("partition", "mbr"):
            part, style = struct.pack("<QQ", int(device.partition), 0), 1
            disk = struct.pack("<I12x", int(device.disk, 16))
        else:
            raise EditError(f"only a partition can be put into a boot entry, not {device.kind}")
    except (ValueError, struct.error) as error:
        raise EditError(f"{device.disk} and {device.partition} name no partition") from error
    return struct.pack("<16xIIII16sII16s16x", 6, 0, 72, 0, part, 0, style, disk)


@frozen
class Menu:
    """What the boot manager offers: ``default`` as it is named, ``entries`` in their order, the default one first.

    ``missing`` are ids that it names and no object has. ``recovery`` are the loaders that only another one's
    recoverysequence leads to.
    """

    manager: Object | None
    default: str
    entries: tuple[Object, ...]
    missing: tuple[str, ...]
    recovery: tuple[str, ...]


def menu(found: Mapping[str, Object]) -> Menu:
    """Return the menu that the objects of a store make."""
    manager = found.get(BOOTMGR)
    default = next(iter(list_of(manager, DEFAULT)), "") if manager else ""
    shown = list_of(manager, DISPLAY_ORDER) if manager else []
    named = list(dict.fromkeys(one for one in (default, *shown) if one))
    reached = {one for entry in found.values() for one in list_of(entry, RECOVERY_SEQUENCE)}
    entries = [found[one] for one in named if one in found and found[one].type >> 28 == 1]
    recovery = [one for one in found if one in reached and one not in named]
    missing = [one for one in named if one not in found]
    return Menu(manager, default, tuple(entries), tuple(missing), tuple(recovery))


def list_of(one: Object, number: int) -> list[str]:
    """Return the ids that an element lists, in lower case; none where it is no list of texts."""
    value = one.value(number)
    items = value if isinstance(value, list) else [value] if isinstance(value, str) else []
    return [str(item).lower() for item in items]


def loaders(hive: Hive) -> list[Object]:
    """Return the entries that start a Windows: those of the menu first, in its order, then the others."""
    found = objects(hive)
    shown = found[BOOTMGR].value(DISPLAY_ORDER) if BOOTMGR in found else None
    order = [str(one).lower() for one in shown] if isinstance(shown, Sequence) and not isinstance(shown, str) else []
    wanted = dict.fromkeys([*(one for one in order if one in found), *found])
    return [found[one] for one in wanted if found[one].type == OS_LOADER]


def set_element(hive: Hive, object_id: str, number: int, value: Content) -> bool:
    """Make an object have this element. Return whether it changed. Raises EditError where there is no such object."""
    path = f"Objects\\{object_id}"
    if hive.key(path) is None:
        raise EditError(f"there is no BCD object {object_id}")
    kind, data = encode(number, value)
    return hive.set_value(f"{path}\\Elements\\{number:08x}", "Element", kind, data)
