"""The UEFI fallback loader EFI/BOOT/BOOTX64.EFI, for firmware that has lost its boot entries.

Boot entries live in the old platform's NVRAM; a new one starts only the fallback path. Source: UEFI
specification 3.5.1.1 "Removable Media Boot Behavior"; shim's README.fallback.
"""

from __future__ import annotations

from guestfix.actions.workbench import Workbench
from guestfix.base.catalog.facts.boot import BOOT_EFI, BOOT_ESP, BOOT_FIRMWARE
from guestfix.base.catalog.records.boot import EfiFolder
from guestfix.base.errors import GuestError
from guestfix.base.facts import Evidence
from guestfix.base.record import frozen
from guestfix.detect.boot.places import own_folders

MAX_LOADER = 16 * 1024 * 1024
WRAPPER = 1024
"""Bytes below which a grub.cfg that names another one leads there and nowhere else."""


@frozen
class Arch:
    """File names of one architecture: the fallback, shims, GRUBs, helpers, systemd-boot; best first."""

    fallback: str
    shims: tuple[str, ...]
    grubs: tuple[str, ...]
    helpers: tuple[str, ...]
    other: str


ARCHES = (
    Arch(
        "BOOTX64.EFI",
        ("shimx64.efi", "shim.efi"),
        ("grubx64.efi", "grub.efi"),
        ("mmx64.efi", "mokmanager.efi"),
        "systemd-bootx64.efi",
    ),
    Arch("BOOTIA32.EFI", ("shimia32.efi",), ("grubia32.efi",), ("mmia32.efi",), "systemd-bootia32.efi"),
    Arch("BOOTAA64.EFI", ("shimaa64.efi",), ("grubaa64.efi",), ("mmaa64.efi",), "systemd-bootaa64.efi"),
)


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
    boot = next((one for one in folders if _name(one) == "boot"), None)
    place = boot.path if boot else f"{folders[0].path.rpartition('/')[0]}/BOOT"
    found = False
    for arch in ARCHES:
        vendor = _vendor(bench, folders, arch)
        there = boot is not None and _file(boot, arch.fallback)
        found = found or bool(there or vendor)
        if vendor is not None:
            _fill(bench, arch, vendor, boot, place)
    if not found and bench.facts.value(BOOT_FIRMWARE) != "uefi":  # else detection has told it
        _report(bench, "no EFI folder holds shim, GRUB or systemd-boot")


def _report(bench: Workbench, why: str) -> None:
    bench.find(
        "GF-BOOT-NO-FALLBACK",
        "warning",
        f"there is no EFI/BOOT/BOOTX64.EFI, without which the target's firmware finds nothing to start: {why}",
        *bench.facts.evidence(BOOT_FIRMWARE)[:1],
        remedy="give guestfix the EFI system partition too, or install the loader there (grub-install --removable)",
    )


def _name(folder: EfiFolder) -> str:
    return folder.path.rpartition("/")[2].lower()


def _file(folder: EfiFolder, *names: str) -> str:
    """Return the path of the first of these files that the folder has, regardless of case."""
    by_name = {name.lower(): name for name in folder.files}
    return next((f"{folder.path}/{by_name[name.lower()]}" for name in names if name.lower() in by_name), "")


def _vendor(bench: Workbench, folders: list[EfiFolder], arch: Arch) -> EfiFolder | None:
    """Return the distribution's folder with a loader of this architecture; its own name first."""
    own = own_folders(bench.facts)
    usable = [one for one in folders if _name(one) not in ("boot", "microsoft") and _file(one, *arch.grubs, arch.other)]
    return min(usable, key=lambda one: (_name(one) not in own, not _file(one, *arch.grubs), _name(one)), default=None)


def _fill(bench: Workbench, arch: Arch, vendor: EfiFolder, boot: EfiFolder | None, place: str) -> None:
    grub, shim = _file(vendor, *arch.grubs), _file(vendor, *arch.shims)
    existing = _file(boot, arch.fallback) if boot else ""
    if not grub:
        if not existing:
            _copy(bench, _file(vendor, arch.other), f"{place}/{arch.fallback}")
        return
    if existing and not (shim and _is_lone_shim(bench, arch, boot, existing, shim)):
        return
    if not existing:
        _copy(bench, shim or grub, f"{place}/{arch.fallback}")
    if shim:
        _copy(bench, grub, f"{place}/{grub.rpartition('/')[2].lower()}")
        helper = _file(vendor, *arch.helpers)
        if helper:
            _copy(bench, helper, f"{place}/{helper.rpartition('/')[2]}")
    _lead(bench, vendor, boot, place)


def _is_lone_shim(bench: Workbench, arch: Arch, boot: EfiFolder | None, existing: str, shim: str) -> bool:
    """Tell whether the fallback is the vendor's shim with neither GRUB nor fallback program beside it."""
    suffix = arch.fallback.removeprefix("BOOT").removesuffix(".EFI").lower()
    if boot is None or _file(boot, f"fb{suffix}.efi", "fallback.efi", *arch.grubs):
        return False
    return _bytes(bench, existing) == _bytes(bench, shim) is not None


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
    config = _file(vendor, "grub.cfg")
    if not config or (boot and _file(boot, "grub.cfg")):
        return
    data = _bytes(bench, config) or b""
    if len(data) >= WRAPPER or b"configfile" not in data:
        folder = "/EFI/" + vendor.path.rpartition("/")[2]
        data = (
            f"search --no-floppy --file --set=root {folder}/grub.cfg\n"
            f"set prefix=($root){folder}\nconfigfile $prefix/grub.cfg\n"
        ).encode()
    bench.fs.put(f"{place}/grub.cfg", data, like=config)
