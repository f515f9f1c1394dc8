"""The names that a guest's own configuration gives its disks and volumes.

multipath (its bindings, its aliases), udev rules that go by a disk's serial number or path, crypttab's mappings and
mdadm.conf's arrays. The first two are names of the old hardware.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from guestfix.base.errors import GuestfixError
from guestfix.base.facts import Evidence
from guestfix.base.guest import GuestFS
from guestfix.base.patterns import regex
from guestfix.base.record import frozen
from guestfix.detect.files import lines_of, names_in, read_small
from guestfix.formats.storage import arrays
from guestfix.formats.storage.fstab import lines, show
from guestfix.formats.storage.mappings import CRYPTTAB, Mapping
from guestfix.formats.storage.mappings import mappings as read_mappings

if TYPE_CHECKING:
    from guestfix.formats.udevrules import Key

BINDINGS = ("/etc/multipath/bindings", "/var/lib/multipath/bindings", "/etc/multipath.bindings")
CONFS = ("/etc/multipath.conf",)
UDEV = "/etc/udev/rules.d"
MOST_FILES, MOST_NAMES = 256, 512

_DISK_KEYS = (
    "ID_SERIAL",
    "ID_SERIAL_SHORT",
    "ID_WWN",
    "ID_WWN_WITH_EXTENSION",
    "ID_PATH",
    "ID_PATH_TAG",
    "ID_SCSI_SERIAL",
)
_OWN_KEYS = ("ID_FS_", "ID_PART_ENTRY_", "DM_", "MD_")
_GIVEN = regex(rb'(?:SYMLINK|NAME)[ \t]*\+?:?=[ \t]*e?"([^"\n]*)"')
_NUMBERED = regex(r"%n|\$number")
_FILLED = regex(r"[%$](?:[A-Za-z]\{[^}]*\}|[a-z]+\{[^}]*\}|[a-z]+|[A-Z%$])")
_PART_NAME = regex(r"(?:(?:sd|hd|vd|xvd)(?:[a-z]|\?|\[[a-z-]+\]){1,2}|nvme[0-9?]n[0-9?]p?)([0-9]{0,3})\Z")
_KERNEL_DISK = regex(r"(?:sd|hd|vd|xvd|nvme|dm-|cciss)")


_PLACE = regex(r"(?:[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]|[0-9]{1,3}:[0-9]{1,3}:[0-9]{1,3}:[0-9]{1,5})\Z")
"""Where a disk or its controller is: a PCI or a SCSI address."""

_LUN = regex(r"mpath(?:-[0-9A-Za-z]{8,64}\*?|[a-z]{1,3}(?:p?[0-9]{1,3})?)\Z")
_RIGHTS = regex(r"\b(?:OWNER|GROUP|MODE)[ \t]*:?=[ \t]*e?\"")
_ONE_DISK = regex(
    r"\b(?:KERNEL[ \t]*==[ \t]*\"(?:(?:sd|hd|vd|xvd)[a-z]{1,2}[0-9]{0,3}|nvme[0-9]{1,2}n[0-9]{1,2}(?:p[0-9]{1,3})?)"
    r"|RESULT[ \t]*==[ \t]*\"[0-9A-Za-z]{8,64}"
    r"|ENV\{(?:ID_SERIAL(?:_SHORT)?|ID_WWN|ID_PATH)\}[ \t]*==[ \t]*\"[^\"*]{4,80}"
    r"|ENV\{DM_(?:NAME|UUID)\}[ \t]*==[ \t]*\"mpath[^\"*]{1,80})\""
)
MOST_RIGHTS = 16

OF_NAME = "%n"
"""A partition's number that is the end of its link's name."""


@frozen
class Link:
    """A name that a udev rule gives by what only the old hardware has; ``pattern`` matches it.

    ``number`` is that of the partition which gets it: "" for a whole disk, :data:`OF_NAME` where the name ends with it,
    None where the rule doesn't say.
    """

    pattern: str
    by: str
    place: Evidence
    number: str | None = None


def multipath_aliases(guest: GuestFS) -> dict[str, str]:
    """Return multipath's own names of LUNs with the number (WWID) of each."""
    found: dict[str, str] = {}
    for path in BINDINGS:
        for _, _, raw in lines(read_small(guest, path) or b""):
            words = raw.decode("utf-8", "replace").split()
            if len(words) == 2:
                found.setdefault(words[0], words[1])
    for path in CONFS:
        data = read_small(guest, path)
        if data and b"alias" in data:
            found |= _aliases_in(data)
    return dict(list(found.items())[:MOST_NAMES])


def _aliases_in(data: bytes) -> dict[str, str]:
    from guestfix.formats.storage import multipath

    try:
        conf = multipath.read(data)
    except GuestfixError:
        return {}
    found = {}
    for section in conf.root.all("multipaths"):
        for one in section.all("multipath"):
            alias, wwid = one.get("alias"), one.get("wwid")
            if alias is not None:
                found[alias.value] = wwid.value if wwid is not None else ""
    return found


def of_multipath(alias: str) -> Iterator[str]:
    """Yield patterns of the names of a multipath map and of its partitions."""
    safe = "".join(f"[{letter}]" if letter in "*?[" else letter for letter in alias)
    for folder in ("/dev/mapper/", "/dev/disk/by-id/dm-name-"):
        yield f"{folder}{safe}"
        for between in ("", "p", "-part", "_part"):
            yield f"{folder}{safe}{between}[0-9]"
            yield f"{folder}{safe}{between}[0-9][0-9]"


def udev_links(guest: GuestFS) -> list[Link]:
    """Return the names that the administrator's udev rules give block devices by what only the old hardware has."""
    found: list[Link] = []
    for name in [one for one in names_in(guest, UDEV) if one.endswith(".rules")][:MOST_FILES]:
        path = f"{UDEV}/{name}"
        data = read_small(guest, path)
        found += links_in(path, data) if data else ()
    return found[:MOST_NAMES]


def links_in(path: str, data: bytes) -> list[Link]:
    """Return the names that the rules of one file give block devices by what only the old hardware has."""
    named = b"SYMLINK" in data or (b"NAME=" in data and b'"block"' in data)
    return list(_links_in(path, data)) if named and _names_any(data) else []


def udev_rights(guest: GuestFS) -> list[Evidence]:
    """Return the rules that give one old disk, by its name or number, an owner or a mode, and no name of its own."""
    found: list[Evidence] = []
    for path in [f"{UDEV}/{one}" for one in names_in(guest, UDEV) if one.endswith(".rules")][:MOST_FILES]:
        for number, line in lines_of(read_small(guest, path) or b""):
            text = line[:1024]
            if "SYMLINK" not in text and not text.startswith("#") and _RIGHTS.search(text) and _ONE_DISK.search(text):
                found.append(Evidence(path, number, text[:200]))
    return found[:MOST_RIGHTS]


def _names_any(data: bytes) -> bool:
    """Tell whether a name is written out in some rule; one that a program alone gives can't be told, nor be read."""
    words = (word for match in _GIVEN.finditer(data) for word in match[1].decode("latin-1").split())
    return any(pattern for word in words for pattern in _patterns(word))


def _links_in(path: str, data: bytes) -> Iterator[Link]:
    from guestfix.formats import udevrules

    try:
        rules = udevrules.read(data).rules
    except GuestfixError:
        return
    texts = data.split(b"\n")
    for rule in rules:
        by = _by_hardware(rule.matching())
        for key in rule.assigning() if by else ():
            if key.name in ("SYMLINK", "NAME"):
                for word in key.value.split():
                    for pattern in _patterns(word):
                        place = Evidence(path, rule.line, show(texts[rule.line - 1]))
                        yield Link(pattern, by, place, _number(rule.matching(), word, pattern))


def _number(keys: Iterable[Key], word: str, pattern: str) -> str | None:
    """Return the number of the partition that a rule gives a name to; see :class:`Link`."""
    if _NUMBERED.search(word):
        return OF_NAME if pattern.endswith("]") else ""
    for key in keys:
        match = _PART_NAME.match(key.value) if key.name == "KERNEL" and key.operator == "==" else None
        if match:
            return match[1] or ""
    return None


def _by_hardware(keys: Iterable[Key]) -> str:
    """Return the condition that only the old hardware meets; "" for none, or where what goes with the data is told."""
    found, block = "", False
    for key in keys:
        name, attribute, value = key.name, key.attribute, key.value
        lun = name == "ENV" and attribute in ("DM_NAME", "DM_UUID") and _LUN.match(value) is not None
        if name == "ENV" and attribute.startswith((*_OWN_KEYS, "ID_CDROM")) and not lun:
            return ""
        if name == "SUBSYSTEM" and value not in ("block", "*"):
            return ""
        block = block or (name == "SUBSYSTEM" and value == "block")
        disk = name in ("KERNEL", "KERNELS") and _KERNEL_DISK.match(value) is not None
        block = block or disk or lun or (name == "ENV" and attribute.startswith("SCSI_IDENT_"))
        told = (name == "ENV" and attribute in _DISK_KEYS) or name in ("RESULT", "ID", "DEVPATH") or disk
        told = told or lun or (name == "ENV" and attribute.startswith("SCSI_IDENT_"))
        told = told or (name == "KERNELS" and _PLACE.match(value) is not None)
        told = told or (name in ("ATTR", "ATTRS") and attribute in ("serial", "wwid", "device/wwid", "vpd_pg83"))
        if told and key.operator == "==" and (not found or not disk):
            found = f"{name}{{{attribute}}}=={value}" if attribute else f"{name}=={value}"
    return found if block or "ID_" in found else ""


def _patterns(word: str) -> Iterator[str]:
    """Yield the patterns of a link's name; a partition's number is none, one or two digits."""
    for digits in ("", "[0-9]", "[0-9][0-9]") if _NUMBERED.search(word) else ("",):
        name = _FILLED.sub("*", _NUMBERED.sub(lambda _, digits=digits: digits, word))  # type: ignore[misc]
        if name.strip("*"):
            yield name if name.startswith("/dev/") else f"/dev/{name}"


def mappings(guest: GuestFS) -> list[Mapping]:
    """Return the lines of /etc/crypttab."""
    return read_mappings(read_small(guest, CRYPTTAB) or b"")


def arrays_named(guest: GuestFS) -> list[tuple[str, str]]:
    """Return the devices that mdadm.conf names, with the UUID of each."""
    return [pair for path in arrays.PATHS for pair in arrays.named(read_small(guest, path) or b"")][:MOST_NAMES]
