"""Every file of a guest that holds kernel arguments, and unified kernel images, which nobody can edit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from guestfix.base.errors import GuestError
from guestfix.base.facts import Evidence, Finding
from guestfix.base.guest import GuestFS
from guestfix.base.patterns import regex
from guestfix.base.record import frozen
from guestfix.detect.boot.menu import Menu
from guestfix.detect.boot.places import Config, Places
from guestfix.detect.files import kind_of, names_in, read_small
from guestfix.formats.boot.entry import BootEntry

SYSLINUX = (
    "/boot/extlinux/extlinux.conf",
    "/extlinux/extlinux.conf",
    "/boot/syslinux/syslinux.cfg",
    "/boot/syslinux/extlinux.conf",
    "/syslinux/syslinux.cfg",
    "/boot/extlinux.conf",
)
_ON_ESP = ("syslx64.cfg", "syslia32.cfg", "syslinux.cfg", "extlinux.conf")
MAX_FILES = 2000

_MACHINE_ID = regex(r"[0-9a-f]{32}")
_IN_NAME = regex(r"([0-9a-f]{32})-")

_FIXED = (
    ("/etc/default/grub", "default"),
    ("/etc/sysconfig/bootloader", "bootloader"),
    ("/etc/default/extlinux", "default"),
    ("/etc/update-extlinux.conf", "update-extlinux"),
    ("/etc/kernel/cmdline", "cmdline"),
    ("/etc/dracut.conf", "dracut"),
    ("/boot/grub2/grubenv", "grubenv"),
    ("/boot/grub/grubenv", "grubenv"),
)
_FOLDERS = (
    ("/etc/default/grub.d", ".cfg", "default"),
    ("/etc/kernel/cmdline.d", ".conf", "cmdline"),
    ("/etc/cmdline.d", ".conf", "cmdline"),
    ("/etc/dracut.conf.d", ".conf", "dracut"),
)
_FORMS = {"grub2": "grubcfg", "grub-legacy": "menu", "extlinux": "syslinux"}


@frozen
class Source:
    """A file with kernel arguments. ``form`` tells how they are written there."""

    path: str
    form: str


def find_sources(guest: GuestFS, configs: list[Config], places: Places, menu: Menu | None = None) -> list[Source]:
    """Return every source, links resolved, each file once; with what the menu includes and loads from files."""
    found: dict[str, Source] = {}
    for path, form in (*_candidates(guest, configs, places), *_of_menu(menu)):
        try:
            real = guest.realpath(path)
        except GuestError:
            continue
        if kind_of(guest, real) == "file" and len(found) < MAX_FILES:
            found.setdefault(real, Source(real, form))
    return sorted(found.values(), key=lambda one: one.path)


def _of_menu(menu: Menu | None) -> Iterator[tuple[str, str]]:
    """Yield the files that a menu is made of, and the environment blocks that it loads by name."""
    form = _FORMS.get(menu.loader) if menu else None
    if menu and form:
        yield from ((path, form) for path in menu.visited)
        yield from ((path, "envfile") for path in menu.blocks)


def _candidates(guest: GuestFS, configs: list[Config], places: Places) -> Iterator[tuple[str, str]]:
    for config in configs:
        yield config.path, _FORMS[config.loader]
    yield from _FIXED
    for folder, end, form in _FOLDERS:
        for name in names_in(guest, folder):
            if name.endswith(end):
                yield f"{folder}/{name}", form
    for mount in dict.fromkeys(("/boot", places.esp, "/efi")):
        for name in names_in(guest, f"{mount}/loader/entries") if mount else ():
            if name.endswith(".conf"):
                yield f"{mount}/loader/entries/{name}", "bls"
    for one in places.efi:
        if "grubenv" in one.files:
            yield f"{one.path}/{one.files['grubenv']}", "grubenv"
    for prefix in ("/boot/grub2", "/boot/grub"):
        yield f"{prefix}/custom.cfg", "grubcfg"


def syslinux_files(places: Places) -> list[str]:
    """Return the configurations of syslinux in the folders of the EFI system partition."""
    return [f"{one.path}/{one.files[name]}" for one in places.efi for name in _ON_ESP if name in one.files]


def uki_files(guest: GuestFS, places: Places) -> list[str]:
    """Return the unified kernel images on the EFI system partition."""
    folders = [one for one in places.efi if one.name == "linux"]
    return [f"{one.path}/{name}" for one in folders for low, name in one.files.items() if low.endswith(".efi")]


def image_findings(guest: GuestFS, places: Places) -> list[Finding]:
    """Report unified kernel images: kernel, initrd and arguments in one signed file."""
    files = uki_files(guest, places)
    if not files:
        return []
    return [
        Finding(
            "GF-BOOT-UKI",
            "warning",
            f"{len(files)} unified kernel image{'s' if len(files) > 1 else ''}: arguments and initrd in a signed file",
            tuple(Evidence(path) for path in files[:10]),
            "guestfix can't change them; rebuild them in the guest (kernel-install, ukify) where drivers are missing",
        )
    ]


def name_findings(guest: GuestFS, entries: Iterable[BootEntry]) -> list[Finding]:
    """Report BLS entries named after another machine's id: kernel-install and grubby don't know them as theirs."""
    found = read_small(guest, "/etc/machine-id", 256) or b""
    own = found.strip().decode("ascii", "replace")
    if not _MACHINE_ID.fullmatch(own):
        return []
    paths = [one.path for one in entries if one.loader == "bls"]
    others = [path for path in paths if (match := _IN_NAME.match(path.rpartition("/")[2])) and match[1] != own]
    if not others:
        return []
    return [
        Finding(
            "GF-BOOT-MACHINE-ID",
            "info",
            f"{len(others)} boot entries are named after another machine id than {own}",
            tuple(Evidence(path) for path in others[:5]),
            "they boot, but kernel updates neither change nor remove them; rename them, with saved_entry in grubenv",
        )
    ]
