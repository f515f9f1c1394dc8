"""What tells one Windows guest from another: the machine GUID that setup made, and the computer's name."""

from __future__ import annotations

from guestfix.base.guest import GuestFS
from guestfix.detect.windows.hives import open_registry
from guestfix.formats.windows.regf import BadHive
from guestfix.formats.windows.regf.controlsets import control_sets


def windows_identity(guest: GuestFS, root: str) -> bytes:
    r"""Return ``Cryptography\MachineGuid`` and the computer's name as bytes; empty parts where they can't be read."""
    software, _ = open_registry(guest, f"{root}/System32/config/SOFTWARE", "SOFTWARE")
    system, _ = open_registry(guest, f"{root}/System32/config/SYSTEM", "SYSTEM")
    parts = [software.text(r"Microsoft\Cryptography", "MachineGuid") if software is not None else ""]
    if system is not None:
        try:
            controls = control_sets(system.hive)
        except BadHive:
            controls = []
        parts += [system.text(rf"{one}\Control\ComputerName\ComputerName", "ComputerName") for one in controls[:1]]
    return "\0".join(parts).encode("utf-8", "surrogatepass")
