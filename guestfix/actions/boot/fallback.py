"""The UEFI fallback loader EFI/BOOT/BOOTX64.EFI, for firmware that has lost its boot entries.

Boot entries live in the old platform's NVRAM; a new one starts only the fallback path. Source: UEFI
specification 3.5.1.1 "Removable Media Boot Behavior"; shim's README.fallback.
"""

from __future__ import annotations

from guestfix.actions.workbench import Workbench
from guestfix.base.catalog.facts.boot import BOOT_EFI, BOOT_ESP, BOOT_FIRMWARE
from guestfix.base.catalog.facts.system import OS_ARCH
from guestfix.base.catalog.records.boot import EfiFolder
from guestfix.base.errors import GuestError
from guestfix.base.facts import Evidence
from guestfix.detect.boot.places import own_folders
from guestfix.detect.boot.shim import ARCHES, Arch, file_in, lacks, name_of

MAX_LOADER = 16 * 1024 * 1024
WRAPPER = 1024
"""Bytes below which a grub.cfg that names another one leads there and nowhere else."""


def make_fallback(bench: Workbench) -> None:
    """Make the EFI system partition boot without NVRAM entries.

    shim becomes the fallback and keeps its own GRUB and MokManager beside it, so Secure Boot keeps
    working; without shim GRUB itself does. A small grub.cfg beside them leads to the real one. A fallback
    that is there already stays, but a shim that lacks its GRUB gets it.
    """
    folders = bench.facts.value(BOOT_EFI, [])
    esp = bench.facts.value(BOOT_ESP, "")
    if not esp or not folders:
        _report(bench, "nothing of the EFI system partition can be seen")
        return
    boot = next((one for one in folders if name_of(one) == "boot"), None)
    place = boot.path if boot else f"{folders[0].path.rpartition('/')[0]}/BOOT"
    found = False
    for arch in ARCHES:
        vendor = _vendor(bench, folders, arch)
        there = file_in(boot, arch.fallback)
        found = found or bool(there or vendor)
        if vendor is not None:
            _fill(bench, arch, vendor, boot, place)
    if not found and bench.facts.value(BOOT_FIRMWARE) != "uefi":  # else detection has told it
        _report(bench, "no EFI folder holds shim, GRUB or systemd-boot")


def _report(bench: Workbench, why: str) -> None:
    system = bench.facts.value(OS_ARCH)
    name = next((one.fallback.upper() for one in ARCHES if one.system == system), "BOOTX64.EFI")
    bench.find(
        "GF-BOOT-NO-FALLBACK",
        "warning",
        f"there is no EFI/BOOT/{name}, without which the target's firmware finds nothing to start: {why}",
        *bench.facts.evidence(BOOT_FIRMWARE)[:1],
        remedy="give guestfix the EFI system partition too, or install the loader there (grub-install --removable)",
    )


def _vendor(bench: Workbench, folders: list[EfiFolder], arch: Arch) -> EfiFolder | None:
    """Return the distribution's folder with a loader of this architecture; its own name first."""
    own = own_folders(bench.facts)
    usable = [
        one for one in folders if name_of(one) not in ("boot", "microsoft") and file_in(one, *arch.grubs, arch.other)
    ]
    return min(
        usable, key=lambda one: (name_of(one) not in own, not file_in(one, *arch.grubs), name_of(one)), default=None
    )


def _fill(bench: Workbench, arch: Arch, vendor: EfiFolder, boot: EfiFolder | None, place: str) -> None:
    grub, shim = file_in(vendor, *arch.grubs), file_in(vendor, *arch.shims)
    existing = file_in(boot, arch.fallback)
    if not grub:
        if not existing:
            _copy(bench, file_in(vendor, arch.other), f"{place}/{arch.fallback}")
        return
    alone = existing and lacks(bench.fs, bench.facts.value(BOOT_EFI, []), arch)
    if existing and not alone:
        return
    if not existing:
        _copy(bench, shim or grub, f"{place}/{arch.fallback}")
    if alone and file_in(boot, arch.program, "fallback.efi"):
        _option(bench, arch, vendor, (shim or grub).rpartition("/")[2])
        return
    if shim or alone:
        _copy(bench, grub, f"{place}/{alone or grub.rpartition('/')[2].lower()}")
        helper = file_in(vendor, *arch.helpers)
        if helper:
            _copy(bench, helper, f"{place}/{helper.rpartition('/')[2]}")
    _lead(bench, vendor, boot, place)


def _option(bench: Workbench, arch: Arch, vendor: EfiFolder, loader: str) -> None:
    """Put down the boot option that shim's fallback program looks for; one that names what is not there stays."""
    if not file_in(vendor, *arch.csv):
        text = f"{loader},{vendor.path.rpartition('/')[2]},,\n"
        bench.fs.put(f"{vendor.path}/{arch.csv[0]}", b"\xff\xfe" + text.encode("utf-16-le"), diff=f"+ {text}")


def _bytes(bench: Workbench, path: str) -> bytes | None:
    try:
        return bench.fs.read(path, MAX_LOADER)
    except GuestError:
        return None


def _copy(bench: Workbench, source: str, path: str) -> None:
    data = _bytes(bench, source)
    if data is None:
        bench.find(
            "GF-BOOT-LOADER-UNREADABLE", "warning", "a boot loader can't be read, so it isn't copied", Evidence(source)
        )
    elif bench.fs.stat(path) is None:
        bench.fs.put(path, data, like=source, diff=f"copy of {source}, {len(data)} bytes\n")


def _lead(bench: Workbench, vendor: EfiFolder, boot: EfiFolder | None, place: str) -> None:
    """Put a grub.cfg beside the fallback that leads to the vendor's. GRUB without one finds its own."""
    config = file_in(vendor, "grub.cfg")
    if not config or (boot and file_in(boot, "grub.cfg")):
        return
    data = _bytes(bench, config) or b""
    if len(data) >= WRAPPER or b"configfile" not in data:
        folder = "/EFI/" + vendor.path.rpartition("/")[2]
        data = (
            f"search --no-floppy --file --set=root {folder}/grub.cfg\n"
            f"set prefix=($root){folder}\nconfigfile $prefix/grub.cfg\n"
        ).encode()
    bench.fs.put(f"{place}/grub.cfg", data, like=config)
