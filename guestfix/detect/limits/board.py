"""Guests of Arm that a board's own firmware starts, with a device tree; machines of clouds have UEFI and ACPI.

Sources: Arm's Base Boot Requirements (UEFI and ACPI on servers); the kernel's Documentation/arch/arm64/arm-acpi
(``acpi=off``; a kernel built without it knows device trees only); Raspberry Pi's documentation of config.txt; U-Boot's
doc/README.distro (extlinux.conf with fdt lines, boot.scr).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from guestfix.base.catalog.facts.boot import BOOT_DEFAULT, BOOT_EFI, BOOT_LOADERS
from guestfix.base.catalog.facts.system import KERNEL_DEFAULT
from guestfix.base.catalog.records.boot import MenuEntry
from guestfix.base.facts import Evidence, Facts, Finding
from guestfix.base.guest import GuestFS
from guestfix.base.patterns import regex
from guestfix.detect.files import exists, lines_of, read_small
from guestfix.pack.model import Target

BOARDS = {
    "/boot/firmware/start4.elf": "a Raspberry Pi's firmware",
    "/boot/firmware/start.elf": "a Raspberry Pi's firmware",
    "/boot/firmware/config.txt": "a Raspberry Pi's firmware",
    "/boot/start4.elf": "a Raspberry Pi's firmware",
    "/boot/config.txt": "a Raspberry Pi's firmware",
    "/boot/armbianEnv.txt": "U-Boot (Armbian)",
    "/boot/boot.scr": "U-Boot",
    "/boot/uEnv.txt": "U-Boot",
}
"""Files that nothing but a board's firmware reads, and whose they are."""

EXTLINUX = "/boot/extlinux/extlinux.conf"
_TREE = regex(r"(?i)\s*(?:fdt|fdtdir|devicetree|devicetreedir)\s+\S")
_ENTRY = regex(r"(?i)\s*(?:menuentry|submenu|label|\})(?:\s|$)")
"""Where an entry of GRUB or extlinux begins or ends; a file of the Boot Loader Specification is one entry."""

_CONFIG_SIZE = 1024 * 1024
"""Bytes of a kernel's configuration, which has some 300,000, and of a menu."""


def check(guest: GuestFS, facts: Facts, target: Target) -> list[Finding]:
    """Report what keeps a machine with UEFI and ACPI from starting this guest, or its kernel from seeing devices."""
    return [*_board(guest, facts), *_acpi(guest, facts, target)]


def _board(guest: GuestFS, facts: Facts) -> Iterator[Finding]:
    """A board's files beside a loader for UEFI do no harm."""
    if any(name.lower().endswith(".efi") for folder in facts.value(BOOT_EFI) or () for name in folder.files):
        return
    seen = [(Evidence(path), whose) for path, whose in BOARDS.items() if exists(guest, path)]
    seen += [(place, "U-Boot") for place in _trees(guest)]
    if seen:
        others = set(facts.value(BOOT_LOADERS) or ()) - {"extlinux"}
        yield Finding(
            "GF-BOOT-BOARD",
            "warning",
            f"the guest is started by {seen[0][1]}, and no loader for UEFI is to be seen, which the target has",
            tuple(place for place, _ in seen[:4]),
            outcome="unknown" if others else "stops",
        )


def _trees(guest: GuestFS) -> Iterator[Evidence]:
    """Yield the lines of extlinux.conf that name a device tree."""
    for number, line in lines_of(read_small(guest, EXTLINUX) or b""):
        if _TREE.match(line):
            yield Evidence(EXTLINUX, number, line.strip())


def _trees_of(guest: GuestFS, entry: MenuEntry) -> Iterator[Evidence]:
    """Yield the lines of a menu's entry that name a device tree (``devicetree``)."""
    lines = lines_of(read_small(guest, entry.path, _CONFIG_SIZE) or b"")
    for number, line in _around(list(lines), entry.line):
        if _TREE.match(line):
            yield Evidence(entry.path, number, line.strip())


def _around(lines: list[tuple[int, str]], at: int) -> list[tuple[int, str]]:
    """Return the lines of the entry that this one is in: up to where another one begins or ends."""
    bounds = [number for number, line in lines if _ENTRY.match(line)]
    first = max((one for one in bounds if one < at), default=0)
    last = min((one for one in bounds if one > at), default=len(lines) + 1)
    return [(number, line) for number, line in lines if first < number < last]


def _acpi(guest: GuestFS, facts: Facts, target: Target) -> Iterator[Finding]:
    """A machine of one's own can be given a device tree instead (QEMU's virt with acpi=off); a cloud's can't."""
    outcome: Literal["stops", "unknown"] = "stops" if target.cloud else "unknown"
    release, entry = facts.value(KERNEL_DEFAULT), facts.value(BOOT_DEFAULT)
    path = f"/boot/config-{release}"
    data = read_small(guest, path, _CONFIG_SIZE) if release else None
    if data is not None:
        told = next(((at, line) for at, line in lines_of(data) if line == "# CONFIG_ACPI is not set"), None)
        if told is not None:
            what = f"the default kernel {release} is built without ACPI, by which the target describes its devices"
            yield Finding("GF-KERNEL-ACPI", "warning", what, (Evidence(path, *told),), outcome=outcome)
            return
    tree = next(_trees_of(guest, entry), None) if entry is not None else None
    if tree is not None:
        what = "the default entry gives the kernel a device tree of its own, which it takes for the target's devices"
        remedy = "take the line away, and what writes it (flash-kernel, a file dtb beside the kernel)"
        yield Finding("GF-KERNEL-ACPI", "warning", what, (tree,), remedy, outcome=outcome)
    if entry is not None and "acpi=off" in entry.args:
        what = "the default entry switches ACPI off, by which the target describes its devices"
        remedy = "take acpi=off from the kernel arguments"
        yield Finding("GF-KERNEL-ACPI", "warning", what, facts.evidence(BOOT_DEFAULT), remedy, outcome=outcome)
