"""UEFI firmware for QEMU: found by the descriptors that its packages install (QEMU's docs/interop/firmware.json)."""

from __future__ import annotations

import glob
import json
import os

from guestfix.backends.packages import install
from guestfix.base.errors import GuestfixError
from guestfix.base.record import frozen

FOLDERS = ("/etc/qemu/firmware", "/usr/share/qemu/firmware")
"""Where descriptors are, the first wins; within one the names' numbers are the order."""


@frozen
class Uefi:
    """The code of a UEFI firmware and the template of its variables."""

    code: str
    variables: str
    secure_boot: bool


MACHINES = {"x86_64": "pc-q35", "aarch64": "virt"}
PACKAGES = {"x86_64": "ovmf", "aarch64": "qemu-efi-aarch64"}


def find_uefi(*, secure_boot: bool, arch: str = "x86_64", folders: tuple[str, ...] = FOLDERS) -> Uefi:
    """Return firmware for a processor's machine, with keys enrolled and Secure Boot on or without.

    QEMU has no Secure Boot for Arm: there firmware without it is what is returned. GuestfixError where there is none.
    """
    secure_boot = secure_boot and arch == "x86_64"
    for place in _descriptors(folders):
        found = _read(place, secure_boot, arch)
        if found:
            return found
    kind = "with Secure Boot and enrolled keys" if secure_boot else "without Secure Boot"
    raise GuestfixError(f"no UEFI firmware {kind} is installed for QEMU", remedy=install(PACKAGES[arch]))


def _descriptors(folders: tuple[str, ...]) -> list[str]:
    found: dict[str, str] = {}
    for folder in folders:
        for place in glob.glob(f"{glob.escape(folder)}/*.json"):
            found.setdefault(os.path.basename(place), place)
    return [found[name] for name in sorted(found)]


def _read(place: str, secure_boot: bool, arch: str) -> Uefi | None:
    try:
        with open(place, "rb") as stream:
            told = json.load(stream)
        machines = [name for one in told["targets"] if one["architecture"] == arch for name in one["machines"]]
        device, features = told["mapping"]["device"], set(told["features"])
        if device != "flash" or not any(name.startswith(MACHINES[arch]) for name in machines):
            return None
        if ("enrolled-keys" in features) != secure_boot or ("secure-boot" in features) != secure_boot:
            return None
        code, variables = (told["mapping"][name]["filename"] for name in ("executable", "nvram-template"))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Uefi(code, variables, secure_boot) if os.path.exists(code) and os.path.exists(variables) else None
