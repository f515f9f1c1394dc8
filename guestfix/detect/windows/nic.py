"""Whether Windows has a driver for the target's NIC: installed, in-box, or in its driver store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from guestfix.base.catalog.facts.system import OS_VERSION
from guestfix.base.errors import GuestError
from guestfix.base.facts import Facts, Finding
from guestfix.base.guest import GuestFS
from guestfix.base.record import frozen
from guestfix.detect.windows.hives import open_registry
from guestfix.formats.windows.bindings import packages_serving
from guestfix.formats.windows.files import has_program
from guestfix.formats.windows.netdrivers import NetworkDriver, Version, brings, of
from guestfix.formats.windows.registry import Registry
from guestfix.formats.windows.services import DISABLED, image_path, read_service
from guestfix.formats.windows.storage import alternatives, is_optional
from guestfix.pack.model import Target

STORE = "System32/DriverStore/FileRepository"
BROUGHT = "guestfix/drivers"
"""Where guestfix puts the packages of a payload, which are installed at the first start."""
MAX_INFS = 300
"""Third-party packages whose .inf files are read; Windows numbers them oem0.inf and up."""
MAX_INF = 1024 * 1024
LEAST_DEVICES = 100
"""Devices on PCI that the database of any Windows has: several thousand; one with fewer is not seen as a whole."""


@frozen
class Shelf:
    """Where drivers of a Windows are looked for.

    ``database`` is the hive DRIVERS, where Windows 8 and later keep which package serves which device, their own in-box
    ones too; only drivers for disks and buses are in SYSTEM. None where there is none, or one that is not whole.
    """

    guest: GuestFS
    system: Registry
    root: str
    control: str
    version: Version | None
    database: Registry | None = None

    def knows(self, known: NetworkDriver) -> bool:
        """Tell whether Windows binds one of the driver's devices to a package: its own, or one that was brought in."""
        views = [self.system] if self.database is None else [self.system, self.database]
        return any(packages_serving(view.hive, self.control, known.devices) for view in views)

    def brings(self, known: NetworkDriver) -> bool:
        """Tell whether the driver comes with this Windows: by its own database, else by the lists of its version."""
        return known.in_box(self.version) if self.database is None else self.knows(known)


def find_nic_driver(
    guest: GuestFS, system: Registry, facts: Facts, target: Target, root: str, control: str
) -> list[Finding]:
    """Return a finding for each NIC of the target that no driver of this Windows serves.

    A blocker, unless the target has another NIC that one does serve.
    """
    shelf = Shelf(guest, system, root, control, _version(facts), _database(guest, root))
    items = [item for item in target.windows_drivers.get("network", ()) if not is_optional(item)]
    found = (_judge(shelf, target, alternatives(item)) for item in items)
    return [one for one in found if one is not None]


def _database(guest: GuestFS, root: str) -> Registry | None:
    path = f"{root}/System32/config/DRIVERS"
    try:
        there = guest.stat(path) is not None
    except GuestError:
        return None
    found = open_registry(guest, path, "DRIVERS")[0] if there else None
    whole = found is not None and len(found.names(r"DriverDatabase\DeviceIds\PCI")) >= LEAST_DEVICES
    return found if whole else None


def _version(facts: Facts) -> Version | None:
    parts = str(facts.value(OS_VERSION) or "").split(".")
    return (int(parts[0]), int(parts[1])) if len(parts) > 1 and parts[0].isdecimal() and parts[1].isdecimal() else None


def _judge(shelf: Shelf, target: Target, names: tuple[str, ...]) -> Finding | None:
    first = names[0]
    if any(_has(shelf, name) for name in names if of(name).card == of(first).card):
        return None
    others = dict.fromkeys([*names[1:], *target.windows_offers.get("network", ())])
    cards = dict.fromkeys(of(name).card for name in others if of(name).card != of(first).card and _has(shelf, name))
    text = f"Windows has no driver for the NIC of {target.id} ({of(first).card}): {first} is neither installed, nor "
    text += "part of this Windows, nor in its driver store"
    remedy = f"bring {of(first).package} with --payload"
    proof = shelf.system.evidence(rf"{shelf.control}\Services")
    if cards:
        remedy += f"; or attach a NIC that it has a driver for: {', '.join(cards)}"
        return Finding("GF-WINDOWS-NIC-DRIVER", "warning", text, (proof,), remedy, outcome="unknown")
    return Finding("GF-WINDOWS-NIC-DRIVER", "blocker", text, (proof,), remedy)


def _has(shelf: Shelf, name: str) -> bool:
    """Tell whether this Windows can drive a card by this driver, now or once it sees the card."""
    known = of(name)
    if shelf.brings(known) or _installed(shelf, name) or shelf.knows(known):
        return True
    if any(one.lower().startswith(f"{inf}.inf_") for one in _names(shelf, STORE) for inf in (name, *known.infs)):
        return True
    return any(brings(inf, name, known.devices) for inf in _infs(shelf))


def _installed(shelf: Shelf, name: str) -> bool:
    service = read_service(shelf.system, shelf.control, name)
    if service is None or service.start == DISABLED:
        return False
    path = image_path(service, shelf.root)
    return path is not None and has_program(shelf.guest, path)


def _infs(shelf: Shelf) -> Iterator[bytes]:
    """Yield the .inf files of third parties' packages, and of those that wait for the first start."""
    own = [f"INF/{one}" for one in _names(shelf, "INF") if one.lower().startswith("oem")]
    for folder in _names(shelf, BROUGHT):
        own += [f"{BROUGHT}/{folder}/{one}" for one in _names(shelf, f"{BROUGHT}/{folder}")]
    for path in [one for one in own if one.lower().endswith(".inf")][:MAX_INFS]:
        try:
            yield shelf.guest.read(f"{shelf.root}/{path}", MAX_INF)
        except GuestError:
            continue


def _names(shelf: Shelf, folder: str) -> Iterable[str]:
    try:
        return shelf.guest.list(f"{shelf.root}/{folder}")
    except GuestError:
        return ()
