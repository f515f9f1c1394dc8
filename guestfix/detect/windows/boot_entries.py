"""What the boot menu of Windows (BCD) leads to: its entries, the partitions that they name, how Windows starts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from guestfix.base.catalog.facts.boot import BOOT_FIRMWARE
from guestfix.base.catalog.facts.windows import (
    WINDOWS_BCD,
    WINDOWS_BOOT_DEVICES_GONE,
    WINDOWS_BOOT_ENTRIES,
    WINDOWS_DRIVE_LETTERS,
    WINDOWS_SAFE_MODE,
)
from guestfix.base.facts import Evidence, Facts, Finding
from guestfix.base.guest import Disks, GuestFS
from guestfix.base.record import frozen
from guestfix.detect.windows.hives import damaged, open_registry
from guestfix.formats.windows import bcd
from guestfix.formats.windows.bcdplaces import is_there, system_volume
from guestfix.formats.windows.regf import BadHive
from guestfix.formats.windows.registry import Registry

DEVICES = (bcd.APPLICATION_DEVICE, bcd.OS_DEVICE)
BCDBOOT = r"run bcdboot C:\Windows from a recovery console"
DESCRIBE = "in --disks: id, partuuid, and for MBR start"
LAUNCH_AUTO = 1
"""Value of hypervisorlaunchtype: Hyper-V's hypervisor starts before Windows, where it is installed."""
Outcome = Literal["unknown", "stops"]


@frozen
class Store:
    """The boot configuration in use: its file, its objects, its menu."""

    registry: Registry
    objects: Mapping[str, bcd.Object]
    menu: bcd.Menu

    def proof(self, owner: bcd.Object, number: int) -> Evidence:
        """Return where an element of an object stands."""
        value = owner.value(number)
        device = owner.elements[number].device if number in owner.elements else None
        shown = value if device is None else f"{device.kind} {device.partition} of disk {device.disk}"
        return Evidence(self.registry.path, 0, f"BCD object {owner.alias}: {owner.name_of(number)} = {shown!s:.200}")


def learn_entries(guest: GuestFS, facts: Facts) -> list[Finding]:
    """Put ``windows.boot_entries``, ``windows.boot_devices_gone``, ``windows.safe_mode``; return what is wrong."""
    path = store_in_use(facts)
    registry = open_registry(guest, path, "BCD")[0] if path else None
    if registry is None:
        return []
    try:
        found = bcd.objects(registry.hive)
    except BadHive as error:
        return [damaged("BCD", path, error.what)]
    disks = guest.disks()
    store = Store(registry, found, bcd.menu(found))
    shown = [_title(one) for one in store.menu.entries]
    facts.put(WINDOWS_BOOT_ENTRIES, shown, Evidence(registry.path, 0, f"BCD: {len(shown)} entries in the menu"))
    return [
        *_references(store),
        *_devices(store, facts, disks),
        *_several(store),
        *_modes(store, facts),
    ]


def store_in_use(facts: Facts) -> str:
    """Return the path of the store that the firmware's boot manager reads, empty where there is none."""
    stores = facts.value(WINDOWS_BCD, [])
    uefi = facts.value(BOOT_FIRMWARE) == "uefi"
    fitting = [path for path in stores if ("/EFI/Microsoft/" in path) == uefi]
    return next(iter([*fitting, *stores]), "")


def _title(one: bcd.Object) -> str:
    title = one.value(bcd.DESCRIPTION)
    return title if isinstance(title, str) and title else one.alias


def _references(store: Store) -> Iterator[Finding]:
    """The manager's default and its menu against the objects that there are."""
    menu, place = store.menu, Evidence(store.registry.path)
    if menu.manager is None:
        text = "the boot configuration has no boot manager object, so nothing says what starts"
        yield Finding("GF-WINDOWS-BOOT-DEFAULT", "warning", text, (place,), BCDBOOT, outcome="stops")
        return
    number = bcd.DEFAULT if bcd.DEFAULT in menu.manager.elements else bcd.DISPLAY_ORDER
    if menu.missing:
        text = f"the boot menu names what is not there: {', '.join(menu.missing[:4])}"
        remedy = "let the rule windows/boot-entries mend it, or see bcdedit /enum all"
        if not menu.entries:
            text += "; nothing is left to start (0xc000000e)"
        outcome: Outcome = "unknown" if menu.entries else "stops"
        proofs = (store.proof(menu.manager, number),)
        if menu.default in menu.missing or not menu.entries:
            yield Finding("GF-WINDOWS-BOOT-DEFAULT", "warning", text, proofs, remedy, outcome=outcome)
        else:
            yield Finding("GF-WINDOWS-BOOT-DEFAULT", "info", text, proofs, remedy)
    elif not menu.entries:
        text = "the boot menu has no entry"
        yield Finding("GF-WINDOWS-BOOT-DEFAULT", "warning", text, (place,), BCDBOOT, outcome="unknown")
    for one in menu.entries[:1]:
        ids = [*bcd.list_of(one, bcd.RECOVERY_SEQUENCE), *bcd.list_of(one, bcd.RESUME_OBJECT)]
        lost = [name for name in ids if name not in store.objects]
        if lost:
            text = f"the entry {_title(one)!r} names what is not there for recovery or resume: {', '.join(lost[:4])}"
            number = bcd.RESUME_OBJECT if lost[0] in bcd.list_of(one, bcd.RESUME_OBJECT) else bcd.RECOVERY_SEQUENCE
            remedy = "it starts all the same; reagentc /enable and bcdboot write them anew"
            yield Finding("GF-WINDOWS-BOOT-REFERENCE", "info", text, (store.proof(one, number),), remedy)


def _devices(store: Store, facts: Facts, disks: Disks | None) -> Iterator[Finding]:
    """The partitions that the manager, each entry of the menu and what wakes it name, against the disks."""
    gone: list[str] = []
    if disks is None:
        facts.put(WINDOWS_BOOT_DEVICES_GONE, gone, Evidence(store.registry.path))
        return
    first = store.menu.entries[0].id if store.menu.entries else ""
    for owner, role in _owners(store):
        lost = [n for n in DEVICES if (found := _device(owner, n)) is not None and is_there(found, disks) is False]
        if not lost:
            continue
        gone.append(owner.id)
        text = f"{role} names a partition that no disk has: {', '.join(owner.name_of(number) for number in lost)}"
        text += "; the boot manager would stop with 0xc000000e" if owner.id == first else ""
        proofs = tuple(store.proof(owner, number) for number in lost)
        remedy = f"let the rule windows/boot-entries set it, which has to know the disk ({DESCRIBE}); or {BCDBOOT}"
        stops = owner.id == first
        yield Finding("GF-WINDOWS-BOOT-DEVICE", "warning", text, proofs, remedy, outcome="stops" if stops else "")
    facts.put(WINDOWS_BOOT_DEVICES_GONE, gone, Evidence(store.registry.path))
    home = system_volume(disks, str((facts.value(WINDOWS_DRIVE_LETTERS) or {}).get("C:", "")))
    for one in store.menu.entries[:1]:
        device = _device(one, bcd.OS_DEVICE)
        elsewhere = device and device.style == "gpt" and home and home.partuuid and is_there(device, disks)
        if elsewhere and device and home and device.partition != (home.partuuid or "").lower():
            text = f"the default entry {_title(one)!r} starts a Windows on another partition than {home.device}"
            remedy = "bcdedit /default of the other entry, on the old platform; or give the disk of that Windows"
            yield Finding("GF-WINDOWS-BOOT-SEVERAL", "warning", text, (store.proof(one, bcd.OS_DEVICE),), remedy)


def _device(owner: bcd.Object, number: int) -> bcd.Device | None:
    return owner.elements[number].device if number in owner.elements else None


def _owners(store: Store) -> Iterator[tuple[bcd.Object, str]]:
    """Yield what names partitions, with what it is. Entries that only recovery leads to need no edit."""
    for one in store.menu.entries:
        yield one, f"the boot entry {_title(one)!r}"
    for one in store.menu.entries[:1]:
        for name in bcd.list_of(one, bcd.RESUME_OBJECT):
            if name in store.objects:
                yield store.objects[name], "the entry that wakes Windows from hibernation"
    if store.menu.manager is not None:
        yield store.menu.manager, "the boot manager"


def _several(store: Store) -> Iterator[Finding]:
    """A menu with several entries waits at each start, and the wrong one may be the default."""
    if len(store.menu.entries) < 2 or store.menu.manager is None:
        return
    wait = store.menu.manager.value(bcd.TIMEOUT)
    shown = ", ".join(repr(_title(one)) for one in store.menu.entries[:6])
    text = f"the boot menu has {len(store.menu.entries)} entries ({shown}); it starts the first"
    text += f" after {wait} seconds" if isinstance(wait, int) else ""
    remedy = "see that the first one is the Windows that is to start: bcdedit /default, bcdedit /timeout"
    proof = store.proof(store.menu.manager, bcd.DISPLAY_ORDER)
    yield Finding("GF-WINDOWS-BOOT-SEVERAL", "info", text, (proof,), remedy)


def _modes(store: Store, facts: Facts) -> Iterator[Finding]:
    """How the default entry starts Windows: in safe mode, or with drivers that nobody signed."""
    mode, place = "", Evidence(store.registry.path)
    for one in store.menu.entries[:1]:
        value = one.value(bcd.SAFE_BOOT)
        if isinstance(value, int):
            mode, place = bcd.SAFE_MODES.get(value, "minimal"), store.proof(one, bcd.SAFE_BOOT)
            without = "" if mode == "network" else ", without network and Remote Desktop"
            text = f"Windows starts in safe mode ({mode}){without}: an earlier repair left it so"
            remedy = "bcdedit /deletevalue {default} safeboot, on the old platform"
            yield Finding("GF-WINDOWS-SAFE-MODE", "warning", text, (place,), remedy, outcome="unknown")
        if one.value(bcd.HYPERVISOR_LAUNCH) == LAUNCH_AUTO:
            text = "Windows starts a hypervisor of its own where one is installed (hypervisorlaunchtype auto)"
            remedy = "the target has to offer nested virtualization for it; else bcdedit /set hypervisorlaunchtype off"
            proofs = (store.proof(one, bcd.HYPERVISOR_LAUNCH),)
            yield Finding("GF-WINDOWS-VIRTUAL-HOST", "info", text, proofs, remedy)
        signs = [number for number in (bcd.TEST_SIGNING, bcd.NO_INTEGRITY_CHECKS) if one.value(number) is True]
        if signs:
            text = "Windows takes drivers that nobody signed; with Secure Boot on the target this is ignored or refused"
            remedy = "replace such drivers and set it back (bcdedit /set testsigning off), or leave Secure Boot off"
            yield Finding("GF-WINDOWS-TEST-SIGNING", "warning", text, tuple(store.proof(one, n) for n in signs), remedy)
    facts.put(WINDOWS_SAFE_MODE, mode, place)
