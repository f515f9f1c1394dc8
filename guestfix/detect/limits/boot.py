"""Limits of firmware: the fallback loader on the EFI system partition, and what the target can start."""

from __future__ import annotations

import re
from collections.abc import Iterator

from guestfix.base.bounds import SMALL_TEXT
from guestfix.base.catalog.facts.boot import (
    BOOT_CHOICE,
    BOOT_DEFAULT,
    BOOT_EFI,
    BOOT_FIRMWARE,
    BOOT_FIRMWARES,
    BOOT_LOADERS,
)
from guestfix.base.catalog.facts.system import OS_FAMILY, OS_ID
from guestfix.base.facts import Evidence, Facts, Finding
from guestfix.base.guest import GuestFS
from guestfix.base.patterns import regex
from guestfix.detect.files import exists, read_small
from guestfix.formats.storage import devices
from guestfix.pack.model import Target

DEBCONF = "/var/cache/debconf/config.dat"
_INSTALL_DEVICES = regex(
    rb"^Name: grub-pc/install_devices\n(?:(?!Name:|Value:)[^\n]+\n)*Value: (?P<value>[^\n]+)", re.MULTILINE
)
FALLBACKS = ("bootx64.efi", "bootia32.efi", "bootaa64.efi")


def check(guest: GuestFS, facts: Facts, target: Target) -> list[Finding]:
    """Report what keeps the target's firmware from starting the guest."""
    return [
        *_fallback(facts),
        *_firmware(facts, target),
        *_windows_11(facts, target),
        *_unsaved(facts),
        *_lilo(guest, facts),
        *_debconf(guest, facts),
    ]


def _fallback(facts: Facts) -> Iterator[Finding]:
    """The boot entries in NVRAM stay behind, so firmware looks for EFI/BOOT/BOOTX64.EFI (UEFI, 3.5.1.1)."""
    folders = facts.value(BOOT_EFI) or []
    if facts.value(OS_FAMILY) != "linux" or facts.value(BOOT_FIRMWARE) != "uefi" or not folders:
        return
    fallback = next((one for one in folders if one.path.lower().endswith("/efi/boot")), None)
    names = [name.lower() for name in (fallback.files if fallback else ())]
    if not any(name in FALLBACKS for name in names):
        yield Finding(
            "GF-BOOT-NO-FALLBACK",
            "warning",
            "the EFI system partition lacks the fallback loader EFI/BOOT/BOOTX64.EFI; the boot entry that names "
            "another one stays behind in the old machine's NVRAM",
            tuple(Evidence(one.path) for one in folders[:8]),
            "install the loader there (grub-install --removable); the rule boot/efi-fallback does so where it has one",
        )


def _firmware(facts: Facts, target: Target) -> Iterator[Finding]:
    known = facts.value(BOOT_FIRMWARE)
    firmwares = facts.value(BOOT_FIRMWARES) or ([known] if known else [])
    seen = facts.evidence(BOOT_FIRMWARE)
    shown = any(one.path != "/boot" for one in seen)
    if facts.value(OS_FAMILY) != "linux":
        return
    if shown and target.firmware and firmwares and not set(firmwares) & set(target.firmware):
        yield Finding(
            "GF-BOOT-FIRMWARE",
            "blocker",
            f"the guest boots by {' or '.join(firmwares).upper()}, the target {target.id} by "
            f"{' or '.join(target.firmware).upper()} only",
            seen,
            "choose a target with the guest's firmware, or convert the guest's boot before the migration",
        )


def _windows_11(facts: Facts, target: Target) -> Iterator[Finding]:
    known = facts.value(BOOT_FIRMWARE) == "uefi"  # then the mismatch itself is reported
    if facts.value(OS_ID) == "windows-11" and not known and target.firmware and "uefi" not in target.firmware:
        summary = f"Windows 11 needs UEFI, which the target {target.id} does not have"
        remedy = "choose a target with UEFI"
        yield Finding("GF-BOOT-FIRMWARE", "blocker", summary, facts.evidence(OS_ID), remedy)


def _unsaved(facts: Facts) -> Iterator[Finding]:
    """GRUB then starts the first entry; tools that look for saved_entry can't tell which kernel that is."""
    default = facts.value(BOOT_DEFAULT)
    if "bls" in (facts.value(BOOT_LOADERS) or ()) and facts.value(BOOT_CHOICE) == "" and default:
        yield Finding(
            "GF-BOOT-DEFAULT-UNSAVED",
            "info",
            f"no saved_entry says which boot entry is the default; GRUB starts the first one, {default.id}",
            facts.evidence(BOOT_DEFAULT),
            "to fix the choice: grub2-set-default, with the id of an entry",
        )


def _lilo(guest: GuestFS, facts: Facts) -> Iterator[Finding]:
    """LILO's map holds block numbers, so it keeps reading the originals of files that were replaced."""
    if facts.value(OS_FAMILY) == "linux" and not facts.value(BOOT_LOADERS) and exists(guest, "/etc/lilo.conf"):
        summary = "LILO seems to be the boot loader; its map keeps the blocks of the old kernel and initramfs"
        remedy = "install GRUB before the migration, or run lilo from a rescue system after apply"
        yield Finding("GF-BOOT-LILO", "warning", summary, (Evidence("/etc/lilo.conf"),), remedy)


def _debconf(guest: GuestFS, facts: Facts) -> Iterator[Finding]:
    """The answer by which grub-pc's next update writes the loader to a disk; it fails where that is not there."""
    text = (read_small(guest, DEBCONF, SMALL_TEXT) or b"") if facts.value(OS_FAMILY) == "linux" else b""
    found = _INSTALL_DEVICES.search(text)
    names = found["value"].decode("utf-8", "replace").replace(",", " ").split() if found else []
    old = [name for name in names if devices.is_unstable(name)]
    if found and old:
        line = text.count(b"\n", 0, found.start("value")) + 1
        yield Finding(
            "GF-BOOT-INSTALL-DEVICE",
            "info",
            f"debconf has {', '.join(old)} as the disk that updates of GRUB write to, a name of the old platform",
            (Evidence(DEBCONF, line, f"grub-pc/install_devices: {' '.join(names)}"),),
        )
