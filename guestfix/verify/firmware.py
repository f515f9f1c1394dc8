"""UEFI firmware for QEMU: found by the descriptors that its packages install (QEMU's docs/interop/firmware.json)."""

from __future__ import annotations

import glob
import json
import os

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


def find_uefi(*, secure_boot: bool, folders: tuple[str, ...] = FOLDERS) -> Uefi:
    """Return firmware for a PC, with keys enrolled and Secure Boot on or without. GuestfixError where there is none."""
    for place in _descriptors(folders):
        found = _read(place, secure_boot)
        if found:
            return found
    kind = "with Secure Boot and enrolled keys" if secure_boot else "without Secure Boot"
    raise GuestfixError(f"no UEFI firmware {kind} is installed for QEMU", remedy="apt-get install ovmf")


def _descriptors(folders: tuple[str, ...]) -> list[str]:
    found: dict[str, str] = {}
    for folder in folders:
        for place in glob.glob(f"{glob.escape(folder)}/*.json"):
            found.setdefault(os.path.basename(place), place)
    return [found[name] for name in sorted(found)]


def _read(place: str, secure_boot: bool) -> Uefi | None:
    try:
        with open(place, "rb") as stream:
            told = json.load(stream)
        machines = [name for one in told["targets"] if one["architecture"] == "x86_64" for name in one["machines"]]
        device, features = told["mapping"]["device"], set(told["features"])
        if device != "flash" or not any(name.startswith("pc-q35") for name in machines):
            return None
        if ("enrolled-keys" in features) != secure_boot or ("secure-boot" in features) != secure_boot:
            return None
        code, variables = (told["mapping"][name]["filename"] for name in ("executable", "nvram-template"))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Uefi(code, variables, secure_boot) if os.path.exists(code) and os.path.exists(variables) else None
