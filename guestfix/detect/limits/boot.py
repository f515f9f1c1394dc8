"""Limits of boot loaders: what no rule repairs, or what outlives the migration."""

from __future__ import annotations

import re
from collections.abc import Iterator

from guestfix.base.bounds import SMALL_TEXT
from guestfix.base.catalog.facts.boot import (
    BOOT_CHOICE,
    BOOT_DEFAULT,
    BOOT_LOADERS,
)
from guestfix.base.catalog.facts.system import OS_FAMILY
from guestfix.base.facts import Evidence, Facts, Finding
from guestfix.base.guest import GuestFS
from guestfix.base.patterns import regex
from guestfix.base.record import frozen
from guestfix.detect.files import exists, read_small
from guestfix.formats.storage import devices
from guestfix.pack.model import Target

DEBCONF = "/var/cache/debconf/config.dat"
_INSTALL_DEVICES = regex(
    rb"^Name: grub-pc/install_devices\n(?:(?!Name:|Value:)[^\n]+\n)*Value: (?P<value>[^\n]+)", re.MULTILINE
)


def check(guest: GuestFS, facts: Facts, target: Target) -> list[Finding]:
    """Report what is odd about the guest's boot loader."""
    return [
        *_unsaved(facts),
        *_lilo(guest, facts),
        *_debconf(guest, facts, target),
    ]


def check_initramfs(guest: GuestFS, facts: Facts, target: Target) -> list[Finding]:
    """Report a default entry that loads no initramfs where its kernel needs one."""
    default = facts.value(BOOT_DEFAULT)
    if default is None or default.initrd:
        return []
    from guestfix.detect.initramfs.bare import check as check_bare  # few entries load none

    return check_bare(guest, facts, target)


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


@frozen
class InstallDevices:
    """What debconf says of grub-pc/install_devices: the disks, and where the value is in the file."""

    names: tuple[str, ...]
    start: int
    end: int


def install_devices(src: bytes) -> InstallDevices | None:
    """Return the answer by which grub-pc's updates write the loader; None where there is none."""
    found = _INSTALL_DEVICES.search(src)
    names = tuple(found["value"].decode("utf-8", "replace").replace(",", " ").split()) if found else ()
    return InstallDevices(names, *found.span("value")) if found and names else None


def _debconf(guest: GuestFS, facts: Facts, target: Target) -> Iterator[Finding]:
    """An update of grub-pc writes the loader to the disk that debconf names; it fails where that is not there."""
    text = (read_small(guest, DEBCONF, SMALL_TEXT) or b"") if facts.value(OS_FAMILY) == "linux" else b""
    found = install_devices(text)
    own = f"/dev/{target.disk_prefix}" if target.disk_prefix else "\0"
    old = [name for name in found.names if devices.is_unstable(name) and not name.startswith(own)] if found else []
    if found and old:
        line = text.count(b"\n", 0, found.start) + 1
        yield Finding(
            "GF-BOOT-INSTALL-DEVICE",
            "info",
            f"debconf has {', '.join(old)} as the disk that updates of GRUB write to, a name of the old platform",
            (Evidence(DEBCONF, line, f"grub-pc/install_devices: {' '.join(found.names)}"),),
        )
