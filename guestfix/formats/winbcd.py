r"""Boot Configuration Data: which objects and elements of the BCD hive matter for a first boot elsewhere.

Source: Microsoft's BCD reference (BcdOSLoader*, BcdLibrary*, BcdBootMgr* element types). A boolean is one
byte, an integer eight bytes, little endian, both stored as REG_BINARY in the element key's value
``Element``; an object reference is text.
"""

from __future__ import annotations

from guestfix.formats.winreg import Registry

BOOT_MANAGER = "{9dea862c-5cdd-4e70-acc1-f32b344d4795}"
EMS_SETTINGS = "{0ce4991b-e6b3-4b16-b23c-5e0d9250e5d9}"

DEFAULT = "23000003"
DISPLAY_ORDER = "24000001"
APPLICATION_PATH = "12000002"
DESCRIPTION = "12000004"
BOOT_EMS = "16000020"
AUTO_RECOVERY = "16000009"
LOADER_EMS = "260000b0"
STATUS_POLICY = "250000e0"

IGNORE_ALL_FAILURES = 1
"""BootStatusPolicy: start normally even after a failed start, instead of waiting for a person."""

LOADERS = (0x10200003,)
"""Types of objects that start a Windows (application, Windows boot loader)."""


def element_key(identity: str, element: str) -> str:
    """Return the key of an object's element."""
    return rf"Objects\{identity}\Elements\{element}"


def boolean(bcd: Registry, identity: str, element: str) -> bool | None:
    """Return a boolean element, None where the object doesn't have it."""
    data = bcd.get(element_key(identity, element), "Element")
    return any(data) if isinstance(data, bytes) and data else None


def integer(bcd: Registry, identity: str, element: str) -> int | None:
    """Return an integer element, None where the object doesn't have it."""
    data = bcd.get(element_key(identity, element), "Element")
    return int.from_bytes(data[:8], "little") if isinstance(data, bytes) and data else None


def text(bcd: Registry, identity: str, element: str) -> str:
    """Return a text or object element, or an empty text."""
    return bcd.text(element_key(identity, element), "Element")


def windows_loaders(bcd: Registry) -> list[str]:
    """Return the ids of the objects that start a Windows, the default one first."""
    default = text(bcd, BOOT_MANAGER, DEFAULT).lower()
    found = [one for one in bcd.names("Objects") if bcd.number(rf"Objects\{one}\Description", "Type") in LOADERS]
    return sorted(found, key=lambda one: one.lower() != default)
