"""What decides whether Windows boots: control sets, boot-start drivers, hibernation, pending work."""

from __future__ import annotations

from collections.abc import Iterator

from guestfix.base.catalog.facts.windows import (
    WINDOWS_AUTO_SERVICES,
    WINDOWS_BOOT_DRIVERS,
    WINDOWS_COMPACT_OS,
    WINDOWS_CONTROL_SET,
    WINDOWS_CONTROL_SETS,
    WINDOWS_DIRTY_VOLUMES,
    WINDOWS_FAST_STARTUP,
    WINDOWS_HIBERNATED,
    WINDOWS_PACKED_FILES,
    WINDOWS_PENDING,
)
from guestfix.base.catalog.records.windows import DriverService
from guestfix.base.errors import GuestError
from guestfix.base.facts import Evidence, Facts, Finding, Unknown
from guestfix.base.guest import GuestFS
from guestfix.detect.windows.os import BINARIES
from guestfix.formats.windows.files import has_program, is_packed, program_head
from guestfix.formats.windows.regf import BadHive
from guestfix.formats.windows.regf.controlsets import NAMES, control_sets
from guestfix.formats.windows.registry import Registry
from guestfix.formats.windows.services import AUTO, BOOT, Service, image_path, services_starting

HIBERNATED = (b"HIBR", b"hibr")
"""How hiberfil.sys begins while it holds a suspended system; fast startup leaves the same."""


def learn_control_sets(system: Registry, facts: Facts) -> str:
    r"""Put ``windows.control_sets`` and return the name of the one that starts.

    ``CurrentControlSet`` doesn't exist offline: ``Select\Default`` says which ``ControlSetNNN`` it will be. Those
    named by Default, Current and LastKnownGood that exist are all repaired.
    """
    try:
        there = control_sets(system.hive)
    except BadHive as error:
        system.damage = error.what
        there = []
    named = next((name for name in NAMES if system.number("Select", name) is not None), NAMES[0])
    proof = system.evidence("Select", named)
    if not there:
        facts.put(WINDOWS_CONTROL_SETS, Unknown("SYSTEM names no control set that exists"), proof)
        return "ControlSet001"
    facts.put(WINDOWS_CONTROL_SETS, there, proof)
    facts.put(WINDOWS_CONTROL_SET, there[0], proof)
    return there[0]


def learn_boot_drivers(guest: GuestFS, system: Registry, facts: Facts, root: str) -> list[Finding]:
    """Put facts on boot drivers and automatic services; find what would end in stop code 7B."""
    control = facts.value(WINDOWS_CONTROL_SET, "ControlSet001")
    missing: list[Service] = []
    found: list[DriverService] = []
    automatic: list[str] = []
    for service in services_starting(system, control, (BOOT, AUTO)):
        if service.start == AUTO:
            automatic.append(service.name)
            continue
        found.append(driver_of(guest, service, root))
        if not found[-1].present and service.error_control == 3:
            missing.append(service)
    facts.put(WINDOWS_BOOT_DRIVERS, found, system.evidence(rf"{control}\Services"))
    facts.put(WINDOWS_AUTO_SERVICES, automatic, system.evidence(rf"{control}\Services"))
    return [_missing(system, control, missing, root)] if missing else []


def driver_of(guest: GuestFS, service: Service, root: str) -> DriverService:
    """Return the record of a driver's service."""
    path = image_path(service, root)
    present = path is not None and has_program(guest, path)
    return DriverService(service.name, service.start, service.override, path, present)


def _missing(system: Registry, control: str, services: list[Service], root: str) -> Finding:
    """Return one finding for all boot drivers that Windows calls critical and whose file isn't there."""
    names = ", ".join(service.name for service in services[:12]) + (" ..." if len(services) > 12 else "")
    proofs = [Evidence(image_path(one, root) or root, 0, f"no such file, boot driver {one.name}") for one in services]
    critical = system.evidence(rf"{control}\Services\{services[0].name}", "ErrorControl")
    return Finding(
        "GF-WINDOWS-BOOT-DRIVER-MISSING",
        "warning",
        f"boot drivers without a file: {names}; Windows stops where one that it calls critical is missing",
        (*proofs[:4], critical),
        remedy="restore the files, or disable the services",
    )


def learn_packed(guest: GuestFS, system: Registry, facts: Facts, root: str) -> list[Finding]:
    """Put ``windows.compact_os`` and ``windows.packed_files``: programs that are packed and unreadable here.

    They are never rewritten. What they would tell (the processor, a driver's version) comes from elsewhere or
    stays unknown.
    """
    compact = system.number("Setup", "Compact") == 1
    proof = system.evidence("Setup", "Compact")
    facts.put(WINDOWS_COMPACT_OS, compact, proof)
    drivers = [one.file for one in facts.value(WINDOWS_BOOT_DRIVERS, []) if one.file and one.present]
    packed = [path for path in drivers if is_packed(guest, path)]
    programs = [f"{root}/System32/{name}" for name in BINARIES]
    packed += [path for path in programs if program_head(guest, path)[1]]
    proofs = tuple(Evidence(path, 0, "its content is packed (WOF) and reads as nothing here") for path in packed)
    facts.put(WINDOWS_PACKED_FILES, packed, *proofs[:8])
    if not packed and not compact:
        return []
    if not packed:
        text = "Windows keeps its programs packed (CompactOS); those that guestfix looked at can be read here"
        return [Finding("GF-WINDOWS-COMPACT", "info", text, (proof,))]
    text = f"Windows keeps programs packed (CompactOS): {len(packed)} can't be read here; they stay as they are"
    remedy = "nothing is needed to boot; 'compact /compactos:never' on the old platform unpacks them"
    evidence = (*proofs[:4], proof) if compact else proofs[:4]
    return [Finding("GF-WINDOWS-COMPACT", "warning", text, evidence, remedy)]


def learn_hibernation(guest: GuestFS, system: Registry, facts: Facts, control: str) -> list[Finding]:
    """Put ``windows.hibernated`` and ``windows.fast_startup``. A suspended system must not be written to."""
    power = rf"{control}\Control\Session Manager\Power"
    fast = system.number(power, "HiberbootEnabled")
    facts.put(WINDOWS_FAST_STARTUP, bool(fast), system.evidence(power, "HiberbootEnabled"))
    path = "/hiberfil.sys"
    try:
        if guest.stat(path) is None:
            facts.put(WINDOWS_HIBERNATED, False, Evidence(path, 0, "no such file"))
            return []
        with guest.open(path) as stream:
            head = stream.read(16)
    except (GuestError, OSError) as error:
        facts.put(WINDOWS_HIBERNATED, Unknown(f"can't read {path}: {error}"), Evidence(path))
        return []
    proof = Evidence(path, 0, f"begins with {head[:4]!r}")
    facts.put(WINDOWS_HIBERNATED, head[:4] in HIBERNATED, proof)
    if head[:4] not in HIBERNATED:
        return []
    return [
        Finding(
            "GF-DISK-HIBERNATED",
            "blocker",
            "Windows is hibernated or was shut down by fast startup; writing to its disk would damage it",
            (proof,),
            remedy="start it on the old platform, run 'powercfg /h off', and shut it down with 'shutdown /s /t 0'",
        )
    ]


def learn_dirty(guest: GuestFS, facts: Facts) -> list[Finding]:
    """Put ``windows.dirty_volumes``: NTFS volumes whose flag says that Windows has not checked or closed them."""
    disks = guest.disks()
    if disks is None:
        facts.put(WINDOWS_DIRTY_VOLUMES, Unknown("nobody described the disks"))
        return []
    dirty = [one for one in disks.all_volumes() if one.unclean and (one.fstype or "").lower() == "ntfs"]
    proofs = tuple(Evidence(one.device, 0, "the NTFS volume's dirty flag is set") for one in dirty)
    facts.put(WINDOWS_DIRTY_VOLUMES, [one.device for one in dirty], *proofs)
    if not dirty or facts.value(WINDOWS_HIBERNATED):
        return []  # a hibernated Windows leaves its volumes open; that finding says what to do
    return [
        Finding(
            "GF-DISK-UNCLEAN-FILESYSTEM",
            "warning",
            f"{', '.join(one.device for one in dirty)}: Windows did not shut down cleanly, or wants to check it",
            proofs,
            remedy="start it on the old platform, run 'chkdsk C: /f' (and for each other volume), and shut it down",
        )
    ]


PREFIX = "\\??\\"
"""How Windows' own names of files begin."""
SERVICING = r"Microsoft\Windows\CurrentVersion\Component Based Servicing"
UPDATE = r"Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update"


def learn_pending(
    guest: GuestFS, system: Registry, software: Registry, facts: Facts, root: str, control: str
) -> list[Finding]:
    """Put ``windows.pending``: why the next start would do more than start."""
    serious = list(_unfinished(guest, system, software, root))
    manager = rf"{control}\Control\Session Manager"
    renames = system.texts(manager, "PendingFileRenameOperations")
    proof = system.evidence(manager, "PendingFileRenameOperations")
    found = [*serious, *([("files are to be renamed at the next start", proof)] if renames else [])]
    facts.put(WINDOWS_PENDING, [text for text, _ in found], *(proof for _, proof in found))
    if not serious:
        if not renames:
            return []
        text = f"file names wait to be changed at the next start, such as {renames[0].removeprefix(PREFIX)}"
        remedy = "nothing is needed where the disks stay together; a restart on the old platform does it there"
        return [Finding("GF-WINDOWS-REBOOT-PENDING", "info", text, (proof,), remedy)]
    return [
        Finding(
            "GF-WINDOWS-REBOOT-PENDING",
            "warning",
            f"Windows has unfinished work: {'; '.join(text for text, _ in serious)}",
            tuple(proof for _, proof in serious),
            remedy="restart it on the old platform until no update is pending, then migrate",
        )
    ]


def _unfinished(guest: GuestFS, system: Registry, software: Registry, root: str) -> Iterator[tuple[str, Evidence]]:
    """Yield what servicing, updates or setup left to be done, with where that shows."""
    keys = (
        (rf"{SERVICING}\RebootPending", "servicing wants a reboot"),
        (rf"{SERVICING}\RebootInProgress", "servicing is at work"),
        (rf"{UPDATE}\RebootRequired", "an update wants a reboot"),
    )
    for key, text in keys:
        if software.has(key):
            yield text, software.evidence(key)
    waiting = software.names(rf"{SERVICING}\PackagesPending")  # the key itself stays when its packages are done
    if waiting:
        yield "packages are pending", software.evidence(rf"{SERVICING}\PackagesPending\{waiting[0]}")
    pending = f"{root}/WinSxS/pending.xml"
    if has_program(guest, pending):
        yield "updates are to be completed at the next start", Evidence(pending)
    command = system.text("Setup", "CmdLine").lower()
    if system.number("Setup", "SystemSetupInProgress") == 1 and "windeploy" not in command and "-mini" not in command:
        yield "setup or an upgrade is not finished", system.evidence("Setup", "SystemSetupInProgress")
