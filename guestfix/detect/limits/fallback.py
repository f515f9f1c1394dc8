"""The fallback loader on the EFI system partition, EFI/BOOT/BOOTX64.EFI, and what shim starts from there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from guestfix.base.catalog.facts.boot import BOOT_FIRMWARES
from guestfix.base.catalog.facts.system import OS_ARCH
from guestfix.base.catalog.records.boot import EfiFolder
from guestfix.base.facts import Evidence, Facts, Finding
from guestfix.base.guest import GuestFS
from guestfix.detect.boot.shim import ARCHES, Arch, file_in, lacks, name_of
from guestfix.pack.model import Target


def check(guest: GuestFS, facts: Facts, target: Target, folders: Sequence[EfiFolder]) -> Iterator[Finding]:
    """Report what firmware lacks where it looks once the boot entries in NVRAM have stayed behind (UEFI, 3.5.1.1).

    A guest that can boot by BIOS too, on a target that has one, is warned of it alone.
    """
    arches = [one for one in ARCHES if one.system == facts.value(OS_ARCH)] or ARCHES
    boot = next((one for one in folders if name_of(one) == "boot"), None)
    places = tuple(Evidence(one.path) for one in folders[:8])
    there = [one for one in arches if file_in(boot, one.fallback)]
    if not there:
        yield Finding(
            "GF-BOOT-NO-FALLBACK",
            "warning",
            f"the EFI system partition lacks the fallback loader EFI/BOOT/{arches[0].fallback}; the boot entry that "
            "names another one stays behind in the old machine's NVRAM",
            places,
            "install the loader there (grub-install --removable); the rule boot/efi-fallback does so where it has one",
            outcome="" if _by_bios(facts, target) else "stops" if _has_loader(folders) else "unknown",
        )
    for arch in there[:1]:
        if wanted := lacks(guest, folders, arch):
            yield Finding(
                "GF-BOOT-FALLBACK-ALONE",
                "warning",
                f"the fallback loader {arch.fallback} is shim, and it goes on with {wanted}, which is not there",
                (Evidence(file_in(boot, arch.fallback)), *places),
                outcome="" if _by_bios(facts, target) else "stops",
            )


def _by_bios(facts: Facts, target: Target) -> bool:
    return "bios" in (facts.value(BOOT_FIRMWARES) or ()) and "bios" in target.firmware


def _has_loader(folders: Sequence[EfiFolder]) -> bool:
    """Tell whether the partition's loaders are to be seen at all; a part of a tree may have their settings alone."""
    names: list[str] = [name for one in ARCHES for name in _loaders(one)]
    return any(file_in(folder, *names) for folder in folders)


def _loaders(arch: Arch) -> tuple[str, ...]:
    return (*arch.shims, *arch.grubs, arch.other)
