r"""What starts Windows: the boot managers on the system partitions, their BCD, boot.ini, BitLocker.

The EFI system partition is looked for at the top of the guest and at ``/boot/efi``; ``\Boot\BCD`` at the
top. Where the partition is not part of the view, the facts stay unknown.
"""

from __future__ import annotations

from guestfix.base.catalog.facts.boot import BOOT_FIRMWARE
from guestfix.base.catalog.facts.windows import (
    WINDOWS_BCD,
    WINDOWS_BITLOCKER,
    WINDOWS_BOOT_STATUS_POLICY,
    WINDOWS_EMS,
    WINDOWS_ESP,
)
from guestfix.base.errors import GuestError
from guestfix.base.facts import Evidence, Facts, Finding, Unknown
from guestfix.base.guest import GuestFS
from guestfix.detect.windows.hives import open_registry
from guestfix.formats.windows import bcd
from guestfix.formats.windows.regf import BadHive
from guestfix.formats.windows.registry import Registry

ESP = ("", "/boot/efi", "/efi")
"""Where the EFI system partition may be in the guest's tree."""
LEGACY = ("/Boot/BCD", "/system-reserved/Boot/BCD")
"""Where the BCD of a BIOS guest may be: the second is how a separate system partition is shown."""
BITLOCKER = frozenset({"bitlocker", "crypto_bitlk", "bitlk", "fve"})


def learn_boot_files(guest: GuestFS, facts: Facts, root: str) -> list[Finding]:
    """Put ``boot.firmware``, ``windows.bcd``, ``windows.ems``, ``windows.boot_status_policy``, ``windows.esp``."""
    findings = _bitlocker(guest, facts)
    stores: list[str] = []
    esp = next((place for place in ESP if _there(guest, f"{place}/EFI/Microsoft/Boot")), None)
    if esp is not None:
        facts.put(WINDOWS_ESP, esp or "/", Evidence(f"{esp}/EFI/Microsoft/Boot"))
        stores += [f"{esp}/EFI/Microsoft/Boot/BCD"]
    stores = [path for path in [*stores, *LEGACY] if _there(guest, path)]
    facts.put(WINDOWS_BCD, stores, *(Evidence(path) for path in stores))
    if _there(guest, "/boot.ini"):
        return findings + _boot_ini(guest, facts)
    registries = []
    for path in stores:
        registry, problem = open_registry(guest, path, "BCD")
        if registry is not None:
            registries.append(registry)
        findings += [problem] if problem else []
    _firmware(guest, facts, registries, esp)
    if registries:
        _settings(facts, registries)
    return findings


def _there(guest: GuestFS, path: str) -> bool:
    try:
        return guest.stat(path) is not None
    except GuestError:
        return False


def _loaders(registry: Registry) -> list[bcd.Object]:
    """Return the entries that start a Windows, the default one first."""
    try:
        manager = bcd.objects(registry.hive).get(bcd.BOOTMGR)
        default = str(manager.value(bcd.DEFAULT)).lower() if manager else ""
        return sorted(bcd.loaders(registry.hive), key=lambda one: one.id != default)
    except BadHive as error:
        registry.damage = registry.damage or error.what
        return []


def _evidence(registry: Registry, owner: bcd.Object, number: int) -> Evidence:
    text = f"BCD object {owner.alias}: {owner.name_of(number)} = {owner.value(number)!r}"
    return Evidence(registry.path, 0, text)


def _firmware(guest: GuestFS, facts: Facts, registries: list[Registry], esp: str | None) -> None:
    for registry in registries:
        for loader in _loaders(registry)[:1]:
            path = loader.value(bcd.APPLICATION_PATH)
            if isinstance(path, str) and path:
                kind = "uefi" if path.lower().endswith(".efi") else "bios"
                facts.put(BOOT_FIRMWARE, kind, _evidence(registry, loader, bcd.APPLICATION_PATH))
                return
    if esp is not None:
        facts.put(BOOT_FIRMWARE, "uefi", Evidence(f"{esp}/EFI/Microsoft/Boot"))
    elif _there(guest, "/bootmgr") or _there(guest, "/ntldr"):
        facts.put(BOOT_FIRMWARE, "bios", Evidence("/bootmgr" if _there(guest, "/bootmgr") else "/ntldr"))
    else:
        facts.put(BOOT_FIRMWARE, Unknown("the partition that Windows starts from is not part of the view"))


def _settings(facts: Facts, registries: list[Registry]) -> None:
    """Put whether serial emergency management is on, and what a failed start leads to."""
    proofs: list[Evidence] = []
    policies: list[bcd.Content | None] = []
    for registry in registries:
        for owner in _objects(registry):
            proofs += [_evidence(registry, owner, one) for one in (bcd.EMS, bcd.BOOT_EMS) if owner.value(one) is True]
        policies += [one.value(bcd.BOOT_STATUS_POLICY) for one in _loaders(registry)]
    place = Evidence(registries[0].path)
    facts.put(WINDOWS_EMS, bool(proofs), *(proofs or [place]))
    policy = policies[0] if policies else None
    facts.put(WINDOWS_BOOT_STATUS_POLICY, policy if isinstance(policy, int) else None, place)


def _objects(registry: Registry) -> list[bcd.Object]:
    try:
        return list(bcd.objects(registry.hive).values())
    except BadHive as error:
        registry.damage = registry.damage or error.what
        return []


def _boot_ini(guest: GuestFS, facts: Facts) -> list[Finding]:
    """Windows before Vista: EMS is ``/redirect`` on an entry or ``redirect=`` in [boot loader].

    A path that begins with ``scsi(`` is read through the driver NTBOOTDD.SYS beside it, that of the old controller;
    ``multi(`` and ``signature(`` go through the firmware.
    """
    facts.put(BOOT_FIRMWARE, "bios", Evidence("/boot.ini"))
    try:
        text = guest.read("/boot.ini", 65536).decode("latin-1")
    except GuestError as error:
        facts.put(WINDOWS_EMS, Unknown(f"can't read /boot.ini: {error.what}"), Evidence("/boot.ini"))
        return []
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    ems = [Evidence("/boot.ini", number, line[:200]) for number, line in lines if _redirects(line.lower())]
    facts.put(WINDOWS_EMS, bool(ems), *(ems[:1] or [Evidence("/boot.ini")]))
    paths = [(number, line) for number, line in lines if line.lower().removeprefix("default=").startswith("scsi(")]
    if not paths:
        return []
    proofs = tuple(Evidence("/boot.ini", number, line[:200]) for number, line in paths[:4])
    text = "boot.ini names its disk by scsi(): the loader would read it with the old controller's driver NTBOOTDD.SYS"
    remedy = "name it by multi(0)disk(0)rdisk(0)partition(N), which goes through the firmware"
    return [Finding("GF-WINDOWS-BOOT-INI-SCSI", "warning", text, proofs, remedy)]


def _redirects(line: str) -> bool:
    return line.startswith(("redirect=", "redirectbaudrate=")) or "/redirect" in line


def _bitlocker(guest: GuestFS, facts: Facts) -> list[Finding]:
    disks = guest.disks()
    if disks is None:
        facts.put(WINDOWS_BITLOCKER, Unknown("nobody described the disks"))
        return []
    locked = [volume for volume in disks.all_volumes() if (volume.fstype or "").lower() in BITLOCKER]
    proofs = tuple(Evidence(volume.device, 0, f"filesystem type {volume.fstype}") for volume in locked)
    facts.put(WINDOWS_BITLOCKER, [volume.device for volume in locked], *proofs)
    if not locked:
        return []
    return [
        Finding(
            "GF-DISK-BITLOCKER",
            "blocker",
            f"{', '.join(volume.device for volume in locked)} is encrypted with BitLocker",
            proofs,
            remedy="decrypt it on the old platform: manage-bde -off C:, and wait until it is done",
        )
    ]
