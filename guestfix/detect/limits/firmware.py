"""Limits of firmware: the fallback loader on the EFI system partition, and what the target can start."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from guestfix.base.catalog.facts.boot import BOOT_EFI, BOOT_FIRMWARE, BOOT_FIRMWARES, BOOT_LOADERS
from guestfix.base.catalog.facts.system import OS_ARCH, OS_FAMILY, OS_ID
from guestfix.base.errors import GuestError
from guestfix.base.facts import Evidence, Facts, Finding
from guestfix.base.guest import Disk, GuestFS
from guestfix.pack.model import Target


def check(guest: GuestFS, facts: Facts, target: Target) -> list[Finding]:
    """Report what keeps the target's firmware from starting the guest."""
    return [
        *_fallback(guest, facts, target),
        *_code(guest, facts),
        *_firmware(facts, target),
        *_windows_11(facts, target),
        *_arm(guest, facts, target),
    ]


def _fallback(guest: GuestFS, facts: Facts, target: Target) -> Iterable[Finding]:
    folders = facts.value(BOOT_EFI) or []
    if facts.value(OS_FAMILY) != "linux" or facts.value(BOOT_FIRMWARE) != "uefi" or not folders:
        return ()
    from guestfix.detect.limits.fallback import check as fallback  # a guest that boots by BIOS needs none of it

    return fallback(guest, facts, target, folders)


def _arm(guest: GuestFS, facts: Facts, target: Target) -> Iterable[Finding]:
    if facts.value(OS_FAMILY) != "linux" or facts.value(OS_ARCH) != "aarch64":
        return ()
    from guestfix.detect.limits.board import check as board

    return board(guest, facts, target)


_NOTHING = {
    "none": "has no boot code in its first sector",
    "coreless": "has GRUB's first stage, and the sectors that it goes on with are empty",
    "inactive": "has boot code that starts the active partition, and no partition is active",
}


def _code(guest: GuestFS, facts: Facts) -> Iterator[Finding]:
    """A BIOS starts the first disk's first sector. Only disks that were read show it."""
    if facts.value(OS_FAMILY) != "linux" or facts.value(BOOT_FIRMWARE) != "bios" or not facts.value(BOOT_LOADERS):
        return
    disks = disks_of(guest)
    if disks and disks[0].boot in _NOTHING:
        others = [one.device for one in disks[1:] if one.boot and one.boot not in _NOTHING]
        yield Finding(
            "GF-BOOT-CODE",
            "warning",
            f"{disks[0].device} {_NOTHING[disks[0].boot]}"
            + (f"; {others[0]} has some, so it has to be the disk that the target's firmware starts" if others else ""),
            (Evidence("disks", 0, f"{disks[0].device}: {disks[0].boot}"),),
            outcome="unknown" if others else "stops",
        )


def disks_of(guest: GuestFS) -> tuple[Disk, ...]:
    """Return the guest's disks, none where nobody described them."""
    try:
        known = guest.disks()
    except GuestError:
        known = None
    return known.disks if known else ()


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
