"""Where a guest keeps its boot loaders: EFI system partition, firmware paths, configuration files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from guestfix.base.bounds import MENU, SMALL_TEXT
from guestfix.base.catalog.facts.system import OS_ID, SYSTEM_EFI_FOLDERS
from guestfix.base.errors import GuestError
from guestfix.base.facts import Evidence, Facts
from guestfix.base.guest import GuestFS
from guestfix.base.record import field, frozen, mutable
from guestfix.detect.files import kind_of as kind
from guestfix.detect.files import names_in as names
from guestfix.detect.files import read_small as read

ESP_MOUNTS = ("/boot/efi", "/efi", "/boot", "/boot/EFI")
CONFIG_LIMIT = MENU
MAX_DIRS = 200

_LOADERS = (
    "grubx64.efi", "shimx64.efi", "grubia32.efi", "shimia32.efi", "shim.efi", "grub.efi", "grubaa64.efi",
    "shimaa64.efi",
)  # fmt: skip
SYSTEMD_BOOT = ("systemd-bootx64.efi", "systemd-bootaa64.efi")


@frozen
class EfiDir:
    """One folder below EFI: its guest path and its files by lower-case name."""

    path: str
    files: dict[str, str]

    @property
    def name(self) -> str:
        """The folder's name in lower case."""
        return self.path.rpartition("/")[2].lower()

    def has_loader(self) -> bool:
        """Tell whether GRUB or shim is in there."""
        return any(name in self.files for name in _LOADERS)


@mutable
class Places:
    """What was found. ``bios`` and ``uefi`` are the evidence that the guest can boot by that firmware."""

    esp: str = ""
    efi: list[EfiDir] = field(default_factory=list)
    bios: list[Evidence] = field(default_factory=list)
    uefi: list[Evidence] = field(default_factory=list)
    bios_prefix: str = ""
    """The folder whose core image or stage 2 a BIOS would start (/boot/grub2), or empty."""


def child(guest: GuestFS, folder: str, name: str) -> str:
    """Return the path of a name in a folder regardless of case (FAT), or empty."""
    found = next((one for one in names(guest, folder) if one.lower() == name.lower()), "")
    return f"{folder.rstrip('/')}/{found}" if found else ""


def find_places(guest: GuestFS) -> Places:
    """Look at the usual folders."""
    places = Places()
    for mount in ESP_MOUNTS:
        folder = child(guest, mount, "EFI") if mount != "/boot/EFI" else ""
        if folder and kind(guest, folder) == "dir":
            places.esp = mount
            places.efi = list(_efi_dirs(guest, folder))
            break
    for one in places.efi:
        for name in (*_LOADERS, *SYSTEMD_BOOT, "bootx64.efi", "bootia32.efi", "bootaa64.efi", "syslinux.efi"):
            if name in one.files:
                places.uefi.append(Evidence(f"{one.path}/{one.files[name]}"))
                break
    _bios(guest, places)
    return places


def _efi_dirs(guest: GuestFS, folder: str) -> Iterator[EfiDir]:
    for name in names(guest, folder)[:MAX_DIRS]:
        path = f"{folder}/{name}"
        if kind(guest, path) == "dir":
            yield EfiDir(path, {found.lower(): found for found in names(guest, path)})


def _bios(guest: GuestFS, places: Places) -> None:
    for folder in ("/boot/grub2", "/boot/grub"):
        core = f"{folder}/i386-pc/core.img"
        if kind(guest, core) == "file" or kind(guest, f"{folder}/i386-pc") == "dir":
            places.bios.append(Evidence(core))
            places.bios_prefix = places.bios_prefix or folder
    if kind(guest, "/boot/grub/stage2") == "file":
        places.bios.append(Evidence("/boot/grub/stage2"))
        places.bios_prefix = places.bios_prefix or "/boot/grub"
    for path in ("/boot/extlinux/ldlinux.sys", "/boot/syslinux/ldlinux.sys", "/ldlinux.sys", "/extlinux/ldlinux.sys"):
        if kind(guest, path) == "file":
            places.bios.append(Evidence(path))


@mutable
class Config:
    """A loader's configuration file: which loader reads it, and by which firmware path it is reached."""

    path: str
    loader: str
    src: bytes
    firmware: str = ""


def grub_configs(guest: GuestFS, places: Places, own: Sequence[str]) -> list[Config]:
    """Return the GRUB configurations, those that a firmware path reaches first, best first.

    ``own`` are the names of the system's own folder below EFI.
    """
    found: list[Config] = []
    for folder in _vendors(places, own):
        for name, loader in (("grub.cfg", "grub2"), ("grub.conf", "grub-legacy")):
            if name in folder.files:
                _add(guest, found, f"{folder.path}/{folder.files[name]}", loader, "uefi")
    for name in names(guest, places.esp)[:MAX_DIRS] if places.esp else ():
        if name.lower() not in ("efi", "loader", "grub", "grub2"):  # a folder that the core image's prefix names
            _add(guest, found, f"{places.esp}/{name}/grub/grub.cfg", "grub2", "uefi" if places.uefi else "bios")
    prefixes = [places.bios_prefix] if places.bios_prefix else []
    prefixes += [one for one in ("/boot/grub2", "/boot/grub") if one not in prefixes]
    legacy_first = places.bios_prefix == "/boot/grub" and kind(guest, "/boot/grub/i386-pc") == ""
    order = [("grub.cfg", "grub2"), ("menu.lst", "grub-legacy"), ("grub.conf", "grub-legacy")]
    for prefix in prefixes:
        for name, loader in order[1:] + order[:1] if legacy_first else order:
            _add(guest, found, f"{prefix}/{name}", loader, "bios")
    return found


def own_folders(facts: Facts) -> tuple[str, ...]:
    """Return what the system calls its folder below EFI, in lower case: as the pack says, else its id."""
    names = (*facts.value(SYSTEM_EFI_FOLDERS, ()), str(facts.value(OS_ID, "")))
    return tuple(name.lower() for name in names if name)


def _vendors(places: Places, own: Sequence[str]) -> list[EfiDir]:
    """Return the folders below EFI in the order in which firmware would most likely start them."""

    def rank(one: EfiDir) -> tuple[bool, bool, bool, str]:
        return (one.name == "boot", one.name not in own, not one.has_loader(), one.name)

    return sorted((one for one in places.efi if one.name not in ("microsoft", "systemd", "linux")), key=rank)


def _add(guest: GuestFS, found: list[Config], path: str, loader: str, firmware: str) -> None:
    try:
        real = guest.realpath(path)
    except GuestError:
        return
    if kind(guest, real) != "file" or any(one.path == real for one in found):
        return
    src = read(guest, real, CONFIG_LIMIT if loader == "grub2" else SMALL_TEXT)
    if src is not None:
        found.append(Config(real, loader, src, firmware))
